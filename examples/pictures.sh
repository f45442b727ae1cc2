#!/bin/sh
# The README's pictures, by the model that ships, of videos it has never seen:   pictures.sh OUT [WORLD]
# What is asked was written before any picture was looked at. WORLD is `make demo`'s
# (examples/demo.sh). Needs ffmpeg.
set -eu
out=$1 world=${2:-build/demo/world}
PATH=${EGO_BIN:-build/bin}:$PATH
index=${world%/world}/index.ego video=$world/videos/test-7-0000/0.mp4
mkdir -p "$out"
narration() { sed -n "${1}p" "$world/test_narrations.jsonl" | sed 's/.*"text":"\([^"]*\)".*/\1/'; }
clip() { sed -n "${1}p" "$world/test_clips.jsonl"; }

ego-match -q -k 4 --query "$(narration 8)" --sheet "$out/match.png" "$index" >/dev/null
ego-nlq -q -k 3 --query "$(narration 3)" --query "$(narration 12)" --timeline "$out/nlq.png" "$video" >/dev/null
ego-sum -q --ratio 0.3 --sheet "$out/sum.png" "$video" >/dev/null
clip 8 | sed "s/}\$/,\"text\":\"$(narration 8)\"}/" >"$out/attn.jsonl"
ego-attn -q --video-root "$world/videos" --word cuts --word yellow --word sponge --overlay "$out/attn.png" "$out/attn.jsonl" >/dev/null
rm "$out/attn.jsonl"
# A repository keeps every version: 256 colours do.
for picture in "$out"/*.png; do
    ffmpeg -v error -y -i "$picture" -vf 'split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none' "$picture.part.png"
    mv "$picture.part.png" "$picture"
done
