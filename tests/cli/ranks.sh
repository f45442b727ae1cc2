#!/bin/sh
# Ranks: 1, 2 and 4 of them, and accumulation, give the gradients of one rank with the whole batch
# (test_step under mpirun), and so the same losses and gradient norms of the first steps of a run. A signal
# to one of them saves and ends all, and they go on to the same bytes.
. "$(dirname "$0")/lib.sh"
need ego-train ego-model ego-synth jq
command -v mpirun >/dev/null || skip "no mpirun: ranks are not tested"

# Small machines and root are no reason to refuse; containers forbid copies between processes.
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_mpi_yield_when_idle=1
TMPDIR=$work # OpenMPI's sockets want a short path
ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" # OpenMPI keeps some
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_rmaps_base_oversubscribe TMPDIR ASAN_OPTIONS \
    OMPI_MCA_btl_vader_single_copy_mechanism OMPI_MCA_mpi_yield_when_idle
mpirun -n 2 true >"$out" 2>&1 || skip "mpirun cannot start two processes here: $(grep -v '^ *$' "$out" | head -n 2 | paste -sd ' ')"

# ---- one step: every gradient -----------------------------------------------------------------------

for ranks in 2 4; do
    [ -x "$build/tests/unit/test_step" ] || { skip_part "$build/tests/unit/test_step"; break; }
    run 0 mpirun -n $ranks "$build/tests/unit/test_step"
    grep -q "^$ranks ranks" "$out" || { skip_part "MPI in this build"; break; }
    lacks "$out" FAILED
    echo "$(sort -u "$out" | sed -n "s/^\($ranks ranks\), .*: \(.*difference.*\)/\1: \2/p" | sort -u | tail -n 1)"
done

# ---- a run: what it logs ----------------------------------------------------------------------------

run 0 ego-synth -q world --videos 2 --minutes 0.5 --no-qa-videos
run 0 ego-model learn-tokenizer -q --size 300 -o tok world/egoclip.csv
tiny_training c.json

# pretrain NAME RANKS OPTIONS: eight clips a step, however they are split.
pretrain() {
    name=$1 ranks=$2
    shift 2
    run 0 mpirun -n "$ranks" ego-train pretrain c.json -t 1 --set run.steps=4 --set "run.out=$name" --set "data.cache=cache-$name" "$@"
}
pretrain whole 1 --set run.batch=8
pretrain portions 1 --set run.batch=4 --set run.accumulate=2
pretrain pair 2 --set run.batch=4
pretrain pair_portions 2 --set run.batch=2 --set run.accumulate=2
pretrain four 4 --set run.batch=2
is "ranks in the log" 2 "$(jq 'select(.event == "start") | .ranks' pair/log.jsonl)"
for name in portions pair pair_portions four; do
    jq -s --slurpfile whole whole/log.jsonl '
        def numbers: map(select(.event == null)) | map([.losses[], .total, .gradient_norm]);
        [(numbers | flatten), ($whole | numbers | flatten)] | transpose | map((.[0] - .[1] | fabs) / (.[1] | fabs))' $name/log.jsonl >$name.off
    is "$name: steps compared" 20 "$(jq length $name.off)"
    holds_json "$name: losses and gradient norms of the first two steps" $name.off '.[0][:10] | max < 1e-5'
    holds_json "$name: of all four" $name.off '.[0] | max < 1e-3'
    echo "$name: off by at most $(jq '.[:10] | max * 1e9 | round / 1e9' $name.off) in two steps, $(jq 'max * 1e9 | round / 1e9' $name.off) in four"
    holds_json "$name: its validation" $name/log.jsonl 'map(select(.event == "validation")) | length == 2 and all(.numbers.failed == 0)'
done

# ---- all of them end together, and go on ------------------------------------------------------------

jq '.run += {steps: 150, batch: 2} | .data.validate = null | .data.cache = "cache-long"' c.json >long.json
run 0 mpirun -n 2 ego-train -q pretrain long.json -t 1 --set run.out=alone
await() { # LOG NUMBER: steps in the log
    for _ in $(seq 600); do
        found=$(grep -c '"lr"' "$1" 2>/dev/null) && [ "$found" -ge "$2" ] && return
        sleep 0.02
    done
    fail "$1" "expected $2 steps within a while" "found    ${found:-none}"
}

# A signal to a rank that is not the first: all save and leave.
# shellcheck disable=SC2016
mpirun -n 2 sh -c 'echo $$ >"pid$OMPI_COMM_WORLD_RANK"; exec ego-train -q pretrain long.json -t 1 --set run.out=stopped' >"$out" 2>"$err" &
launcher=$!
await stopped/log.jsonl 3
kill -TERM "$(cat pid1)"
wait $launcher
is "a rank that was stopped" 143 $?
at=$(jq -r 'select(.event == "stop") | .step' stopped/log.jsonl)
[ -e "stopped/checkpoint-$at.safetensors" ] || fail "stopping ranks" "expected stopped/checkpoint-$at.safetensors" "found    $(ls stopped)"

# Slurm's script, as in a job whose time is up, and in the next.
slurm() { SLURM_NTASKS=2 EGO_LAUNCH='mpirun -n 2' exec sh "$repo/examples/slurm.sh" long.json --set run.out=stopped; }
(slurm) >"$out" 2>"$err" &
job=$!
await stopped/log.jsonl $((at + 10))
kill -USR1 $job
wait $job
is "slurm.sh when the time is up" 138 $?
is "stops" 2 "$(grep -c '"event":"stop"' stopped/log.jsonl)"
(slurm) >"$out" 2>"$err" || fail "slurm.sh, the next job" "$(cat "$err")"
holds "$out" '2 ranks of 1 threads'
same "two ranks, stopped twice" alone/checkpoint-150.safetensors stopped/checkpoint-150.safetensors
is "each step once" "$(seq 150 | paste -sd ' ')" "$(jq -r 'select(.event == null) | .step' stopped/log.jsonl | paste -sd ' ')"

run 0 mpirun -n 2 ego-train -q pretrain long.json -t 1 --dry-run
is "one plan for all ranks" 1 "$(wc -l <"$out")"
# What one rank cannot do ends all, with its message and status.
run 2 mpirun -n 2 ego-train pretrain long.json -t 1 --set run.out=alone
holds "$err" 'there is a run already'

# ---- a head: recipe/head_run shares a batch among ranks ---------------------------------------------

tiny_model encoders.safetensors
printf '{"model":"encoders.safetensors","data":{"train":"world/nlq_train.json","video_root":"world/videos","cache":"features",
    "features":"dual"},"head":{"dim":16,"heads":2,"positions":40},"run":{"out":"head1","steps":4,"batch":7}}' >head.json
for ranks in 1 2 3; do
    run 0 mpirun -n $ranks ego-train nlq head.json -t 1 --set run.out=head$ranks
    jq -s '[.[] | select(.total) | .total, .gradient_norm]' head$ranks/log.jsonl >head$ranks.json
    jq -s '[.[0], .[1]] | transpose | length == 8 and all(.[]; (.[0] - .[1] | fabs) < 1e-3 * .[0])' head1.json head$ranks.json >near
    is "losses and norms of a head, 1 and $ranks ranks" true "$(cat near)"
done
finish
