#!/bin/sh
# ego-qa: EgoTaskQA's files, records and media; a head, an official checkpoint, choice among given answers.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-qa ego-model jq
tiny_model m.safetensors --rule golden
EGO_MODEL=$work/m.safetensors
export EGO_MODEL
tuned=$repo/tests/unit/data/qa-finetuned.tar
mkdir -p videos/qa_videos
small_video videos/v.mp4 || skip "neither ffmpeg nor ego-synth to make a video"
cp videos/v.mp4 'videos/qa_videos/k1|fpv1|0|80.mp4'
printf 'cup\npan\nyes\nno\nred\nblue\n' >answers

# ---- EgoTaskQA's own file ---------------------------------------------------------------------------

cat >qas.json <<'END'
[{"interval":"k1|fpv1|0|80","question":" What did I Wash? ","answer":"pan","answer_encode":1,"type":["descriptive"],"category":["world"],
  "semantic":"object","reasoning_type":"descriptive$world$object$query$direct"},
 {"interval":"v|fpv1|30|120","question":"what did i wash?","answer":"cup","answer_encode":0,"type":["descriptive"],"category":["world"]},
 {"interval":"gone|fpv1|30|120","question":"Did I?","answer":"yes","answer_encode":2,"type":[],"category":[]}]
END
run 1 ego-qa --answers answers --video-root videos qas.json
cp "$out" zero
cp "$err" notes
holds_json "questions in the file's order" zero 'map(.id) == [0,1,2]'
holds_json "members" zero '.[0] | keys_unsorted == ["id","answer","answers","truth","truth_class","interval","question","types"]
    and .truth == "pan" and .truth_class == 1 and .interval == "k1|fpv1|0|80" and .question == " What did I Wash? "
    and .types == ["descriptive","world","object","query","direct"]'
holds_json "the best first" zero '.[0:2] | all(.answer == .answers[0].answer and (.answers | length == 5) and (.answers | map(.score) | . == (sort | reverse)))'
holds_json "a missing clip fails its questions alone" zero '.[2] | has("error") and (.error | contains("gone|fpv1|30|120")) and (has("answer") | not)'
right=$(jq -s 'map(select(.truth == .answer and .answer)) | length' zero)
holds notes "% right  ($right of 2)"

# Scores of zero-shot are the fused encoder's of "QUESTION ANSWER".
run 1 ego-qa -k 6 --answers answers --video-root videos qas.json
jq -c --rawfile a answers '.[0].question |= gsub("^ +| +$"; "") | .[0] as $q | ($a | split("\n")[:6])[] | {id: ., text: ($q.question + " " + .), video: "qa_videos/k1|fpv1|0|80"}' qas.json >pairs.jsonl
head -n 1 "$out" | jq -c '.answers | map({key: .answer, value: .score}) | from_entries' >got
run 0 ego-embed -q --fused --format jsonl --video-root videos pairs.jsonl
jq -c 'select(.part == "fused") | {key: .id, value: .vtm}' "$out" | jq -s 'from_entries' >want
is "zero-shot scores are ego-embed's" true "$(jq -s '.[0] as $g | .[1] | to_entries | length == 6 and all((.value - $g[.key] | fabs) < 1e-5)' got want)"

# ---- a head -----------------------------------------------------------------------------------------

run 1 ego-qa -m "$tuned" --answers answers -k 100 --video-root videos qas.json
cp "$out" tuned
holds_json "one file is model and head" tuned '.[0] | (.answers | length == 6 and (map(.score) | add - 1 | fabs) < 1e-5) and .answer_class >= 0'
is "class and answer agree" true "$(jq -s --rawfile a answers '($a | split("\n")) as $n | .[0:2] | all($n[.answer_class] == .answer)' tuned)"
holds_json "a question's case and blanks are no part of it" tuned '.[0].answers | length == 6'
run 1 ego-qa -m "$tuned" --head "$tuned" --answers answers -k 100 --video-root videos qas.json
same "--head of the same file" tuned "$out"
run 1 ego-qa -m "$tuned" --video-root videos qas.json
holds "$err" 'names no answers'
holds_json "answers without names" "$out" '.[0].answers | map(.answer | tonumber) | sort | . == (unique) and length == 5'
run 1 ego-qa -m "$tuned" --zero-shot --answers answers --video-root videos qas.json
holds_json "--zero-shot" "$out" '.[0] | has("answer_class") | not'
printf 'a\nb\n' >two
run 2 ego-qa -m "$tuned" --answers two --video-root videos qas.json
holds "$err" "two: expected an answer for each of the head's 6 classes, found 2"
run 2 ego-qa --head "$tuned" --video-root videos qas.json
holds "$err" "width 64, found 8"
run 3 ego-qa --head m.safetensors --video-root videos qas.json
holds "$err" m.safetensors
run 2 ego-qa --head "$tuned" --zero-shot qas.json

