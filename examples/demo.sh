#!/bin/sh
# What `make demo` shows: two minutes of synthetic first-person video, its clips and narrations embedded, and
# for each clip the narrations that fit best.        demo.sh [FOLDER]
set -eu
dir=${1:-build/demo}
PATH=${EGO_BIN:-build/bin}:$PATH
say() { echo "$*" >&2; }

say "== two synthetic videos of a minute each, with their narrations (ego-synth)"
[ -f "$dir/world/manifest.json" ] || ego-synth --split test --videos 2 --minutes 1 --seed 7 "$dir/world"
if [ -z "${EGO_MODEL:-}" ]; then
    say "== no trained model ships yet: a small one with RANDOM weights (ego-model init)"
    EGO_MODEL=$dir/random.safetensors
    [ -f "$EGO_MODEL" ] || ego-model init -o "$EGO_MODEL" --seed 1 --set dim=192 --set heads=3 --set depth=6 --set fuse_layers=3 \
        --set image_size=112 --set vocab=512 --set max_positions=130 --set 'projection=[256]' >/dev/null
    export EGO_MODEL
fi
say "== clips and narrations to embeddings (ego-embed)"
ego-embed --video-root "$dir/world/videos" "$dir/world/test_clips.jsonl" -o "$dir/clips.ego"
ego-embed -q "$dir/world/test_narrations.jsonl" -o "$dir/narrations.ego"
say "== for each clip the three narrations that fit best (ego-match); \"query\" is the clip"
ego-match -k 3 "$dir/clips.ego" "$dir/narrations.ego"
say "== and the other way: the best clips for a sentence, with a contact sheet: $dir/sheet.png"
ego-match -k 5 --query "#C C picks up the cup" --video-root "$dir/world/videos" --sheet "$dir/sheet.png" "$dir/clips.ego"
