#!/bin/bash
# ego-match on streams made here, byte by byte: faults that ego-embed would not write, and neither a model
# nor jq is needed. Usage: match_bytes.sh [BIN_DIRECTORY]
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
contains() { # what, text, part
    count=$((count + 1))
    case $2 in *"$3"*) return ;; esac
    failed=$((failed + 1))
    printf '%s:\n  expected something with: %s\n  found: %s\n' "$1" "$3" "$2" >&2
}

one='\0\0\200\077' zero='\0\0\0\0' minus='\0\0\200\277' nan='\0\0\300\177'
record() { # id, further members, elements as printf escapes; a stream record of 2 floats
    printf '{"id":%s,"part":"video","model":"m1","dtype":"f32","shape":[2]%s}\n' "$1" "$2"
    printf "$3"
}
{
    record '"east"' ',"video":"e.mp4","start":2.0,"end":6' "$one$zero"
    record '"north"' ',"text":"up \u00e9","mine":1' "$zero$one"
    record '"west"' '' "$minus$zero"
    record '"east2"' '' "$one$zero"
} >targets.ego
record '"q1"' '' "$one$zero" >q1.ego
record 7 '' "$zero$one" >q2.ego

# What comes out, ties in order of the targets, carried members as they stood.
out=$("$bin/ego-match" -k 3 q1.ego targets.ego); status=$?
check status $status 0
check "three best" "$out" '{"query":"q1","rank":1,"id":"east","score":1,"video":"e.mp4","start":2.0,"end":6}
{"query":"q1","rank":2,"id":"east2","score":1}
{"query":"q1","rank":3,"id":"north","score":0,"text":"up \u00e9"}'
check "streams concatenate; one thread or four" \
    "$(cat q1.ego q2.ego | "$bin/ego-match" -t 1 - targets.ego | md5sum)" \
    "$(cat q1.ego q2.ego >both.ego; "$bin/ego-match" -t 4 both.ego targets.ego | md5sum)"
check "targets from stdin" "$("$bin/ego-match" -k1 q2.ego - <targets.ego)" \
    '{"query":7,"rank":1,"id":"north","score":1,"text":"up \u00e9"}'
check "targets from a pipe" "$("$bin/ego-match" -k1 q2.ego <(cat targets.ego) | cut -c1-41)" \
    '{"query":7,"rank":1,"id":"north","score":'
check "least score" "$("$bin/ego-match" --min-score 0.5 q1.ego targets.ego | wc -l)" 2
check "parts" "$("$bin/ego-match" --part text q1.ego targets.ego 2>&1 >/dev/null)" \
    'ego-match: targets.ego: holds no embeddings of part text to search'
contains provenance "$("$bin/ego-match" -k1 --provenance q1.ego targets.ego)" '"provenance":{"tool":"ego-match","version":"'

# Queries are answered as they come: the second is written when the first's answer is there.
mkfifo pipe
"$bin/ego-match" -k1 - targets.ego <pipe >answers &
job=$!
exec 9>pipe
cat q1.ego >&9
for _ in $(seq 100); do [ -s answers ] && break; sleep 0.05; done
check "answer before the end" "$(wc -l <answers)" 1
head -c 20 q2.ego >&9
sleep 0.1
tail -c +21 q2.ego >&9
exec 9>&-
wait $job
check "pipe status" $? 0
check "both answers" "$(wc -l <answers)" 2

# A signal ends the wait for more, with its status.
sleep 30 >pipe & writer=$!
"$bin/ego-match" -k1 - targets.ego <pipe >answers & job=$!
sleep 0.3
kill -TERM $job
wait $job
check "SIGTERM" $? 143
kill $writer 2>/dev/null
wait $writer 2>/dev/null

# Faults: a cut stream, a NaN, an error record, other models, other widths, nothing.
head -c -3 targets.ego >cut.ego
out=$("$bin/ego-match" -k5 q1.ego cut.ego 2>err); status=$?
check "cut: status" $status 1
check "cut: what came before" "$(wc -l <<<"$out")" 3
contains "cut: message" "$(cat err)" 'cut.ego: record 4 at byte'
head -c -3 both.ego >cutq.ego
out=$("$bin/ego-match" -k1 cutq.ego targets.ego 2>err); status=$?
check "cut queries" "$status $(wc -l <<<"$out")" "1 1"
out=$("$bin/ego-match" -k1 - targets.ego <cutq.ego 2>err); status=$?
check "cut queries on stdin" "$status $(wc -l <<<"$out")" "1 1"
contains "cut queries on stdin: message" "$(cat err)" 'stdin: record 2 at byte'

record '"bad"' '' "$nan$one" >bad.ego
out=$(cat bad.ego q1.ego | "$bin/ego-match" -k1 - targets.ego 2>err); status=$?
check "NaN query: status" $status 1
check "NaN query: its place" "$(head -1 <<<"$out")" \
    '{"id":"bad","error":"the query'"'"'s embedding holds a NaN or an infinity"}'
