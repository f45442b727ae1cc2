#!/bin/sh
# ego-mcq: EgoMCQ's own file and records with choices.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-mcq ego-model jq
tiny_model m.safetensors --rule golden
EGO_MODEL=$work/m.safetensors
export EGO_MODEL
mkdir -p videos/u1
small_video videos/u1/0.mp4 || skip "neither ffmpeg nor ego-synth to make a video"
cp videos/u1/0.mp4 videos/u2.mp4

# ---- EgoMCQ's own file ------------------------------------------------------------------------------

cat >egomcq.json <<'END'
{"12":{"answer":1,"types":2,"query":{"video_uid":"u1","clip_start":2,"clip_end":3,"clip_text":"#C C lifts a cup","tag_verb":"[93]","tag_noun":"[192, 3]"},
  "choices":{"0":{"video_uid":"u1","clip_start":0.5,"clip_end":1.5,"clip_text":"x"},"1":{"video_uid":"u1","clip_start":2,"clip_end":3,"clip_text":"#C C lifts a cup"},
             "2":{"video_uid":"u1","clip_start":5,"clip_end":6,"clip_text":"y"}}},
 "3":{"answer":0,"types":1,"query":{"clip_text":"#C C opens the bo\u00eete"},
  "choices":{"0":{"video_uid":"u2","clip_start":1,"clip_end":2},"1":{"video_uid":"u1","clip_start":4,"clip_end":6}}},
 "8":{"answer":1,"types":1,"query":{"clip_text":"#C C waits"},
  "choices":{"0":{"video_uid":"missing","clip_start":1,"clip_end":2},"1":{"video_uid":"u1","clip_start":4,"clip_end":6}}}}
END
run 1 ego-mcq --video-root videos egomcq.json
cp "$out" answers
cp "$err" notes
holds_json "questions in the file's order" answers 'map(.id) == ["12","3","8"]'
holds_json "members" answers '.[0].type == "intra" and .[0].truth == 1 and .[1].type == "inter" and .[1].truth == 0
    and (.[0].dual | length == 3) and (.[1].fused | length == 2) and (.[0].predicted | keys == ["dual","ensemble","fused"])'
sums() { holds_json "$1" "$2" '.[0] as $a | [range(3) as $k | ($a.dual[$k] + '"$3"' * $a.fused[$k] - $a.ensemble[$k]) | fabs] | max < 1e-6'; }
sums "the ensemble is the sum" answers 1
holds_json "predicted is the first of the largest" answers '.[0:2] | all(. as $a | ["dual","fused","ensemble"] | all(. as $m | $a.predicted[$m] == ($a[$m] | index(max))))'
holds_json "a missing video fails its question alone" answers '.[2] | has("error") and (.error | contains("missing")) and (has("dual") | not)'
run 1 ego-mcq --set ensemble=0.25 --video-root videos egomcq.json
sums "the probability counts a quarter" "$out" 0.25
ego-model convert -q --set ensemble=0.25 "$EGO_MODEL" -o quarter.safetensors >info
holds info '"ensemble":0.25'
cp "$out" quarter
run 1 ego-mcq -m quarter.safetensors --video-root videos egomcq.json
same "the file says so itself" quarter "$out"
run 2 ego-mcq --set ensemble=-1 --video-root videos egomcq.json
holds "$err" 'model.ensemble: expected 0 to 1000, found -1'
for mode in dual fused ensemble; do
    for type in inter intra; do
        right=$(jq -s --arg m $mode --arg t $type 'map(select(.type == $t and .predicted[$m] == .truth)) | length' answers)
        grep -Eq "$type $mode +$((100 * right))\.0 % +\($right of 1\)" notes || fail "accuracy on stderr" "expected $type $mode … ($right of 1)" "$(cat notes)"
    done
done
lacks answers '%'

# The scores are those of ego-embed: the cosine, and the fused encoder's probability.
jq -c '.["12"] | .query.clip_text as $t | .choices[] | {text: $t, video: .video_uid, start: .clip_start, "end": .clip_end}' egomcq.json >pairs.jsonl
run 0 ego-embed --fused --format jsonl --video-root videos pairs.jsonl
jq -s 'map(select(.part == "video").embedding) as $v | (map(select(.part == "text"))[0].embedding) as $t
    | {dual: [range(3) as $k | [range(96) as $d | $v[$k][$d] * $t[$d]] | add], fused: map(select(.part == "fused").vtm)}' "$out" >expected
jq -s '.[0] as $e | .[1] | [range(3) as $k | ($e.dual[$k] - .dual[$k], $e.fused[$k] - .fused[$k]) | fabs] | max < 1e-5' expected answers >same
is "the scores of ego-embed" true "$(cat same)"

# ---- ways to ask ------------------------------------------------------------------------------------

