#!/bin/sh
# ego-train mir: captions and clips of EK-100's retrieval files to a fine-tuned dual path.
. "$(dirname "$0")/lib.sh"
need ego-train ego-model ego-synth jq
run 0 ego-synth -q world --videos 2 --minutes 0.5 --no-qa-videos
tiny_model m.safetensors --seed 3 --set frames=2
mkdir -p videos/P01
for folder in world/videos/*/; do cp "$folder/0.mp4" "videos/P01/$(basename "$folder").MP4"; done

# epic FROM TO NAME: lines of egoclip.csv as NAME.csv and NAME_sentence.csv.
epic() {
    awk -F '\t' -v from="$1" -v to="$2" -v sentences="$3_sentence.csv" '
        function clock(t) { return sprintf("00:%02d:%05.2f", int(t / 60), t - 60 * int(t / 60)) }
        BEGIN {
            print "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp," \
                "start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
            print "narration_id,narration" >sentences
        }
        NR > 1 && NR - 1 >= from && NR - 1 <= to {
            gsub(/[][]/, "", $10); gsub(/[][]/, "", $11); split($10, verbs, ","); split($11, nouns, ",")
            text = substr($9, 6); id = "P01_" NR
            printf "%s,P01,%s,%s,%s,%s,0,0,%s,v,%d,n,%d,\"[]\",\"[%s]\"\n",
                id, $2, clock($6), clock($7), clock($8), text, verbs[1], nouns[1], $11
            if (!(text in seen)) print id "," text >sentences
            seen[text] = 1
        }' world/egoclip.csv >"$3.csv"
}
epic 1 20 train
epic 1 12 test
cat >c.json <<'END_OF_FILE'
{"model": "m.safetensors",
 "data": {"train": "train.csv", "train_sentences": "train_sentence.csv", "validate": "test.csv",
          "validate_sentences": "test_sentence.csv", "video_root": "videos"},
 "dropout": 0, "optim": {"lr": 1e-3},
 "run": {"out": "run", "epochs": 3, "batch": 10, "keep": 2, "seed": 1}}
END_OF_FILE

# ---- a run --------------------------------------------------------------------------------------------

run 0 ego-train mir c.json --dry-run
holds_json "--dry-run" "$out" '.[0] | .rows == 20 and .steps == 6 and .steps_per_epoch == 2 and .samples_per_step == 10'
absent run
run 0 ego-train mir c.json
empty "stdout of a run" "$out"
empty "notes of a run without faults" "$err"
holds_json "the log" run/log.jsonl '
    (map(select(.event == null)) | length == 6 and all((.losses | keys == ["margin"]) and .total > 0))
    and (map(select(.event == "validation")) | length == 3 and all(.numbers | keys_unsorted
        == ["ndcg_v2t", "ndcg_t2v", "ndcg_avg", "map_v2t", "map_t2v", "map_avg", "failed"] and .failed == 0)
        and all((.score - .numbers.map_avg | fabs) < 1e-9 and .score > 0 and .score <= 100))'
run 0 ego-model info "$(last run)"

# Each clip with its own caption, as it is: learnt by heart.
run 0 ego-train mir c.json --set run.out=heart --set data.validate=null --set data.augment=false --set data.relevant=1 \
    --set run.epochs=15 --set optim.lr=5e-4 -t 1
holds_json "a loss that falls" heart/log.jsonl 'map(select(.event == null) | .total) | (.[-4:] | add) < 0.8 * (.[:4] | add)'

# ---- in portions --------------------------------------------------------------------------------------

run 0 ego-train mir c.json --set run.out=parts --set run.batch=5 --set run.accumulate=2 --set run.steps=1
run 0 ego-train mir c.json --set run.out=wholes --set run.steps=1
holds_json "portions" parts/log.jsonl "(map(select(.event == null))[0].total - $(jq -s 'map(select(.event == null))[0].total' wholes/log.jsonl) | fabs) < 1e-5"

# ---- stopped and resumed ------------------------------------------------------------------------------

resumed_alike mir c.json margin=0.5

# ---- what cannot be -----------------------------------------------------------------------------------

run 2 ego-train mir c.json --set run.out=x --set data.train_sentences=null
holds "$err" 'data.train_sentences'
run 2 ego-train mir c.json --set run.out=x --set temperature=1
holds "$err" "unknown key 'temperature'"
run 2 ego-train mir c.json --set run.out=x --set run.batch=21
holds "$err" '20 rows are fewer than the 21'
run 3 ego-train mir c.json --set run.out=x --set data.train=no.csv
holds "$err" 'no.csv'
sed 's/P01_2,/P01_999,/' train_sentence.csv >odd.csv
run 3 ego-train mir c.json --set run.out=x --set data.train_sentences=odd.csv
holds "$err" "'P01_999' is no narration_id of train.csv"
printf '1 2 3 4 5 6 7 8' | awk '{ for (i = 0; i < 32; i++) printf "A" }' | npy '<f4' '(2, 4)' >small.npy
run 3 ego-train mir c.json --set run.out=x --set data.train_relevancy=small.npy
holds "$err" 'sentences expected, found 2 by 4'
absent x
rm videos/P01/train-0-0001.MP4
run 0 ego-train mir c.json --set run.out=fewer --set run.epochs=1
holds "$err" 'is replaced'
holds_json "clips that cannot be read" fewer/log.jsonl 'map(select(.event == "validation"))[0].numbers.failed > 0'
finish
