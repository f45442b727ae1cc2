#!/bin/sh
# ego-embed --update: a folder of videos as cameras leave it, indexed again only where it changed, and what a
# search in it says when there is nothing of the kind.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-match ego-model jq
tiny_model m.safetensors --rule golden
EGO_MODEL=$work/m.safetensors
export EGO_MODEL
small_video film.mp4 || skip "nothing here makes a video"

mkdir -p day/deeper 'day/a new
line'
put() { # FILE SECONDS: a film of its own
    if command -v ffmpeg >/dev/null && [ -z "${EGO_NO_FFMPEG:-}" ]; then
        ffmpeg -nostdin -v error -y -f lavfi -i "testsrc2=s=64x48:r=10:d=$2" -pix_fmt yuv420p -c:v mpeg4 -qscale:v 4 -f mp4 "day/$1"
    else
        cp film.mp4 "day/$1"
    fi
}
put GX010123.MP4 6
put GX020123.MP4 5
put GX010124.MP4 7
put GOPR0009.MP4 4.5
put GP010009.MP4 5.5
put "-dash & \$quote'.mp4" 8
put "a new
line/film.mov" 9
put deeper/last.mkv 3
echo "no video" >day/notes.txt
cp day/GX010123.MP4 day/GX010123.LRV
touch day/.hidden.mp4

update() { run 0 ego-embed --update day.ego day "$@"; }
clips() { headers "$1" | jq -c 'select(.part == "video")'; }
# An index but for when files were changed, which no longer tells.
timeless() { sed 's/"changed":"[0-9.]*"/"changed":""/' "$1"; }

# ---- what is in it ----------------------------------------------------------------------------------

update --window 4 --stride 2
holds "$err" 'day.ego: 8 files, 0 of them as before; 0 are gone'
headers day.ego | jq -c 'select(.part == "file") | .id' >files
printf '"%s"\n' "day/-dash & \$quote'.mp4" day/GOPR0009.MP4 day/GP010009.MP4 day/GX010123.MP4 day/GX020123.MP4 day/GX010124.MP4 \
    'day/a new\nline/film.mov' day/deeper/last.mkv >wanted
same "files in order" wanted files
clips day.ego | jq -s -c 'map(select(.recording == "day/GX0123") | [.id,.video,.start,.end,.t])[]' >"$out"
if [ "$(wc -c <day/GX010123.MP4)" != "$(wc -c <film.mp4)" ]; then
    is "chapters: ids and times go on, files are right" '["day/GX0123#t=0,4","day/GX010123.MP4",0,4,0]["day/GX0123#t=2,6","day/GX010123.MP4",2,6,2]["day/GX0123#t=6,10","day/GX020123.MP4",0,4,6]["day/GX0123#t=8,11","day/GX020123.MP4",2,5,8]' \
        "$(tr -d '\n' <"$out")"
fi
headers day.ego | jq -s -c '[.[0].part, .[-1].part, .[-1].shape, .[-1].clips]' >"$out"
is "notes" "[\"index\",\"calibration\",[200],$(clips day.ego | wc -l)]" "$(cat "$out")"
# Every clip is what ego-embed makes of its file, and opens.
clips day.ego | jq -c '{id,video,start,"end":.end}' | ego-embed -q --format jsonl | jq -c .embedding >again
ego-match -q -k 1000 --query x day.ego >"$out" 2>"$err"
holds_json "all can be found" "$out" "length == $(clips day.ego | wc -l)"
clips day.ego | jq -c '{id,video,start,"end":.end}' | ego-embed -q -o again.ego
run 0 ego-match -q -k 1 again.ego day.ego
jq -s 'all(.score > 0.99999)' "$out" >same_vectors
is "vectors" true "$(cat same_vectors)"
run 0 ego-match -q -k 2 --query x --sheet found.png day.ego
is "clips of chapters are shown" '211 P N G' "$(head -c 4 found.png | od -An -c | xargs)"

# ---- again ------------------------------------------------------------------------------------------

cp day.ego first.ego
update
holds "$err" 'day.ego: 8 files, 8 of them as before; 0 are gone'
same "nothing changed" first.ego day.ego
touch day/GX010123.MP4
update
holds "$err" '8 of them as before'
timeless first.ego >a
timeless day.ego >b
same "touched, with the same content" a b
mv day/deeper/last.mkv day/deeper/renamed.mkv
update
holds "$err" '8 files, 8 of them as before; 1 are gone'
holds_json "renamed" "$(clips day.ego >c && echo c)" 'map(select(.video == "day/deeper/renamed.mkv")) | length > 0'
lacks day.ego last.mkv
rm day/GP010009.MP4
cp film.mp4 day/z.mp4
update
holds "$err" '8 files, 7 of them as before; 1 are gone'
mv day.ego grown.ego
run 0 ego-embed -q --update day.ego --window 4 --stride 2 day
same "as if made anew" grown.ego day.ego
cp day.ego before.ego
printf x >>day/z.mp4
update
holds "$err" '8 files, 7 of them as before'
update --window 3
holds "$err" 'made by another model or with other options: all of it is made anew'
holds "$err" '0 of them as before'
holds_json "another window" "$(clips day.ego >c && echo c)" 'all(.end - .start <= 3)'
update
holds "$err" '8 of them as before'
tiny_model other.safetensors --seed 5
update -m other.safetensors
holds "$err" 'all of it is made anew'
update -m other.safetensors
holds "$err" '8 of them as before'

