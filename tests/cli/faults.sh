#!/bin/sh
# Bad input: a clear message, the right exit status, never a crash.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-match ego-mcq ego-model jq
tiny_model m.safetensors --rule golden
EGO_MODEL=$work/m.safetensors
export EGO_MODEL

# refused TEXT <RECORD: gathers a record that is to fail with a message that holds the text …
: >records.jsonl
: >expected
refused() {
    cat >>records.jsonl
    printf '\n{"id":"next","text":"x"}\n' >>records.jsonl
    printf '%s\n-\n' "$1" >>expected
}
# … and this runs them: each fails alone, in its place, and the one behind it is done.
settle() {
    run 1 ego-embed -q --format jsonl records.jsonl
    is "lines of output" "$(wc -l <expected)" "$(wc -l <"$out")"
    jq -r 'if has("error") then .error elif has("embedding") then "-" else "neither" end' "$out" >found
    paste expected found | while IFS='	' read -r expected found; do
        case $found in *"$expected"*) ;; *) printf 'expected %s, found %s\n' "$expected" "$found" ;; esac
    done >differing
    empty "$(head -n 20 differing)" differing
    : >records.jsonl
    : >expected
}

# ---- records ----------------------------------------------------------------------------------------

printf '{"id":"x",' | refused 'not valid JSON'
printf '[1,2]' | refused 'expected a JSON object, found an array'
printf '"text"' | refused 'expected a JSON object'
printf '{"text":"a"} {"text":"b"}' | refused 'more found'
printf "{'text':'a'}" | refused 'not valid JSON'
printf '{"text":"a\000b"}' | refused 'JSON'
printf '{"text":"a\\u0000b"}' | refused '0000'
printf '{"text":"\377"}' | refused 'expected UTF-8, found byte 0xff'
printf '{"text":"\355\240\200"}' | refused 'UTF-8'
printf '{"text":"a\tb"}' | refused 'JSON'
awk 'BEGIN { printf "{\"text\":\"x\",\"deep\":"; for (i = 0; i < 100000; i++) printf "["; for (i = 0; i < 100000; i++) printf "]"; printf "}" }' | refused 'deep'
awk 'BEGIN { printf "{\"text\":\"x\""; for (i = 0; i < 2000; i++) printf ",\"m%d\":1", i; printf "}" }' | refused 'members'
head -c 17000000 /dev/zero | tr '\000' x | refused 'line'
printf '{"text":"a","text":"b"}' | refused 'given twice'
printf '{"id":[1],"text":"a"}' | refused '"id": expected a string or a number, found an array'
printf '{"text":7}' | refused '"text": expected a string, found a number'
printf '{"tokens":"5"}' | refused '"tokens": expected an array of integers, found a string'
printf '{"tokens":[]}' | refused 'at least one'
printf '{"tokens":[0,1.5]}' | refused 'integers'
printf '{"tokens":[0,-1]}' | refused 'integers from 0 up'
printf '{"tokens":[0,99999999999999999999]}' | refused 'tokens'
printf '{"tokens":[0,512]}' | refused 'an id below 512, found 512'
awk 'BEGIN { printf "{\"tokens\":[0"; for (i = 0; i < 60; i++) printf ",5"; printf "]}" }' | refused '38'
printf '{"text":"a","tokens":[0]}' | refused 'found both'
printf '{"video":""}' | refused 'expected a path'
printf '{"video":7}' | refused '"video": expected a string'
printf '{"video":"no.mp4"}' | refused 'no.mp4'
printf '{"video":"no.mp4","frames":"no.npy"}' | refused 'found both'
printf '{"start":1,"end":2,"text":"a"}' | refused 'there is none'
printf '{"video":"no.mp4","start":2,"end":1}' | refused '"start" before "end"'
printf '{"video":"no.mp4","start":-1}' | refused 'from 0 up'
printf '{"video":"no.mp4","start":"1"}' | refused 'a number, found a string'
printf '{"id":"x","mine":1}' | refused 'expected video, frames, text or tokens'

settle

printf '\n\n  \n' >blank.jsonl
run 0 ego-embed blank.jsonl
empty "blank lines" "$out"
: >nothing.jsonl
for tool in ego-embed ego-mcq 'ego-model tokenize'; do
    # shellcheck disable=SC2086
    run 0 $tool nothing.jsonl
    empty "$tool of an empty file" "$out"
    # shellcheck disable=SC2086
    $tool </dev/null >"$out" 2>"$err"
    is "status of $tool without input" 0 $?
    empty "$tool without input" "$out"
done
run 0 ego-embed -o nothing.ego nothing.jsonl
empty "-o of no records" nothing.ego
printf '\357\273\277{"id":"bom","text":"x"}\n' >bom.jsonl
run 0 ego-embed --format jsonl bom.jsonl
holds_json "a byte order mark" "$out" '.[0].id == "bom"'
awk 'BEGIN { printf "{\"text\":\""; for (i = 0; i < 5000; i++) printf "word "; print "\"}" }' >long.jsonl
run 0 ego-embed long.jsonl
holds "$err" 'cut to 38 tokens'
run 3 ego-embed missing.jsonl
holds "$err" missing.jsonl
mkdir folder.jsonl
run 3 ego-embed folder.jsonl
holds "$err" folder.jsonl

# ---- frames -----------------------------------------------------------------------------------------

