#!/bin/sh
# examples/nlq on a small world, its annotations in the whole form of the published files: from videos to the row.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-model ego-nlq ego-score ego-synth ego-train jq make
tiny_model tiny.safetensors
EGO_MODEL=$work/tiny.safetensors
export EGO_MODEL
run 0 ego-synth -q world --videos 1 --minutes 0.5 --no-qa-videos

# What the real files have besides: clips that nobody asked about, queries without a text, members of no use here.
for split in train val; do
    jq --arg split $split '{version: "1", date: "220216", description: "NLQ Annotations (\($split))", manifest: "s3://ego4d/manifest.csv"} + .
        | .videos[].split = $split
        | .videos[0].clips += [{clip_uid: "silent", video_start_sec: 0, video_end_sec: 8, clip_start_sec: 0, clip_end_sec: 8, source_clip_uid: "s", annotations: []}]
        | .videos[0].clips[0].annotations += [{annotation_uid: "empty", language_queries: [
            {clip_start_sec: 1, clip_end_sec: 2, query: null, template: null, slot_x: null, raw_tags: [null]}, {clip_start_sec: 1, clip_end_sec: 2}]}]' \
        world/nlq_$split.json >$split.json
done
queries=$(jq '[.videos[].clips[].annotations[].language_queries[] | select(.query)] | length' val.json)
nlq() {
    example nlq VIDEOS="$work/world/videos" TRAIN="$work/train.json" VAL="$work/val.json" SHARDS=2 FEATURES=dual \
        SETTINGS='--set head.dim=16 --set head.heads=2 --set head.positions=40 --set run.epochs=2 --set run.batch=8' "$@"
}

run 0 nlq plan
empty "notes of the plan" "$err"
holds "$out" " queries about "
holds "$out" "measured here: a clip takes "
run 0 nlq VIDEOS=nowhere plan
holds "$out" "not measured here"
run 0 nlq
cp nlq/row.txt row.txt
is "row.txt: the metrics" "metric r1@0.3 r5@0.3 r1@0.5 r5@0.5" "$(cut -d' ' -f1 row.txt | xargs)"
is "row.txt: the paper's figures" "12.95 23.8 7.91 16.11" "$(awk 'NR > 1 { print $NF }' row.txt | xargs)"
is "an answer for each query with a text" "$queries" "$(cat nlq/answers/??.jsonl | wc -l | tr -d ' ')"
run 0 ego-score nlq nlq/answers/all val.json
empty "what ego-score has to say of the file" "$err"
is "row.txt as ego-score" "$(jq -s '.[0].value * 100 | round / 100' "$out")" "$(awk '$1 == "r1@0.3" { print $2 }' row.txt)"
rm nlq/answers/01.jsonl
run 0 nlq --dry-run
is "only what is missing" 1 "$(grep -c -- '--shard ' "$out")"
lacks "$out" 'ego-train'
finish
