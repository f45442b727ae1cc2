#!/bin/sh
# ego-nlq: media and records, Ego4D's own file and the challenge's; zero-shot and with a head; the store; pictures;
# interrupted and resumed.
# tests/unit/data/nlq-head.safetensors is a VSLNet 16 wide for features 64 wide, drawn from seed 7, 16-bit.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-nlq ego-model jq
tiny_model m.safetensors --rule golden
EGO_MODEL=$work/m.safetensors
export EGO_MODEL
head=$repo/tests/unit/data/nlq-head.safetensors
mkdir videos
small_video videos/v1.mp4 || skip "neither ffmpeg nor ego-synth to make a video"
cp videos/v1.mp4 videos/c9.mp4

# ---- media and words --------------------------------------------------------------------------------

run 0 ego-nlq --query 'C opens it' --query 'C waits' videos/v1.mp4 videos/c9.mp4
cp "$out" answers
holds_json "a line for each query of each video" answers 'map([.id, .video, .text]) == [[1,"videos/v1.mp4","C opens it"],[2,"videos/v1.mp4","C waits"],
    [3,"videos/c9.mp4","C opens it"],[4,"videos/c9.mp4","C waits"]]'
holds_json "members" answers 'all(keys_unsorted == ["id","predicted_times","scores","video","text"])'
holds_json "spans with scores, best first" answers 'all(.[]; (.predicted_times | length) == (.scores | length) and (.scores | length) >= 1
    and (.scores | length) <= 5 and (.scores == (.scores | sort | reverse)) and (.predicted_times | all(.[0] >= 0 and .[0] < .[1] and .[1] <= 8)))'
holds_json "spans that remain overlap by no more than 0.3" answers '[.[] | .predicted_times as $t | range($t | length) as $a | range($a) as $b
    | ([$t[$a][1], $t[$b][1]] | min) - ([$t[$a][0], $t[$b][0]] | max) | if . < 0 then 0 else . end
    | . / (([$t[$a][1], $t[$b][1]] | max) - ([$t[$a][0], $t[$b][0]] | min))] | length == 0 or max <= 0.3001'
is "the same video, the same answer" "$(jq -c '[.predicted_times, .scores]' answers | sed -n 1p)" "$(jq -c '[.predicted_times, .scores]' answers | sed -n 3p)"

run 0 ego-nlq -k 1 --query 'C waits' videos/v1.mp4
is "-k 1" "$(jq -c '[.predicted_times[0], .scores[0]]' answers | sed -n 2p)" "$(jq -c '[.predicted_times[0], .scores[0]]' "$out")"
run 0 ego-nlq -k 1000 --overlap 1 --windows 2 --query 'C waits' videos/v1.mp4
holds_json "--windows: one length" "$out" '.[0].predicted_times | length > 3 and (map(.[1] - .[0]) | (max - min) < 1e-5 and (.[0] - 2 | fabs) < 0.3)'

# A score is ego-embed's cosine where a window is one clip: the whole of what is asked about.
echo '{"id":"x","video":"v1.mp4","start":1,"end":1.5,"text":"C waits","mine":[1.0]}' >one.jsonl
run 0 ego-nlq --video-root videos one.jsonl
cp "$out" one
holds_json "one clip" one '.[0].predicted_times == [[1,1.5]]'
holds one '"mine":[1.0]'
run 0 ego-embed --format jsonl --fused --video-root videos one.jsonl
jq -s '(map(select(.part == "video").embedding)[0]) as $v | (map(select(.part == "text").embedding)[0]) as $t
    | {dual: ([range(96) as $d | $v[$d] * $t[$d]] | add), fused: (map(select(.part == "fused").vtm)[0])}' "$out" >expected
is "the cosine of ego-embed" true "$(jq -s '(.[0].dual - .[1].scores[0] | fabs) < 1e-5' expected one)"
run 0 ego-nlq --mode fused --video-root videos one.jsonl
is "the probability of ego-embed" true "$(jq -s '(.[0].fused - .[1].scores[0] | fabs) < 1e-5' expected "$out")"
run 0 ego-nlq --mode ensemble --set ensemble=0.5 --video-root videos one.jsonl
is "their sum" true "$(jq -s '(.[0].fused / 2 + .[0].dual - .[1].scores[0] | fabs) < 1e-5' expected "$out")"

# ---- records ----------------------------------------------------------------------------------------

