#!/bin/sh
# ego-score as the shell sees it: every task with predictions in each of its forms, what is missing, double or
# wrong, intervals and differences, the golden figures of tests/golden/heads, and what it links.
. "$(dirname "$0")/lib.sh"
need ego-score jq
golden=$repo/tests/golden/heads

# scores TASK ARGS...: the figures as NAME=VALUE words, rounded to four decimals, in $figures.
scores() {
    run 0 ego-score "$@"
    figures=$(jq -r '"\(.metric)=\(if .value == null then "null" else (.value * 10000 | round / 10000) end)"' "$out" | tr '\n' ' ')
    figures=${figures% }
}

# ---- EgoMCQ ---------------------------------------------------------------------------------------------

clip='{"video_uid":"u","clip_start":1,"clip_end":2}'
cat >mcq.json <<END
{"0":{"answer":1,"types":1,"query":{"clip_text":"a"},"choices":{"0":$clip,"1":$clip}},
 "1":{"answer":0,"types":2,"query":{"clip_text":"b"},"choices":{"0":$clip,"1":$clip}},
 "2":{"answer":0,"types":2,"query":{"clip_text":"c"},"choices":{"0":$clip,"1":$clip}}}
END
cat >mcq.jsonl <<'END'
{"id":"0","predicted":{"dual":0,"ensemble":1},"dual":[0.1,0.3],"ensemble":[1,2]}
{"id":1,"dual":[0.5,0.5],"ensemble":[0,1],"more":true}
{"id":"2","dual":[0,1],"predicted":{"ensemble":0}}
END
scores mcq mcq.jsonl mcq.json
is "EgoMCQ" "inter_dual=100 intra_dual=50 inter_ensemble=100 intra_ensemble=50" "$figures"
printf '%s\n' '{"id":"x","choices":[1,2,3],"answer":2,"type":"intra"}' '{"choices":[1,2],"answer":0}' >own.jsonl
printf '%s\n' '{"id":2,"predicted":0}' '{"id":"x","predicted":2}' >chosen.jsonl
scores mcq chosen.jsonl own.jsonl
is "questions of one's own" "intra=100 untyped=100" "$figures"
printf '%s\n' '{"id":"0","scores":[1,2]}' '{"id":"1","dual":[1,2]}' '{"id":"2","scores":[1,2]}' >mixed.jsonl
run 3 ego-score mcq mixed.jsonl mcq.json
holds "$err" "mixed.jsonl:2: 'scores' expected, as the first prediction has it"
printf '%s\n' '{"id":"0","scores":[1,2,3]}' >three.jsonl
run 3 ego-score mcq three.jsonl mcq.json
holds "$err" "three.jsonl:1: 'scores': a score a choice expected, 2, found 3"

# ---- what is missing, double, unknown ------------------------------------------------------------------

{ head -n 2 mcq.jsonl; head -n 1 mcq.jsonl; echo '{"id":"2","error":"gone.mp4: no such file"}'; echo '{"id":"9","dual":[1,2],"ensemble":[1,2]}'; } >part.jsonl
run 1 ego-score mcq part.jsonl mcq.json
empty "figures over part of the questions" "$out"
holds "$err" "1 of 3 questions have no prediction (the first: 2), 1 predictions are error lines; 1 are there more than once (the first: 0): no figure is given (--partial"
holds "$err" "1 predictions are for nothing that the truth asks (the first: 9)"
scores --partial mcq part.jsonl mcq.json
is "part of the questions" "inter_dual=100 intra_dual=100 inter_ensemble=100 intra_ensemble=0" "$figures"
holds "$err" "the first of each counts"
holds_json "how many counted" "$out" 'map([.n, .of]) == [[1,1],[1,2],[1,1],[1,2]]'

# ---- Ego4D NLQ -------------------------------------------------------------------------------------------

