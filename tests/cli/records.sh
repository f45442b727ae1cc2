#!/bin/bash
# What INTERFACES promises of all tools, seen through one that only reads and writes records
# (ego-model tokenize). Usage: records.sh BIN_DIRECTORY
bin=${1:-${EGO_BIN:-build/bin}}
bin=$(cd "$bin" && pwd) || exit 1
unset EGO_MODEL
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0 count=0

check() { # what, got, expected
    count=$((count + 1))
    [ "$2" = "$3" ] && return
    failed=$((failed + 1))
    printf '%s:\n  expected %s\n  found    %s\n' "$1" "$3" "$2" >&2
}

"$bin/ego-model" init -q -o tiny.safetensors --set model.dim=64 --set model.heads=1 --set model.depth=1 \
    --set model.image_size=32 --set model.fuse_layers=1 --set model.vocab=300 \
    --set 'model.projection=[16]' >/dev/null || exit 1
tool() { "$bin/ego-model" tokenize -q -m tiny.safetensors "$@"; }
line() { printf '{"id":%s,"tokens":[0,%s,2],"text":"%s"%s}' "$1" "$2" "$3" "$4"; }

# Order, ids, line ends, marks, blank lines, a last line without an end; files or one stream.
printf '{"id":"a","text":"A","mine" : [1,  2e3]}\r\n\n{"text":"B"}' >one.jsonl
printf '\357\273\277{"text":"A"}\n   \n' >two.jsonl
expected="$(line '"a"' 69 A ',"mine":[1,  2e3]')
$(line 3 70 B)
$(line 4 69 A)"
check "two files" "$(tool one.jsonl two.jsonl)" "$expected"
check "one stream" "$( (cat one.jsonl; echo; cat two.jsonl) | tool)" "$expected"
check "a dash between files" "$(tool one.jsonl - <two.jsonl)" "$expected"
check "another locale" "$( (LC_ALL=de_DE.UTF-8; export LC_ALL; tool one.jsonl two.jsonl) 2>/dev/null)" "$expected"

# Bad records have their line in their place, and the rest is done.
printf '%s\n' '{"text":"A"}' '{"id":"x","text":1}' 'nonsense' '{"id":5,"tokens":1,"text":"A"}' '{"text":"B"}' >bad.jsonl
out=$(tool bad.jsonl); status=$?
check "bad records: status" $status 1
check "bad records" "$(cut -d: -f1,2 <<<"$out" | cut -d, -f1,2 | tr '\n' ' ')" \
    '{"id":1,"tokens" {"id":"x","error" {"id":3,"error" {"id":5,"error" {"id":5,"tokens" '
check "why" "$(sed -n 2p <<<"$out")" '{"id":"x","error":"\"text\": expected a string, found a number"}'
check "how it arrives does not show" "$(tool <bad.jsonl)" "$out"
check "named on stderr" "$("$bin/ego-model" tokenize -m tiny.safetensors bad.jsonl 2>&1 >/dev/null | grep -c '^ego-model: bad.jsonl:[234]: ')" 3
head -c 17000000 /dev/zero | tr '\0' x >long.jsonl
printf '\n{"text":"A"}\n' >>long.jsonl
out=$(tool long.jsonl); status=$?
check "a line beyond the limit" "$status $(wc -l <<<"$out") $(tail -1 <<<"$out")" "1 2 $(line 2 69 A)"

# Output comes when input pauses.
mkfifo pipe
tool <pipe >answers &
job=$!
exec 9>pipe
echo '{"text":"A"}' >&9
for _ in $(seq 100); do [ -s answers ] && break; sleep 0.05; done
check "flushed at a pause" "$(cat answers)" "$(line 1 69 A)"
echo '{"text":"B"}' >&9
exec 9>&-
wait $job
check "status after a pause" "$? $(wc -l <answers)" "0 2"

# Signals, closed and full outputs. Who was started with SIGINT ignored (nohup, a job of a script) hands that on.
int_ignored() { (( 0x$(awk '/^SigIgn/ { print $2 }' /proc/self/status 2>/dev/null || echo 0) & 2 )); }
for signal in TERM INT; do
    if [ $signal = INT ] && int_ignored; then
        echo "without SIGINT: it is ignored here" >&2
        continue
    fi
    # A job in the background ignores SIGINT unless job control is on.
    : >answers
    set -m
    "$bin/ego-model" tokenize -q -m tiny.safetensors <pipe >answers &
    job=$!
    set +m
    exec 9>pipe
    echo '{"text":"A"}' >&9
    for _ in $(seq 200); do [ -s answers ] && break; sleep 0.05; done # now it waits for more
    kill -$signal $job
    wait $job
    check "SIG$signal" "$? $(wc -l <answers)" "$((128 + $(kill -l $signal))) 1"
    exec 9>&-
done
seq 200000 | sed 's/.*/{"text":"A"}/' | tool 2>err | head -1 >/dev/null
check "reader gone" "${PIPESTATUS[2]} $(cat err)" "141 "
tool one.jsonl >/dev/full 2>err
check "disk full" "$? $(cut -d: -f1-3 err)" "3 ego-model: stdout: cannot be written"
tool absent.jsonl >out 2>err
check "absent" "$? $(cat err)" "3 ego-model: absent.jsonl: No such file or directory"
tool one.jsonl >&- 2>err
check "stdout closed" "$(($? != 0))" 1

echo "$count checks, $failed failed"
[ $failed = 0 ]