cat >records.jsonl <<'END'
{"id":"a","video":"v1.mp4","text":"C opens it"}
{"id":"b","video":"v1.mp4","text":"C waits"}
{"id":"gone","video":"gone.mp4","text":"C waits"}
{"id":"c","video":"v1","start":2,"end":6.5,"text":"C waits"}
{"id":"late","video":"v1.mp4","start":20,"end":30,"text":"C waits"}
{"id":"silent","video":"v1.mp4"}
{"id":"blind","text":"C waits"}
{"id":"taken","video":"v1.mp4","text":"C waits","scores":[]}
broken
{"video":"v1.mp4","text":"C opens it"}
END
run 1 ego-nlq --video-root videos records.jsonl
cp "$out" lines
is "every record in its place" "a b gone c late silent blind taken 9 10" "$(jq -r .id lines | xargs)"
is "those that failed" "false false true false true true true true true false" "$(jq 'has("error")' lines | xargs)"
holds "$err" 'gone.mp4'
holds "$err" 'records.jsonl:3'
is "records and media agree" "$(jq -c '[.predicted_times, .scores]' answers | head -n 2)" "$(jq -c '[.predicted_times, .scores]' lines | head -n 2)"
holds_json "a part's spans are seconds of the video" lines '.[3] | .start == 2 and (.predicted_times | all(.[0] >= 2 and .[1] <= 6.5))'
ego-nlq --video-root videos <records.jsonl >piped 2>"$err"
same "records from stdin" lines piped
run 1 ego-nlq --video-root videos -o file.jsonl records.jsonl
empty "stdout with -o" "$out"
same "-o" lines file.jsonl
run 0 ego-nlq --dry-run --video-root videos one.jsonl
is "--dry-run" '{"queries":1,"without_text":0,"unreadable":0,"videos":1,"clips":1}' "$(cat "$out")"
run 0 ego-nlq --dry-run --query a --query b videos/v1.mp4
is "--dry-run of media" '{"queries":2,"without_text":0,"unreadable":0,"videos":1,"clips":15}' "$(cat "$out")"

# ---- Ego4D's own file -------------------------------------------------------------------------------

# Of the published shape: members that nobody reads, several annotators, a query without text, clips without queries,
# annotations without any, and a clip (c9) of which only the cut file is here.
cat >nlq_val.json <<'END'
{"version": "1", "date": "220216", "description": "NLQ Annotations (val)", "manifest": "s3://ego4d/manifest.csv", "split": "val",
 "videos": [
  {"video_uid": "v1", "split": "val", "clips": [
   {"clip_uid": "c1", "video_start_sec": 0.0210286, "video_end_sec": 6.0210286, "video_start_frame": 0, "video_end_frame": 180,
    "clip_start_sec": 0, "clip_end_sec": 6.0, "clip_start_frame": 0, "clip_end_frame": 180, "source_clip_uid": "c1",
    "annotations": [
     {"language_queries": [
       {"clip_start_sec": 0.0, "clip_end_sec": 2.5, "video_start_sec": 0.02, "video_end_sec": 2.52, "video_start_frame": 0, "video_end_frame": 75,
        "template": "Objects: Where is object X before / after event Y?", "query": "Where was the cup before I took it?", "slot_x": "cup",
        "verb_x": "[verb_not_applicable]", "slot_y": "I took it", "verb_y": "take", "raw_tags": ["a", "b"]},
       {"clip_start_sec": 3.0, "clip_end_sec": 3.0, "query": "How many cups did I see?", "template": null, "slot_x": null},
       {"clip_start_sec": 4.0, "clip_end_sec": 5.0, "query": null}],
      "annotation_uid": "a1"},
     {"language_queries": [{"clip_start_sec": 1.0, "clip_end_sec": 1.5, "query": "Did I wash it?"}], "annotation_uid": "a2"},
     {"language_queries": [], "annotation_uid": "a3"}]},
   {"clip_uid": "c2", "video_start_sec": 2, "video_end_sec": 8, "annotations": []}]},
  {"video_uid": "long", "clips": [
   {"clip_uid": "c9", "video_start_sec": 100.5, "video_end_sec": 107.5, "annotations": [
     {"annotation_uid": "a4", "language_queries": [{"query": "Where is X?", "clip_start_sec": 1, "clip_end_sec": 2}]}]}]},
  {"video_uid": "none", "clips": [
   {"clip_uid": "c10", "video_start_sec": 0, "video_end_sec": 7, "annotations": [
     {"annotation_uid": "a5", "language_queries": [{"query": "Where is Y?"}]}]}]}]}
END
run 1 ego-nlq --video-root videos nlq_val.json
cp "$out" benchmark
is "the file's order" "a1/0 a1/1 a2/0 a4/0 a5/0" "$(jq -r .id benchmark | xargs)"
holds_json "members" benchmark '.[0] | keys_unsorted == ["id","clip_uid","annotation_uid","query_idx","predicted_times","scores","video","start","end","text"]
    and .clip_uid == "c1" and .annotation_uid == "a1" and .query_idx == 0 and .video == "v1"'
