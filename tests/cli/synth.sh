#!/bin/sh
# ego-synth: the files it promises, the same bytes again, and how it refuses.
. "$(dirname "$0")/lib.sh"
need ego-synth jq

# ---- annotation files -------------------------------------------------------------------------------

run 0 ego-synth --videos 6 --minutes 1 --annotations-only a
empty "standard output" "$out"
for file in egoclip.csv egomcq.json nlq_train.json nlq_val.json nlq/train.json nlq/val.json nlq/test.json \
    qa/answer_set.txt qa/all_reasoning_types.txt qa/direct/formatted_train_qas_encode.json \
    qa/direct/formatted_val_qas_encode.json qa/direct/formatted_test_qas_encode.json \
    qa/indirect/formatted_test_qas_encode.json qfvs/Dense_per_shot_tags/P03/P03.txt manifest.json; do
    [ -s "a/$file" ] || fail "a/$file" "expected a file"
done
absent a/videos a/qa_videos
is "columns of egoclip.csv" 11 "$(head -n 1 a/egoclip.csv | tr '\t' '\n' | wc -l)"
is "rows with other columns" 0 "$(awk -F '\t' 'NF != 11' a/egoclip.csv | wc -l)"
holds_json "egomcq.json" a/egomcq.json \
    '.[0] | length > 50 and all(.[]; (.choices | length) == 5 and .choices[.answer | tostring].clip_text == .query.clip_text)'
holds_json "inter choices" a/egomcq.json '.[0] | all(.[] | select(.types == 1); [.choices[].video_uid] | unique | length >= 3)'
holds_json "intra choices" a/egomcq.json '.[0] | all(.[] | select(.types == 2); [.choices[].video_uid] | unique | length == 1)'
holds_json "manifest.json" a/manifest.json '.[0] | .train.videos and .test.videos and (.train.annotations | length > 5)'
for file in egoclip.csv nlq_train.json; do
    is "the manifest's hash of $file" "$(sha256sum <"a/$file" | cut -c 1-64)" "$(jq -r --arg f $file '.train.annotations[$f]' a/manifest.json)"
done

# A split at a time gives what both at once give, and each other seed another world.
run 0 ego-synth --split train --videos 6 --minutes 1 --annotations-only b
run 0 ego-synth --split test --videos 3 --minutes 1 --annotations-only b
run 0 diff -r a b
run 0 ego-synth --videos 6 --minutes 1 --seed 4 --annotations-only c
cmp -s a/egoclip.csv c/egoclip.csv && fail "--seed 4" "expected another egoclip.csv than --seed 0"

# ---- videos -----------------------------------------------------------------------------------------

run 0 ego-synth --videos 1 --minutes 0.5 -t 1 one
run 0 ego-synth --videos 1 --minutes 0.5 -t 2 two
same "the manifest with one thread and two" one/manifest.json two/manifest.json
is "videos" 2 "$(find one/videos -name 0.mp4 | wc -l)"
is "hashes of frames" 2 "$(jq -r '.train.videos[], .test.videos[] | .frames_fnv1a64 | length' one/manifest.json | grep -c 16)"
is "files left behind" 0 "$(find one two -name '*.tmp-*' | wc -l)"
jq -r '.[].interval' one/qa/direct/formatted_train_qas_encode.json | sort -u | while read -r interval; do
    [ -s "one/qa_videos/$interval.mp4" ] || echo "$interval"
done >"$out"
empty "intervals without a video" "$out"
if command -v ffprobe >/dev/null; then
    video=$(find one/videos -name 0.mp4 | head -n 1)
    is "the stream" "h264 320x256 30/1 900" "$(ffprobe -v error -count_packets -show_entries \
        stream=codec_name,width,height,r_frame_rate,nb_read_packets -of json "$video" |
        jq -r '.streams[0] | "\(.codec_name) \(.width)x\(.height) \(.r_frame_rate) \(.nb_read_packets)"')"
    frames=$(ffprobe -v error -show_entries frame=pict_type -of csv=p=0 "$video" | cut -c 1 | sort | uniq -c | tr -s ' \n' ' ')
    case $frames in *B*I*P*) ;; *) fail "kinds of frames" "expected B, I and P" "found    $frames" ;; esac
else
    skip_part "no ffprobe"
fi

# ---- the preview ------------------------------------------------------------------------------------

run 0 ego-synth --videos 6 --preview sheet.png
is "the picture's first bytes" "PNG" "$(head -c 4 sheet.png | tail -c 3)"

# ---- refusals ---------------------------------------------------------------------------------------

run 2 ego-synth
holds "$err" "directory"
run 2 ego-synth one two
run 2 ego-synth --minutes 0.1 d
run 2 ego-synth --videos 0 d
run 2 ego-synth --split validation d
run 2 ego-synth --no-such-option d
absent d
echo file >blocked
run 3 ego-synth --videos 1 --annotations-only blocked/inside
holds "$err" "blocked"
run 3 ego-synth --videos 1 --preview /nowhere/at/all.png
run 0 ego-synth -h
holds "$out" "ego-synth --videos"
run 0 ego-synth -V

finish
