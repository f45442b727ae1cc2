#!/bin/sh
# The clips of a folder of videos that fit a sentence best:
#     search.sh FOLDER 'C washes a cup' [HOW-MANY]     answers as JSON lines, their frames in found.png
# $EGO_MODEL is the model. Each video's embeddings are computed once and lie beside it as VIDEO.ego, so
# that a later search takes a moment, and an interrupted run goes on where it stopped.
set -eu
find "$1" -type f \( -name '*.mp4' -o -name '*.MP4' -o -name '*.mkv' -o -name '*.webm' \) | sort | while IFS= read -r video; do
    [ "$video.ego" -nt "$video" ] || ego-embed --window 4 --stride 2 --resume -o "$video.ego" "$video" </dev/null
done
find "$1" -name '*.ego' | sort | tr '\n' '\0' | xargs -0 cat | ego-match -k "${3:-5}" --query "$2" --sheet found.png -
