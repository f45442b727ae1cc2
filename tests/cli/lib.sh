# What the tests of the tools share; sourced, never run.
#
# A script finds the tools in $EGO_BIN (build/bin of this checkout when it is not set) and what else was
# built in $build ($EGO_BUILD), works in a directory of its own that is HOME as well, and ends with
# `finish`: 0 all well, 1 something failed, 77 skipped. Every check that fails says what was expected
# and what was found.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
bin=${EGO_BIN:-$repo/build/bin}
case $bin in /*) ;; *) bin=$PWD/$bin ;; esac
build=${EGO_BUILD:-$repo/build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
shared=${EGO_SHARED:-$repo/../shared}
case $shared in /*) ;; *) shared=$PWD/$shared ;; esac
real_clip=$shared/video/ego4d_sample.mp4

work=$(mktemp -d "${TMPDIR:-/tmp}/ego-cli.XXXXXX") || exit 1
trap 'chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/home" "$work/log"
HOME=$work/home
XDG_CACHE_HOME=$work/home/cache
PATH=$bin:$PATH
export HOME XDG_CACHE_HOME PATH
unset EGO_MODEL
cd "$work" || exit 1
out=$work/log/out err=$work/log/err
failures=0 parts_skipped=''

skip() {
    echo "$*"
    exit 77
}

# A part of a script that cannot be tested here; the rest goes on.
skip_part() {
    echo "skipped: $*"
    parts_skipped="$parts_skipped; without $*"
}

need() {
    for tool; do
        case $tool in
        ego-*) [ -x "$bin/$tool" ] || skip "no $bin/$tool" ;;
        *) command -v "$tool" >/dev/null || skip "no $tool command" ;;
        esac
    done
}

fail() { # WHAT LINES...
    failures=$((failures + 1))
    echo "FAILED: $1"
    shift
    for line; do echo "    $line"; done
}

finish() {
    [ "$failures" -eq 0 ] || { echo "$failures checks failed"; exit 1; }
    echo "all checks passed${parts_skipped}"
    exit 0
}

# ---- checks -----------------------------------------------------------------------------------------

# run STATUS COMMAND...: its output is left in $out and $err.
run() {
    wanted=$1
    shift
    "$@" >"$out" 2>"$err"
    found=$?
    [ "$found" -eq "$wanted" ] ||
        fail "$*" "expected exit status $wanted, found $found" "$(tail -n 3 "$err")"
}

# is WHAT EXPECTED FOUND
is() {
    [ "$2" = "$3" ] || fail "$1" "expected $2" "found    $3"
}

# holds FILE TEXT: somewhere in it.
holds() {
    grep -aqF -- "$2" "$1" ||
        fail "${1##*/} of the last command" "expected $2" "found    $(head -c 600 "$1" | tr -d '\000')"
}

lacks() { # FILE TEXT
    grep -aqF -- "$2" "$1" && fail "${1##*/} of the last command" "expected no $2" "found    $(grep -aF -- "$2" "$1" | head -n 1)"
    :
}

# same WHAT FILE FILE
same() {
    cmp -s "$2" "$3" || fail "$1" "expected the same bytes" "found    $(cmp "$2" "$3" 2>&1)"
}

empty() { # WHAT FILE
    [ ! -s "$2" ] || fail "$1" "expected nothing" "found    $(wc -c <"$2") bytes"
}

absent() { # FILE...
    for file; do [ ! -e "$file" ] || fail "$file" "expected no such file" "found    one"; done
}

# holds_json WHAT FILE FILTER: jq's answer over all lines of the file, an array, is true.
holds_json() {
    [ "$(jq -s "$3" "$2" 2>&1)" = true ] || fail "$1" "expected $3" "found    $(head -c 600 "$2")"
}

# ---- models, vectors, media -------------------------------------------------------------------------

# tiny_model FILE [OPTIONS]: a network that computes in a millisecond; text goes in byte by byte.
tiny_model() {
    model=$1
    shift
    ego-model init -q -o "$model" --set dim=64 --set heads=4 --set depth=2 --set fuse_layers=1 --set patch=16 \
        --set image_size=32 --set vocab=512 --set max_positions=40 --set 'projection=[96,96,96]' \
        "$@" >"$out" 2>"$err" || { fail "ego-model init" "$(cat "$err")"; finish; }
}

