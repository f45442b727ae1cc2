#!/bin/sh
# The model that ships is what tools open when none is named, is small, and knows its world: EgoMCQ of two fresh test
# videos is answered far better than by chance, and worse when the frames come backwards. 7 of 10 right of some
# thirty questions at chance 1 in 5 is no accident.
. "$(dirname "$0")/lib.sh"
[ -s "$repo/weights/ego-small.safetensors" ] || skip "no trained model ships in this tree"
need ego-embed ego-mcq ego-model ego-synth jq
run 0 ego-model info "$repo/weights/ego-small.safetensors"
holds_json "trained, with its own vocabulary" "$out" '.[0].trained == true and .[0].vocabulary == "bpe"'
size=$(wc -c <"$repo/weights/ego-small.safetensors")
[ "$size" -le 20971520 ] || fail "at most 20 MB" "$size bytes"
same "the model beside the tools" "$repo/weights/ego-small.safetensors" "$build/share/ego/model.safetensors"
run 0 ego-synth -q world --split test --videos 2 --minutes 1 --seed 4711
run 0 ego-mcq --video-root world/videos world/egomcq.json
cp "$out" answers
jq -s '[.[] | select(.type == "intra")] | {n: length, right: (map(select(.predicted.ensemble == .truth)) | length)}' answers >intra
holds_json "intra-video questions" intra '.[0].n >= 20 and .[0].right > 0.7 * .[0].n'
lacks "$err" random
run 0 ego-mcq --mode dual --frame-order reversed --video-root world/videos world/egomcq.json
jq -s '[.[] | select(.type == "intra" and .predicted.dual == .truth)] | length' "$out" >reversed
jq -s '[.[] | select(.type == "intra" and .predicted.dual == .truth)] | length' answers >filmed
[ "$(cat reversed)" -lt "$(($(cat filmed) - 1))" ] || fail "what came first matters" "$(cat filmed) right as filmed, $(cat reversed) reversed"
finish
