#!/bin/sh
# ego-train heads: an answer head and a summary head over one model that learns from both; its files, its log, and how it
# goes on.
. "$(dirname "$0")/lib.sh"
need ego-train ego-model ego-qa ego-sum ego-synth jq
tiny_model m.safetensors --rule golden --set max_positions=60 --set frames=2
run 0 ego-synth -q world --split test --videos 2 --minutes 0.5
# A few queries do; the oracles are the first shots.
rm -f world/qfvs/Oracle_Summaries/*/*
for video in P01 P02; do
    for query in $(tr ',' '\n' <world/qfvs/Dense_per_shot_tags/$video/$video.txt | sort -u | sed '/^$/d' | head -n 3 | xargs | awk '{ print $1 "_" $2, $1 "_" $3 }'); do
        printf '1\n2\n' >world/qfvs/Oracle_Summaries/$video/${query}_oracle.txt
    done
done
questions=world/qa/direct/formatted_test_qas_encode.json
cat >heads.json <<END
{"model": "m.safetensors",
 "qa": {"train": "$questions", "validate": "$questions", "answers": "world/qa/answer_set.txt", "video_root": "world",
        "dropout": 0},
 "qfvs": {"root": "world/qfvs", "videos": "P01 P02", "validate": "P01", "hidden": 16, "ratio": 0.34, "stretch": 4,
          "weight": 0.5, "rate": 0.3, "batch": 2},
 "optim": {"lr": 1e-2, "backbone": 0.1}, "run": {"out": "run", "epochs": 10, "batch": 8, "keep": 1}}
END
asked=$(jq length $questions)

# ---- a plan -----------------------------------------------------------------------------------------

run 0 ego-train heads heads.json --dry-run
holds_json "--dry-run" "$out" ".[0] | .qa.questions == $asked and .qa.validate == $asked and .qa.answers == 61
    and .qfvs.queries == 4 and .qfvs.validate == 2 and .qfvs.shots == 18 and .qfvs.lower_bytes == 18 * 9 * 64 * 4
    and .shared > 0 and .parameters == .shared + .qa.parameters + .qfvs.parameters
    and .samples_per_step == 10 and .steps_per_epoch == ($asked / 8 | ceil) and .steps == 10 * .steps_per_epoch"
absent run

# ---- a run ------------------------------------------------------------------------------------------

run 0 ego-train heads heads.json
empty "stdout of a run" "$out"
empty "notes of a run without faults" "$err"
holds_json "the log has both tasks' losses, weighed" run/log.jsonl 'map(select(.event == null)) | length > 0 and all(
    (.losses | keys_unsorted) == ["qa.answer", "qfvs.a", "qfvs.b", "qfvs.summary"]
    and (.losses["qa.answer"] + 0.5 * (.losses["qfvs.a"] + .losses["qfvs.b"] + .losses["qfvs.summary"]) - .total | fabs) < 1e-5)'
holds_json "both learn" run/log.jsonl 'map(select(.event == null)) | map(.losses) | (length / 5 | floor) as $n
    | (map(.["qa.answer"]) | (.[:$n] | add) > 1.2 * (.[-$n:] | add))
    and (map(.["qfvs.a"] + .["qfvs.b"] + .["qfvs.summary"]) | (.[:$n] | add) > 1.2 * (.[-$n:] | add))'
holds_json "each is validated; the mean of their scores decides" run/log.jsonl 'map(select(.event == "validation")) | length == 10
    and all((.score - (.numbers["qa.all"] + .numbers["qfvs.f1"]) / 2 | fabs) < 1e-9 and .numbers["qa.loss"] > 0)'
is "what is left" "checkpoint head-qa head-qfvs log model" \
    "$(cd run && echo * | tr ' ' '\n' | sed 's/-[0-9]*\.safetensors$//; s/\..*//' | sort -u | xargs)"

