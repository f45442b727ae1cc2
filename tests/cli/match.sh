#!/bin/sh
# ego-match: queries against targets, whatever holds them and however they arrive.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-match ego-model jq
tiny_model m.safetensors --rule golden
EGO_MODEL=$work/m.safetensors
export EGO_MODEL

n=0
for what in cup plate knife pan door tap 'blue cup' 'red plate' sponge towel kettle drawer; do
    n=$((n + 1))
    echo "{\"id\":\"t$n\",\"text\":\"C takes the $what\",\"shelf\":$n}"
done >targets.jsonl
printf '{"id":"q1","text":"C takes the blue cup"}\n{"id":"q2","text":"C takes the towel"}\n' >queries.jsonl
for set in targets queries; do
    ego-embed -q $set.jsonl -o $set.ego && ego-embed -q $set.jsonl --format npy -o m-$set.npy &&
        ego-embed -q $set.jsonl --format fvecs -o m-$set.fvecs || fail "ego-embed $set.jsonl"
done

# ---- what is found ----------------------------------------------------------------------------------

run 0 ego-match queries.ego targets.ego
cp "$out" answers
holds_json "members, order and ranks" answers 'length == 20 and map(.query) == [range(10)|"q1"] + [range(10)|"q2"]
    and map(.rank) == [range(1;11)] + [range(1;11)] and all(has("id") and has("score"))'
holds_json "the same words come first" answers '.[0].id == "t7" and .[0].score > 0.99999 and .[10].id == "t10" and .[10].score > 0.99999'
holds_json "scores fall" answers 'all(range(9) as $i | .[$i].score >= .[$i+1].score; .)'
# The dot product of unit vectors, in another program's arithmetic.
ego-embed -q --format jsonl targets.jsonl queries.jsonl |
    jq -s 'map(.embedding) as $e | [range(12) as $i | [range(96) as $d | $e[$i][$d] * $e[12][$d]] | add] | sort | reverse | .[0:10]' >dots
jq -s --slurpfile dots dots '[range(10) as $i | (.[$i].score - $dots[0][$i]) | fabs] | max < 1e-6' answers >"$out" 2>&1
is "scores are cosines" true "$(cat "$out")"
run 0 ego-match -k 3 queries.ego targets.ego
holds_json "-k 3" "$out" 'map(.rank) == [1,2,3,1,2,3]'
run 0 ego-match -k 1000 queries.ego targets.ego
holds_json "-k beyond the targets" "$out" 'length == 24'
run 0 ego-match --min-score 0.99999 queries.ego targets.ego
holds_json "--min-score" "$out" 'map(.id) == ["t7","t10"]'
run 0 ego-match -k 1 --query 'C takes the kettle' targets.ego
holds_json "--query" "$out" '.[0].query == "C takes the kettle" and .[0].id == "t11"'
run 0 ego-match -k 1 --provenance queries.ego targets.ego
holds_json "--provenance" "$out" 'all(.provenance | has("model"))'

# ---- however it is stored ---------------------------------------------------------------------------

for targets in m-targets.npy m-targets.fvecs; do
    run 0 ego-match queries.ego $targets
    same "targets from $targets" answers "$out"
done
run 0 ego-match m-queries.npy m-targets.fvecs
same "queries from .npy" answers "$out"
run 0 ego-match m-queries.fvecs m-targets.npy
same "queries from .fvecs" answers "$out"
cp m-targets.npy bare.npy
run 0 ego-match -k 1 queries.ego bare.npy
holds_json "a matrix without its .jsonl: ids are indices" "$out" 'map(.id) == [6,9]'
ego-embed -q targets.jsonl | ego-match -q queries.ego - >"$out" 2>"$err"
same "targets from a pipe" answers "$out"
cat queries.ego | ego-match - targets.ego >"$out" 2>"$err"
same "queries from a pipe" answers "$out"
head -n 6 targets.jsonl | ego-embed -q >half1
tail -n 6 targets.jsonl | ego-embed -q >half2
cat half1 half2 | ego-match queries.ego - >"$out" 2>"$err"
same "two streams, one behind the other" answers "$out"
for threads in 1 3; do
    run 0 ego-match -t $threads queries.ego targets.ego
    same "-t $threads" answers "$out"
done

# ---- what is cut, wrong or different ----------------------------------------------------------------

head -c 1400 targets.ego >cut.ego # two records and a part of the third
run 1 ego-match queries.ego cut.ego
holds "$err" cut.ego
holds "$err" 'record 3'
holds_json "what came before the cut" "$out" '[.[].id] | unique == ["t1","t2"]'
head -c 700 queries.ego >cut.ego
run 1 ego-match -k 2 cut.ego targets.ego
holds_json "the whole queries before the cut" "$out" 'map(.query) == ["q1","q1"]'
head -c 700 queries.ego | ego-match -k 2 - targets.ego >"$out" 2>"$err"
is "status of a cut pipe" 1 $?
holds_json "a cut pipe" "$out" 'map(.query) == ["q1","q1"]'