# ---- records and media ------------------------------------------------------------------------------

cat >records.jsonl <<'END'
{"id":"r","question":" What did I Wash? ","interval":"k1|fpv1|0|80","answer":"pan","answer_encode":1,"mine":[1.0]}
{"question":"which?","video":"v.mp4","start":1,"end":4,"answers":["red","blue"]}
{"id":"s","question":"which?","video":"v.mp4","answers":["red","blue"],"statements":["#C C takes red","#C C takes blue"],"answer":"blue"}
{"id":"none","video":"v.mp4"}
{"id":"nowhere","question":"which?"}
{"id":"few","question":"which?","video":"v.mp4","answers":["red","blue"],"statements":["#C C takes red"]}
{"id":"empty","question":"which?","video":"v.mp4","answers":[]}
{"id":"kind","question":"which?","video":"v.mp4","answers":["red",2]}
{"id":"truth","question":"which?","video":"v.mp4","answer":3}
{"id":"collides","question":"which?","video":"v.mp4","truth":"x"}
{"id":"behind","question":"which?","video":"v.mp4","start":100,"end":101}
{"id":"frames","question":"which?","frames":"f.npy"}
broken
END
run 1 ego-qa --answers answers --video-root videos records.jsonl
cp "$out" records
is "every record in its place" "r 2 s none nowhere few empty kind truth collides behind frames 13" "$(jq -r .id records | xargs)"
is "those that failed" "false false false true true true true true true true true true true" "$(jq 'has("error")' records | xargs)"
holds records '"mine":[1.0]'
is "records and benchmark agree" "$(jq -c 'select(.id == 0) | [.answer,.answers,.truth,.truth_class]' zero)" "$(jq -c 'select(.id == "r") | [.answer,.answers,.truth,.truth_class]' records)"
holds_json "a record's own answers" records '.[1] | (.answers | map(.answer) | sort == ["blue","red"]) and .video == "v.mp4" and .start == 1'
jq -c 'select(.id == "s") | .answers | map({key: .answer, value: .score}) | from_entries' records >got
printf '%s\n' '{"id":"red","video":"v","text":"#C C takes red"}' '{"id":"blue","video":"v","text":"#C C takes blue"}' | ego-embed -q --fused --format jsonl --video-root videos - |
    jq -c 'select(.part == "fused") | {key: .id, value: .vtm}' | jq -s 'from_entries' >want
is "statements" true "$(jq -s '.[0] as $g | .[1] | to_entries | all((.value - $g[.key] | fabs) < 1e-5)' got want)"
ego-qa --answers answers --video-root videos <records.jsonl >piped 2>"$err"
same "records from stdin" records piped
jq -c '.[]' qas.json | ego-qa --answers answers --video-root videos - 2>"$err" | jq -c '[.answers,.truth,.error]' >piped
is "a benchmark's elements as records" "$(jq -c '[.answers,.truth,.error]' zero)" "$(cat piped)"
run 1 ego-qa -m "$tuned" --answers answers --video-root videos records.jsonl
holds_json "with a head a record has no answers of its own" "$out" '.[1].error | contains("--zero-shot")'

run 0 ego-qa --answers answers --question 'which?' --question 'What did I Wash?' videos/v.mp4 'videos/qa_videos/k1|fpv1|0|80.mp4'
holds_json "media" "$out" 'length == 4 and map(.question) == ["which?","What did I Wash?","which?","What did I Wash?"] and .[0].id == "videos/v.mp4"'
is "media and benchmark agree" "$(head -n 1 zero | jq -c .answers)" "$(sed -n 4p "$out" | jq -c .answers)"

run 0 ego-qa --dry-run qas.json
is "--dry-run" '{"questions":3,"unreadable":0}' "$(cat "$out")"
run 0 ego-qa --dry-run records.jsonl
is "--dry-run of records" '{"questions":13,"unreadable":2}' "$(cat "$out")"

# ---- which frames -----------------------------------------------------------------------------------