# The heads name the model that they are of.
run 0 ego-model verify run/model.safetensors
holds_json "a model" "$out" '.[0].ok and .[0].missing == 0'
cmp -s m.safetensors run/model.safetensors && fail "the model" "expected other weights than it started from"
run 0 ego-qa -m run/model.safetensors --head run/head-qa.safetensors --video-root world $questions
holds_json "answers" "$out" "length == $asked and all(.answer_class >= 0 and (.answer | type == \"string\"))"
lacks "$err" 'trained on features'
right=$(jq -s 'map(select(.answer == .truth)) | 100 * length / '"$asked" "$out")
best=$(jq -s 'map(select(.event == "validation" and .best)) | .[-1].numbers["qa.all"]' run/log.jsonl)
is "ego-qa is right as often as the best validation was" true "$(jq -n "$right - $best | fabs < 1e-6")"
query=$(basename "$(ls world/qfvs/Oracle_Summaries/P01/* | head -n 1)" _oracle.txt)
run 0 ego-sum -m run/model.safetensors --head run/head-qfvs.safetensors --frames 2 --query "$query" --ratio 0.34 world/qfvs/P01.mp4
holds_json "a summary" "$out" '.[0] | (.shots | length) == (.of * 0.34 | floor)'
lacks "$err" 'trained on features'
run 0 ego-qa -m m.safetensors --head run/head-qa.safetensors --video-root world $questions
holds "$err" 'trained on features'

# ---- as each alone ----------------------------------------------------------------------------------

# Where nothing is learnt, validations are those of the tasks' own recipes: same states, same heads.
cat >qa.json <<END
{"model": "m.safetensors", "data": {"train": "$questions", "validate": "$questions", "answers": "world/qa/answer_set.txt",
 "video_root": "world"}, "optim": {"lr": 0}, "run": {"out": "qa", "epochs": 1}}
END
cat >qfvs.json <<END
{"model": "m.safetensors", "frames": 2, "data": {"root": "world/qfvs", "videos": "P01 P02", "validate": "P01 P02", "cache": "cache"},
 "head": {"hidden": 16}, "ratio": 0.34, "optim": {"lr": 0}, "run": {"out": "qfvs", "epochs": 1}}
END
run 0 ego-train qa qa.json
run 0 ego-train qfvs qfvs.json
run 0 ego-train heads heads.json --set run.out=still --set optim.lr=0 --set run.epochs=1 --set 'qfvs.validate=P01 P02'
numbers() { jq -c --arg task "$2" 'select(.event == "validation") | .numbers | with_entries(.key |= $task + .)' "$1/log.jsonl"; }
is "validations alone and together" true \
    "$(jq -n --argjson a "$(numbers qa qa.)" --argjson b "$(numbers qfvs qfvs.)" --argjson both "$(numbers still '')" \
        '($a + $b) as $each | ($each | keys) == ($both | keys) and ($both | to_entries | all(.value - $each[.key] | fabs < 1e-4))')"

# ---- the same bytes ---------------------------------------------------------------------------------

# same_run DIRECTORY: as `run` left it.
same_run() {
    for file in model head-qa head-qfvs; do same "$1: $file" run/$file.safetensors "$1/$file.safetensors"; done
    same "$1: the checkpoint" "$(ls run/checkpoint-* | tail -n 1)" "$(ls "$1"/checkpoint-* | tail -n 1)"
}
run 0 ego-train heads heads.json --set run.out=threads -t 1
same_run threads
ego-train -q heads heads.json --set run.out=stopped >"$out" 2>"$err" &
pid=$!
until [ -e stopped/log.jsonl ] && [ "$(grep -c '"lr"' stopped/log.jsonl)" -ge 3 ]; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.01
done
kill -TERM "$pid" 2>/dev/null
wait "$pid" || [ $? -eq 143 ] || fail "SIGTERM" "expected exit status 143" "$(tail -n 3 "$err")"
run 2 ego-train heads heads.json --set run.out=stopped --set qfvs.weight=1 --resume
holds "$err" 'another configuration'
run 0 ego-train heads heads.json --set run.out=stopped --resume
same_run stopped

# ---- one task, and faults ---------------------------------------------------------------------------

run 0 ego-train heads heads.json --set run.out=one --set qa.train=null --set run.epochs=1
holds_json "one task" one/log.jsonl \
    'map(select(.event == null) | .losses | keys_unsorted) | all(. == ["qfvs.a", "qfvs.b", "qfvs.summary"])'
absent one/head-qa.safetensors
run 2 ego-train heads heads.json --set run.out=none --set qa.train=null --set qfvs.videos=null
holds "$err" "expected a task's data, qa.train or qfvs.videos, found neither"
run 2 ego-train heads heads.json --set qa.answers=null
holds "$err" 'qa.answers: expected a text, found nothing'
run 2 ego-train heads heads.json --set qfvs.root=null
holds "$err" 'qfvs.root: expected a text, found nothing'
run 2 ego-train heads heads.json --set qfvs.stretch=0
holds "$err" 'qfvs.stretch: expected 1 to'
run 3 ego-train heads heads.json --set run.out=none --set 'qfvs.videos=P09'
holds "$err" P09
finish