scores nlq "$golden/nlq_predictions.json" "$golden/nlq_ground_truth.json"
is "the golden queries" "r1@0.3=63.8889 r3@0.3=88.8889 r5@0.3=91.6667 r1@0.5=44.4444 r3@0.5=80.5556 r5@0.5=86.1111 r1@0.01=91.6667 r3@0.01=97.2222 r5@0.01=100 miou=44.1119" "$figures"
cp "$out" as-challenge
jq -c '.results[]' "$golden/nlq_predictions.json" >lines.jsonl
run 0 ego-score nlq - "$golden/nlq_ground_truth.json" <lines.jsonl
same "the challenge's file and lines" as-challenge "$out"
cat >val.json <<'END'
{"version":"1.0","date":"x","description":"d","manifest":"m","videos":[{"video_uid":"v","split":"val","video_metadata":null,"clips":[
 {"clip_uid":"c","video_start_sec":0.02,"video_end_sec":480.02,"video_start_frame":1,"video_end_frame":14401,"clip_start_sec":0,"clip_end_sec":480,"source_clip_uid":"s",
  "annotations":[{"annotation_uid":"a","language_queries":[
   {"clip_start_sec":10,"clip_end_sec":20,"video_start_sec":10.02,"template":"Objects: Where is X?","query":"Where is it?","slot_x":"it","verb_x":"","slot_y":null,"raw_tags":["a",null]},
   {"clip_start_sec":1,"clip_end_sec":2,"query":null,"template":null},
   {"clip_start_sec":1,"clip_end_sec":2},
   {"query":"When?","clip_start_sec":null}]}]}]}]}
END
printf '%s\n' '{"clip_uid":"c","annotation_uid":"a","query_idx":0,"predicted_times":[[0,5],[10,15]]}' >one.jsonl
scores nlq one.jsonl val.json
is "queries without text are not asked" "r1@0.3=0 r3@0.3=100 r5@0.3=100 r1@0.5=0 r3@0.5=0 r5@0.5=0 r1@0.01=0 r3@0.01=100 r5@0.01=100 miou=0" "$figures"
holds_json "one query" "$out" 'all(.[]; .n == 1 and .of == 1)'
printf '%s\n' '{"id":"q","start":2,"end":4}' >mine.jsonl
printf '%s\n' '{"id":"q","predicted_times":[[2,4]]}' >spans.jsonl
scores nlq spans.jsonl mine.jsonl
is "queries of one's own" "r1@0.3=100" "${figures%% *}"
printf '%s\n' '{"clip_uid":"c","annotation_uid":"a","predicted_times":[[0,5]]}' >wrong.jsonl
run 3 ego-score nlq wrong.jsonl val.json
holds "$err" "wrong.jsonl:1: 'query_idx': a whole number expected, found nothing"
printf '%s\n' '{"clip_uid":"c","annotation_uid":"a","query_idx":0,"predicted_times":[[0]]}' >wrong.jsonl
run 3 ego-score nlq wrong.jsonl val.json
holds "$err" "pairs [start, end] expected"

# ---- EgoTaskQA -------------------------------------------------------------------------------------------

cat >qa.json <<'END'
[{"interval":"k|f|0|9","question":"What?","answer":"cup","answer_encode":4,"reasoning_type":"world$query$direct"},
 {"interval":"k|f|0|9","question":"Is it?","answer":"yes","answer_encode":2,"reasoning_type":"world$verify$direct"},
 {"interval":"k|f|9|20","question":"Was it?","answer":"rare","answer_encode":1,"reasoning_type":"verify$indirect"}]
END
printf '%s\n' '{"id":0,"answer":"cup","question":"What?"}' '{"index":1,"id":"x","answers":[{"answer":"no","score":0.2},{"answer":"yes","score":0.7}]}' \
    '{"id":"2","answer":"<UNK1>","answer_class":1}' >qa.jsonl
scores qa qa.jsonl qa.json
is "EgoTaskQA" "all=100 open=100 binary=100 direct=100 indirect=100 query=100 verify=100 world=100" "$figures"
sed 's/"yes","score":0.7/"yes","score":0.1/' qa.jsonl >qb.jsonl
scores qa qb.jsonl qa.json
is "one answer wrong" "all=66.6667 open=100 binary=50 direct=50 indirect=100 query=100 verify=50 world=50" "$figures"
sed 's/What?/Which?/' qa.jsonl >other.jsonl
run 3 ego-score qa other.jsonl qa.json
holds "$err" "other.jsonl:1: 'question': 'What?' expected, as in the truth, found 'Which?'"

# ---- QFVS ------------------------------------------------------------------------------------------------

