#!/bin/sh
# A run that is killed (SIGKILL) at twenty random moments and resumed each time ends with the same bytes as
# one left alone: weights, moments, schedule, what was validated, and a log with every step once.
#   kill.sh [KILLS]        the moments are drawn anew each time and are in what it prints when it fails
. "$(dirname "$0")/lib.sh"
need ego-train ego-model ego-synth jq
kills=${1:-20}
run 0 ego-synth -q world --videos 1 --minutes 0.5 --no-qa-videos
run 0 ego-model learn-tokenizer -q --size 300 -o tok world/egoclip.csv
tiny_training c.json

# Checkpoints come as the clock will have it, so nothing may depend on when they were written.
jq '.run += {batch: 1, steps: 60, keep: 3, checkpoint_minutes: 0.0003} | .data.validate_questions = 2 | .run.out = "alone" | .data.cache = "cache-alone"' c.json >alone.json
sed 's/alone/killed/' alone.json >killed.json
began=$(date +%s%N)
run 0 ego-train -q pretrain alone.json
took=$((($(date +%s%N) - began) / 1000000)) # milliseconds, the filling of the cache included

random() { # BELOW
    echo $(($(od -An -N4 -tu4 /dev/urandom) % $1))
}
n=0 whole=0 moments=''
while [ "$n" -lt "$kills" ]; do
    n=$((n + 1))
    moment=$(random $((took / 2)))
    moments="$moments $moment"
    ego-train -q pretrain killed.json --resume >"$out" 2>"$err" &
    pid=$!
    sleep "$((moment / 1000)).$(printf %03d $((moment % 1000)))"
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    status=$?
    case $status in
    137) ;;
    0) # over before its moment: once more from the start, what remains of the moments is for it
        whole=$((whole + 1))
        cmp -s alone/checkpoint-60.safetensors killed/checkpoint-60.safetensors || break
        rm -rf killed cache-killed
        ;;
    *) fail "kill $n, after $moment ms" "expected exit status 137 or 0, found $status" "$(tail -n 3 "$err")"; break ;;
    esac
done
run 0 ego-train -q pretrain killed.json --resume
same "the last checkpoint, killed after (ms)$moments" alone/checkpoint-60.safetensors killed/checkpoint-60.safetensors
for log in alone killed; do
    jq -c 'select(.event == null) | del(.seconds, .samples_per_second)' "$log/log.jsonl" >"steps-$log"
    jq -c 'select(.event == "validation") | del(.seconds)' "$log/log.jsonl" >"validations-$log"
done
is "steps in the log" "$(seq 60 | paste -sd ' ')" "$(jq -r .step steps-killed | paste -sd ' ')"
same "the log's steps" steps-alone steps-killed
same "the log's validations" validations-alone validations-killed
find killed cache-killed -name '*.tmp*' >left
empty "what killed writers have left" left
resumed=$(grep -c '"event":"resume"' killed/log.jsonl)
echo "$kills kills, $whole after the end; a run takes $took ms; the last was resumed $resumed times from a checkpoint"
finish
