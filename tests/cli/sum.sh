#!/bin/sh
# ego-sum: summaries of videos, zero-shot, by a head, and of nothing in particular; as lines, a film, a sheet.
. "$(dirname "$0")/lib.sh"
need ego-sum ego-model ego-train ego-synth jq
tiny_model m.safetensors --rule golden --set max_positions=60
EGO_MODEL=$work/m.safetensors
export EGO_MODEL
ego-synth -q world --split test --videos 2 --minutes 1 --seed 5 --no-qa-videos >"$out" 2>"$err" || fail ego-synth "$(cat "$err")"
qfvs=world/qfvs
[ -d "$qfvs/Oracle_Summaries/P01" ] || { fail "ego-synth writes QFVS's files" "$(ls world)"; finish; }
video=$qfvs/P01.mp4

# ---- lines ----------------------------------------------------------------------------------------------

run 0 ego-sum --query "C cuts an apple" --ratio 0.25 --scores "$video"
cp "$out" first
holds_json "members" first '.[0] | (.query == "C cuts an apple") and (.video | endswith("P01.mp4")) and (.all | length) == .of
    and (.shots | length) == ((.of * 0.25) | floor) and (.scores | length) == (.shots | length) and .segments[0] == 1'
holds_json "shots ascend, are timed and have the best scores" first '.[0] as $a | ($a.shots == ($a.shots | sort))
    and ([range($a.shots | length) as $i | $a.times[$i] == [5 * ($a.shots[$i] - 1), 5 * $a.shots[$i]]] | all)
    and ([range($a.shots | length) as $i | $a.scores[$i] == $a.all[$a.shots[$i] - 1]] | all)
    and (($a.scores | min) >= ($a.all | sort | reverse | .[$a.shots | length - 1]))'
holds_json "scores are probabilities" first '.[0].all | all(. > 0 and . < 1)'
run 0 ego-sum --query "C cuts an apple" --ratio 0.25 --scores -t 2 "$video"
same "any number of threads" first "$out"
run 0 ego-sum --query "C cuts an apple" --query Pan_Knife --seconds 11 "$video"
holds_json "one line for each query" "$out" 'length == 2 and all(.shots | length == 2) and .[1].query == "Pan_Knife"'
run 0 ego-sum --query "C cuts an apple" --score dual "$video"
holds_json "cosines" "$out" '.[0].scores | all(. >= -1 and . <= 1)'
run 0 ego-sum --parts 2 --prompts narration --query PicksUp_Cup --query "#C C picks up cup" "$video"
holds_json "concepts in words of narrations" "$out" '.[0].scores == .[1].scores'
cp "$out" parts
run 0 ego-sum --query "#C C picks up cup" "$video"
holds_json "parts are looked at otherwise" parts ".[1].scores != $(jq -c .scores "$out")"
run 0 ego-sum --ratio 0.5 --segments 3 "$video"
cp "$out" whole
holds_json "without a query" whole '.[0] | .query == null and (.segments | length) <= 3 and (.segments | length) <= (.shots | length) and (.shots | length) == ((.of * 0.5) | floor)'
run 0 ego-sum --shot 2 --ratio 0.1 --dry-run "$video"
holds_json "--dry-run" "$out" '.[0] | .of == 30 and .shots == 3'
run 0 ego-sum --sampling reference --seed 1 --query x "$video"
cp "$out" drawn
run 0 ego-sum --sampling reference --seed 1 --query x "$video"
same "crops are drawn from the seed" drawn "$out"
run 0 ego-sum --sampling reference --seed 2 --query x "$video"
cmp -s drawn "$out" && fail "another seed" "expected other scores"

# ---- records --------------------------------------------------------------------------------------------

cat >records.jsonl <<'END'
{"id":"a","video":"P01.mp4","query":["Pan","Knife"],"mine":[1, 2]}
{"id":"b","video":"P01.mp4","query":"Pan_Knife"}
{"id":"c","video":"P01.mp4","text":"C cuts","start":10,"end":31}
{"video":"P02.mp4"}
{"id":"e","video":"missing.mp4","text":"C cuts"}
{"id":"f","video":"P01.mp4","query":7}
{"id":"g"}
END
run 1 ego-sum --video-root $qfvs --ratio 0.2 records.jsonl
cp "$out" answers
holds_json "a line for each record, in order" answers 'map(.id) == ["a","b","c",4,"e","f","g"]'
holds_json "two concepts in either way" answers '.[0].shots == .[1].shots and .[0].query == ["Pan","Knife"] and .[0].mine == [1,2]'
holds_json "a part of a video" answers '.[2] | .of == 4 and .start == 10 and (.times[0][0] >= 10) and (.times[0][1] <= 31)'
holds_json "a record that asks nothing" answers '.[3].query == null and (.[3].shots | length == 2)'
holds_json "bad records have their own words" answers '(.[4].error | contains("missing.mp4")) and (.[5].error | contains("query")) and (.[6].error | contains("video"))'
run 1 sh -c 'cat records.jsonl | ego-sum --video-root world/qfvs --ratio 0.2'
same "from a pipe" answers "$out"

# ---- a film and a sheet ---------------------------------------------------------------------------------

