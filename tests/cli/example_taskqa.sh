#!/bin/sh
# examples/taskqa on a small world: both heads trained, both sets answered, the rows.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-model ego-qa ego-score ego-synth ego-train jq make
tiny_model tiny.safetensors
EGO_MODEL=$work/tiny.safetensors
export EGO_MODEL
run 0 ego-synth -q world --videos 1 --minutes 0.5 --no-qa-videos
# So small a world may have no questions to validate on.
for set in direct indirect; do
    qa=world/qa/$set/formatted_
    jq '.[:4]' ${qa}train_qas_encode.json >${qa}val_qas_encode.json
done
taskqa() {
    example taskqa VIDEOS="$work/world/videos" QA="$work/world/qa" FRAMES=4 SHARDS=2 SETTINGS='--set run.epochs=1' "$@"
}

run 0 taskqa plan
holds "$out" " questions: "
holds "$out" "measured here: a clip takes "
run 0 taskqa
cp taskqa/row.txt row.txt
is "row.txt" "direct metric open binary all indirect metric open binary all" "$(cut -d' ' -f1 row.txt | xargs)"
for set in direct indirect; do
    run 0 ego-score qa taskqa/answers/$set/all world/qa/$set/formatted_test_qas_encode.json
    is "$set as ego-score" "$(jq -s 'map(select(.metric == "all"))[0].value * 100 | round / 100' "$out")" \
        "$(awk '$1 == "all" { print $2 }' taskqa/row-$set.txt)"
done
run 0 taskqa --dry-run DIRECT=official.tar INDIRECT=official.tar -o official.tar -B
lacks "$out" 'ego-train'
holds "$out" "--head 'official.tar'"
finish
