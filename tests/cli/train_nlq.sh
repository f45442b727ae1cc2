#!/bin/sh
# ego-train nlq: from annotations and videos to a head that ego-nlq answers with.
. "$(dirname "$0")/lib.sh"
need ego-train ego-nlq ego-model ego-synth jq
ego-synth -q --videos 2 --minutes 0.5 --no-qa-videos w || exit 1
tiny_model m.safetensors --seed 3
model=$(jq -r .model "$out")

config() { # FILE FEATURES KIND OUT
    printf '{"model":"m.safetensors","data":{"train":"w/nlq_train.json","validate":"w/nlq_val.json",
        "video_root":"w/videos","cache":"store","features":"%s"},"head":{"kind":"%s","dim":16,"heads":2,"positions":40},
        "run":{"out":"%s","epochs":2,"batch":8,"seed":5}}' "$2" "$3" "$4" >"$1"
}

# ---- a run, and what comes of it --------------------------------------------------------------------

config fast.json dual vslnet fast
queries=$(jq '[.videos[].clips[].annotations[].language_queries[]] | length' w/nlq_train.json)
run 0 ego-train nlq fast.json --dry-run
holds_json "--dry-run" "$out" ".[0] | .queries == $queries and .validate > 0 and .pairs == 0 and .clips > 50 and .steps == 2 * .steps_per_epoch"
absent fast store
run 0 ego-train nlq fast.json
empty "standard output" "$out"
run 0 ego-model info fast/head.safetensors
holds_json "the head" "$out" ".[0] | .kind == \"nlq.vslnet\" and .backbone == \"$model\" and .trained and .config.positions == 40"
jq -s -c '[.[] | select(.event == "validation") | .numbers | keys]' fast/log.jsonl >keys
is "the numbers of validations" '["mean_iou","r1_iou0.3","r1_iou0.5","r5_iou0.3","r5_iou0.5"]' "$(jq -c '.[0]' keys)"
holds_json "validations within epochs" keys '.[0] | length > 2'
run 0 ego-nlq -q -k 2 -m m.safetensors --head fast/head.safetensors --fast --features store --video-root w/videos w/nlq_val.json
holds_json "answers" "$out" 'length > 5 and all(.[]; .predicted_times | length == 2)'
cp "$out" by_head
mv w/videos w/away # all features are kept
run 0 ego-nlq -q -k 2 -m m.safetensors --head fast/head.safetensors --fast --features store --video-root w/videos w/nlq_val.json
same "answers without the videos" by_head "$out"
cp -r fast whole && rm -r fast
run 0 ego-train nlq fast.json
same "the same run again" whole/head.safetensors fast/head.safetensors
mv w/away w/videos

# ---- stopped and resumed ----------------------------------------------------------------------------

run 2 ego-train nlq fast.json
holds "$err" resume
rm -r fast
run 0 ego-train nlq fast.json --set run.steps=3
rm fast/head.safetensors
run 2 ego-train nlq fast.json --resume
holds "$err" configuration
rm -r fast
(ego-train nlq fast.json --set run.epochs=400 -q 2>"$err" & pid=$!; sleep 2; kill -TERM $pid; wait $pid; echo $?) >status
case $(cat status) in 143 | 0) ;; *) fail "a run that was stopped" "found status $(cat status)" "$(cat "$err")" ;; esac

# ---- the other ways ---------------------------------------------------------------------------------

config small.json fused vslnet_small small
run 0 ego-train nlq small.json --set run.steps=2
run 0 ego-model info small/head.safetensors
holds_json "a small head" "$out" '.[0] | .kind == "nlq.vslnet_small" and .config.highlighted == 1'
run 0 ego-nlq -q -k 1 -m m.safetensors --head small/head.safetensors --features store --video-root w/videos w/nlq_val.json
run 0 ego-train nlq small.json --set run.steps=2 --set reference_quirks=true --set run.out=quirks --set data.sampling=reference
run 0 ego-model info quirks/head.safetensors
holds_json "a small head as published" "$out" '.[0].config.highlighted == 0'
rm w/videos/*1.mp4 2>/dev/null || rm -r w/videos/*1
run 0 ego-train nlq small.json --set run.steps=1 --set run.out=fewer --set data.cache=elsewhere
holds "$err" 'left out'

# ---- what cannot be ---------------------------------------------------------------------------------

run 2 ego-train nlq fast.json --set head.kind=psi
holds "$err" 'head.kind'
run 2 ego-train nlq fast.json --set head.heads=3 --set run.out=x
holds "$err" divide
run 2 ego-train nlq fast.json --set data.train=null
holds "$err" data.train
run 3 ego-train nlq fast.json --set data.train=no.json --set run.out=x
absent x
finish
