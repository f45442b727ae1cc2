#!/bin/sh
# ego-train pretrain: a run from a configuration to a model, its log, what stops it and how it goes on.
. "$(dirname "$0")/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL
need ego-train ego-model ego-embed ego-synth jq
run 0 ego-synth -q world --videos 2 --minutes 0.5 --no-qa-videos
run 0 ego-model learn-tokenizer -q --size 300 -o tok world/egoclip.csv
tiny_training c.json

# steps FILE: every step of a log in the order of its lines.
steps() { jq -r 'select(.event == null) | .step' "$1" | paste -sd ' '; }
# last DIRECTORY: its newest checkpoint.

# ---- a plan -----------------------------------------------------------------------------------------

run 0 ego-train pretrain c.json --dry-run
holds_json "--dry-run" "$out" '.[0] | .steps == 20 and .steps_per_epoch == 5 and .samples_per_step == 8 and .rows == 20
    and .parameters > 1e5 and .weights_bytes == 16 * .parameters and .activation_bytes > 0 and .resident_bytes > .weights_bytes
    and .seconds_per_step > 0 and .hours >= 0'
absent run

# ---- a run ------------------------------------------------------------------------------------------

run 0 ego-train pretrain c.json
empty "stdout of a run" "$out"
empty "notes of a run without faults" "$err"
is "each step once" "$(seq 20 | paste -sd ' ')" "$(steps run/log.jsonl)"
holds_json "the log" run/log.jsonl '
    .[0] == {event: "start", step: 0, steps: 20, steps_per_epoch: 5, parameters: .[0].parameters, ranks: 1}
    and (map(select(.event == null)) | all(
        (.epoch == ((.step - 1) / 5 | floor)) and (.losses | keys_unsorted) == ["egonce", "mlm", "vtm"] and .gradient_norm > 0
        and ((.losses.egonce + .losses.mlm + 2 * .losses.vtm - .total) | fabs) < 1e-6 and .seconds > 0 and .samples_per_second > 0))
    and (map(select(.event == "validation")) | map([.step, .epoch]) == [[5,1],[10,2],[15,3],[20,4]] and all(.numbers.failed == 0)
        and (.[-1].best == (.[-1].score > ([.[:-1][].score] | max))))
    and (map(select(.event == "checkpoint") | .file) == ["checkpoint-5.safetensors", "checkpoint-10.safetensors",
        "checkpoint-15.safetensors", "checkpoint-20.safetensors"])
    and (.[1].losses.egonce > 0 and .[1].lr == 0 and ([.[].lr // 0] | max) == 1e-3)'
kept=$(ls run/checkpoint-*.safetensors | wc -l) # two and, where it is none of them, the best
[ "$kept" -eq 2 ] || [ "$kept" -eq 3 ] || fail "checkpoints kept" "expected 2 or 3, found $kept"
run 0 ego-train pretrain c.json --set run.out=threads -t 1
is "the log with one thread" "$(jq -c 'del(.seconds, .samples_per_second)' run/log.jsonl)" \
    "$(jq -c 'del(.seconds, .samples_per_second)' threads/log.jsonl)"
same "the checkpoint with one thread" "$(last run)" "$(last threads)"

# ---- going on ---------------------------------------------------------------------------------------

run 2 ego-train pretrain c.json
holds "$err" 'run/log.jsonl: there is a run already: resume it or name another directory'
run 2 ego-train pretrain c.json --resume --set optim.lr=0.5
holds "$err" 'another configuration'
cp run/log.jsonl log.before
run 0 ego-train pretrain c.json --resume
is "steps of a run that was over" "$(seq 20 | paste -sd ' ')" "$(steps run/log.jsonl)"

# Stopped by a signal after some steps, wherever that is; as often as it takes.
stop_training stopped ego-train -q pretrain c.json --set run.out=stopped --set run.checkpoint_layers=true --progress always
case $status in
143)
    at=$(jq -r 'select(.event == "stop") | .step' stopped/log.jsonl)
    holds stopped/log.jsonl "stopped after step $at of 20; saved in stopped"
    [ -e "stopped/checkpoint-$at.safetensors" ] || fail "SIGTERM" "expected stopped/checkpoint-$at.safetensors"
    ;;
0) echo "the run was over before its signal" ;;
*) fail "SIGTERM" "expected exit status 143, found $status" "$(tail -n 3 "$err")" ;;
esac
run 0 ego-train pretrain c.json --set run.out=stopped --resume
is "steps of a run in two pieces" "$(seq 20 | paste -sd ' ')" "$(steps stopped/log.jsonl)"
same "the last checkpoint of a run in two pieces" "$(last run)" "$(last stopped)"

