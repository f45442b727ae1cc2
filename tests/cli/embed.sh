#!/bin/sh
# ego-embed: what goes in, what comes out, and how it ends.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-model jq
tiny_model m.safetensors --rule golden
EGO_MODEL=$work/m.safetensors
export EGO_MODEL
tiny_model other.safetensors --seed 5
name=$(ego-model info m.safetensors | jq -r .model)

# ---- records in, every format out -------------------------------------------------------------------

cat >records.jsonl <<'END'
{"id":"a","text":"#C C picks up the cup"}
{"text":"no id"}
{"id": 7, "tokens":[0,5,6,2]}
{"id":"e","text":"\u0043 x","mine":  {"a" : [1, 2.50,1e400]} , "\u00e9":"\u0041é","big":123456789012345678901234567890}

{"text":"line six"}
END
run 0 ego-embed records.jsonl
mv "$out" stream
is "ids of the stream" '"a" 2 7 "e" 6' "$(headers stream | jq -c .id | xargs -d '\n')"
is "other members of the header" "text $name projected f32 [96]" \
    "$(headers stream | jq -r '[.part,.model,.layer,.dtype,(.shape|tostring)]|join(" ")' | sort -u)"
headers stream >"$out"
holds "$out" '"text":"\u0043 x","mine":{"a" : [1, 2.50,1e400]},"\u00e9":"\u0041é","big":123456789012345678901234567890}'