holds_json "times are seconds of the clip" benchmark '.[0:4] | all(.predicted_times | all(.[0] >= 0 and .[1] <= 7.01))'
holds_json "a clip that was cut out stands for its video" benchmark '.[3] | .video == "c9" and .start == 0 and .end == 7 and (has("error") | not)'
holds_json "a video that is missing fails its queries alone" benchmark '.[4] | has("error") and .annotation_uid == "a5"'
is "one message, of what is missing" 1 "$(grep -c 'nlq_val.json' "$err")"
run 1 ego-nlq --video-root videos --annotations nlq_val.json
same "--annotations" benchmark "$out"
echo '{"video":"v1","start":0.0210286,"end":6.0210286,"text":"Did I wash it?"}' >same.json
run 0 ego-nlq --video-root videos same.json
is "a record's times are the video's" true "$(jq -s '.[2] as $b | .[-1] as $r | [range($b.scores | length) as $i | ($b.scores[$i] - $r.scores[$i]),
    ($b.predicted_times[$i][0] + 0.0210286 - $r.predicted_times[$i][0])] | map(fabs) | max < 1e-5' benchmark "$out")"

run 1 ego-nlq --format ego4d --video-root videos -o sent.json nlq_val.json
is "the challenge's file" true "$(jq '.version == "1.0" and .challenge == "ego4d_nlq_challenge" and (.results | length == 4)
    and (.results | all(keys_unsorted == ["clip_uid","annotation_uid","query_idx","predicted_times"]))' sent.json)"
is "its answers are those of the lines" "$(jq -c 'select(.predicted_times) | .predicted_times' benchmark)" "$(jq -c '.results[].predicted_times' sent.json)"
run 1 ego-nlq --format ego4d --video-root videos nlq_val.json
same "the challenge's file on stdout" sent.json "$out"
run 0 ego-nlq --dry-run --video-root videos nlq_val.json
is "--dry-run" '{"queries":5,"without_text":1,"unreadable":1,"videos":3,"clips":24}' "$(cat "$out")"
run 1 ego-nlq --sampling reference --video-root videos nlq_val.json
holds_json "--sampling reference" "$out" '.[0:4] | all(.predicted_times | length > 0)'
[ ! -x "$bin/ego-score" ] || {
    jq 'del(.videos[2])' nlq_val.json >truth.json
    run 0 ego-score nlq sent.json truth.json
    run 0 ego-score nlq benchmark truth.json
}

# ---- a head -----------------------------------------------------------------------------------------

run 1 ego-nlq --head "$head" --video-root videos nlq_val.json
cp "$out" by_head
holds "$err" 'random'
holds_json "a head's spans" by_head '.[0:4] | all((.predicted_times | length == 5) and (.scores == (.scores | sort | reverse)) and (.scores | all(. > 0 and . < 1)))'
run 1 ego-nlq --head "$head" --overlap 0.3 --video-root videos nlq_val.json
is "--overlap keeps the best" "$(jq -c 'select(.scores) | [.predicted_times[0], .scores[0]]' by_head)" "$(jq -c 'select(.scores) | [.predicted_times[0], .scores[0]]' "$out")"
run 1 ego-nlq --head "$head" --fast --video-root videos nlq_val.json
holds "$err" 'trained on fused features: --fast gives it others'
holds_json "--fast" "$out" '.[0:4] | all(.predicted_times | length == 5)'
lacks "$out" "$(jq -c '.scores' by_head | head -n 1)"
run 3 ego-nlq --head m.safetensors --video-root videos nlq_val.json
ego-model init -q -o wide.safetensors --set dim=32 --set heads=4 --set depth=2 --set fuse_layers=1 --set patch=16 --set image_size=32 \
    --set vocab=512 --set max_positions=40 --set 'projection=[96,96,96]' >"$out" 2>"$err" || fail "ego-model init" "$(cat "$err")"
run 2 ego-nlq -m wide.safetensors --head "$head" --video-root videos nlq_val.json
holds "$err" "expects features 64 and 64 wide, those of the model are 32 wide"
run 2 ego-nlq --head "$repo/tests/golden/heads/qfvs.pth" --video-root videos nlq_val.json
holds "$err" 'expected a head of kind'

# ---- features on disk -------------------------------------------------------------------------------