mkdir -p q/Dense_per_shot_tags/P01 q/Dense_per_shot_tags/P02 q/Oracle_Summaries/P01 q/Oracle_Summaries/P02 mine/P01 mine/P02
printf '%s\n' 'A,B' 'A' '' 'C,D' 'A,B,C,D' >q/Dense_per_shot_tags/P01/P01.txt
printf '%s\n' 'A' 'B' >q/Dense_per_shot_tags/P02/P02.txt
printf '%s\n' 5 1 4 2 >q/Oracle_Summaries/P01/A_B_oracle.txt
printf '%s\n' 1 >q/Oracle_Summaries/P02/A_B_oracle.txt
printf '%s\n' '{"video":"P01","query":"B_A","shots":[1,4]}' '{"video":"P02","query":["A","B"],"shots":[2]}' >qfvs.jsonl
scores qfvs qfvs.jsonl q
is "QFVS" "f1_P01=66.6667 f1_P02=0 precision=50 recall=25 f1=33.3333" "$figures"
cp "$out" as-lines
printf '%s\n' 1 4 >mine/P01/A_B_oracle.txt
printf '%s\n' 2 >mine/P02/A_B_oracle.txt
run 0 ego-score qfvs mine q
same "summaries as lines and as files" as-lines "$out"
printf '%s\n' '{"video":"P01","query":"A_B","shots":[6]}' >far.jsonl
run 3 ego-score qfvs far.jsonl q
holds "$err" "shots from 1 to 5 expected, as P01 has, found 6"
printf '%s\n' '{"video":"P01","query":"A_B","shots":[1,1]}' >twice.jsonl
run 3 ego-score qfvs twice.jsonl q
holds "$err" "shot 1 is there twice"

# By Tags.mat, as published: what is in its first 7 shots (P01) and 5 (P02), matched by hand.
mat=$repo/tests/unit/data/mat
run 0 ego-score --tags "$mat/tags.mat" qfvs qfvs.jsonl q
cp "$out" named
cp "$mat/tags.mat" q/Tags.mat
scores qfvs qfvs.jsonl q
is "QFVS by Tags.mat" "f1_P01=66.6667 f1_P02=7.1429 precision=53.5714 recall=28.5714 f1=36.9048" "$figures"
same "--tags, and TRUTH/Tags.mat" named "$out"
rm -r q/Dense_per_shot_tags
scores qfvs qfvs.jsonl q
same "Tags.mat alone" named "$out"
sed 's/1,4/1,7/' qfvs.jsonl >seven.jsonl
run 0 ego-score qfvs seven.jsonl q
cp -r q/Oracle_Summaries/P02 q/Oracle_Summaries/Q02
run 3 ego-score qfvs qfvs.jsonl q
holds "$err" "q/Tags.mat: expected a video from P01 to P04, as it has, found the folder Q02"
rm -r q/Oracle_Summaries/Q02
run 3 ego-score --tags "$mat/kinds.mat" qfvs qfvs.jsonl q
holds "$err" "kinds.mat: expected a struct array with a field Bin_Vecs, found none"
run 3 ego-score --tags no.mat qfvs qfvs.jsonl q
holds "$err" no.mat

# ---- EK-100 MIR ------------------------------------------------------------------------------------------