# A damaged checkpoint is passed over for the one before.
cp -R run damaged
printf x | dd of="$(last damaged)" bs=1 seek=200000 conv=notrunc 2>/dev/null
run 0 ego-train pretrain c.json --set run.out=damaged --resume
holds "$err" 'passed over'
same "after a damaged checkpoint" "$(last run)" "$(last damaged)"

# ---- a checkpoint is a model ------------------------------------------------------------------------

point=$(last run)
run 0 ego-model verify -v "$point"
name=$(jq -r .model "$out")
holds_json "verify of a checkpoint" "$out" '.[0] | .ok and .missing == 0 and .unused == 0'
lacks "$err" optim
run 0 ego-model convert "$point" -o whole.safetensors
holds_json "a checkpoint as a model" "$out" ".[0] | .model == \"$name\" and .trained and .vocabulary == \"bpe\" and .config.dim == 32"
run 0 ego-model convert "$point" -o half.safetensors --store f16
run 0 ego-model verify whole.safetensors
is "the name of a checkpoint's export" "$name" "$(jq -r .model "$out")"
for file in whole half; do
    head -c 40000 $file.safetensors >start
    lacks start optim.
    lacks start ego.train
done
[ "$(wc -c <half.safetensors)" -lt $(($(wc -c <"$point") / 5)) ] || fail "the size of the model in f16" "expected under a fifth of the checkpoint"
run 0 ego-model diff "$point" whole.safetensors
empty "a checkpoint and its export" "$out"
run 1 ego-model diff "$point" "$(ls run/checkpoint-*.safetensors | sort -t- -k2 -n | head -n 1)"
lacks "$out" optim
echo '{"text":"#C C picks up the cup"}' >text.jsonl
for file in "$point" whole.safetensors; do ego-embed -q -m "$file" --format jsonl text.jsonl; done >"$out" 2>"$err"
is "embeddings of a checkpoint and its export" 1 "$(sort -u "$out" | wc -l)"
run 0 ego-train pretrain c.json --set run.out=from --set init.from=whole.safetensors --set run.steps=2
run 0 ego-train pretrain c.json --set run.out=from2 --set "init.from=$point" --set run.steps=2
is "a run from a checkpoint and from its export" "$(jq -c '[.losses, .gradient_norm]' from/log.jsonl)" "$(jq -c '[.losses, .gradient_norm]' from2/log.jsonl)"

# ---- matching alone: the dual encoder stays, to the bit ----------------------------------------------

jq '.init.from = "whole.safetensors" | .objectives = {egonce: 0, mlm: 0, choices: 3, scene_choices: 0.5} | .partners_per_clip = 3
    | .optim.encoders = 0 | .run.out = "match"' c.json >match.json
run 0 ego-train pretrain match.json --dry-run
holds_json "samples of its steps" "$out" '.[0].samples_per_step == 16'
run 0 ego-train pretrain match.json
holds_json "its log" match/log.jsonl 'map(select(.event == null)) | length == 20 and all((.losses | keys_unsorted) == ["egonce", "vtm", "matched"]
    and .total == 2 * .losses.vtm and .losses.matched >= 0 and .losses.matched <= 1)'
point=$(last match)
run 0 ego-model verify "$point"
holds_json "verify of it" "$out" '.[0] | .ok and .missing == 0 and .unused == 0'
run 1 ego-model diff whole.safetensors "$point"
holds "$out" alpha_i2t
holds "$out" itm_score
grep -v 'cross_modal\|i2t\|t2i\|itm_score' "$out" | grep '_model\.\|_proj\.\|mlm_score' >others
empty "tensors of the dual encoder and of MLM's head that differ" others
head -n 2 world/train_clips.jsonl | cat text.jsonl - >both.jsonl
for file in whole.safetensors "$point"; do ego-embed -q -m "$file" --video-root world/videos --format jsonl both.jsonl; done >"$out" 2>"$err"
is "embeddings before and after" "6 3" "$(wc -l <"$out") $(jq -c 'del(.model)' "$out" | sort -u | wc -l)"
stop_training pieces ego-train -q pretrain match.json --set run.out=pieces --set run.checkpoint_layers=true --progress always
run 0 ego-train pretrain match.json --set run.out=pieces --resume
same "the last checkpoint of it in two pieces" "$point" "$(last pieces)"

