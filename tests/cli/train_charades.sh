#!/bin/sh
# ego-train charades: segments and their descriptions to a fine-tuned dual path that tells actions apart.
. "$(dirname "$0")/lib.sh"
need ego-train ego-model ego-synth jq
run 0 ego-synth -q world --videos 2 --minutes 0.5 --no-qa-videos
tiny_model m.safetensors --seed 3 --set frames=2
mkdir videos
for folder in world/videos/*/; do cp "$folder/0.mp4" "videos/$(basename "$folder").mp4"; done

# A class is a verb; a line an action, and the first two segments last a single frame and all of the video.
awk -F '\t' '
    NR == 1 { print "id\tcls\tt_start\tt_end\tnarration"; next }
    {
        gsub(/[][]/, "", $10); split($10, verbs, ",")
        if (!(verbs[1] in class)) { class[verbs[1]] = n++; printf "c%03d %s\n", n - 1, substr($9, 6) >"classes.txt" }
        start = $7; end = $8
        if (NR == 2) end = start + 0.02
        if (NR == 3) start = end = 0
        printf "%s\t%d\t%s\t%s\t%s\n", $2, class[verbs[1]], start, end, substr($9, 6)
    }' world/egoclip.csv >train.csv
awk -F '\t' '
    NR == 1 { print "id,subject,actions"; next }
    { actions[$1] = actions[$1] (actions[$1] ? ";" : "") sprintf("c%03d %s %s", $2, $3, $4) }
    END { for (id in actions) printf "%s,S1,%s\n", id, actions[id]; print "test-0-0000,S1," }' train.csv >test.csv
cat >c.json <<'END_OF_FILE'
{"model": "m.safetensors",
 "data": {"train": "train.csv", "validate": "test.csv", "classes": "classes.txt", "video_root": "videos"},
 "dropout": 0, "optim": {"lr": 1e-3},
 "run": {"out": "run", "epochs": 6, "batch": 10, "keep": 2, "seed": 1}}
END_OF_FILE

# ---- a run --------------------------------------------------------------------------------------------

run 0 ego-train charades c.json --dry-run
holds_json "--dry-run" "$out" '.[0] | .rows == 20 and .steps == 12 and .samples_per_step == 10'
absent run
run 0 ego-train charades c.json
empty "stdout of a run" "$out"
empty "notes of a run: short segments are clips like others" "$err"
holds_json "the log" run/log.jsonl '
    (map(select(.event == null)) | length == 12 and all(.losses | keys == ["nce"])
        and .[-1].total < 0.97 * .[0].total)
    and (map(select(.event == "validation")) | length == 6 and all(.numbers | keys_unsorted == ["map", "failed"]
        and .failed == 0 and .map > 0 and .map <= 100))'
run 0 ego-model info "$(last run)"

# ---- stopped and resumed ------------------------------------------------------------------------------

resumed_alike charades c.json temperature=0.1

# ---- what cannot be -----------------------------------------------------------------------------------

run 2 ego-train charades c.json --set run.out=x --set data.classes=null
holds "$err" 'data.classes'
run 2 ego-train charades c.json --set run.out=x --set margin=1
holds "$err" "unknown key 'margin'"
head -n 1 classes.txt >few.txt
run 3 ego-train charades c.json --set run.out=x --set data.classes=few.txt
holds "$err" 'a class below the 1 of few.txt expected'
run 3 ego-train charades c.json --set run.out=x --set data.train=no.csv
holds "$err" 'no.csv'
absent x
finish
