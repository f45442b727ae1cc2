#!/bin/sh
# Another image size than the model's own, by interpolated positions: said, converted, computed with.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-match ego-mcq ego-model jq
tiny_model m.safetensors --rule golden
EGO_MODEL=$work/m.safetensors
export EGO_MODEL
small_video kitchen.mp4 || skip "neither ffmpeg nor ego-synth to make a video"
large='model.image_size=336'

run 0 ego-model info --set $large m.safetensors
holds_json "info" "$out" '.[0] | .config.image_size == 336 and .interpolated_from == 32 and .video_tokens == 1 + 4 * 21 * 21'
run 0 ego-model info m.safetensors
holds_json "info at its own size" "$out" '.[0] | .config.image_size == 32 and (has("interpolated_from") | not)'
run 2 ego-model info --set image_size=100 m.safetensors
holds "$err" 'does not divide by patch'

run 0 ego-model convert --set $large -o large.safetensors m.safetensors
holds_json "convert" "$out" '.[0] | .config.image_size == 336 and (has("interpolated_from") | not) and .video_tokens == 1765'
run 1 ego-model diff m.safetensors large.safetensors
is "all that is other" 'video_model.pos_embed F32 [1, 5, 64] F32 [1, 442, 64]' "$(jq -r '[.tensor,.a,.b]|join(" ")' "$out")"
run 0 ego-model verify large.safetensors
run 0 ego-model convert --set model.image_size=32 -o same.safetensors m.safetensors
same "converted to its own size" m.safetensors same.safetensors
run 0 ego-model convert --store f16 --set $large -o half.safetensors m.safetensors
run 0 ego-model convert --store f16 -o small_half.safetensors m.safetensors
run 0 ego-model convert --set $large -o half_again.safetensors small_half.safetensors
run 1 ego-model diff half.safetensors half_again.safetensors
is "16 bits stay 16 bits" 'video_model.pos_embed F16 [1, 442, 64] F16 [1, 442, 64]' "$(jq -r '[.tensor,.a,.b]|join(" ")' "$out")"
run 0 ego-model convert --pack --set $large -o packed.safetensors m.safetensors
run 0 ego-model diff large.safetensors packed.safetensors

embed='{"id":"a","video":"kitchen.mp4","start":1,"end":3,"text":"#C C lifts a cup"}'
echo "$embed" | ego-embed -q --fused --format jsonl --set $large >asked 2>"$err"
echo "$embed" | ego-embed -q --fused --format jsonl -m large.safetensors >written 2>"$err"
echo "$embed" | ego-embed -q --fused --format jsonl -m packed.safetensors >packed 2>"$err"
echo "$embed" | ego-embed -q --fused --format jsonl >own 2>"$err"
jq -c 'del(.model)' asked >a
jq -c 'del(.model)' written >b
jq -c 'del(.model)' packed >c
jq -c 'del(.model)' own >d
same "asked for and written" a b
same "packed" a c
cmp -s a d && fail "another size" "other embeddings" "the same"
is "the text is the same" "$(jq -c 'select(.part == "text").embedding' a)" "$(jq -c 'select(.part == "text").embedding' d)"
run 0 ego-embed --layer pixels --set $large -o pixels.ego kitchen.mp4
holds pixels.ego '"shape":[4,3,336,336]'
run 0 ego-embed --set image_size=32 --fused --format jsonl -o own.jsonl kitchen.mp4
run 0 ego-embed --fused --format jsonl -o plain.jsonl kitchen.mp4
same "asked for its own size" own.jsonl plain.jsonl

cat >questions.jsonl <<'END'
{"id":"q","text":"#C C lifts a cup","choices":[{"video":"kitchen.mp4","start":0,"end":3},{"video":"kitchen.mp4","start":4,"end":7}],"answer":1,"type":"inter"}
END
run 0 ego-mcq --set $large questions.jsonl
cp "$out" asked
run 0 ego-mcq -m large.safetensors questions.jsonl
same "ego-mcq, asked for and written" asked "$out"
run 0 ego-mcq -t 1 --set $large questions.jsonl
same "ego-mcq -t 1" asked "$out"
run 0 ego-embed --set $large --window 4 -o windows.ego kitchen.mp4
run 0 ego-match --set $large --query 'a cup' --rerank 2 windows.ego
holds_json "ego-match --rerank" "$out" 'length == 2 and all(.vtm > 0 and .vtm < 1)'
finish
