#!/bin/sh
# ego-attn: maps, their files, the line about them, the picture.
. "$(dirname "$0")/lib.sh"
need ego-attn ego-model jq
tiny_model m.safetensors --rule golden --set depth=3 --set fuse_layers=2
EGO_MODEL=$work/m.safetensors
export EGO_MODEL
small_video kitchen.mp4 || skip "neither ffmpeg nor ego-synth to make a video"

# ---- maps --------------------------------------------------------------------------------------------

cat >records.jsonl <<'END'
{"id":"a/1","video":"kitchen.mp4","start":1,"end":3,"text":"#C C lifts a cup","mine":[1.0]}
{"video":"kitchen.mp4","text":"wait"}
END
run 0 ego-attn -o maps records.jsonl
cp "$out" answers
holds_json "a line a record" answers 'length == 2 and .[0].id == "a/1" and .[1].id == 2 and .[0].mine == [1] and .[0].start == 1'
holds_json "what was kept" answers '.[0] | .layers == [1,2] and .heads == [0,1,2,3] and .grid == [4,2,2]'
holds_json "words" answers '.[0].words == ["<s>","#C","C","lifts","a","cup","</s>"] and .[1].words == ["<s>","wait","</s>"]'
holds_json "the class token's weights over words sum to 1" answers 'all(.class_to_text | (add - 1 | fabs) < 1e-5)'
holds_json "gates" answers 'all((.text_gates | length == 2 and all(. > 0.2 and . < 0.8)) and (.video_gates | length == 2))'
is "files" "maps/0001-1.text_to_video.npy maps/0001-1.video_to_text.npy maps/0002-2.text_to_video.npy maps/0002-2.video_to_text.npy" \
    "$(ls -d maps/* | xargs)"
is "the files that the lines name" "$(ls -d maps/*)" "$(jq -r '.text_to_video, .video_to_text' answers)"
# (layers, heads, words, 1 + frames·rows·columns) and (layers, heads, 1 + …, words)
holds maps/0001-1.text_to_video.npy "'shape': (2, 4, 7, 17)"
holds maps/0001-1.video_to_text.npy "'shape': (2, 4, 17, 7)"
for map in 'text_to_video 17' 'video_to_text 7'; do
    # shellcheck disable=SC2086
    set -- $map
    sums=$(floats maps/0001-1.$1.npy 128 $((2 * 4 * 7 * 17)) | awk -v n="$2" '{ s += $1; if ($1 < 0) bad++ } NR % n == 0 { if (s < 0.99999 || s > 1.00001) bad++; s = 0; rows++ } END { print rows, bad + 0 }')
    is "rows of $1 that sum to 1" "$((2 * 4 * 7 * 17 / $2)) 0" "$sums"
done
# The mean of the class token's rows is what the line says.
floats maps/0001-1.video_to_text.npy 128 $((2 * 4 * 17 * 7)) |
    awk '{ t = int((NR - 1) / 7) % 17; if (t == 0) sum[(NR - 1) % 7] += $1 / 8 } END { for (i = 0; i < 7; i++) print sum[i] }' >means
jq '.class_to_text[]' answers | head -n 7 | paste - means | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-5) bad++ } END { exit bad > 0 }' ||
    fail "class_to_text" "the mean of the map's class rows" "$(paste means answers)"

run 0 ego-attn --layer 2 --head 1 -o one records.jsonl
holds_json "--layer, --head" "$out" 'all(.layers == [2] and .heads == [1] and (.text_gates | length == 1))'
floats maps/0001-1.text_to_video.npy $((128 + 4 * 5 * 7 * 17)) $((7 * 17)) >part
floats one/0001-1.text_to_video.npy 128 $((7 * 17)) >whole
same "layer 2's head 1 of all" part whole

run 0 ego-attn --set model.image_size=64 --frames 2 records.jsonl
holds_json "another image size and number of frames" "$out" '.[0].grid == [2,4,4]'
jq -c '.tokens = [0, 71, 100, 2] | del(.text)' records.jsonl >tokens.jsonl
run 0 ego-attn tokens.jsonl
holds_json "tokens instead of text" "$out" '.[0].words == ["<s>","C`","</s>"] and .[0].tokens == [0,71,100,2]'

# ---- the picture --------------------------------------------------------------------------------------