for how in "--head $head" "--head $head --fast" '--mode ensemble'; do
    # shellcheck disable=SC2086
    run 1 ego-nlq $how --video-root videos nlq_val.json
    cp "$out" without
    # shellcheck disable=SC2086
    run 1 ego-nlq $how --features store --video-root videos nlq_val.json
    same "$how with a store" without "$out"
    mv videos videos.away
    mkdir videos
    # shellcheck disable=SC2086
    run 1 ego-nlq -v $how --features store --video-root videos nlq_val.json
    jq -c 'del(.video, .start, .end)' "$out" >got
    jq -c 'del(.video, .start, .end)' without >want
    is "$how from the store, without the videos" "$(sed -n 1,3p want)" "$(sed -n 1,3p got)"
    holds "$err" ' 0 videos decoded'
    rmdir videos
    mv videos.away videos
done
is "a store's folders" "dual fused match projected sentence words" "$(cd store && echo * )"

# ---- a picture --------------------------------------------------------------------------------------

run 1 ego-nlq --timeline t.png --video-root videos nlq_val.json
is "--timeline is a PNG" "$(printf '\211PNG')" "$(head -c 4 t.png)"
same "and the answers are as without" benchmark "$out"
run 3 ego-nlq --timeline no/such/t.png --query x videos/v1.mp4
holds "$err" 'no/such/t.png'

# ---- the same bytes ---------------------------------------------------------------------------------

for how in '-t 1' '-t 3' '--batch 1' '--batch 7'; do
    # shellcheck disable=SC2086
    run 1 ego-nlq $how --video-root videos nlq_val.json
    same "$how" benchmark "$out"
    # shellcheck disable=SC2086
    run 1 ego-nlq $how --head "$head" --video-root videos nlq_val.json
    same "$how, with a head" by_head "$out"
done
for i in 0 1 2; do ego-nlq -q --shard $i/3 --video-root videos nlq_val.json 2>"$err"; done | jq -c --slurp 'sort_by(.id)[]' >got
jq -c --slurp 'sort_by(.id)[]' benchmark >want
same "three shards" want got
shuf_in() { sed -n 2p records.jsonl; sed -n 4p records.jsonl; sed -n 1p records.jsonl; }
shuf_in | ego-nlq -q --video-root videos 2>"$err" >got
is "whatever the order" "$(jq -c .scores lines | sed -n '2p;4p')" "$(jq -c .scores got | sed -n 1,2p)"

# ---- interrupted and resumed ------------------------------------------------------------------------

# Two questions each about four videos, two that are missing, and two again; and a line that is no record.
for i in 1 2 3 gone 4 1 lost 2; do
    ln -f videos/v1.mp4 "videos/r$i.mp4"
    for text in 'C waits' 'C opens it'; do echo "{\"video\":\"r$i.mp4\",\"text\":\"$text\",\"mine\":[1.0]}"; done
done | sed '6s/.*/broken/' >run.jsonl
rm videos/rgone.mp4 videos/rlost.mp4
run 1 ego-nlq --video-root videos -o whole run.jsonl
absent whole.part whole.part.json
mkfifo pipe