tail -c 49152 m.safetensors | npy '<f4' '(4, 3, 32, 32)' >good.npy
run 0 ego-embed -q --format jsonl <<'END'
{"frames":"good.npy"}
END
bad_frames() { # <FILE
    name=f$(wc -l <expected).npy
    cat >"$name"
    echo "{\"frames\":\"$name\"}" | refused "$name"
}
head -c 40000 good.npy | bad_frames
head -c 40 good.npy | bad_frames
bad_frames </dev/null
echo '{"a picture":"no"}' | bad_frames
tail -c 49152 m.safetensors | npy '<f4' '(4, 32, 32, 3)' | bad_frames
tail -c 36864 m.safetensors | npy '<f4' '(3, 3, 32, 32)' | bad_frames
tail -c 49152 m.safetensors | npy '<f4' '(2, 3, 32, 64)' | bad_frames
tail -c 98304 m.safetensors | npy '<f8' '(4, 3, 32, 32)' | bad_frames
tail -c 12288 m.safetensors | npy '|u1' '(4, 3, 32, 32)' | bad_frames
npy '|u1' '(4, 4294967296, 4294967296, 3)' </dev/null | bad_frames
npy '|u1' '(4, 0, 0, 3)' </dev/null | bad_frames
npy '<f4' '(-4, 3, 32, 32)' </dev/null | bad_frames
mkdir -p folder.npy
echo '{"frames":"folder.npy"}' | refused 'folder.npy'
: >empty.mp4
echo '{"video":"empty.mp4"}' | refused 'empty.mp4'
head -c 30000 m.safetensors >noise.mp4
echo '{"video":"noise.mp4"}' | refused 'noise.mp4'
mkdir films
echo '{"video":"films"}' | refused 'films'
settle
run 1 ego-embed --format jsonl noise.mp4 --window 2
holds_json "a film that is none" "$out" 'length == 1 and .[0].id == "noise.mp4" and (.[0] | has("error"))'

# ---- models -----------------------------------------------------------------------------------------

size=$(wc -c <m.safetensors)
for left in 0 7 8 100 4000 $((size / 2)) $((size - 1)); do
    head -c "$left" m.safetensors >cut.safetensors
    run 3 ego-embed -m cut.safetensors --text x
    holds "$err" cut.safetensors
    empty "output of a cut model" "$out"
done
{ printf '\377\377\377\377\377\377\377\177'; tail -c +9 m.safetensors; } >cut.safetensors
run 3 ego-embed -m cut.safetensors --text x
holds "$err" cut.safetensors
ego-model init -q -o plain.safetensors --set dim=64 --set heads=4 --set depth=2 --set fusion=none --set fuse_layers=0 --set patch=16 --set image_size=32 \
    --set vocab=512 --set max_positions=40 --set 'projection=[96,96,96]' >"$out" 2>"$err" || fail "ego-model init" "$(cat "$err")"
run 0 ego-embed -m plain.safetensors --text x
run 3 ego-embed -m plain.safetensors --fused --text x
holds "$err" plain.safetensors
run 3 ego-embed -m . --text x
run 2 ego-embed --frames 0 --text x
run 2 ego-embed --set heads=7 --text x
run 3 ego-embed --tokenizer no/such --text x
holds "$err" no/such

# ---- options ----------------------------------------------------------------------------------------

for tool in ego-embed ego-match ego-mcq ego-model; do
    run 2 $tool --no-such-option
    holds "$err" --no-such-option
    run 2 $tool -t 0
    run 2 $tool -t two
    run 2 $tool --shard 3/3
    run 2 $tool --shard 1
    run 2 $tool --batch
    run 2 $tool --dtype f64
    run 2 $tool --device gpu
    run 2 $tool --sampling often
    run 2 $tool --set novalue
    run 2 $tool --seed -1
    run 2 $tool --progress sometimes
    empty "stdout of $tool with wrong options" "$out"
done
run 2 ego-embed --window 0 --text x
run 2 ego-embed --window 1,5 --text x
run 2 ego-embed --window nan --text x

# ---- where it is written ----------------------------------------------------------------------------

echo '{"text":"x"}' >one.jsonl
for format in stream npy fvecs jsonl; do
    run 3 ego-embed --format $format -o no/such/file one.jsonl
    holds "$err" no/such/file
    mkdir taken taken.npy taken.fvecs taken.jsonl
    run 3 ego-embed --format $format -o taken one.jsonl
    holds "$err" taken
    rm -rf taken*
    [ ! -w /dev/full ] || case $format in
    stream | jsonl)
        ego-embed -q --format $format one.jsonl 2>"$err" >/dev/full
        is "status with a full disk, $format" 3 $?
        holds "$err" 'No space left'
        ;;
    esac
done
if [ -w /dev/full ]; then
    ego-embed -q one.jsonl >t.ego
    ego-match -q t.ego t.ego 2>"$err" >/dev/full
    is "status of ego-match with a full disk" 3 $?
    ego-model tokenize -q one.jsonl 2>"$err" >/dev/full
    is "status of ego-model tokenize with a full disk" 3 $?
fi
ego-embed -q one.jsonl 2>"$err" >&-
is "status without stdout" 3 $?
if [ "$(id -u)" -eq 0 ]; then
    skip_part "a directory that cannot be written: running as root"
else
    mkdir closed
    chmod a-w closed
    for format in stream npy fvecs jsonl; do
        run 3 ego-embed --format $format -o closed/file one.jsonl
        holds "$err" closed/file
    done
    chmod a-r one.jsonl
    run 3 ego-embed one.jsonl
    holds "$err" one.jsonl
fi
# An interrupted or failed run leaves the old file.
echo old >kept.npy
run 3 ego-embed --format npy -o kept.npy missing.jsonl
is "the old file" old "$(cat kept.npy)"
absent kept.jsonl
find . -name '*.tmp*' -o -name '.*.npy*' -o -name '.*.jsonl*' >left
empty "what is left of unfinished files" left
finish
