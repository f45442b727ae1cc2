#!/bin/sh
# The clips of a folder of videos that fit a sentence best:
#     search.sh FOLDER 'C washes a cup' [HOW-MANY]     answers as JSON lines, their frames in found.png
# $EGO_MODEL is the model. The first search takes the time to look at all videos, later ones only at what is
# new: FOLDER/index.ego remembers the rest. When nothing fits, that is said.
set -eu
case $1 in -*) folder=./$1 ;; *) folder=$1 ;; esac
ego-embed --update "$folder/index.ego" "$folder" || [ $? -eq 1 ] # 1: some videos cannot be read; the others can
ego-match -k "${3:-5}" --query "$2" --sheet found.png "$folder/index.ego"