# begin LINES: a run that has answered so many, and waits for more; end SIGNAL.
begin() {
    rm -f cut cut.part cut.part.json
    ego-nlq --video-root videos -o cut <pipe 2>"$err" &
    pid=$!
    exec 9>pipe
    head -n "$1" run.jsonl >&9
    tries=0
    until [ -e cut.part.json ] && [ "$(wc -l <cut.part)" -ge "$1" ] || [ $tries -ge 400 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
}
end() {
    kill -"$1" $pid
    wait $pid 2>/dev/null
    status=$?
    exec 9>&-
    absent cut
}

for lines in 1 5 7 16; do
    begin $lines
    if [ $lines -eq 1 ]; then
        run 3 ego-nlq --video-root videos -o cut run.jsonl
        holds "$err" 'cut.part: another run is writing it'
    fi
    end KILL
    done=$lines
    if [ $lines -eq 7 ]; then # in the middle of a line
        head -c $(($(wc -c <cut.part) - 30)) cut.part >short && cat short >cut.part
        done=6
    fi
    run 1 ego-nlq --video-root videos -o cut --resume run.jsonl
    same "resumed after KILL at line $lines" whole cut
    holds "$err" "cut: $done questions are done already"
    absent cut.part cut.part.json
done
run 0 ego-nlq -o alone.jsonl --resume --video-root videos one.jsonl
same "--resume of nothing" one alone.jsonl

begin 3
end TERM
is "status after TERM" 143 $status
is "what TERM leaves" 3 "$(wc -l <cut.part)"
cp cut.part left
ego-model init -q -o another.safetensors --seed 9 --set dim=64 --set heads=4 --set depth=2 --set fuse_layers=1 --set patch=16 --set image_size=32 \
    --set vocab=512 --set max_positions=40 --set 'projection=[96,96,96]' >"$out" 2>"$err" || fail "ego-model init --seed" "$(cat "$err")"
for how in '-m another.safetensors' '-k 4' '--windows 1,2' '--mode fused' "--head $head" '--overlap 0.5' '--sampling reference' '--shard 0/2' --provenance; do
    # shellcheck disable=SC2086
    run 2 ego-nlq $how --video-root videos -o cut --resume run.jsonl
    holds "$err" 'cut.part was begun with another model or other options'
done
# refused EDIT MESSAGE: the lines with a sed script's changes are other questions.
refused() {
    sed "$1" run.jsonl >other.jsonl
    run 2 ego-nlq --video-root videos -o cut --resume other.jsonl
    holds "$err" "$2"
}
refused '2s/opens/shuts/' "cut.part was begun with other questions: line 2: expected question 2 to be 'C shuts it', found another text"
refused '2s/"text"/"end":4,"text"/' 'line 2: expected question 2 about r1.mp4, found it about another part of a video'
refused '2s/{/{"id":"b",/' 'line 2: expected the answer to question "b", found another'
refused '2s/.*/{"text":"nowhere"}/' 'line 2: expected no answer to question 2'
refused '3,$d' 'holds 3 lines, and there are but 2 records'
same "what is refused stays" left cut.part
run 1 ego-nlq -q --batch 1 -t 2 --features store2 --video-root videos -o cut --resume run.jsonl
same "resumed with another batch, more threads and a store" whole cut

# Ego4D's own file, cut off in its second line.
begin 0
end KILL
run 1 ego-nlq --video-root videos -o whole nlq_val.json
head -c $(($(head -n 1 whole | wc -c) + 40)) whole >cut.part
run 1 ego-nlq --video-root videos -o cut --resume nlq_val.json
same "Ego4D's file, resumed" whole cut
holds "$err" 'cut: 1 questions are done already'

run 2 ego-nlq --resume run.jsonl
holds "$err" 'give -o FILE'
run 2 ego-nlq --resume --format ego4d -o cut nlq_val.json
holds "$err" 'without --format ego4d'
run 2 ego-nlq --resume --timeline t.png -o cut run.jsonl
holds "$err" 'leave out --timeline'

# ---- faults -----------------------------------------------------------------------------------------

run 3 ego-nlq no.json
holds "$err" no.json
head -c 900 nlq_val.json >cut.json
run 3 ego-nlq cut.json
holds "$err" cut.json
echo '{"videos":[{"video_uid":"v1","clips":[{"clip_uid":"c1","video_start_sec":"0","video_end_sec":1,"annotations":[]}]}]}' >typed.json
run 3 ego-nlq typed.json
holds "$err" "clip 'c1'"
run 2 ego-nlq film.mp4
holds "$err" '--query'
run 2 ego-nlq --query x
run 2 ego-nlq --query x records.jsonl film.mp4
run 2 ego-nlq --mode both records.jsonl
for windows in 0 -1 1,,2 1, a ,1 ''; do run 2 ego-nlq "--windows=$windows" records.jsonl; done
run 2 ego-nlq --head "$head" --windows 1,2 records.jsonl
run 2 ego-nlq --format ego4d one.jsonl
run 3 ego-nlq -o no/such/file --video-root videos one.jsonl
ego-model init -q -o none.safetensors --set dim=64 --set heads=4 --set depth=2 --set fusion=none --set fuse_layers=0 --set patch=16 --set image_size=32 \
    --set vocab=512 --set max_positions=40 --set 'projection=[96,96,96]' >"$out" 2>"$err" || fail "ego-model init --set fusion=none" "$(cat "$err")"
run 0 ego-nlq -m none.safetensors --video-root videos one.jsonl
run 3 ego-nlq -m none.safetensors --mode fused --video-root videos one.jsonl
run 3 ego-nlq -m none.safetensors --head "$head" --video-root videos one.jsonl
run 0 ego-nlq -m none.safetensors --head "$head" --fast --video-root videos one.jsonl

# ---- a synthetic world ------------------------------------------------------------------------------

if [ -x "$bin/ego-synth" ]; then
    run 0 ego-synth -q world --videos 1 --minutes 0.5 --no-qa-videos --split test
    run 0 ego-nlq --video-root world/videos world/nlq_val.json
    holds_json "the synthetic benchmark" "$out" 'length >= 1 and all(.predicted_times | length == 5)'
else
    skip_part "the synthetic benchmark: no ego-synth"
fi
finish
