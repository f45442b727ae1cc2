#!/bin/sh
# ego-model learn-tokenizer: a vocabulary from narrations, in whatever file and order they come.
. "$(dirname "$0")/lib.sh"
need ego-model ego-embed jq
data=$repo/tests/unit/data

cat >narrations.jsonl <<'END_OF_FILE'
{"text":"#C C picks up the cup"}
{"id":"b","text":"#C C puts the cup on the table","video":"none.mp4"}
{"text":"#O the man X picks up the \"blue\" cup 😀"}
END_OF_FILE
jq -r .text narrations.jsonl >narrations.txt
sort -r narrations.jsonl >turned.jsonl
{
    printf 'video_uid\tnarration_time\tclip_start\tclip_end\tclip_text\ttag_verb\ttag_noun\n'
    jq -r '["v", "1", "0", "2", (.text | gsub("\""; "\"\"") | "\"\(.)\""), "[1]", "[2]"] | join("\t")' narrations.jsonl
} >narrations.csv

# ---- one result -------------------------------------------------------------------------------------

run 0 ego-model learn-tokenizer --size 270 -o a narrations.jsonl
holds_json "what it says" "$out" '.[0] | .tokenizer == "a" and .tokens == 270 and .texts == 3 and .words > 10 and .tokens_per_text < 26'
empty "notes" "$err"
is "what is written" "merges.txt vocab.json" "$(ls a | paste -sd ' ')"
is "merges" 10 "$(wc -l <a/merges.txt)"
is "the first merge" "#version: 0.2|Ġ t|h e" "$(head -n 3 a/merges.txt | paste -sd '|')"
holds_json "ids" a/vocab.json '.[0] | [.["<s>"], .["<pad>"], .["</s>"], .["<unk>"], .["!"], .["Ġt"], .["<mask>"]] == [0, 1, 2, 3, 4, 260, 269]
    and ([.[]] | sort) == [range(270)]'
for file in narrations.txt turned.jsonl narrations.csv; do
    rm -rf b
    run 0 ego-model learn-tokenizer --size 270 -o b "$file"
    same "the vocabulary from $file" a/vocab.json b/vocab.json
    same "the merges from $file" a/merges.txt b/merges.txt
done
ego-model learn-tokenizer --size 270 -o deep/er <narrations.jsonl >"$out" 2>"$err"
same "from stdin" a/merges.txt deep/er/merges.txt
run 0 ego-model learn-tokenizer --size 290 -o all narrations.jsonl narrations.csv narrations.txt
holds_json "several files" "$out" '.[0].texts == 9'
run 0 ego-model learn-tokenizer -o small narrations.jsonl
holds "$err" 'no pair is left that occurs 2 times'
is "merges of what occurs twice" "$(jq .tokens "$out")" $(($(wc -l <small/merges.txt) - 1 + 261))
run 0 ego-model learn-tokenizer --min-count 3 -o fewer narrations.jsonl
[ "$(jq .tokens "$out")" -lt "$(jq length small/vocab.json)" ] || fail "--min-count 3" "expected fewer tokens than with 2"
run 0 ego-model learn-tokenizer -q --size 270 -o real "$data/annotations/egoclip.csv"
empty "notes with -q" "$err"

# ---- in use -----------------------------------------------------------------------------------------

run 0 ego-model tokenize --tokenizer a narrations.jsonl
cp "$out" tokens.jsonl
is "tokens a text" "$(ego-model learn-tokenizer --force --size 270 -o a narrations.jsonl | jq .tokens_per_text)" \
    "$(jq -s 'map(.tokens | length - 2) | add / length * 1000 | round / 1000' tokens.jsonl)"
tiny_model m.safetensors
run 0 ego-model convert m.safetensors --tokenizer a -o own.safetensors
holds_json "the model's vocabulary" "$out" '.[0].vocabulary == "bpe"'
run 0 ego-model tokenize -m own.safetensors narrations.jsonl
same "by the vocabulary in the model" tokens.jsonl "$out"
run 0 ego-embed -m own.safetensors --format jsonl --text "#C C picks up the cup"
lacks "$err" 'byte by byte'

# ---- refused ----------------------------------------------------------------------------------------

run 2 ego-model learn-tokenizer --size 300 -o a narrations.jsonl
holds "$err" 'a/vocab.json exists'
is "what exists is kept" 270 "$(jq length a/vocab.json)"
run 0 ego-model learn-tokenizer --size 265 --force -o a narrations.jsonl
is "with --force" 265 "$(jq length a/vocab.json)"
printf '{"text":"#C C looks"}\n{"id":"none"}\n' >some.jsonl
run 1 ego-model learn-tokenizer --size 270 -o some some.jsonl
holds_json "a record without text" "$out" 'length == 2 and .[0].id == "none" and (.[0].error | contains("a text")) and .[1].texts == 1'
: >nothing.txt
run 2 ego-model learn-tokenizer -o x nothing.txt
holds "$err" 'no text'
run 2 ego-model learn-tokenizer narrations.jsonl
holds "$err" '-o DIR'
run 2 ego-model learn-tokenizer --size 260 -o x narrations.jsonl
run 2 ego-model learn-tokenizer --min-count 0 -o x narrations.jsonl
run 2 ego-model learn-tokenizer -o x narrations.jsonl kitchen.mp4
holds "$err" 'kitchen.mp4: expected a .csv'
run 3 ego-model learn-tokenizer -o x gone.txt
holds "$err" gone.txt
run 3 ego-model learn-tokenizer -o x gone.csv
printf 'no\ttable\n' >bad.csv
run 3 ego-model learn-tokenizer -o x bad.csv
holds "$err" video_uid
absent x
: >file
run 3 ego-model learn-tokenizer -o file narrations.jsonl
find . -name '*.tmp*' >left
empty "what is left of unfinished files" left
finish