header=narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes
rows='00:00:05.0,00:00:04.50,00:00:06.25,225,312'
golden_csv() { # CLIPS SENTENCES
    echo "$header"
    seq 0 $(($1 - 1)) | sed "s/.*/c&,P,v,$rows,text &,x,0,y,0,\"['y']\",\"[0]\"/"
    { echo narration_id,narration; seq 0 $(($2 - 1)) | sed 's/.*/c&,text &/'; } >test_sentence.csv
}
golden_csv 60 40 >test.csv
scores mir --relevancy "$golden/metric_rel.npy" "$golden/metric_sim.npy" test.csv
is "the golden retrieval" "ndcg_v2t=33.0206 ndcg_t2v=33.9529 ndcg_avg=33.4868 map_v2t=28.2997 map_t2v=26.523 map_avg=27.4114" "$figures"
cp "$out" as-matrix
floats "$golden/metric_sim.npy" 128 2400 | awk '{ printf "{\"query\":\"c%d\",\"id\":\"c%d\",\"rank\":1,\"score\":%s}\n", (NR - 1) % 40, int((NR - 1) / 40), $1 }' >matches.jsonl
scores mir --relevancy "$golden/metric_rel.npy" matches.jsonl test.csv
is "as lines of ego-match" "ndcg_v2t=33.0206 ndcg_t2v=33.9529 ndcg_avg=33.4868 map_v2t=28.2997 map_t2v=26.523 map_avg=27.4114" "$figures"
tail -n +2 matches.jsonl >short.jsonl
run 1 ego-score mir --relevancy "$golden/metric_rel.npy" short.jsonl test.csv
holds "$err" "2 of 100 videos and sentences have no prediction (the first: video c0)"
run 0 ego-score -q --partial mir --relevancy "$golden/metric_rel.npy" short.jsonl test.csv
holds_json "without an incomplete row and column" "$out" '.[0].n == 59 and .[0].of == 60 and .[1].n == 39'
run 3 ego-score mir --relevancy "$golden/metric_sim.npy" "$golden/charades_score.npy" test.csv
holds "$err" "60 clips by 40 sentences expected, found 50 by 12"

# Relevancy out of the classes: c0 and c1 are alike, c2 shares the verb, c3 one of two nouns.
cat >small.csv <<END
$header
c0,P,v,$rows,wipe tray,wipe,2,tray,30,['tray'],[30]
c1,P,v,$rows,wipe the tray,wipe,2,tray,30,['tray'],[30]
c2,P,v,$rows,wipe pan,wipe,2,pan,5,['pan'],[5]
c3,P,v,$rows,put tray,put,1,tray,30,"['tray', 'pan']","[30, 5]"
END
printf '%s\n' narration_id,narration 'c0,wipe tray' 'c3,put tray' >small_sentence.csv
cat >small.jsonl <<'END'
{"query":"c0","id":"c0","score":0.5}
{"query":"c0","id":"c1","score":0.9}
{"query":"c0","id":"c2","score":0.8}
{"query":"c0","id":"c3","score":0.1}
{"query":"c3","id":"c0","score":0.4}
{"query":"c3","id":"c1","score":0.3}
{"query":"c3","id":"c2","score":0.2}
{"query":"c3","id":"c3","score":0.9}
END
run 0 ego-score mir small.jsonl small.csv
# c0's sentence: ranking c1 (1), c2 (.5), c0 (1), c3 (.25): AP = (1 + 2.5/3) / 2; c3's: c3 first: 1.
holds_json "relevancy from classes" "$out" '.[4].metric == "map_t2v" and (.[4].value - 100 * ((1 + 2.5 / 3) / 2 + 1) / 2 | fabs) < 1e-9'
# c2 has no sentence of relevancy 1
holds "$err" "1 videos and 0 sentences have no exact match: left out of mAP"
holds_json "three videos of four" "$out" '.[3].metric == "map_v2t" and .[3].n == 3'
run 0 ego-score mir --undefined-rows small.jsonl small.csv
holds_json "undefined as published" "$out" '.[3].value == null and .[5].value == null and .[4].value > 0 and .[0].value > 0'

# ---- Charades-Ego ----------------------------------------------------------------------------------------

printf '%s\n' 'id,subject,actions,length' 'AEGO,S,c000 0.0 4.2;c002 1.0 2.0,30' 'BEGO,S,"c000 0.0 4.2",30' 'CEGO,S,,30' >charades.csv
class_scores() { jq -nc --arg id "$1" --argjson a "$2" --argjson b "$3" '{id: $id, scores: ([$a, 0, $b] + [range(154) | 0])}'; }
{ class_scores AEGO 0.9 0.1; class_scores BEGO 0.8 0.3; class_scores CEGO 5 5; } >charades.jsonl
scores charades charades.jsonl charades.csv
is "Charades-Ego" "map=75" "$figures"
scores charades --per-class charades.jsonl charades.csv
is "by class" "ap_c000=100 ap_c001=null ap_c002=50" "$(echo "$figures" | cut -d' ' -f1-3)"
jq -r '[.id] + (.scores | map(tostring)) | join(" ")' charades.jsonl >charades.txt
scores charades charades.txt charades.csv
is "Charades' own text" "map=75" "$figures"
run 3 ego-score charades "$golden/charades_score.npy" charades.csv
holds "$err" "3 rows of 157 scores expected, found 50 of 12"