check "NaN query: the others" "$(wc -l <<<"$out")" 2
cat bad.ego targets.ego >badt.ego
out=$("$bin/ego-match" -k9 q1.ego badt.ego 2>err); status=$?
check "NaN target" "$status $(wc -l <<<"$out")" "1 4"
contains "NaN target: message" "$(cat err)" 'badt.ego: 1 embeddings hold a NaN'

printf '{"id":"e","error":"no such file"}\n' >error.ego
cat error.ego targets.ego >errt.ego
out=$("$bin/ego-match" -k9 q1.ego errt.ego 2>err); status=$?
check "error among targets" "$status $(wc -l <<<"$out")" "0 4"
check "error as query" "$(cat error.ego q1.ego | "$bin/ego-match" -q -k1 - targets.ego | head -1)" \
    '{"id":"e","error":"no such file"}'

sed 's/"m1"/"m2"/' q1.ego >other.ego
"$bin/ego-match" other.ego targets.ego >out 2>err; status=$?
check "other model" "$status $(wc -c <out)" "2 0"
contains "other model: message" "$(cat err)" 'different models: m2 and m1'
check "other model, forced" "$("$bin/ego-match" --force -k1 other.ego targets.ego | wc -l)" 1
printf '{"id":1,"part":"text","model":"m1","dtype":"f32","shape":[3]}\n'"$one$zero$zero" >wide.ego
"$bin/ego-match" --force wide.ego targets.ego >out 2>err; status=$?
check "other width" "$status $(wc -c <out)" "2 0"
contains "other width: message" "$(cat err)" 'wide.ego holds vectors of 3 elements, targets.ego of 2'
: >empty.ego
"$bin/ego-match" q1.ego empty.ego >out 2>err; status=$?
check "no targets" "$status $(cat err)" "3 ego-match: empty.ego: holds no embeddings to search"
"$bin/ego-match" empty.ego targets.ego >out 2>err; status=$?
check "no queries" "$status $(wc -c <out)" "0 0"
echo garbage >garbage.ego
"$bin/ego-match" q1.ego garbage.ego >out 2>err; status=$?
check "no stream" $status 3
"$bin/ego-match" q1.ego absent.ego >out 2>err; status=$?
check "absent" "$status $(cat err)" "3 ego-match: absent.ego: No such file or directory"

# Matrices: .npy with and without lines beside, .fvecs.
npy() { # rows, elements
    printf '\223NUMPY\1\0\166\0%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': ($1, 2), }"
    printf "$2"
}
npy 2 "$zero$one$one$zero" >plain.npy
check "npy" "$("$bin/ego-match" -k1 q1.ego plain.npy)" '{"query":"q1","rank":1,"id":1,"score":1}'
cp plain.npy named.npy
printf '{"id":"n","model":"m1"}\n{"id":"x","error":"gone"}\n{"id":"e","video":"e.mp4","row":1}\n' >named.jsonl
check "npy with lines" "$("$bin/ego-match" -k1 q1.ego named.npy)" \
    '{"query":"q1","rank":1,"id":"e","score":1,"video":"e.mp4"}'
echo '{"id":"n"}' >named.jsonl
"$bin/ego-match" -k1 q1.ego named.npy >out 2>err; status=$?
check "npy with a line too few" "$status" 3
contains "npy with a line too few: message" "$(cat err)" 'named.jsonl: expected 2 lines'
printf '\2\0\0\0'"$zero$one"'\2\0\0\0'"$one$zero" >set.fvecs
check "fvecs against itself" "$("$bin/ego-match" -k1 set.fvecs set.fvecs)" \
    '{"query":0,"rank":1,"id":0,"score":1}
{"query":1,"rank":1,"id":1,"score":1}'

# Usage and output.
"$bin/ego-match" q1.ego >out 2>err; status=$?
check "one argument" "$status $(wc -c <out)" "2 0"
"$bin/ego-match" - - >out 2>err; status=$?
check "stdin twice" $status 2
"$bin/ego-match" -k 0 q1.ego targets.ego >out 2>err; status=$?
check "k" "$status $(head -1 err)" "2 ego-match: --top: expected a whole number from 1 to 1000000, found '0'"
"$bin/ego-match" --dtype bf16 q1.ego targets.ego 2>err; status=$?
check "dtype" "$status $(head -1 err)" "2 ego-match: --dtype: this build computes in f32 on the cpu only"
"$bin/ego-match" q1.ego targets.ego >/dev/full 2>err; status=$?
check "disk full" $status 3
contains "disk full: message" "$(cat err)" 'stdout: cannot be written'
"$bin/ego-match" -h >out; check "help" "$? $(($(wc -l <out) <= 24))" "0 1"
contains "help has an example" "$(cat out)" "example:"
contains version "$("$bin/ego-match" -V)" "ego-match (Ego) "
for _ in $(seq 3000); do cat q1.ego; done >many.ego
"$bin/ego-match" many.ego targets.ego 2>err | head -1 >/dev/null
check "closed pipe" "${PIPESTATUS[0]} $(cat err)" "141 "
"$bin/ego-match" --completion bash | bash -n; check "completion" $? 0

echo "$count checks, $failed failed"
[ $failed = 0 ]