# Ten frames a second here: an interval counts in them when told so.
run 1 ego-qa --interval-fps 10 --answers answers --video-root videos qas.json
jq -c '.[1] | {question, video: "v", start: 3, "end": 12}' qas.json | ego-qa --answers answers --video-root videos - 2>"$err" | jq -c .answers >want
is "--interval-fps" "$(cat want)" "$(sed -n 2p "$out" | jq -c .answers)"
run 1 ego-qa --sampling reference --seed 3 --answers answers --video-root videos qas.json
cp "$out" drawn
holds "$err" 'drawn from seed 3'
run 1 ego-qa --sampling reference --seed 3 --answers answers --video-root videos qas.json
same "the same seed" drawn "$out"
run 1 ego-qa --sampling reference --seed 4 --answers answers --video-root videos qas.json
[ "$(jq -c .answers drawn)" != "$(jq -c .answers "$out")" ] || fail "another seed" "expected other frames"
jq -c '.[1] | {question, video: "v", start: 3, "end": 3.5}' qas.json >short.jsonl
run 1 ego-qa --sampling reference --answers answers --video-root videos short.jsonl
holds_json "a clip too short to draw from" "$out" '.[0].error | contains("expected 2 or more")'

# ---- the same bytes ---------------------------------------------------------------------------------

for how in '-t 1' '-t 3' '--batch 1' '--batch 7'; do
    # shellcheck disable=SC2086
    run 1 ego-qa $how --answers answers --video-root videos qas.json
    same "$how" zero "$out"
    # shellcheck disable=SC2086
    run 1 ego-qa $how -m "$tuned" --answers answers -k 100 --video-root videos qas.json
    same "a head, $how" tuned "$out"
done
for i in 0 1 2; do ego-qa -q --shard $i/3 --answers answers --video-root videos qas.json 2>"$err"; done | jq -c --slurp 'sort_by(.id)[]' >"$out"
jq -c --slurp 'sort_by(.id)[]' zero >piped
same "three shards" piped "$out"

# ---- faults -----------------------------------------------------------------------------------------

run 3 ego-qa no.json
holds "$err" no.json
echo '[{"interval":"x"}]' >bad.json
run 3 ego-qa --answers answers bad.json
holds "$err" 'bad.json: element 0'
run 1 ego-qa --video-root videos qas.json
holds_json "nothing to choose from" "$out" 'all(.error | contains("--answers FILE"))'
run 3 ego-qa --answers nothere qas.json
run 2 ego-qa videos/v.mp4
run 2 ego-qa --question 'which?'
run 2 ego-qa --question 'which?' videos/v.mp4 qas.json
run 2 ego-qa -k 0 qas.json
ego-model init -q -o none.safetensors --set dim=64 --set heads=4 --set depth=2 --set fusion=none --set fuse_layers=0 --set patch=16 --set image_size=32 \
    --set vocab=512 --set max_positions=40 --set 'projection=[96,96,96]' >"$out" 2>"$err" || fail "ego-model init --set fusion=none" "$(cat "$err")"
run 3 ego-qa -m none.safetensors --answers answers --video-root videos qas.json
holds "$err" none.safetensors

# ---- a synthetic benchmark --------------------------------------------------------------------------

if [ -x "$bin/ego-synth" ]; then
    run 0 ego-synth -q world --videos 1 --minutes 0.5 --split test
    run 0 ego-qa --answers world/qa/answer_set.txt --video-root world world/qa/direct/formatted_test_qas_encode.json
    holds_json "the synthetic benchmark" "$out" 'length >= 10 and all(.answer)'
    if [ -x "$bin/ego-train" ]; then
        cat >train.json <<'END'
{"model": "m.safetensors",
 "data": {"train": "world/qa/direct/formatted_test_qas_encode.json", "validate": "world/qa/indirect/formatted_test_qas_encode.json",
          "answers": "world/qa/answer_set.txt", "video_root": "world", "cache": "cache"},
 "optim": {"lr": 1e-2}, "run": {"out": "head", "epochs": 3, "batch": 4}}
