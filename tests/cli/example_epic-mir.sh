#!/bin/sh
# examples/epic-mir on a small world: lists in the published form, all 15 columns, read without a word; the row.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-match ego-model ego-score ego-synth ego-train jq make
tiny_model tiny.safetensors --set max_positions=100
EGO_MODEL=$work/tiny.safetensors
export EGO_MODEL
run 0 ego-synth -q world --split test --videos 1 --minutes 0.5 --no-qa-videos
mkdir -p epic/P01
ln -s "$(find "$work/world/videos" -name 0.mp4)" epic/P01/P01_01.MP4

# Verb and noun are the first and last words of a narration, their classes in the order of appearance.
columns=narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes
cat world/test_clips.jsonl world/test_narrations.jsonl | jq -rs 'group_by(.id) | map(add)[:7][] | [.start, .end, .text] | @tsv' |
    awk -F '\t' -v columns=$columns 'BEGIN { print columns } {
        sub(/^#C C /, "", $3); n = split($3, word, " "); verb = word[1]; noun = word[n]
        if (!(verb in verbs)) verbs[verb] = v++
        if (!(noun in nouns)) nouns[noun] = m++
        printf "P01_01_%d,P01,P01_01,00:00:%05.2f,00:00:%05.2f,00:00:%05.2f,%d,%d,\"%s\",%s,%d,%s,%d,\"[\047%s\047, \047hand\047]\",\"[%d, 99]\"\n",
            NR - 1, $1, $1, $2, 60 * $1, 60 * $2, $3, verb, verbs[verb], noun, nouns[noun], noun, nouns[noun] }' >list.csv
{ echo narration_id,narration; awk -F '"' 'NR > 1 && !seen[$2]++ { split($1, f, ","); print f[1] ",\"" $2 "\"" }' list.csv; } >list_sentence.csv
clips=$(($(wc -l <list.csv) - 1))
mir() { example epic-mir VIDEOS="$work/epic" TEST="$work/list.csv" FRAMES=4 SHARDS=2 "$@"; }

run 0 mir plan
holds "$out" "$clips clips, "
holds "$out" "measured here: a clip takes "
run 0 mir
grep -v "its weights are random\|byte by byte" "$err" >notes
is "notes" "" "$(cat notes)"
cp epic-mir/row-zero-shot.txt row.txt
is "row.txt" "metric map_avg ndcg_avg" "$(cut -d' ' -f1 row.txt | xargs)"
is "row.txt: the paper's figures" "26.7 29.1" "$(awk 'NR > 1 { print $NF }' row.txt | xargs)"
tuned() { mir PAPER=tuned TRAIN="$work/list.csv" SETTINGS='--set run.epochs=2 --set run.batch=4' "$@"; }
run 0 tuned plan
holds "$out" "tuning: 2 steps; "
run 0 tuned
is "the figures of tuning" "47.3 61.9" "$(awk 'NR > 1 { print $NF }' epic-mir/row-tuned.txt | xargs)"
run 0 ego-model info epic-mir/head/model.safetensors
run 0 mir --question row-zero-shot.txt

# ---- the lists themselves, and the reader -------------------------------------------------------------

run 0 ego-embed --sampling epic --video-root epic --frames 4 --format jsonl list.csv
holds_json "a list's records" "$out" '(map(.id) | unique | length) == '"$clips"' and all(.video == "P01/P01_01" or .part == "text")'
grep '"part":"video"' "$out" | head -n 1 >by_epic
run 0 ego-embed --video-root epic --frames 4 --format jsonl list.csv
grep '"part":"video"' "$out" | head -n 1 >by_time
cmp -s by_epic by_time && fail "--sampling epic" "expected other frames and colours than by time"
run 0 sh -c 'ego-embed --sampling epic --video-root epic --frames 4 --format jsonl --shard 0/1 list.csv | grep -c part'
is "clips and narrations" $((2 * clips)) "$(cat "$out")"
run 0 ego-embed --format jsonl list_sentence.csv
holds_json "sentences" "$out" 'all(.part == "text" and (.id | startswith("P01_01_")))'
printf 'id,name\n1,x\n' >other.csv
run 3 ego-embed --format jsonl other.csv
holds "$err" "other.csv: a list of EK-100's or Charades-Ego's expected"
sed '2s/,00:00:/,00:/2' list.csv >bad.csv
run 3 ego-embed --format jsonl --dry-run bad.csv
run 3 ego-embed --format jsonl none.csv
holds "$err" none.csv
run 2 ego-match --sampling epic a b
finish
