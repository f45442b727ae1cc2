#!/bin/sh
# The same records and options give the same bytes, however the work is cut and the input arrives.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-match ego-model jq
tiny_model m.safetensors --rule golden
EGO_MODEL=$work/m.safetensors
export EGO_MODEL

# Records of every kind, some of them wrong; windows overlap and are out of order.
tail -c 49152 m.safetensors | npy '<f4' '(4, 3, 32, 32)' >float.npy
tail -c 30000 m.safetensors | npy '|u1' '(4, 50, 50, 3)' >bytes.npy
videos=''
if small_video a.mp4; then
    cp a.mp4 b.mp4
    videos='a b'
else
    skip_part "films: neither ffmpeg nor ego-synth"
fi
i=0
while [ $i -lt 12 ]; do
    for video in $videos; do
        echo "{\"id\":\"$video$i\",\"video\":\"$video.mp4\",\"start\":$((i * 5 % 7)).25,\"end\":$((i * 5 % 7 + 1)),\"text\":\"C does $i\"}"
    done
    echo "{\"id\":\"f$i\",\"frames\":\"float.npy\",\"text\":\"picture number $i\"}"
    echo "{\"id\":\"b$i\",\"frames\":\"bytes.npy\"}"
    echo "{\"id\":\"t$i\",\"text\":\"C takes $i cups and a rather long sentence $((i * i * i * i * i))\"}"
    [ $((i % 5)) -ne 3 ] || echo "{\"id\":\"e$i\",\"text\":7}"
    i=$((i + 1))
done >r.jsonl
ego-embed -q --fused r.jsonl >whole 2>"$err"
is "status with wrong records" 1 $?
is "records" $(($(wc -l <r.jsonl))) "$(headers whole | jq -c .id | uniq | wc -l)"

embed() { ego-embed -q --fused "$@" 2>"$err"; }

for how in '-t 1' '-t 2' '-t 3' '--batch 1' '--batch 2' '--batch 5' '--batch 64' '-t 2 --batch 3'; do
    # shellcheck disable=SC2086
    embed $how r.jsonl >other
    same "$how" whole other
done

# ---- however it arrives -----------------------------------------------------------------------------

embed <r.jsonl >other
same "from a file as stdin" whole other
# shellcheck disable=SC2002
cat r.jsonl | embed >other
same "from a pipe" whole other
{
    n=0
    while IFS= read -r line; do
        n=$((n + 1))
        printf '%s\n' "$line"
        [ $((n % 12)) -ne 0 ] || sleep 0.1
    done <r.jsonl
} | embed >other
same "from a slow pipe" whole other
half=$(($(wc -c <r.jsonl) / 2))
{ head -c $half r.jsonl; sleep 0.2; tail -c +$((half + 1)) r.jsonl; } | embed >other
same "cut in the middle of a line" whole other
head -n 17 r.jsonl >r1.jsonl
tail -n +18 r.jsonl >r2.jsonl
embed r1.jsonl r2.jsonl >other
same "two files" whole other
tail -n +18 r.jsonl | embed r1.jsonl - >other
same "a file and stdin" whole other
sed 's/$/\r/' r.jsonl | embed >other
same "lines that end in CR LF" whole other
printf %s "$(cat r.jsonl)" | embed >other
same "no newline at the end" whole other
embed -o other r.jsonl
same "-o FILE" whole other
grep -v '"frames"' r.jsonl >films.jsonl
embed films.jsonl >here
(cd / && embed --video-root "$work" "$work/films.jsonl") >other
same "from another directory" here other

# ---- parts of the work ------------------------------------------------------------------------------

# A record's line in jsonl is all there is of it: sorted, any order is one order.
ego-embed -q --fused --format jsonl r.jsonl 2>"$err" | sort >sorted
for shards in 2 5; do
    i=0
    while [ $i -lt $shards ]; do
        ego-embed -q --fused --format jsonl --shard $i/$shards r.jsonl 2>"$err" >shard$i
        jq -r 'select(.video) | .video' shard$i | sort -u
        i=$((i + 1))
    done >seen
    is "a video is in one of $shards shards" "$(sort -u seen | wc -l)" "$(wc -l <seen)"
    i=0
    while [ $i -lt $shards ]; do cat shard$i; i=$((i + 1)); done | sort >other
    same "$shards shards" sorted other
done
# shuf is not everywhere; by the checksum of the lines is no order either.
while IFS= read -r line; do echo "$(echo "$line" | cksum | cut -d ' ' -f 1) $line"; done <r.jsonl | sort | cut -d ' ' -f 2- |
    ego-embed -q --fused --format jsonl 2>"$err" | sort >other
same "records in another order" sorted other
[ -z "$videos" ] || {
    cat a.mp4 >c.mp4
    ego-embed -q --window 1 --stride 0.5 a.mp4 --format jsonl >other
    tail -r other >backwards 2>/dev/null || sed '1!G;h;$!d' other >backwards
    jq -c '{id, video, start, "end"}' backwards | ego-embed -q --format jsonl | sed '1!G;h;$!d' >again
    same "a film's windows from the last to the first" other again
}

# ---- however the model is kept ----------------------------------------------------------------------

ego-model convert -q m.safetensors --pack -o packed.safetensors >"$out" 2>"$err"
embed -m packed.safetensors r.jsonl >other
same "a packed model" whole other
cp m.safetensors elsewhere.safetensors
(EGO_MODEL=$work/elsewhere.safetensors && embed r.jsonl >other)
same "the model at another place" whole other

# ---- any locale -------------------------------------------------------------------------------------

mkdir locales
if command -v localedef >/dev/null && localedef -i de_DE -f UTF-8 locales/de_DE.UTF-8 >/dev/null 2>&1; then
    LOCPATH=$work/locales
    export LOCPATH
fi
if [ "$(LC_ALL=de_DE.UTF-8 awk 'BEGIN { print "x" }' 2>/dev/null; LC_ALL=de_DE.UTF-8 locale decimal_point 2>/dev/null)" = "x
," ]; then
    LC_ALL=de_DE.UTF-8 embed r.jsonl >other
    same "in a locale with a decimal comma" whole other
    ego-embed -q --format jsonl --text x >other 2>"$err"
    LC_ALL=de_DE.UTF-8 ego-embed -q --format jsonl --text x >again 2>"$err"
    same "numbers in that locale" other again
    [ -z "$videos" ] || {
        LC_ALL=de_DE.UTF-8 ego-embed -q --window 1.5 --stride 0.75 a.mp4 >again 2>"$err"
        ego-embed -q --window 1.5 --stride 0.75 a.mp4 >other 2>"$err"
        same "options with a point in that locale" other again
    }
else
    skip_part "a locale with a decimal comma"
fi

# ---- searching --------------------------------------------------------------------------------------

ego-embed -q --format stream r.jsonl 2>"$err" >targets.ego
ego-embed -q --text 'C takes 5 cups' >query.ego 2>"$err"
ego-match -q -t 1 -k 20 query.ego targets.ego >answers 2>"$err"
for threads in 2 3; do
    ego-match -q -t $threads -k 20 query.ego targets.ego >other 2>"$err"
    same "ego-match -t $threads" answers other
done
cat query.ego query.ego query.ego | ego-match -q -k 20 - targets.ego 2>"$err" | head -n 20 >other
same "ego-match with other queries beside it" answers other
finish
