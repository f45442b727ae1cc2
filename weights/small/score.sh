#!/bin/sh
# What the small model is worth, on worlds it was never trained on:   score.sh MODEL WORLD TRAIN.csv OUT
# EgoMCQ of WORLD with intervals; whether the modes differ, question by question; what is lost, on questions that turn on
# the order in time, with each clip's frames shuffled and reversed; and what guessers reach. Needs jq.
set -eu
model=$1 world=$2 train=$3 out=$4
mkdir -p "$out"
say() { echo "== $*"; }
ask() { ego-mcq -m "$model" --video-root "$world/videos" "$@" "$world/egomcq.json"; }
score() {
    ego-score --ci "$@" | jq -r 'def r: . * 10 | round / 10; "\(.metric)  " +
        if .difference then "\(.difference | r)  (\(.difference_low | r) to \(.difference_high | r))"
        else "\(.value | r)  (\(.low | r) to \(.high | r))" end + "  of \(.n)"'
}

for order in filmed shuffled reversed; do
    [ -s "$out/$order.jsonl" ] || { ask --frame-order "$order" --seed 1 >"$out/$order.part" && mv "$out/$order.part" "$out/$order.jsonl"; }
done
say "EgoMCQ, per cent right (95 % interval)"
score mcq "$out/filmed.jsonl" "$world/egomcq.json"

# One mode's answers under another's name, so that two modes are two programs that can be paired.
as_dual() { jq -c ".dual = .$1 | .predicted.dual = .predicted.$1 | del(.fused, .ensemble, .predicted.fused, .predicted.ensemble)" "$out/filmed.jsonl" >"$out/as-$1.jsonl"; }
for mode in dual fused ensemble; do as_dual $mode; done
for pair in 'fused dual' 'ensemble dual' 'ensemble fused'; do
    say "$pair: the first less the second, paired"
    # shellcheck disable=SC2086
    set -- $pair
    score --against "$out/as-$2.jsonl" mcq "$out/as-$1.jsonl" "$world/egomcq.json" | sed 's/_dual//g'
done

# Verbs whose reverse is another verb of this world: picks up and puts down, opens and closes, pushes left and right,
# receives and hands over, puts in and takes out. What was done can only be told by the order of the frames.
reversible='[93,69,64,18,75,76,97,39,45,78]'
jq -c --argjson verbs "$reversible" 'with_entries(select(.value.query.tag_verb | fromjson | any(IN($verbs[]))))' "$world/egomcq.json" >"$out/ordered.json"
for order in filmed shuffled reversed; do
    say "questions that turn on the order in time, frames $order"
    jq -c --slurpfile q "$out/ordered.json" 'select(.id as $id | $q[0] | has($id))' "$out/$order.jsonl" >"$out/ordered-$order.jsonl"
    score mcq "$out/ordered-$order.jsonl" "$out/ordered.json"
done
for order in shuffled reversed; do
    say "questions that turn on the order in time: frames as filmed less $order, paired"
    score --against "$out/ordered-$order.jsonl" mcq "$out/ordered-filmed.jsonl" "$out/ordered.json"
done
say "what guessers reach"
"${EGO_BUILD:-build}/tests/bench/guess_mcq" "$world/egomcq.json" "$world/videos" "$train"
