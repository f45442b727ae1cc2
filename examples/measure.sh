#!/bin/sh
# What a clip costs here, in seconds, decoding included: of all clips but the first, which pays for opening the model.
#
#     examples/measure.sh RECORDS.jsonl|LIST.csv [OPTIONS of ego-embed]
set -e
records=$1
shift
embed() { # RECORDS
    ego-embed -q --format jsonl "$@" >"$records.out" && return
    echo "${0##*/}: cannot be measured: $(jq -r 'select(.error).error' "$records.out" | head -n 1)" >&2
    rm -f "$records.out"
    exit 1
}
case $records in *.csv) header=1 ;; *) header=0 ;; esac
first=first-$records
head -n $((header + 1)) "$records" >"$first"
trap 'rm -f "$first" "$records.out"' EXIT
begin=$(jq -n now)
embed "$@" "$first"
middle=$(jq -n now)
embed "$@" "$records"
jq -n --argjson n $(($(wc -l <"$records") - header)) "(now - $middle - ($middle - $begin)) / ([\$n - 1, 1] | max) | [., 1e-5] | max"
