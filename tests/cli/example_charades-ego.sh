#!/bin/sh
# examples/charades-ego on a small world: lists in the published form, every video against 157 classes, the row.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-match ego-model ego-score ego-synth ego-train jq make
tiny_model tiny.safetensors
EGO_MODEL=$work/tiny.safetensors
export EGO_MODEL
run 0 ego-synth -q world --split test --videos 1 --minutes 0.5 --no-qa-videos
mkdir charades
for id in A1EGO B2EGO CX3EGO; do ln -s "$(find "$work/world/videos" -name 0.mp4)" charades/$id.mp4; done
seq 0 156 | awk '{ printf "c%03d Doing the thing of number %d\n", $1, $1 }' >classes.txt
cat >list.csv <<'END'
id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length,egocentric
A1EGO,S1,Kitchen,5,6,Yes,"A person cooks, then eats.",food;table,"Somebody said ""eat"".",c009 0.00 4.20;c156 3.00 40.00,30.00,Yes
B2EGO,S2,Bedroom,,,No,Sleeps.,bed,,"c011 3.10 8.00",30.00,Yes
CX3EGO,S2,Bedroom,,,No,Nothing.,,,,30.00,Yes
END
charades() { example charades-ego VIDEOS="$work/charades" TEST="$work/list.csv" CLASSES="$work/classes.txt" FRAMES=8 SHARDS=2 "$@"; }

run 0 charades plan
holds "$out" "3 videos, 157 classes"
holds "$out" "measured here: a clip takes "
run 0 charades
cp charades-ego/row-zero-shot.txt row.txt
is "row.txt" "metric map" "$(cut -d' ' -f1 row.txt | xargs)"
is "row.txt: the paper's figure" 26.2 "$(awk 'NR > 1 { print $NF }' row.txt)"
holds_json "scores of every class" charades-ego/clips/zero-shot/scores.jsonl 'map(.id) == ["A1EGO","B2EGO","CX3EGO"] and all(.scores | length == 157)'
printf 'id\tcls\tt_start\tt_end\tnarration\nA1EGO\t9\t0.0\t4.2\tPutting a book somewhere\nB2EGO\t11\t3.1\t8.0\tTidying up\n' >train.csv
tuned() { charades PAPER=tuned TRAIN="$work/train.csv" SETTINGS='--set run.epochs=2 --set run.batch=2' "$@"; }
run 0 tuned plan
holds "$out" "tuning: 2 steps; "
run 0 tuned
is "the figure of tuning" 34.1 "$(awk 'NR > 1 { print $NF }' charades-ego/row-tuned.txt)"
run 0 ego-embed --format jsonl --frames 8 --sampling reference --video-root charades list.csv
head -n 1 "$out" | jq -c .embedding >whole
echo '{"id":"w","video":"A1EGO"}' | ego-embed --format jsonl --frames 8 --sampling reference --video-root charades 2>"$err" | jq -c .embedding >own
same "a list's video is seen whole" own whole
finish