# ---- retrieval -------------------------------------------------------------------------------------------

# rows find their own column at ranks 1, 1, 3
printf '\000\000\200\077\000\000\000\000\000\000\000\000''\000\000\000\077\000\000\200\077\000\000\000\000''\000\000\200\077\000\000\000\077\000\000\000\000' | npy '<f4' '(3, 3)' >square.npy
scores retrieval square.npy
is "a square matrix" "r1=66.6667 r5=100 r10=100 rank=1 reverse_r1=66.6667 reverse_r5=100 reverse_r10=100 reverse_rank=1" "$figures"
printf '%s\n' '{"query":2,"id":0}' '{"query":2,"id":1}' '{"query":0,"id":2}' >pairs.jsonl
scores retrieval square.npy pairs.jsonl
is "pairs of one's own" "r1=50 r5=100 r10=100 rank=2 reverse_r1=33.3333 reverse_r5=100 reverse_r10=100 reverse_rank=2" "$figures"
printf '%s\n' '{"query":"a","rank":1,"id":"b","score":0.9}' '{"query":"a","rank":2,"id":"a","score":0.5}' '{"query":"b","rank":1,"id":"b","score":0.7}' >found.jsonl
scores retrieval found.jsonl
is "lines of ego-match" "r1=50 r5=100 r10=100 rank=1.5" "$figures"
holds "$err" "1 queries list fewer than 2 targets"
printf '%s\n' '{"query":"a","id":"z"}' '{"query":"b","id":"b"}' '{"query":"c","id":"b"}' >right.jsonl
run 1 ego-score retrieval found.jsonl right.jsonl
holds "$err" "1 of 3 queries have no prediction (the first: c)"
scores --partial retrieval found.jsonl right.jsonl
is "one never found" "r1=50 r5=50 r10=50 rank=null" "$figures"

# ---- intervals and differences ---------------------------------------------------------------------------

jq -c '.results[].predicted_times |= [.[1], .[0]]' "$golden/nlq_predictions.json" >turned.json
run 0 ego-score nlq --ci --seed 3 --against turned.json "$golden/nlq_predictions.json" "$golden/nlq_ground_truth.json"
cp "$out" first
run 0 ego-score nlq --ci --seed 3 --against turned.json "$golden/nlq_predictions.json" "$golden/nlq_ground_truth.json"
same "the same seed" first "$out"
holds_json "the members" "$out" 'all(.[]; .low <= .value and .value <= .high and .difference_low <= .difference and .difference <= .difference_high and (.value - .other - .difference | fabs) < 1e-9)'
run 0 ego-score nlq --ci --against "$golden/nlq_predictions.json" "$golden/nlq_predictions.json" "$golden/nlq_ground_truth.json"
holds_json "nothing differs from itself" "$out" 'all(.[]; .difference == 0 and .difference_low == 0 and .difference_high == 0)'
run 0 ego-score nlq --ci --format table --against turned.json "$golden/nlq_predictions.json" "$golden/nlq_ground_truth.json"
is "the table's lines" 11 "$(wc -l <"$out" | tr -d ' ')"
holds "$out" "95 % interval"
run 0 ego-score --provenance --seed 1 mcq mcq.jsonl mcq.json
holds "$out" '"provenance":{"tool":"ego-score"'

# ---- wrong usage, and what it links ----------------------------------------------------------------------

run 2 ego-score
holds "$err" "a task expected (mcq, mir, charades, nlq, qa, qfvs, retrieval), found nothing"
run 2 ego-score summary a b
run 2 ego-score nlq a.json
holds "$err" "nlq: the truth is missing"
run 2 ego-score nlq a b c
run 3 ego-score nlq none.jsonl val.json
holds "$err" "none.jsonl"
: >nothing.jsonl
run 3 ego-score nlq nothing.jsonl val.json
holds "$err" "predictions expected, found nothing"
if command -v readelf >/dev/null; then
    readelf -d "$bin/ego-score" >links
    for library in libav libsw libopenblas libblas libcrypto libpng; do lacks links "[$library"; done
    holds links libcjson
else
    skip_part "readelf"
fi
finish