# tiny_training FILE: twenty short steps over the folders world/ (ego-synth's) and tok/ (a vocabulary) of 300
# tokens; the run goes to run/.
tiny_training() {
    cat >"$1" <<'END_OF_FILE'
{"model": {"dim": 32, "heads": 2, "depth": 2, "fuse_layers": 1, "patch": 16, "image_size": 32, "frames": 2, "vocab": 300,
           "max_positions": 20, "projection": [32]},
 "data": {"annotations": "world/egoclip.csv", "video_root": "world/videos", "validate": "world/egomcq.json",
          "validate_questions": 4, "cache": "cache", "tokenizer": "tok"},
 "optim": {"lr": 1e-3},
 "run": {"out": "run", "steps": 20, "batch": 4, "keep": 2, "seed": 1}}
END_OF_FILE
}

# last DIRECTORY: the newest checkpoint of a training run.
last() { ls "$1"/checkpoint-*.safetensors | sort -t- -k2 -n | tail -n 1; }

# stop_training DIRECTORY COMMAND...: ends a run with TERM once its log there has two steps; its end is in $status.
stop_training() {
    directory=$1
    shift
    "$@" >"$out" 2>"$err" &
    pid=$!
    until [ -e "$directory/log.jsonl" ] && [ "$(grep -c '"lr"' "$directory/log.jsonl")" -ge 2 ]; do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.01
    done
    kill -TERM "$pid" 2>/dev/null
    wait "$pid"
    status=$?
}

# resumed_alike TASK CONFIG OTHER: a run that was stopped and resumed ends with the checkpoint of the one left alone in
# run/; with another configuration, the setting OTHER, it is not resumed.
resumed_alike() {
    run 2 ego-train "$1" "$2"
    holds "$err" 'resume'
    run 2 ego-train "$1" "$2" --resume --set "$3"
    holds "$err" 'another configuration'
    stop_training stopped ego-train -q "$1" "$2" --set run.out=stopped -t 1
    run 0 ego-train "$1" "$2" --set run.out=stopped --resume
    same "the checkpoint of a run that was stopped" "$(last run)" "$(last stopped)"
}

# example NAME VARIABLES... [TARGET]: make in examples/NAME, as its user runs it, in a directory NAME of its own.
example() {
    name=$1
    shift
    mkdir -p "$work/$name"
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s --no-print-directory -C "$work/$name" -f "$repo/examples/$name/Makefile" "$@"
}

# headers FILE: the JSON of an embedding stream, a line each.
headers() { grep -ao '{"id":.*}' "$1"; }

# npy DESCR SHAPE <ELEMENTS: an array as numpy writes it.
npy() {
    text="{'descr': '$1', 'fortran_order': False, 'shape': $2, }"
    printf '\223NUMPY\001\000\166\000%-117s\n' "$text"
    cat
}

# floats FILE OFFSET COUNT: little-endian float32, one a line.
floats() { od -An -v -t f4 -w4 -j "$2" -N $((4 * $3)) "$1"; }

# lengths FILE OFFSET COLUMNS: of every row from there, with four decimals.
lengths() {
    od -An -v -t f4 -w4 -j "$2" "$1" |
        awk -v n="$3" '{ sum += $1 * $1 } NR % n == 0 { printf "%.4f\n", sqrt(sum); sum = 0 }'
}

# small_video FILE: 8 s of moving picture; false where nothing here can make one. Without ffmpeg the first
# seconds of a synthetic film, cut by our own tools, which need $EGO_MODEL for it.
small_video() {
    if [ -z "${EGO_NO_FFMPEG:-}" ] && command -v ffmpeg >/dev/null; then
        ffmpeg -nostdin -v error -y -f lavfi -i "testsrc2=s=64x48:r=10:d=8" -pix_fmt yuv420p -g 20 -qscale:v 3 "$1" </dev/null
    elif [ -x "$bin/ego-synth" ] && [ -x "$bin/ego-match" ]; then
        ego-synth -q synth_for_clip --videos 1 --minutes 0.5 --seed 3 --no-qa-videos --split test >"$out" 2>&1 &&
            find synth_for_clip/videos -name '*.mp4' | jq -R '{video: ., start: 0, "end": 8}' | jq -c . |
            ego-embed -q 2>"$err" | ego-match -q --query x --clips synth_for_clip/cut - >"$out" 2>"$err" &&
            mv synth_for_clip/cut/*.mp4 "$1"
    else
        false
    fi
}
