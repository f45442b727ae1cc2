#!/bin/sh
# What `make demo` shows: a search. Three videos that the model has never seen, nor their rooms, sleeves and pairs of
# thing and colour, are cut into windows of a second; three sentences out of their narrations are asked, with a
# contact sheet for each of what was found; and where it was narrated stands beside.        demo.sh [FOLDER]
set -eu
dir=${1:-build/demo}
PATH=${EGO_BIN:-build/bin}:$PATH
say() { echo "$*" >&2; }

say "== three videos of a minute and a half, never seen in training, with their narrations (ego-synth)"
[ -f "$dir/world/manifest.json" ] || ego-synth --split test --videos 3 --minutes 1.5 --seed 7 "$dir/world"
say "== every second of them as a vector (ego-embed)"
ego-embed --window 1 --stride 0.5 -o "$dir/index.ego" "$dir"/world/videos/*/*.mp4
number=0
for line in 8 30 55; do
    number=$((number + 1))
    narration=$(sed -n "${line}p" "$dir/world/test_narrations.jsonl")
    id=$(expr "$narration" : '{"id":"\([^"]*\)"') text=$(expr "$narration" : '.*"text":"\([^"]*\)"')
    truth=$(grep -F "\"$id\"" "$dir/world/test_clips.jsonl")
    say "== ego-match --query '$text'"
    say "   (narrated of: $truth)"
    ego-match -k 3 --query "$text" --sheet "$dir/found-$number.png" "$dir/index.ego"
done
say "== what was found, as pictures: $dir/found-1.png to found-$number.png"
