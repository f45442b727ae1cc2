#!/bin/sh
# Live streams: windows are answered as they pass, a file that grows is followed to its end, and an hour of
# them takes no more memory than ten minutes.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-match ego-model jq ffmpeg
[ -z "${EGO_NO_FFMPEG:-}" ] || skip "EGO_NO_FFMPEG is set"
tiny_model m.safetensors --rule golden
EGO_MODEL=$work/m.safetensors
export EGO_MODEL

# film SECONDS FORMAT [OPTIONS]: to stdout, as a camera would send it.
film() {
    seconds=$1 format=$2
    shift 2
    ffmpeg -nostdin -v error "$@" -f lavfi -i "testsrc2=s=64x48:r=10:d=$seconds" -pix_fmt yuv420p -c:v mpeg4 -qscale:v 5 -g 10 \
        -flush_packets 1 -f "$format" -
}
film 8.35 mpegts >film.ts
film 8.35 matroska >film.mkv

# ---- the same windows as of a file ------------------------------------------------------------------

for file in film.ts film.mkv; do
    for cut in "2 1" "2 2" "1.5 0.5" "20 3"; do
        window=${cut% *} stride=${cut#* }
        ego-embed -q --format jsonl --window "$window" --stride "$stride" "$file" | sed "s/$file/-/g" >of_file
        ego-embed -q --format jsonl --window "$window" --stride "$stride" --media - <"$file" | sed 's/"live":true,//' >redirected
        same "$file on stdin, windows of $cut" of_file redirected
        cat "$file" | ego-embed -q --format jsonl --window "$window" --stride "$stride" --media - >of_pipe
        holds_json "live windows say so" of_pipe 'all(.live)'
        sed 's/,"live":true//' of_pipe >plain
        same "$file from a pipe, windows of $cut" of_file plain
    done
done
mkfifo camera
cat film.ts >camera &
run 0 ego-embed -q --format jsonl --window 2 camera
holds_json "a named pipe" "$out" 'map(.id) == ["camera#t=0,2","camera#t=2,4","camera#t=4,6","camera#t=6,8","camera#t=8,8.4"]'
cp film.ts whole.ts
cat film.ts | ego-embed -q --format jsonl --window 4 --media - whole.ts | jq -c '[.id,.live]' >"$out"
is "a file after a pipe" '["-#t=0,4",true]["-#t=4,8",true]["-#t=8,8.4",true]["whole.ts#t=0,4",null]["whole.ts#t=4,8",null]["whole.ts#t=8,8.4",null]' \
    "$(tr -d '\n' <"$out")"

# ---- answers in time --------------------------------------------------------------------------------

now() { date +%s.%N; }
arrivals() { # each line of stdin with the time that it came, in seconds since $1
    while IFS= read -r line; do printf '%s %s\n' "$(now)" "$line"; done |
        awk -v t0="$1" '{ printf "%.2f", $1 - t0; $1 = ""; print }'
}
# Each answer within a stride of its window's end, give or take the second in which all of this begins. A busy
# machine may need another try, and a drowning one tells nothing.
in_time() {
    start=$(now)
    film 5 mpegts -re | ego-embed -q --media - --window 2 --stride 1 | ego-match -q --query '#C C cuts' - | arrivals "$start" >answers
    sed 's/^\([0-9.]*\) .*"end":\([0-9.]*\).*/\1 \2/' answers | awk 'NR < 4 && $1 - $2 > 2 { late = 1 } END { exit late }'
}
if ! in_time && ! in_time; then
    # What takes a moment by itself takes how long now?
    start=$(now)
    ego-embed -q --text x -o alone.ego
    if [ "$(now | awk -v t0="$start" '{ print $1 - t0 > 0.5 }')" = 1 ]; then
        skip_part "a machine that is not busy: answers in time"
    else
        fail "answers come within a stride" "$(cat answers)"
    fi
fi
is "an answer a window" 4 "$(wc -l <answers)"
sed 's/^[0-9.]* //' answers >lines
holds_json "answers have no rank" lines 'all(has("rank") | not) and all(.query == "#C C cuts" and .video == "-")'
film 5 mpegts | ego-embed -q --media - --window 2 --stride 1 >stored.ego
ego-match -q --query '#C C cuts' - <stored.ego | jq -s -c 'map(del(.rank)) | sort_by(.start)[]' >at_once
jq -s -c 'sort_by(.start)[]' lines >as_it_came
same "the scores are those of a search" at_once as_it_came
best=$(jq -s 'map(.score) | sort | .[-2] - 1e-6' at_once)
cat stored.ego | ego-match -q --query '#C C cuts' --min-score "$best" - >"$out" 2>"$err"
is "--min-score" 2 "$(wc -l <"$out")"
cat stored.ego | ego-match -q -k 1 --no-follow --query '#C C cuts' - >"$out" 2>"$err"
holds_json "--no-follow" "$out" 'length == 1 and .[0].rank == 1'
ego-embed -q --text '#C C cuts' -o words.ego
cat stored.ego | ego-match -q --follow words.ego - >"$out" 2>"$err"
holds_json "--follow with queries of a file" "$out" 'length == 4 and all(.query == "text")'
ego-embed -q --window 2 film.ts | ego-match -q --follow words.ego - >"$out" 2>"$err"
holds_json "--follow with a stream that is not live" "$out" 'length == 5'
cat stored.ego | ego-match -q --calibrate builtin --query '#C C cuts' - >"$out" 2>"$err"
holds_json "--calibrate counts what came so far" "$out" 'length == 4 and all(has("likely") and .p > 0 and .p <= 1)'
head -c 1000 stored.ego | ego-match -q --query x - >"$out" 2>"$err"
is "a stream cut short: status" 1 $?
holds_json "a stream cut short" "$out" 'length == 1'

# ---- a file that grows ------------------------------------------------------------------------------

size=$(wc -c <film.ts)
{
    sleep 0.3
    for part in 1 2 3 4; do
        tail -c +$((size * (part - 1) / 4 + 1)) film.ts | head -c $((size * part / 4 - size * (part - 1) / 4)) >>grow.ts
        sleep 0.4
    done
} &
run 0 ego-embed -q --format jsonl --follow --follow-timeout 2 --window 2 --stride 1 grow.ts
sed 's/grow.ts/-/g; s/,"live":true//' "$out" >grown
ego-embed -q --format jsonl --window 2 --stride 1 film.ts | sed 's/film.ts/-/g' >of_file
same "--follow" of_file grown
run 1 ego-embed -q --format jsonl --follow --follow-timeout 0.2 --window 2 never.ts
holds "$out" 'never.ts'

# ---- its end ----------------------------------------------------------------------------------------

{ cat film.ts; sleep 6; } | ego-embed -q --media - --window 2 -o stopped.ego &
waited=0
until [ "$(grep -ac '"id"' stopped.ego.part 2>/dev/null)" = 4 ] || [ $waited -gt 100 ]; do sleep 0.1; waited=$((waited + 1)); done
kill -TERM $!
wait $!
is "stopped: status" 143 $?
is "stopped: what was computed is kept" 4 "$(headers stopped.ego | wc -l)"
absent stopped.ego.part
echo junk | ego-embed -q --format jsonl --media - --window 2 >"$out" 2>"$err"
is "not media: status" 1 $?
holds_json "not media: said once" "$out" 'length == 1 and (.[0].error | length > 0)'
: | ego-embed -q --format jsonl --media - --window 2 >"$out" 2>"$err"
is "nothing: status" 1 $?
run 2 ego-embed --follow film.ts
holds "$err" --window
cat film.ts | ego-embed -q --media - --window 2 --resume -o x.ego 2>"$err"
is "--resume of a live stream" 2 $?
holds "$err" --resume
run 2 ego-match --follow --rerank 3 words.ego -
holds "$err" --rerank

# ---- memory -----------------------------------------------------------------------------------------

if [ -x /usr/bin/time ]; then
    film 120 mpegts >minutes.ts
    peak() { # of a stream of so many times two minutes, in KiB
        n=$1
        while [ "$n" -gt 0 ]; do
            cat minutes.ts
            n=$((n - 1))
        done | /usr/bin/time -f %M ego-embed -q --layer pixels --media - --window 2 --stride 2 2>&1 >/dev/null | tail -n 1
    }
    short=$(peak 5) long=$(peak 30)
    [ "$long" -lt $((short + 16384)) ] || fail "memory over an hour" "expected about $short KiB as for ten minutes" "found $long KiB"
else
    skip_part "/usr/bin/time"
fi
finish
