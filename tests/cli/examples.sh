#!/bin/sh
# The examples on a small world drawn here, with a model that knows nothing: they run, keep what they said
# they keep, and count as ego-mcq itself counts.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-match ego-mcq ego-model ego-synth jq make
tiny_model tiny.safetensors
EGO_MODEL=$work/tiny.safetensors
export EGO_MODEL
run 0 ego-synth -q world --split test --videos 2 --minutes 0.5

# ---- search.sh --------------------------------------------------------------------------------------

cp -R world/videos "./-a folder"
search() { run 0 "$repo/examples/search.sh" "-a folder" "$@"; }
search '#C C washes a cup' 3
holds_json "search.sh" "$out" 'map(.rank) == [1,2,3] and all(.query == "#C C washes a cup" and (.video | startswith("./-a folder/")) and has("likely"))'
is "search.sh: the sheet" '211 P N G' "$(head -c 4 found.png | od -An -c | xargs)"
cp "$out" first
cp "./-a folder/index.ego" first.ego
search '#C C washes a cup' 3
same "search.sh a second time" first "$out"
holds "$err" '2 files, 2 of them as before'
same "search.sh: the index is kept" first.ego "./-a folder/index.ego"
echo junk >"./-a folder/junk.mp4"
search 'a cup'
holds_json "search.sh: five by itself" "$out" 'length == 5'

# ---- egomcq/Makefile --------------------------------------------------------------------------------

mcq() { example egomcq VIDEOS="$work/world/videos" MCQ="$work/world/egomcq.json" SHARDS=3 FRAMES=4 SAMPLING=time "$@"; }
run 0 mcq plan
questions=$(jq length world/egomcq.json)
holds "$out" "$questions questions: "
holds "$out" "$((5 * questions)) pairs"
holds "$out" "measured here: a clip takes "
run 0 mcq
run 0 mcq row.txt
cat egomcq/answers/*.jsonl | jq -c . | sort >sharded
ego-mcq --video-root world/videos world/egomcq.json 2>report | sort >whole
same "egomcq/Makefile: answers in shards" whole sharded
for mode in dual fused ensemble; do
    for type in inter intra; do
        column=2
        [ $type = inter ] || column=3
        told=$(sed -n "s/^ego-mcq: $type $mode *\([0-9.]*\) %.*/\1/p" report)
        made=$(awk -v m=$mode -v c=$column '$1 == m { print $c }' egomcq/row.txt)
        is "row.txt: $mode $type" "${told:--}" "$([ "$made" = - ] && echo - || printf '%.1f' "$made")"
    done
done
rm egomcq/answers/01.jsonl
run 0 mcq --dry-run
holds "$out" '--shard '
is "egomcq/Makefile: only what is missing" 1 "$(grep -c -- '--shard ' "$out")"
finish
