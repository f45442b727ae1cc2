#!/bin/sh
# examples/ablation in its smallest size: every variant trains and is asked, what is there is kept, what is
# missing is made again to the same weights, and the table is what a second count of the answers gives.
. "$(dirname "$0")/lib.sh"
need ego-mcq ego-model ego-synth ego-train awk gnuplot jq make
unset MAKEFLAGS MFLAGS MAKELEVEL
ablation() { EGO_BIN=$bin make -s --no-print-directory -C "$repo/examples/ablation" SMOKE=1 OUT="$work/ablation" "$@"; }
variants='all egonce egonce-vtm no-hard no-scene gate-one stacked half'

run 0 ablation
for variant in $variants; do
    holds_json "$variant: its log" "ablation/runs/$variant/1/log.jsonl" 'map(.step | select(. > 0)) | unique == [1,2,3]'
done
is "rows" "variant $variants" "$(cut -f1 ablation/results.tsv | paste -sd ' ')"
is "columns" 11 "$(awk -F '\t' '{ print NF }' ablation/results.tsv | sort -u)"
for variant in $variants; do
    for column in inter:dual:3 inter:fused:4 inter:ensemble:5 intra:dual:6 intra:fused:7 intra:ensemble:8; do
        IFS=: read -r type mode at <<END
$column
END
        counted=$(jq -rs --arg t "$type" --arg m "$mode" 'map(select(.type == $t and .predicted[$m] != null))
            | if length == 0 then "-" else (map(select(.truth == .predicted[$m])) | length) / length * 100 | floor end' \
            "ablation/runs/$variant/1/answers.jsonl")
        is "$variant: $type $mode" "$counted" "$(awk -F '\t' -v v="$variant" -v c="$at" '$1 == v { print $c == "-" ? "-" : int($c) }' ablation/results.tsv)"
    done
done
is "EgoNCE alone has no fused answers" '- -' "$(awk -F '\t' '$1 == "egonce" { print $4, $7 }' ablation/results.tsv)"

# What each variant changed.
setting() { # VARIANT KEY
    ego-model info "ablation/runs/$1/1/model.safetensors" | jq -c ".config.$2"
}
is "the gate of gate-one" 1 "$(setting gate-one gate)"
is "the fusion of stacked" '"stacked"' "$(setting stacked fusion)"
is "the fused layers of all and half" '2 1' "$(setting all fuse_layers) $(setting half fuse_layers)"
is "losses of EgoNCE + VTM" '["egonce","vtm"]' "$(jq -c 'select(.step == 1) | .losses | keys' ablation/runs/egonce-vtm/1/log.jsonl)"
is "clips a step, with and without partners" 1 "$(for v in all no-scene; do
    jq -s 'map(select(.losses)) | .[0] | .seconds * .samples_per_second | round' ablation/runs/$v/1/log.jsonl; done | sort -u | wc -l)"
awk -F '\t' '$1 == "all" { a = $9; p = $10 } $1 == "half" { h = $9 < a && $10 < p } $1 == "stacked" { s = $9 > a && $10 > p }
    END { exit !(h && s) }' ablation/results.tsv || fail "costs" "expected half below all and stacked above it"

# The table and the picture.
is "rows of the table" 8 "$(grep -c '^| [a-zA-Z]' ablation/table.md)"
holds ablation/table.md '| all three | '
is "results.png" '211 P N G' "$(head -c 4 ablation/results.png | od -An -c | xargs)"
# A paired difference and its interval, by hand: 1, 2 and 3 points over three seeds.
printf 'variant\tseed\n' >known
for seed in 1 2 3; do
    printf 'all\t%s\t60\t-\t-\t40\t-\t-\t1000\t1\t1\n' "$seed"
    printf 'half\t%s\t%s\t-\t-\t40\t-\t-\t1000\t1\t1\n' "$seed" $((60 + seed))
done >>known
awk -v differences=differences -f "$repo/examples/ablation/summary.awk" known >table
holds table '| half the fused layers | 62.0 (+2.0 ± 2.5) | – | – | 40.0 (+0.0 ± 0.0) | – | – |'

# Nothing to do; then a run cut off before its end was noted, and answers that were lost.
find ablation -type f -exec sha256sum {} + | sort >before
run 0 ablation
find ablation -type f -exec sha256sum {} + | sort >after
same "a second make" before after
cp ablation/runs/stacked/1/model.safetensors model
rm ablation/runs/stacked/1/model.safetensors ablation/runs/half/1/answers.jsonl
run 0 ablation
same "the model of a resumed run" model ablation/runs/stacked/1/model.safetensors
holds "$out" '== stacked/1: training'
lacks "$out" '== half/1: training'
holds "$out" '== half/1: '
lacks "$out" '== all/1'
run 0 ablation status
is "status" 8 "$(grep -c done "$out")"
finish
