#!/bin/sh
# examples/qfvs on a small world: a head for each video, trained on the others, summaries and the row.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-model ego-score ego-sum ego-synth ego-train jq make
tiny_model tiny.safetensors --set max_positions=60
EGO_MODEL=$work/tiny.safetensors
export EGO_MODEL
run 0 ego-synth -q world --split test --videos 2 --minutes 0.5 --no-qa-videos
# A few queries do; the oracles are the first shots.
rm -f world/qfvs/Oracle_Summaries/*/*
for video in P01 P02; do
    for query in $(tr ',' '\n' <world/qfvs/Dense_per_shot_tags/$video/$video.txt | sort -u | sed '/^$/d' | head -n 3 | xargs | awk '{ print $1 "_" $2, $1 "_" $3 }'); do
        printf '1\n2\n' >world/qfvs/Oracle_Summaries/$video/${query}_oracle.txt
    done
done
qfvs() {
    example qfvs QFVS="$work/world/qfvs" RATIO=0.34 SETTINGS='--set run.epochs=1 --set head.hidden=8' "$@"
}

run 0 qfvs plan
holds "$out" "4 queries about 12 shots"
holds "$out" "measured here: a clip takes "
run 0 qfvs
cp qfvs/row.txt row.txt
is "row.txt" "metric f1_P01 f1_P02 f1_P03 f1_P04 f1" "$(cut -d' ' -f1 row.txt | xargs)"
is "what is not here" "- -" "$(awk '$1 == "f1_P04" { print $2, $3 }' row.txt)"
is "a head for each" "P01 P02" "$(cd qfvs/head && echo P??)"
run 0 ego-score qfvs qfvs/answers/all world/qfvs
is "row.txt as ego-score" "$(jq -s 'map(select(.metric == "f1"))[0].value * 100 | round / 100' "$out")" "$(awk '$1 == "f1" { print $2 }' row.txt)"
finish