png_size() { od -An -t u1 -j 16 -N 8 "$1" | awk '{ print $3 * 256 + $4 "x" $7 * 256 + $8 }'; }
run 0 ego-attn --overlay all.png records.jsonl
jq -c 'del(.text_to_video, .video_to_text)' answers >plain
jq -c . "$out" >drawn
same "lines with a picture and with files" plain drawn
run 0 ego-attn kitchen.mp4 --text '#C C lifts a cup.' --word CUP --overlay cup.png
holds_json "a media file" "$out" '.[0].id == "kitchen.mp4" and .[0].words[5] == "cup."'
run 0 ego-attn kitchen.mp4 --text '#C C lifts a cup.' --word cup --word lifts --overlay two.png
wide=$(png_size cup.png) tall=$(png_size two.png)
is "a row more for a word more" "${wide%x*}x$((${wide#*x} + 166))" "$tall"
[ "$(png_size all.png | sed 's/.*x//')" -gt 1000 ] || fail "the picture of both records" "all rows of both" "$(png_size all.png)"
run 1 ego-attn kitchen.mp4 --text 'wait' --word cup --overlay none.png
holds "$err" 'among: <s> wait </s>'
holds_json "the maps stand" "$out" '.[0].words == ["<s>","wait","</s>"]'
absent none.png
jq -nc '[range(8)] as $n | [1,2,3,4,5,6,7,8][] | {video:"kitchen.mp4",text:([range(15)|"w"]|join(" "))}' >many.jsonl
run 1 ego-attn --overlay many.png many.jsonl
holds "$err" 'the picture is full'
holds_json "all maps all the same" "$out" 'length == 8 and all(has("error") | not)'

# ---- other fusions ------------------------------------------------------------------------------------

tiny_model stacked.safetensors --set fusion=stacked --set fuse_layers=2
run 0 ego-attn -m stacked.safetensors records.jsonl
holds_json "stacked layers go on from the depth" "$out" '.[0].layers == [2,3] and .[0].text_gates == [1,1]'
tiny_model none.safetensors --set fusion=none --set fuse_layers=0
run 2 ego-attn -m none.safetensors records.jsonl
holds "$err" 'no cross-attention'
empty "output of a model that does not fuse" "$out"
run 2 ego-attn --set fuse_layers=0 records.jsonl

# ---- the same bytes -----------------------------------------------------------------------------------

run 0 ego-attn -t 1 -o again records.jsonl
for file in maps/*; do same "-t 1: $file" "$file" "again/${file#maps/}"; done
ego-attn -q <records.jsonl >piped 2>"$err"
jq -c . piped >again.jsonl
same "records from stdin" plain again.jsonl
run 0 ego-attn --dry-run records.jsonl
is "--dry-run" '{"records":2,"unreadable":0}' "$(cat "$out")"
run 0 ego-attn --provenance records.jsonl
holds_json "--provenance" "$out" 'all(.provenance.model | length == 64)'

# ---- faults -------------------------------------------------------------------------------------------

cat >bad.jsonl <<'END'
{"id":"no text","video":"kitchen.mp4"}
{"id":"no clip","text":"x"}
{"id":"no file","video":"none.mp4","text":"x"}
{"id":"collides","video":"kitchen.mp4","text":"x","words":[]}
{"id":"tokens","video":"kitchen.mp4","tokens":[0,9999,2]}
broken
{"id":"good","video":"kitchen.mp4","text":"x"}
END
run 1 ego-attn -o bad --overlay bad.png bad.jsonl
is "every record in its place" "true true true true true true false" "$(jq 'has("error")' "$out" | xargs)"
holds_json "what is missing" "$out" '(.[0].error | contains("no text")) and (.[1].error | contains("no clip"))'
[ -s bad.png ] || fail "the good one's picture" "a file" "none"
run 2 ego-attn --layer 0 records.jsonl
holds "$err" 'layers 1 to 2, found 0'
run 2 ego-attn --head 4 records.jsonl
holds "$err" 'expected 0 to 3'
run 2 ego-attn kitchen.mp4
holds "$err" --text
run 2 ego-attn --word cup records.jsonl
holds "$err" --overlay
run 2 ego-attn --set model.image_size=40 records.jsonl
run 3 ego-attn -m none_there.safetensors records.jsonl
run 3 ego-attn --overlay no/where/x.png records.jsonl
holds "$err" no/where
: >file
run 1 ego-attn -o file records.jsonl
holds_json "maps that cannot be written" "$out" 'length == 2 and all(.error | contains("Not a directory"))'
finish