run 1 ego-mcq --mode dual --video-root videos egomcq.json
holds_json "--mode dual" "$out" '.[0] | (.predicted | keys == ["dual"]) and has("dual") and (has("fused") or has("ensemble") | not)'
is "dual scores of either mode" "$(jq -c .dual answers)" "$(jq -c .dual "$out")"
run 1 ego-mcq --mode fused --video-root videos egomcq.json
is "fused scores of either mode" "$(jq -c .fused answers)" "$(jq -c .fused "$out")"
lacks "$err" ' dual '
run 1 ego-mcq --frame-order reversed --video-root videos egomcq.json
holds_json "reversed frames change the scores" "$out" 'length == 3 and (.[0].dual | length == 3)'
lacks "$out" "$(jq -c .dual answers | head -n 1 | tr -d '[]')"
run 1 ego-mcq --frame-order shuffled --seed 1 --video-root videos egomcq.json
cp "$out" shuffled
run 1 ego-mcq --frame-order shuffled --seed 1 --threads 1 --video-root videos egomcq.json
is "shuffled frames are the seed's" "$(cat shuffled)" "$(cat "$out")"
run 1 ego-mcq --frame-order shuffled --seed 2 --video-root videos egomcq.json
if cmp -s shuffled "$out"; then fail "another seed, another order" "different scores" "$(cat "$out")"; fi
run 1 ego-mcq --sampling reference --frames 4 --video-root videos egomcq.json
holds_json "--sampling reference" "$out" 'length == 3 and (.[0].dual | length == 3)'

cat >records.jsonl <<'END'
{"id":"r","text":"#C C lifts a cup","choices":[{"video":"u1","start":0.5,"end":1.5},{"video":"u1","start":2,"end":3},{"video":"u1","start":5,"end":6}],"answer":1,"type":"intra","mine":[1.0]}
{"text":"anything","choices":[{"video":"u1"},{"video":"u2"}]}
{"id":"one","text":"x","choices":[{"video":"u1"}]}
{"id":"none","choices":[{"video":"u1"},{"video":"u2"}]}
{"id":"times","text":"x","choices":[{"video":"u1","start":2,"end":1},{"video":"u2"}]}
{"id":"answer","text":"x","choices":[{"video":"u1"},{"video":"u2"}],"answer":2}
{"id":"type","text":"x","choices":[{"video":"u1"},{"video":"u2"}],"type":"outer"}
{"id":"collides","text":"x","choices":[{"video":"u1"},{"video":"u2"}],"dual":[]}
broken
END
run 1 ego-mcq --video-root videos records.jsonl
is "every record in its place" "r 2 one none times answer type collides 9" "$(jq -r .id "$out" | xargs)"
is "those that failed" "false false true true true true true true true" "$(jq 'has("error")' "$out" | xargs)"
holds "$out" '"mine":[1.0]'
is "records and benchmark agree" "$(jq -c 'select(.id == "12") | [.dual,.fused,.ensemble,.predicted,.truth,.type]' answers)" \
    "$(jq -c 'select(.id == "r") | [.dual,.fused,.ensemble,.predicted,.truth,.type]' "$out")"
ego-mcq --video-root videos <records.jsonl >piped 2>"$err"
same "records from stdin" "$out" piped

run 0 ego-mcq --dry-run egomcq.json
is "--dry-run" '{"questions":3,"choices":7,"unreadable":0}' "$(cat "$out")"
run 0 ego-mcq --dry-run records.jsonl
holds_json "--dry-run of records" "$out" '.[0].questions == 9'

# ---- the same bytes ---------------------------------------------------------------------------------

for how in '-t 1' '-t 3' '--batch 1' '--batch 7'; do
    # shellcheck disable=SC2086
    run 1 ego-mcq $how --video-root videos egomcq.json
    same "$how" answers "$out"
done
for i in 0 1 2; do ego-mcq -q --shard $i/3 --video-root videos egomcq.json 2>"$err"; done | jq -c --slurp 'sort_by(.id | tonumber)[]' >"$out"
jq -c --slurp 'sort_by(.id | tonumber)[]' answers >piped
same "three shards" piped "$out"

# ---- faults -----------------------------------------------------------------------------------------

run 3 ego-mcq no.json
holds "$err" no.json
echo '[1' >bad.json
run 3 ego-mcq bad.json
holds "$err" bad.json
run 2 ego-mcq film.mp4
run 2 ego-mcq --mode both egomcq.json
ego-model init -q -o none.safetensors --set dim=64 --set heads=4 --set depth=2 --set fusion=none --set fuse_layers=0 --set patch=16 --set image_size=32 \
    --set vocab=512 --set max_positions=40 --set 'projection=[96,96,96]' >"$out" 2>"$err" || fail "ego-model init --set fusion=none" "$(cat "$err")"
run 3 ego-mcq -m none.safetensors --video-root videos egomcq.json
holds "$err" none.safetensors
run 1 ego-mcq -m none.safetensors --mode dual --video-root videos egomcq.json
holds_json "dual scores of a model that cannot fuse" "$out" '.[0].dual | length == 3'

# ---- a synthetic benchmark --------------------------------------------------------------------------

if [ -x "$bin/ego-synth" ]; then
    run 0 ego-synth world --videos 1 --minutes 0.5 --questions 6 --no-qa-videos --split test
    run 0 ego-mcq --video-root world/videos world/egomcq.json
    holds_json "the synthetic benchmark" "$out" 'length >= 4 and all((.dual | length == 5) and .type)'
else
    skip_part "the synthetic benchmark: no ego-synth"
fi
finish