# The stream by its own rules: a header to the newline, then as many elements as its shape says.
at=0 records=0 size=$(wc -c <stream)
while [ "$at" -lt "$size" ]; do
    header=$(tail -c +$((at + 1)) stream | head -n 1)
    start=$((at + ${#header} + 1))
    is "the length of record $records, header at byte $at" 1.0000 "$(tail -c +$((start + 1)) stream | head -c 384 | lengths /dev/stdin 0 96)"
    at=$((start + 384)) records=$((records + 1))
done
is "records in the stream" "5 and $size bytes" "$records and $at bytes"

ego-embed <records.jsonl >other 2>"$err"
same "records from stdin" stream other
ego-embed - <records.jsonl >other 2>"$err"
same "records from -" stream other
run 0 ego-embed -o other records.jsonl
empty "stdout with -o" "$out"
same "-o FILE" stream other
absent other.part other.part.json
printf '{"text":"first"}\n' >one.jsonl
ego-embed one.jsonl records.jsonl >both 2>"$err"
is "ids over two files" '1 "a" 3 7 "e" 7' "$(headers both | jq -c .id | xargs -d '\n')"

run 0 ego-embed --format jsonl records.jsonl
holds_json "jsonl" "$out" 'length == 5 and all(.embedding | length == 96) and all(.shape == [96])'
holds "$out" '"big":123456789012345678901234567890}'
jq -r '.embedding[]' "$out" | awk '{ printf "%.6f\n", $1 }' >numbers
run 0 ego-embed --format npy -o t.npy records.jsonl
is "npy magic" '223 N U M P Y 001 \0' "$(head -c 8 t.npy | od -An -c | xargs -0 | tr -s ' ' | sed 's/^ //')"
is "npy header" "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 96), }" "$(head -c 128 t.npy | tail -c +11 | sed 's/ *$//')"
is "npy size" $((128 + 5 * 96 * 4)) "$(wc -c <t.npy)"
floats t.npy 128 480 | awk '{ printf "%.6f\n", $1 }' >other
same "the numbers of .npy and of jsonl" numbers other
holds_json "ids beside the .npy" t.jsonl 'map(.row) == [0,1,2,3,4] and .[3].id == "e" and .[0].text == "#C C picks up the cup"'
run 0 ego-embed --format fvecs -o t records.jsonl
od -An -v -t d4 -w388 t.fvecs | awk '{ print $1 }' | sort | uniq -c | xargs >"$out"
is "fvecs" "5 96" "$(cat "$out")"
same "ids beside the .fvecs" t.jsonl t.jsonl
run 0 ego-embed --provenance --format jsonl records.jsonl
holds_json "--provenance" "$out" 'all(.provenance | .tool == "ego-embed" and .version and .config.dim == 64)'
run 0 ego-embed --provenance records.jsonl
is "--provenance in the stream" 5 "$(headers "$out" | jq -r .provenance.tool | grep -c ego-embed)"
printf '{"model":{"gate":"zero"}}' >config.json
run 0 ego-embed --config config.json --provenance --text x --format jsonl
holds_json "--config" "$out" '.[0].provenance.config.gate == 0'
run 0 ego-embed --config config.json --set gate=one --provenance --text x --format jsonl
holds_json "--set after --config" "$out" '.[0].provenance.config.gate == 1'
run 3 ego-embed --config missing.json --text x
holds "$err" missing.json
run 0 ego-embed --text 'two words' --format jsonl
holds_json "--text" "$out" '.[0].id == "text" and .[0].text == "two words"'
run 0 ego-embed --no-normalize --format npy -o long records.jsonl
lengths long.npy 128 96 | grep -qx 1.0000 && fail "--no-normalize" "expected lengths as they come" "found    unit length"

# ---- every layer ------------------------------------------------------------------------------------

run 0 ego-embed --layer backbone --text hi --format jsonl
holds_json "backbone" "$out" '.[0].shape == [64] and .[0].layer == "backbone"'
run 0 ego-embed --layer tokens --text hi --format jsonl
holds_json "tokens" "$out" '.[0].shape == [4,64] and (.[0].embedding | length == 256)'
tail -c 49152 m.safetensors | npy '<f4' '(4, 3, 32, 32)' >float.npy
head -c 7776 float.npy | tail -c 7500 | npy '|u1' '(1, 50, 50, 3)' >picture.npy
tail -c 30000 m.safetensors | npy '|u1' '(4, 50, 50, 3)' >bytes.npy
printf '{"id":"f","frames":"float.npy","text":"both"}\n{"id":"b","frames":"bytes.npy"}\n' >frames.jsonl
run 0 ego-embed frames.jsonl --fused
is "parts with --fused" 'f video,f text,f fused,b video' "$(headers "$out" | jq -r '.id + " " + .part' | paste -sd ,)"
is "vtm is a probability" true "$(headers "$out" | jq 'select(.part == "fused") | .vtm > 0 and .vtm < 1 and .shape == [64]')"
is "vtm elsewhere" 'null null null' "$(headers "$out" | jq 'select(.part != "fused") | .vtm' | xargs)"
run 0 ego-embed frames.jsonl --layer pixels
is "pixels" '[4,3,32,32] [4,3,32,32]' "$(headers "$out" | jq -c .shape | xargs)"
tail -c +$(($(head -n 1 "$out" | wc -c) + 1)) "$out" | head -c 49152 >other
tail -c +129 float.npy >numbers
same "float frames come out of --layer pixels as they went in" numbers other
run 1 ego-embed --format jsonl <<'END'
{"id":"few","frames":"picture.npy"}
END
holds_json "one frame where the model wants four" "$out" '.[0].id == "few" and (.[0].error | contains("picture.npy"))'

# ---- films ------------------------------------------------------------------------------------------

films() { # FILE of 8 s
    film=$1
    run 0 ego-embed "$film" --window 4 --stride 2 --format jsonl
    is "windows of $film" "$film#t=0,4 $film#t=2,6 $film#t=4,8" "$(jq -r .id "$out" | xargs)"
    holds_json "their members" "$out" '.[1].start == 2 and .[1].end == 6 and .[1].part == "video"'
    cp "$out" windows
    jq -c '{id, video, start, "end"}' windows | ego-embed --format jsonl >"$out" 2>"$err"
    same "the same windows as records" windows "$out"
    run 0 ego-embed "$film" --format jsonl
    holds_json "a whole file" "$out" '.[0].id == .[0].video and (.[0] | has("start") | not)'
    run 0 ego-embed "$film" --window 3 --dry-run
    holds_json "--dry-run" "$out" '.[0].records == 3'
    mkdir -p root && cp "$film" root/moved.mp4
    printf '{"video":"moved.mp4","start":1,"end":3,"text":"with words"}\n{"video":"moved","start":70,"end":71}\n' >"$work/film.jsonl"
    run 1 ego-embed film.jsonl --video-root root --format jsonl
    holds_json "--video-root; a start past the end" "$out" 'length == 3 and .[1].part == "text" and .[2].id == 2 and (.[2].error | contains("70"))'
    run 0 ego-embed --media - <"$film"
    is "a film on stdin" video "$(headers "$out" | jq -r .part)"
}
if small_video film.mp4; then films film.mp4; else skip_part "films: neither ffmpeg nor ego-synth"; fi
if [ -r "$real_clip" ]; then
    run 0 ego-embed "$real_clip" --window 4 --stride 2 --format jsonl
    holds_json "the real clip" "$out" 'length >= 1 and all(.shape == [96])'
else
    skip_part "the real clip: no $real_clip"
fi

# ---- records that fail ------------------------------------------------------------------------------

cat >mixed.jsonl <<'END'
{"id":"good","text":"x"}
not json
{"id":"collides","text":"x","embedding":1}
{"id":"collides too","text":"x","model":"m"}
{"id":"an error","text":"x","error":"y"}
{"id":"no file","video":"nope.mp4"}
{"id":"nothing"}
{"id":"beyond","tokens":[0,9999]}
{"id":"last","text":"y"}
END
run 1 ego-embed --format jsonl mixed.jsonl
is "every record in its place" "good 2 collides collides too an error no file nothing beyond last" "$(jq -r .id "$out" | xargs)"
is "those that failed" "false true true true true true true true false" "$(jq 'has("error")' "$out" | xargs)"
holds "$err" "mixed.jsonl:2: "
holds "$err" 'nope.mp4: no such file'
holds "$err" 'member "embedding" would collide'
holds "$err" 'expected an id below 512, found 9999'
run 1 ego-embed mixed.jsonl
is "errors in the stream" 7 "$(headers "$out" | jq -c 'select(.error) | .id' | wc -l)"

# ---- how it ends ------------------------------------------------------------------------------------

run 2 ego-embed --no-such-option
holds "$err" --no-such-option
run 2 ego-embed --layer middle --text x
holds "$err" 'projected|backbone|tokens|pixels'
run 2 ego-embed --window nothing film.mp4
run 2 ego-embed --device cuda --text x
run 2 ego-embed --format npy --text x
holds "$err" '-o FILE'
cp records.jsonl kept.jsonl
run 2 ego-embed --format npy -o kept.npy kept.jsonl # FILE.jsonl would hold the ids
holds "$err" 'kept.jsonl is read'
run 2 ego-embed --format jsonl -o kept.jsonl ./kept.jsonl
same "records that were read" records.jsonl kept.jsonl
absent kept.npy
run 3 ego-embed -m missing.safetensors --text x
holds "$err" missing.safetensors
run 3 ego-embed -m records.jsonl --text x
holds "$err" records.jsonl
run 3 ego-embed --text x -o no/such/folder
holds "$err" no/such/folder
mkdir -p alone/bin && cp "$bin/ego-embed" alone/bin/ # without a model beside it
EGO_MODEL='' run 2 alone/bin/ego-embed --text x
holds "$err" '--model'
if [ -w /dev/full ]; then
    ego-embed --text x 2>"$err" >/dev/full
    is "status with a full disk" 3 $?
    holds "$err" 'No space left'
fi
for tool in "$bin"/ego-*; do
    run 0 "$tool" -h
    is "${tool##*/} -h fits a screen" '' "$(awk 'length > 80 || NR > 32 { print NR ": " $0 }' "$out" | head -n 2)"
    holds "$out" 'usage: '
    run 0 "$tool" -V
    holds "$out" "${tool##*/} "
done

ego-embed records.jsonl 2>"$err" | head -c 10 >/dev/null
lacks "$err" annot
i=0
while [ $i -lt 3000 ]; do echo "{\"id\":\"$i\",\"text\":\"number $i\"}"; i=$((i + 1)); done >many.jsonl
{ ego-embed many.jsonl 2>"$err"; echo $? >status; } | head -c 10 >/dev/null
is "status when the reader has gone" 141 "$(cat status)"
lacks "$err" annot
if script -qec true /dev/null >/dev/null 2>&1; then
    script -qec "ego-embed --text x; echo status \$?" /dev/null >"$out" 2>&1 </dev/null
    holds "$out" 'status 2'
    holds "$out" 'stdout is a terminal'
else
    skip_part "a terminal: no script command"
fi

# wait_for FILE RECORDS: until a tool in the background wrote that many.
wait_for() {
    tries=0
    while [ "$(headers "$1" 2>/dev/null | wc -l)" -lt "$2" ] && [ $tries -lt 200 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
}

# A record after which nothing comes: the answer is out while the pipe is still open; TERM ends it.
mkfifo pipe
ego-embed <pipe >stopped 2>"$err" &
pid=$!
exec 9>pipe
head -n 2 records.jsonl >&9
wait_for stopped 2
is "records answered while input pauses" 2 "$(headers stopped | wc -l)"
kill -TERM $pid
wait $pid
is "status after TERM" 143 $?
exec 9>&-
head -n 2 records.jsonl | ego-embed 2>"$err" >other
same "what was written before TERM" other stopped

# ---- interrupted and resumed ------------------------------------------------------------------------

head -n 400 many.jsonl | sed '7s/.*/not a record/;8s/.*/{"id":"b","frames":"float.npy","text":"both"}/;9s/.*/{"id":"b","text":"a namesake"}/' >run.jsonl
ego-embed --fused run.jsonl -o whole 2>"$err"
for records in 1 7 8 60; do
    rm -f cut cut.part cut.part.json
    ego-embed --fused -o cut <pipe 2>"$err" &
    pid=$!
    exec 9>pipe
    head -n $records run.jsonl >&9
    wait_for cut.part $records
    if [ $records -eq 1 ]; then
        run 3 ego-embed --fused -o cut run.jsonl
        holds "$err" 'cut.part: another run is writing it'
    fi
    kill -KILL $pid
    wait $pid 2>/dev/null
    exec 9>&-
    absent cut
    if [ $records -eq 7 ]; then
        head -c $(($(wc -c <cut.part) - 100)) cut.part >short && cat short >cut.part # in the middle of a record
        run 2 ego-embed -o cut --resume run.jsonl
        holds "$err" 'other options'
        run 2 ego-embed --fused -m other.safetensors -o cut --resume run.jsonl
        holds "$err" 'another model'
        { sed -n 2p run.jsonl; cat run.jsonl; } >shifted.jsonl
        run 2 ego-embed --fused -o cut --resume shifted.jsonl
        holds "$err" 'are others than the input'
        head -n 2 run.jsonl >few.jsonl
        run 2 ego-embed --fused -o cut --resume few.jsonl
        holds "$err" 'records done, the input only 2'
    fi
    run 1 ego-embed --fused -o cut --resume run.jsonl
    same "resumed after KILL at record $records" whole cut
    absent cut.part cut.part.json
done
run 2 ego-embed --resume run.jsonl
run 2 ego-embed --resume --format npy -o cut run.jsonl
finish
