#!/bin/sh
# Every task on a world that neither model nor heads were trained on:   tasks.sh MODEL HEADS WORLD TRAIN OUT
# The model as it ships and with the heads in HEADS/{nlq,qa,qfvs}.safetensors, beside who does not look at all; each with
# its 95 % interval. OUT/table.md is the table; what was predicted stays beside it and is not made again. Needs jq.
set -eu
model=$1 heads=$2 world=$3 train=$4 out=$5
mkdir -p "$out"

# once FILE COMMAND…: FILE is there when it is whole.
once() {
    file=$out/$1 && shift
    [ -s "$file" ] || { "$@" >"$file.part" && mv "$file.part" "$file"; }
}
# scores TASK FILE TRUTH METRIC…: "VALUE (LOW to HIGH)" of each metric, or of all, a line each behind its name.
scores() {
    task=$1 file=$2 truth=$3 && shift 3
    ego-score -q --ci "$task" "$out/$file" "$truth" | jq -r --arg names "$*" 'def r: . * 10 | round / 10;
        select($names == "" or (.metric | IN($names | split(" ")[]))) | "\(.metric)|\(.value | r) (\(.low | r) to \(.high | r))"'
}
of() { sed -n "s/^$2|//p" "$out/$1.txt"; }

# ---- EgoMCQ: zero-shot is all there is ----------------------------------------------------------------------
once mcq.jsonl ego-mcq -q -m "$model" --video-root "$world/videos" "$world/egomcq.json"
scores mcq mcq.jsonl "$world/egomcq.json" >"$out/mcq.txt"

# ---- natural language queries -------------------------------------------------------------------------------
# Spans whose two ends are drawn uniformly; the best of five for R@5. A hundred times over all questions, no interval.
guess_nlq() {
    jq -r '.videos[].clips[] | (.clip_end_sec - .clip_start_sec) as $d | .annotations[].language_queries[] | [$d, .clip_start_sec, .clip_end_sec] | @tsv' "$1" |
        awk 'BEGIN { srand(1) }
        function iou(a, b, s, e,   i, u) { i = (b < e ? b : e) - (a > s ? a : s); u = (b > e ? b : e) - (a < s ? a : s); return i > 0 ? i / u : 0 }
        { for (k = 0; k < 100; k++) { n++; best = 0
            for (j = 1; j <= 5; j++) { x = rand() * $1; y = rand() * $1; v = x < y ? iou(x, y, $2, $3) : iou(y, x, $2, $3); if (v > best) best = v
                if (j == 1) { a += v > .3; b += v > .5 } }
            c += best > .3; d += best > .5 } }
        END { printf "r1@0.3|%.1f\nr1@0.5|%.1f\nr5@0.3|%.1f\nr5@0.5|%.1f\n", 100 * a / n, 100 * b / n, 100 * c / n, 100 * d / n }'
}
queries=$world/nlq_val.json
nlq() { ego-nlq -q -m "$model" --video-root "$world/videos" "$@" "$queries"; }
once nlq-guess.txt guess_nlq "$queries"
once nlq-zero.jsonl nlq
once nlq-head.jsonl nlq --head "$heads/nlq.safetensors"
for who in zero head; do scores nlq nlq-$who.jsonl "$queries" >"$out/nlq-$who.txt"; done

# ---- questions ----------------------------------------------------------------------------------------------
# Each type of question is answered with what is right most often among the training set's questions of that type:
# a guesser for each type, scored on that type.
asked=$world/qa/direct/formatted_test_qas_encode.json
guess_qa() {
    # shellcheck disable=SC2016
    jq -nc --arg type "$1" --slurpfile train "$train/qa/direct/formatted_train_qas_encode.json" --slurpfile asked "$asked" '
        ({open: "query", binary: "verify"}[$type] // $type) as $type
        | def of_type: $type == "all" or (.reasoning_type | split("$") | index($type));
        ([$train[0][] | select(of_type) | .answer_encode] | group_by(.) | max_by(length)[0]) as $answer
        | range($asked[0] | length) | {id: ., answer_class: $answer}'
}
qa() { ego-qa -q --answers "$world/qa/answer_set.txt" --video-root "$world/videos" "$@" "$asked"; }
once qa-zero.jsonl qa -m "$model" --zero-shot
once qa-head.jsonl qa -m "$heads/qa.safetensors" # model and head in one
for who in zero head; do scores qa qa-$who.jsonl "$asked" >"$out/qa-$who.txt"; done
types=$(sed 's/|.*//' "$out/qa-head.txt")
for type in $types; do
    once "qa-guess-$type.jsonl" guess_qa "$type"
    scores qa "qa-guess-$type.jsonl" "$asked" "$type"
done >"$out/qa-guess.txt"

# ---- summaries ----------------------------------------------------------------------------------------------
# As many shots as ego-sum takes: evenly spaced, or drawn.
guess_qfvs() { # even | drawn
    jq -r '[.video, .query, .of, (.shots | length)] | @tsv' "$out/qfvs-zero.jsonl" | awk -v how="$1" -F'\t' 'BEGIN { srand(1) }
        { printf "{\"video\":\"%s\",\"query\":\"%s\",\"shots\":[", $1, $2; split("", taken)
          for (i = 0; i < $4; i++) {
              if (how == "even") s = int((i + .5) * $3 / $4) + 1; else do s = int(rand() * $3) + 1; while (s in taken)
              taken[s] = 1; printf "%s%d", i ? "," : "", s }
          print "]}" }'
}
summarize() { # at as many frames, and zero-shot as many parts, as weights/small/heads/qfvs.json
    for video in "$world"/qfvs/Oracle_Summaries/*; do
        name=${video##*/}
        ego-sum -q -m "$model" --frames 4 --oracles "$video" --ratio 0.1 "$@" "$world/qfvs/$name.mp4"
    done
}
once qfvs-zero.jsonl summarize --score dual --parts 5 --prompts narration
once qfvs-head.jsonl summarize --head "$heads/qfvs.safetensors"
once qfvs-even.jsonl guess_qfvs even
once qfvs-drawn.jsonl guess_qfvs drawn
for who in even drawn zero head; do scores qfvs qfvs-$who.jsonl "$world/qfvs" f1 >"$out/qfvs-$who.txt"; done

# ---- the table ----------------------------------------------------------------------------------------------
row() { echo "| $1 | $2 | $3 | $4 |"; }
{
    echo "| per cent (95 % interval) | not looking | zero-shot | with its head |"
    echo "|---|---|---|---|"
    for type in inter intra; do
        for mode in dual fused ensemble; do row "EgoMCQ $type, $mode" 20 "$(of mcq ${type}_$mode)" ""; done
    done
    for metric in r1@0.3 r1@0.5 r5@0.3 r5@0.5; do
        row "NLQ ${metric%@*} at IoU ${metric#*@}" "$(of nlq-guess $metric)" "$(of nlq-zero $metric)" "$(of nlq-head $metric)"
    done
    for type in $types; do row "QA, $type" "$(of qa-guess "$type")" "$(of qa-zero "$type")" "$(of qa-head "$type")"; done
    row "QFVS F1" "even $(of qfvs-even f1), drawn $(of qfvs-drawn f1)" "$(of qfvs-zero f1)" "$(of qfvs-head f1)"
} >"$out/table.md.part"
mv "$out/table.md.part" "$out/table.md"
cat "$out/table.md"