# ---- easy negatives first ----------------------------------------------------------------------------

for how in hard_after=0.5 hard_negatives=false; do
    run 0 ego-train pretrain c.json --set $how --set run.steps=4 --set data.validate=null --set run.out=$how
    jq -c 'select(.event == null) | .losses' $how/log.jsonl >$how.losses
done
is "the first half" "$(head -n 2 hard_after=0.5.losses)" "$(head -n 2 hard_negatives=false.losses)"
[ "$(sed -n 3p hard_after=0.5.losses)" != "$(sed -n 3p hard_negatives=false.losses)" ] ||
    fail "the second half" "look-alikes in the place of what chance brings"

# ---- the curves -------------------------------------------------------------------------------------

if command -v gnuplot >/dev/null; then
    printf '{"step":21,"lr":' | cat run/log.jsonl - >running.jsonl # being written
    run 0 make -s -C "$repo" plot "LOG=$work/running.jsonl" "OUT=$work/a plot.svg"
    holds "$err" '20 steps, 4 validations'
    for word in EgoNCE MLM VTM 'learning rate' 'EgoMCQ intra' 'clips a second'; do holds 'a plot.svg' "$word"; done
    run 0 "$repo/examples/plot.sh" threads/log.jsonl curves.png
    is "plot.png" '211 P N G' "$(head -c 4 curves.png | od -An -c | xargs)"
    head -n 1 run/log.jsonl >young.jsonl
    run 1 "$repo/examples/plot.sh" young.jsonl young.png
    holds "$err" 'no step was logged'
    absent young.png
else
    skip_part "gnuplot"
fi

# ---- videos that are missing ------------------------------------------------------------------------

mkdir some
for video in world/videos/train-*; do ln -s "$work/$video" some/; done
rm "$(ls -d some/* | tail -n 1)"
run 0 ego-train pretrain c.json --set run.out=missing --set data.video_root=some --set data.validate=null --set data.cache=cache-missing
holds "$err" 'is replaced: '
is "rows told once each" "$(grep -c 'is replaced: ' "$err")" "$(sort -u "$err" | grep -c 'is replaced: ')"
is "every step all the same" "$(seq 20 | paste -sd ' ')" "$(steps missing/log.jsonl)"
mkdir none
run 2 ego-train pretrain c.json --set run.out=never --set data.video_root=none --set data.cache=null
holds "$err" 'drawn in its place are bad'

# ---- refused ----------------------------------------------------------------------------------------

refused() { # MESSAGE ARGUMENTS...
    message=$1
    shift
    run 2 ego-train "$@"
    holds "$err" "$message"
}
refused 'expected: RECIPE CONFIG.json, RECIPE one of pretrain'
refused 'expected: RECIPE CONFIG.json, RECIPE one of pretrain' finetune c.json
refused 'optim.rate' pretrain c.json --set optim.rate=1
refused 'model.deep' pretrain c.json --set model.deep=1
refused 'run.batch' pretrain c.json --set run.batch=0
refused 'optim.betas: expected two numbers, found' pretrain c.json --set optim.betas=1
refused 'positives' pretrain c.json --set positives=all
refused 'data.annotations' pretrain c.json --set data.annotations=null
refused 'objectives.vtm' pretrain c.json --set model.fusion=none
refused 'objectives.egonce: expected 0, for optim.encoders is 0' pretrain c.json --set optim.encoders=0
refused 'fewer than' pretrain c.json --set run.batch=100 --set run.out=never
refused 'init.from' pretrain c.json --set init.from=whole.safetensors --set init.text=x.bin
sed 's/"lr"/"lrr"/' c.json >bad.json
refused 'optim.lrr' pretrain bad.json
printf '{"run":' >bad.json
run 3 ego-train pretrain bad.json
holds "$err" bad.json
run 3 ego-train pretrain gone.json
holds "$err" gone.json
run 3 ego-train pretrain c.json --set run.out=never --set data.annotations=gone.csv
holds "$err" gone.csv
run 3 ego-train pretrain c.json --set run.out=c.json/run
holds "$err" 'c.json/run'
find . -name '*.tmp*' >left
empty "what is left of unfinished files" left

# A learning rate that bursts is told with its step and what is not finite; nothing of it is saved.
run 3 ego-train pretrain c.json --set run.out=burst --set optim.lr=100 --set optim.head=1000000 --set optim.cross=1000000 --set optim.warmup=0 --set data.validate=null
holds "$err" 'step '
holds burst/log.jsonl '"event":"stop"'
finish
