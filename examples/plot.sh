#!/bin/sh
# The curves of a training run: losses, validation, gradient, learning rate, speed.
#
#   plot.sh LOG [PICTURE]          of ego-train's log.jsonl, running or over; plot.png, or any .png, .svg, .pdf
#
# A bold line is a running mean, the pale one behind it what was logged. Dual is the first stage of search,
# fused the second, ensemble both; of five choices a guess gets 20 %.
set -eu
LC_ALL=C
export LC_ALL
log=${1:?usage: plot.sh LOG [PICTURE]} picture=${2:-plot.png}
missing=''
for tool in jq gnuplot; do command -v $tool >/dev/null || missing="$missing $tool"; done
[ -z "$missing" ] || { echo "plot.sh needs$missing: apt-get install$(echo "$missing" | sed 's/gnuplot/gnuplot-nox/')" >&2; exit 2; }
case $picture in
*.png) terminal='pngcairo size 2000,1050 fontscale 1.2 lw 1.6' ;;
*.svg) terminal='svg size 1500,790 dynamic' ;;
*.pdf) terminal='pdfcairo size 29cm,15.2cm' ;;
*) echo "plot.sh: $picture: expected a .png, .svg or .pdf" >&2; exit 2 ;;
esac
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT

# Of lines that are whole: one table of the steps, one of the validations; ? is no number.
rows() { # EVENT COLUMNS
    jq -rR "fromjson? | select(.event == $1) | [.step, $2]"' | map(. // "?") | @tsv' "$log"
}
rows null '.losses.egonce, .losses.mlm, .losses.vtm, .total, .gradient_norm, .samples_per_second, .lr' >"$work/steps"
rows '"validation"' '(.numbers | .inter_dual, .inter_fused, .inter_ensemble, .intra_dual, .intra_fused, .intra_ensemble)' >"$work/answers"
steps=$(wc -l <"$work/steps") answers=$(wc -l <"$work/answers")
[ "$steps" -gt 0 ] || { echo "plot.sh: $log: no step was logged" >&2; exit 1; }

# Running means of every column: the weight of a step halves over a hundredth of the run.
awk -v n="$steps" 'BEGIN { keep = n < 200 ? 0.7 : exp(log(0.5) * 100 / n) }
    {
        line = $1
        for (i = 2; i <= NF; i++) {
            if ($i != "?") { sum[i] = keep * sum[i] + $i; weight[i] = keep * weight[i] + 1 }
            line = line "\t" (weight[i] ? sum[i] / weight[i] : "?")
        }
        print line
    }' "$work/steps" >"$work/means"

# lines TABLE COLUMN:TITLE:COLOUR...: what gnuplot is to draw, of the columns that have a number.
lines() {
    table=$1
    shift
    for line; do
        column=${line%%:*} colour=${line##*:} title=${line#*:}
        title=${title%:*}
        cut -f"$column" "$work/$table" | grep -q '[0-9]' || continue
        if [ "$table" = steps ]; then
            printf "steps using 1:%s with lines lw 1 lc rgb '#c0%s' notitle, means using 1:%s with lines lw 2 lc rgb '#%s' title '%s', " \
                "$column" "$colour" "$column" "$colour" "$title"
        else
            printf "answers using 1:%s with linespoints lw 1.5 pt 7 ps 0.6 lc rgb '#%s' title '%s', " "$column" "$colour" "$title"
        fi
    done
}
chance='20 with lines lw 2 dt 3 lc rgb "#888888" title "chance"'

cat >"$work/plot.gp" <<END_OF_FILE
set terminal $terminal
set output picture
set datafile separator "\t"
set datafile missing "?"
set multiplot layout 2,3 margins 0.05,0.985,0.075,0.88 spacing 0.06,0.17
set label 1 title at screen 0.5, screen 0.975 center noenhanced
set grid lc rgb "#cccccc"
set border 3
set tics nomirror
set format y "%g"
set xrange [0:*]
set offsets graph 0, graph 0, graph 0.04, graph 0.04
set key at graph 0.5, graph 1.08 center center horizontal maxrows 1 samplen 1.5 noenhanced
set xlabel "step"

set logscale y
set autoscale yfix
set ytics ()
do for [e = -5:6] { do for [m in "1 2 5"] { set ytics add (sprintf("%g", m * 10.0**e) m * 10.0**e) } }
set ylabel "losses"
plot $(lines steps 5:total:000000 2:EgoNCE:0072b2 3:MLM:e69f00 4:VTM:009e73) NaN notitle
unset label 1
unset logscale y
set offsets
set ytics autofreq

set yrange [0:100]
set ylabel "EgoMCQ inter, % right"
plot $(lines answers 2:dual:0072b2 3:fused:e69f00 4:ensemble:009e73) $chance
set ylabel "EgoMCQ intra, % right"
plot $(lines answers 5:dual:0072b2 6:fused:e69f00 7:ensemble:009e73) $chance
set yrange [*:*]

set logscale y
set ytics ()
do for [e = -5:6] { do for [m in "1 2 5"] { set ytics add (sprintf("%g", m * 10.0**e) m * 10.0**e) } }
set offsets graph 0, graph 0, graph 0.04, graph 0.04
set ylabel "length of the gradient"
plot $(lines steps 6::000000) NaN notitle
unset logscale y
set offsets
set ytics autofreq
set yrange [0:*]
set ylabel "learning rate"
plot steps using 1:8 with lines lw 2 lc rgb "#000000" notitle
set ylabel "clips a second"
plot $(lines steps 7::000000) NaN notitle
unset multiplot
END_OF_FILE
quoted() { printf '"%s"' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')"; }
said="$log: $steps steps, $answers validations"
gnuplot -e "steps='$work/steps'; means='$work/means'; answers='$work/answers'" \
    -e "title=$(quoted "$said"); picture='$work/picture'" "$work/plot.gp"
cp "$work/picture" "$picture" # whole or not at all
echo "$picture, of $said" >&2
