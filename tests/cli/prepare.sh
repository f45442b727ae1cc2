#!/bin/sh
# ego-embed --prepare: originals to chunks of 600 s and 256 lines, read through --video-root as the original.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-model jq ffmpeg
[ -z "${EGO_NO_FFMPEG:-}" ] || skip "EGO_NO_FFMPEG is set"
tiny_model m.safetensors --rule golden
EGO_MODEL=$work/m.safetensors
export EGO_MODEL
mkdir originals

# Twenty minutes and ten seconds, a grey of its own every second.
ffmpeg -nostdin -v error -f lavfi -i "color=black:s=48x32:r=1,geq=lum='16+mod(N*37,220)':cb=128:cr=128" -frames:v 1210 -c:v mpeg4 \
    -qscale:v 2 -g 60 originals/long.mp4 || skip "no film"
ffmpeg -nostdin -v error -f lavfi -i "testsrc2=s=960x540:r=25:d=1" -f lavfi -i "sine=d=1" -pix_fmt yuv420p -c:v mpeg4 -qscale:v 2 \
    "originals/- odd name.mov" || skip "no film"
ffmpeg -nostdin -v error -f lavfi -i "testsrc2=s=540x961:r=30:d=0.5" -pix_fmt yuv444p -c:v ffv1 originals/tall.mkv || skip "no film"

run 0 ego-embed --prepare chunks originals
holds_json "a line a video" "$out" 'map([.id,.chunks,.made]) == [["- odd name",1,1],["long",3,3],["tall",1,1]]'
streams() { ffprobe -v error -select_streams v -show_entries stream=width,height,avg_frame_rate,nb_frames -of csv=p=0 "$1"; }
is "a chunk" 48,32,30/1,18000 "$(streams chunks/long/0.mp4)"
is "the next" 48,32,30/1,18000 "$(streams chunks/long/1.mp4)"
is "the last" 48,32,30/1,300 "$(streams chunks/long/2.mp4)"
is "256 high" 454,256,30/1,30 "$(streams "chunks/- odd name/0.mp4")"
is "256 wide" 256,454,30/1,15 "$(streams chunks/tall/0.mp4)"
is "no sound" "" "$(ffprobe -v error -select_streams a -show_entries stream=index -of csv=p=0 "chunks/- odd name/0.mp4")"
is "nothing else" 5 "$(find chunks -type f | wc -l)"

# ---- the same frames --------------------------------------------------------------------------------

# clips VIDEO: four frames each, on all sides of the chunks' edges.
clips() {
    for span in "0 4" "3.5 3.9" "597 601" "598 602" "599.1 599.9" "600 600.8" "600.1 604" "1198 1202" "1199.99 1200.3" "1206 1210" "1208 1215"; do
        echo "{\"video\":\"$1\",\"start\":${span% *},\"end\":${span#* }}"
    done
}
clips originals/long.mp4 | ego-embed -q --layer pixels --format jsonl | jq -c .embedding >before
clips long | ego-embed -q --video-root chunks --layer pixels --format jsonl | jq -c .embedding >after
is "clips" "$(wc -l <before)" "$(wc -l <after)"
# A neighbour's grey is 37/255 away, 0.64 after normalising.
jq -s --slurpfile after after 'to_entries | map(.key as $i | [.value, $after[$i]] | transpose | map(.[0] - .[1] | fabs) | max) | max' before >worst
is "frames are those of the original (worst $(cat worst))" true "$(jq '. < 0.15' worst)"
jq -n -c '{video:"tall"}' | ego-embed -q --video-root chunks --layer pixels --format jsonl | jq -c .embedding >after
jq -n -c '{video:"originals/tall.mkv"}' | ego-embed -q --layer pixels --format jsonl | jq -c .embedding >before
jq -s '[.[0], .[1]] | transpose | map(.[0] - .[1] | fabs) | add / length' before after >mean
is "a picture made smaller (mean difference $(cat mean))" true "$(jq '. < 0.15' mean)"

# ---- again, and interrupted -------------------------------------------------------------------------

find chunks -type f -exec sha256sum {} + | sort >sums
run 0 ego-embed --prepare chunks originals
holds_json "nothing to do" "$out" 'all(.made == 0)'
rm chunks/long/1.mp4
run 0 ego-embed --prepare chunks originals/long.mp4
holds_json "what is missing" "$out" 'map([.chunks,.made]) == [[3,1]]'
find chunks -type f -exec sha256sum {} + | sort >sums2
same "the same bytes" sums sums2
ego-embed -q --prepare stopped originals/long.mp4 >"$out" 2>"$err" &
waited=0
until [ -e stopped/long/0.mp4 ] || [ $waited -gt 600 ]; do sleep 0.1; waited=$((waited + 1)); done
kill -TERM $!
wait $!
is "stopped: status" 143 $?
find stopped -type f ! -name '?.mp4' >left
empty "stopped: nothing half done" left
run 0 ego-embed -q --prepare stopped originals/long.mp4
for k in 0 1 2; do same "gone on with, chunk $k" chunks/long/$k.mp4 stopped/long/$k.mp4; done

# ---- what is wrong ----------------------------------------------------------------------------------

echo junk >originals/junk.mp4
mkdir originals/sub
cp originals/tall.mkv originals/sub/tall.mkv
run 1 ego-embed --prepare chunks originals
holds_json "errors in their places" "$out" 'length == 5 and (map(select(.error)) | map(.id) == ["originals/junk.mp4","originals/sub/tall.mkv"])'
absent chunks/junk
run 2 ego-embed --prepare chunks
run 2 ego-embed --prepare chunks --window 2 originals
run 3 ego-embed --prepare chunks missing
run 0 ego-embed -q --prepare half --shard 0/2 originals/long.mp4 "originals/- odd name.mov"
run 0 ego-embed -q --prepare half --shard 1/2 originals/long.mp4 "originals/- odd name.mov"
is "in shards" 4 "$(find half -type f | wc -l)"
finish
