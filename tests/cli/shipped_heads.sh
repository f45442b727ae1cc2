#!/bin/sh
# The heads that ship belong to the model that ships, are small, and are worth more than guessing on a fresh world.
. "$(dirname "$0")/lib.sh"
heads=$build/share/ego
for task in nlq qa qfvs; do
    [ -s "$repo/weights/ego-small-$task.safetensors" ] || skip "no head for $task ships in this tree"
    size=$(wc -c <"$repo/weights/ego-small-$task.safetensors")
    [ "$size" -lt 4194304 ] || fail "$task: under 4 MB" "$size bytes"
    same "$task: the head beside the tools" "$repo/weights/ego-small-$task.safetensors" "$heads/$task.safetensors"
done
need ego-nlq ego-qa ego-score ego-sum ego-synth jq
run 0 ego-synth -q world --split test --videos 2 --minutes 1 --seed 4711 --no-qa-videos

# Spans: 1.3 % of first five answers overlap by chance, a few of them with an IoU of 0.3.
run 0 ego-nlq -q --head "$heads/nlq.safetensors" --video-root world/videos world/nlq_val.json
lacks "$err" warning
cp "$out" spans
run 0 ego-score -q nlq spans world/nlq_val.json
holds_json "spans" "$out" 'map({(.metric): .value}) | add | .["r5@0.3"] >= 8'

# Answers: who guesses without looking has 18 % of all, and half of those that are yes or no.
run 0 ego-qa -q -m "$heads/qa.safetensors" --answers world/qa/answer_set.txt --video-root world/videos world/qa/direct/formatted_test_qas_encode.json
cp "$out" answers
holds_json "answers" answers '(map(select(.answer_class == .truth_class)) | length) > 0.4 * length'

holds_json "yes or no" answers 'map(select(.truth == "yes" or .truth == "no")) | (map(select(.answer == .truth)) | length) > 0.6 * length'

# Summaries: an answer for every query.
run 0 ego-sum -q --head "$heads/qfvs.safetensors" --oracles world/qfvs/Oracle_Summaries/P01 --ratio 0.1 world/qfvs/P01.mp4
queries=$(find world/qfvs/Oracle_Summaries/P01 -type f | wc -l)
holds_json "summaries" "$out" "length == $queries and all(.[]; .shots | length > 0)"
finish