tiny_model other.safetensors --seed 9
ego-embed -q -m other.safetensors targets.jsonl -o other.ego
run 2 ego-match queries.ego other.ego
holds "$err" 'different models'
holds "$err" "$(headers queries.ego | head -n 1 | jq -r .model)"
run 0 ego-match --force -k 1 queries.ego other.ego
cat targets.ego other.ego >mixed.ego
run 2 ego-match queries.ego mixed.ego
run 2 ego-match --query cup other.ego
holds "$err" 'different models'
ego-embed -q --layer backbone targets.jsonl -o backbone.ego
run 2 ego-match queries.ego backbone.ego
holds "$err" 'cannot be compared'
ego-model init -q -o square.safetensors --set dim=64 --set heads=4 --set depth=2 --set fuse_layers=1 --set patch=16 --set image_size=32 \
    --set vocab=512 --set max_positions=40 --set 'projection=[64,64,64]' >/dev/null
ego-embed -q -m square.safetensors queries.jsonl -o square.ego
ego-embed -q -m square.safetensors --layer backbone targets.jsonl -o backbone.ego
run 2 ego-match square.ego backbone.ego
holds "$err" 'different layers: projected and backbone'

printf '{"id":"bad"}\n' | ego-embed -q >bad.ego
cat bad.ego queries.ego >some.ego
run 1 ego-match -k 1 some.ego targets.ego
holds_json "a query that had failed" "$out" 'length == 3 and .[0].id == "bad" and (.[0] | has("error")) and .[1].query == "q1"'
cat bad.ego targets.ego >some.ego
run 0 ego-match queries.ego some.ego
same "a target that had failed is left out" answers "$out"
holds "$err" 'left out'
run 3 ego-match queries.ego bad.ego
run 3 ego-match queries.ego missing.ego
holds "$err" missing.ego
run 3 ego-match queries.ego targets.jsonl
run 2 ego-match queries.ego
run 2 ego-match - -
run 2 ego-match -k 0 queries.ego targets.ego
: >nothing.ego
run 0 ego-match nothing.ego targets.ego
empty "no queries, no answers" "$out"
ego-match queries.ego targets.ego 2>"$err" | head -c 10 >/dev/null
lacks "$err" annot

# A query is answered while the next is still to come.
mkfifo pipe
ego-match -k 1 - targets.ego <pipe >first 2>"$err" &
pid=$!
exec 9>pipe
ego-embed -q queries.jsonl | head -c 640 >&9
tries=0
while [ ! -s first ] && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
holds_json "answered while the pipe is open" first 'map(.query) == ["q1"]'
kill -TERM $pid
wait $pid
is "status after TERM" 143 $?
exec 9>&-

# ---- films ------------------------------------------------------------------------------------------

# pictures_of FILM MODEL: search a film, look again, show what was found.
pictures_of() {
    run 0 ego-embed "$1" --window 4 --stride 2 -o film.ego
    ego-embed -q --text 'C washes a cup' | ego-match -k 3 - film.ego >"$out" 2>"$err"
    is "ego-embed --text | ego-match - film.ego" 0 $?
    cp "$out" piped
    run 0 ego-match -k 3 --query 'C washes a cup' film.ego
    holds_json "what a match carries" "$out" 'length > 0 and .[0].start < .[0].end and (.[0].id | contains("#t="))'
    is "--query finds what a query stream finds" "$(jq -c '[.id, .score]' piped)" "$(jq -c '[.id, .score]' "$out")"
    rm -rf sheet.png clips
    run 0 ego-match -k 2 --query 'C washes a cup' film.ego --rerank 3 --sheet sheet.png --clips clips
    holds_json "--rerank" "$out" 'length > 0 and all(.vtm >= 0 and .vtm <= 1 and .score == .vtm and has("dual")) and .[0].vtm >= .[-1].vtm'
    is "--sheet is a PNG" '211 P N G' "$(head -c 4 sheet.png | od -An -c | xargs)"
    is "a clip for each match" "$(wc -l <"$out")" "$(find clips -type f | wc -l)"
    find clips -type f | while read -r clip; do
        ego-embed -q --format jsonl "$clip" 2>&1 | grep -q '"embedding"' || echo "$clip"
    done >unread
    empty "clips that cannot be read again" unread
}
if small_video film.mp4; then
    pictures_of film.mp4
    rm film.mp4
    run 1 ego-match -k 1 --query cup film.ego --sheet sheet.png
    holds "$err" 'cannot be shown'
else
    skip_part "films: neither ffmpeg nor ego-synth"
fi
if [ -r "$real_clip" ]; then pictures_of "$real_clip"; else skip_part "the real clip: no $real_clip"; fi
finish