# ---- interrupted ------------------------------------------------------------------------------------

rm -f day.ego
update --window 4 --stride 2
mv day.ego whole.ego
head -c $(($(wc -c <whole.ego) * 2 / 3)) whole.ego >day.ego.part
update --window 4 --stride 2
lacks "$err" ' 0 of them'
same "what was left of an interrupted run serves" whole.ego day.ego
absent day.ego.part day.ego.part.old day.ego.part.json
head -c 300 whole.ego >day.ego.part
update
same "little was left" whole.ego day.ego
cp whole.ego day.ego
head -c $(($(wc -c <whole.ego) - 100)) whole.ego >day.ego
update
same "an index cut short" whole.ego day.ego

# ---- what is wrong ----------------------------------------------------------------------------------

echo junk >day/broken.mp4
run 1 ego-embed --update day.ego day
holds "$err" day/broken.mp4
holds "$err" '8 of them as before'
holds_json "a broken file has an error in its place" "$(headers day.ego >c && echo c)" 'map(select(.error)) | length == 1 and .[0].id == "day/broken.mp4"'
run 1 ego-embed -q --update day.ego day
rm day/broken.mp4
update
same "and is forgotten with it" whole.ego day.ego
ego-embed -q --window 4 film.mp4 -o plain.ego
cp plain.ego kept
run 2 ego-embed --update plain.ego day
holds "$err" 'is no index'
same "another file is left alone" kept plain.ego
echo junk >junk.ego
run 2 ego-embed --update junk.ego day
run 3 ego-embed --update x.ego nowhere
holds "$err" nowhere
run 2 ego-embed --update x.ego
run 2 ego-embed --update x.ego -o y.ego day
run 2 ego-embed --update x.ego --resume day
run 2 ego-embed --update x.ego --shard 0/2 day
run 2 ego-embed --update x.ego --fused day
absent x.ego y.ego
mkdir empty
run 0 ego-embed --update empty.ego empty
holds "$err" '0 files'
run 3 ego-match --query x empty.ego
holds "$err" 'holds no embeddings'

# ---- nothing like this here -------------------------------------------------------------------------

run 0 ego-match -k 3 --query '#C C cuts' day.ego
holds_json "p and likely" "$out" 'all((.p > 0) and (.p <= 1) and (.likely == (.p <= 0.05)))'
# Of the unrelated narrations themselves at most a twentieth is likely: each was counted.
grep -o '"#C C [a-z][^"]*"' "$repo/libcore/task/unrelated.c" | tr -d '"' | jq -R -c '{text: .}' | ego-embed -q -o list.ego
run 0 ego-match -k 1 list.ego day.ego
holds_json "the list itself" "$out" 'length == 200 and (map(select(.likely)) | length) <= 10'
is "said of the others" "$(jq -s 'map(select(.likely | not)) | length' "$out")" "$(grep -c 'nothing like this here (best ' "$err")"
run 0 ego-match -k 1 --likely list.ego day.ego
holds_json "--likely" "$out" 'all(.likely) and length <= 10'
run 0 ego-match -k 1 --query '#C C cuts' plain.ego
holds_json "an index without" "$out" 'all(has("p") | not)'
run 0 ego-match -k 1 --calibrate builtin --query '#C C cuts' plain.ego
holds_json "--calibrate builtin" "$out" 'all(has("likely"))'
run 0 ego-match --likely --query '#C C cuts' plain.ego
empty "--likely without a calibration" "$out"
holds "$err" '--calibrate'
seq 30 | sed 's/^/#C C counts to /' >mine.txt
run 0 ego-match -k 1 --calibrate mine.txt --query '#C C cuts' plain.ego
holds_json "--calibrate FILE" "$out" 'all(.p * 31 | . - round | fabs < 1e-4)'
head -n 5 mine.txt >short.txt
run 2 ego-match -k 1 --calibrate short.txt --query '#C C cuts' plain.ego
holds "$err" '19'
run 3 ego-match -k 1 --calibrate missing.txt --query '#C C cuts' plain.ego
ego-embed -q --window 4 --calibrate builtin film.mp4 -o with.ego
run 0 ego-match -k 1 --query '#C C cuts' with.ego
holds_json "ego-embed --calibrate" "$out" 'all(has("likely"))'
cp "$out" stored
ego-match -q -k 1 --calibrate builtin --query '#C C cuts' plain.ego >"$out"
same "stored or counted now" stored "$out"
cat with.ego day.ego | ego-match -q -k 1 --query '#C C cuts' - >"$out"
holds_json "two indices joined" "$out" 'all(has("likely"))'
ego-embed -q --window 4 --calibrate mine.txt film.mp4 -o mine.ego
cat mine.ego day.ego | ego-match -k 1 --query '#C C cuts' - >"$out" 2>"$err"
holds "$err" 'several lists'
holds_json "of two lists nothing is likely" "$out" 'all(has("likely") | not)'
run 0 ego-match -k 1 again.ego day.ego
holds_json "clips are not words" "$out" 'all(has("likely") | not)'
run 2 ego-embed --calibrate builtin --format jsonl --window 4 film.mp4
finish