END
        run 0 ego-train qa train.json --dry-run
        holds_json "the plan" "$out" '.[0] | .answers == 61 and .questions >= 10 and .steps == 3 * .steps_per_epoch and .parameters == 61 * 65 + 61 * 62'
        absent head cache
        run 0 ego-train qa train.json
        empty "stdout of a run" "$out"
        holds_json "its log" head/log.jsonl 'map(select(.event == "validation")) | map(.epoch) == [1,2,3] and all(.numbers | .loss > 0 and .all >= 0)'
        [ "$(ls cache/qa | wc -l)" -eq 2 ] || fail "the cache" "expected two files" "found    $(ls cache/qa)"
        for file in head/head.safetensors "$(ls head/checkpoint-*.safetensors | head -n 1)"; do
            run 0 ego-qa --head "$file" --video-root world world/qa/direct/formatted_test_qas_encode.json
            holds_json "answers of $file" "$out" 'length >= 10 and all(.answer_class >= 0 and (.answer | type == "string"))'
            lacks "$err" 'another model'
        done
        # The same from the cache, without a video; in two pieces; with more that learns.
        run 0 ego-train qa train.json --set data.video_root=nowhere --set run.out=cached
        same "a head from the cache" head/head.safetensors cached/head.safetensors
        run 2 ego-train qa train.json
        holds "$err" 'there is a run already'
        run 0 ego-train qa train.json --set backbone=fused --set run.out=fused
        run 0 ego-qa -m fused/head.safetensors --video-root world world/qa/direct/formatted_test_qas_encode.json
        holds_json "one file that is model and head" "$out" 'length >= 10 and all(.answer_class >= 0 and (.answer | type == "string"))'
        run 0 ego-model convert fused/head.safetensors --store f16 -o shipped.safetensors
        run 0 ego-qa -m shipped.safetensors --video-root world world/qa/direct/formatted_test_qas_encode.json
        is "a converted file still names its answers" true \
            "$(jq -s --rawfile a world/qa/answer_set.txt '($a | split("\n")) as $n | length > 9 and all($n[.answer_class] == .answer)' "$out")"
        run 0 ego-model verify fused/head.safetensors
        cp "$out" verified
        holds_json "and verifies as a model" verified '.[0].ok and .[0].missing == 0'
        run 0 ego-train qa train.json --set backbone=fused --set frames=5 --set run.steps=1 --set run.out=longer
        run 0 ego-model verify longer/head.safetensors
        cp "$out" verified
        holds_json "of other frames than its model had" verified '.[0].ok and .[0].missing == 0'
        run 0 ego-model info longer/head.safetensors
        holds_json "it is a model of these frames" "$out" '.[0].config.frames == 5'
        run 1 ego-qa --head head/head.safetensors -m fused/head.safetensors --video-root nowhere world/qa/direct/formatted_test_qas_encode.json
        holds "$err" 'model'
        # A head of moments, alone and with the text encoder that learnt along.
        moments='--set head.kind=moments --set head.dim=24 --set head.heads=2 --set head.hidden=48 --set head.windows=5'
        for backbone in frozen text; do
            # shellcheck disable=SC2086
            run 0 ego-train qa train.json $moments --set backbone=$backbone --set run.out=moments-$backbone
            [ $backbone = text ] && with=-m || with=--head
            run 0 ego-qa $with moments-$backbone/head.safetensors --video-root world world/qa/direct/formatted_test_qas_encode.json
            holds_json "answers out of moments, $backbone" "$out" 'length >= 10 and all(.answer_class >= 0 and (.answer | type == "string"))'
            lacks "$err" 'another model'
        done
        cp "$out" moments
        run 0 ego-qa -t 1 --batch 3 -m moments-text/head.safetensors --video-root world world/qa/direct/formatted_test_qas_encode.json
        same "answers out of moments, one thread" moments "$out"
        # shellcheck disable=SC2086
        run 0 ego-train qa train.json $moments --set data.video_root=nowhere --set run.out=moments-cached
        same "windows from the cache" moments-frozen/head.safetensors moments-cached/head.safetensors
        # shellcheck disable=SC2086
        run 0 ego-train qa train.json $moments --dry-run
        holds_json "the plan with moments" "$out" '.[0] | .answers == 61 and .parameters > 10000'
        run 2 ego-train qa train.json --set head.kind=moments --set backbone=fused --set run.out=wrong
        holds "$err" 'expected frozen or text'
        for wrong in data.answers=null backbone=all optim.rate=1 model=null data.train=null run.out=null; do
            run 2 ego-train qa train.json --set run.out=wrong --set $wrong
            holds "$err" "${wrong%%=*}"
        done
        run 2 ego-train qa train.json --set run.out=wrong --set data.answers=answers
        holds "$err" 'expected an answer_encode below 6'
        run 3 ego-train qa train.json --set run.out=wrong --set data.train=no.json
        holds "$err" no.json
        run 2 ego-train qa train.json --set run.out=wrong --set data.video_root=nowhere --set data.cache=other
        holds "$err" 'found none of'
    else
        skip_part "training: no ego-train"
    fi
    rm -r world/qa_videos # as with ego-synth --no-qa-videos: intervals are cut from the videos
    run 0 ego-qa --answers world/qa/answer_set.txt --video-root world/videos world/qa/direct/formatted_test_qas_encode.json
    holds_json "the synthetic benchmark from its videos" "$out" 'length >= 10 and all(.answer)'
else
    skip_part "the synthetic benchmark: no ego-synth"
fi
finish