run 0 ego-sum --query "C cuts an apple" --seconds 10 -o cut.mp4 --sheet cut.png "$video"
is "a PNG" "$(printf '\211PNG')" "$(head -c 4 cut.png)"
run 0 ego-sum --dry-run cut.mp4
holds_json "the film is as long as its shots" "$out" '.[0].of == 2'
rm -f cut.mp4
run 3 ego-sum --query x -o none/cut.mp4 "$video"
absent none/cut.mp4
if command -v ffmpeg >/dev/null && [ -z "${EGO_NO_FFMPEG:-}" ]; then
    ffmpeg -nostdin -v error -y -i "$video" -f lavfi -i "sine=440:d=60" -c:v copy -c:a aac loud.mp4
    run 0 ego-sum --seconds 15 -o loud_cut.mp4 loud.mp4
    is "its sound is kept" "aac,15.00" "$(ffprobe -v error -select_streams a -show_entries stream=codec_name,duration -of csv=p=0 loud_cut.mp4 | awk -F, '{ printf "%s,%.2f", $1, $2 }')"
    run 0 ego-sum --seconds 15 --no-sound -o loud_cut.mp4 loud.mp4
    is "--no-sound" "" "$(ffprobe -v error -select_streams a -show_entries stream=codec_name -of csv=p=0 loud_cut.mp4)"
    mkdir pictures
    ffmpeg -nostdin -v error -y -i "$video" -vf fps=1 pictures/%05d.jpg
    run 0 ego-sum --query x pictures
    holds_json "a folder of pictures, one a second" "$out" '.[0].of == 12'
else
    skip_part "ffmpeg: sound, pictures"
fi

# ---- a head ---------------------------------------------------------------------------------------------

cat >train.json <<END
{"model": "m.safetensors", "data": {"root": "$qfvs", "videos": "P01", "validate": "P02", "cache": "cache"},
 "head": {"hidden": 32}, "ratio": 0.2, "rates": "even", "optim": {"lr": 1e-3}, "run": {"out": "run", "epochs": 2}}
END
run 0 ego-train qfvs train.json --dry-run
holds_json "what training costs" "$out" '.[0] | .lower_halves == 24 and .queries > 0 and .steps == 2 * .steps_per_epoch'
run 0 ego-train qfvs train.json
holds run/log.jsonl '"f1":'
holds run/log.jsonl '"summary":'
rm -rf "$qfvs/P02.mp4.away" && mv "$qfvs/P02.mp4" p02.mp4 && : >"$qfvs/P02.mp4"
run 0 ego-train qfvs train.json --set run.out=again
same "features come from the cache: the same head" run/head.safetensors again/head.safetensors
mv p02.mp4 "$qfvs/P02.mp4"
run 2 ego-train qfvs train.json --set run.out=quirks --set reference_quirks=true --set data.sampling=reference --set data.cache=crops
run 0 ego-train qfvs train.json --set run.out=parts_run --set run.epochs=1 --set data.parts=2 --set data.prompts=narration
run 0 ego-model info parts_run/head.safetensors
holds "$out" '"parts":2,"dual":0,"prompts":1'
run 2 ego-sum --head parts_run/head.safetensors --parts 1 --query Pan_Knife "$video"
run 0 ego-sum --head parts_run/head.safetensors --query Pan_Knife --query "#C C pan knife" "$video"
holds_json "a head looks and asks as it was trained" "$out" '.[0].scores == .[1].scores'
run 0 ego-sum --head run/head.safetensors --oracles $qfvs/Oracle_Summaries/P01 --ratio 0.2 "$video"
cp "$out" summaries.jsonl
is "a summary for each oracle" "$(ls $qfvs/Oracle_Summaries/P01 | wc -l)" "$(wc -l <summaries.jsonl)"
holds_json "as predictions are written" summaries.jsonl 'all(.video == "P01" and (.query | contains("_")) and (.shots | length == 2))'
if [ -x "$bin/ego-score" ]; then
    mkdir truth && cp -r $qfvs/Dense_per_shot_tags truth && mkdir truth/Oracle_Summaries && cp -r $qfvs/Oracle_Summaries/P01 truth/Oracle_Summaries
    run 0 ego-score qfvs summaries.jsonl truth
    holds_json "ego-score reads them" "$out" 'map(select(.metric == "f1")) | .[0].value >= 0'
else
    skip_part ego-score
fi
run 1 ego-sum --head run/head.safetensors --query Pan_Knife --reference-quirks "$video"
holds "$err" "20 to 3979 shots"
run 3 ego-sum --head m.safetensors --query Pan_Knife "$video"
tiny_model wide.safetensors --set dim=32
run 2 ego-sum --head run/head.safetensors -m wide.safetensors --query Pan_Knife "$video"
holds "$err" "width"

# ---- wrong usage ----------------------------------------------------------------------------------------

run 2 ego-sum -o a.mp4 "$video" $qfvs/P02.mp4
run 2 ego-sum -o a.mp4 --query a --query b "$video"
run 2 ego-sum -o a.avi "$video"
holds "$err" ".mp4"
run 2 ego-sum --oracles $qfvs/Oracle_Summaries/P01
run 2 ego-sum --ratio 0 "$video"
run 2 ego-sum --query a records.jsonl
run 2 ego-sum --head run/head.safetensors --score dual --query a "$video"
run 3 ego-sum --oracles none "$video"
run 1 ego-sum --query a none.mp4
holds_json "a missing video" "$out" '.[0].error | contains("none.mp4")'
printf 'no video' >bad.mp4
run 1 ego-sum --query a bad.mp4 "$video"
holds_json "a bad video does not stop the next" "$out" '(.[0] | has("error")) and (.[1] | has("shots"))'
finish
