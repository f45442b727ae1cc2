# Differences to "all three" as bars, 95 % intervals as whiskers: gnuplot -e "data=…; out=…" plot.gp
set terminal pngcairo size 1100,900 font "sans,11"
set output out
set datafile separator tab
set datafile missing "NaN"
set style data histograms
set style histogram errorbars gap 1.5 linewidth 1.2
set errorbars 0.5 linecolor rgb "#333333"
set style fill solid 0.85 noborder
set boxwidth 0.9
set grid ytics linecolor rgb "#dddddd"
set xzeroaxis linetype 1 linecolor rgb "#444444"
set border 3
set xtics nomirror scale 0 font ",9"
set ytics nomirror
set ylabel "points"
set key top right horizontal
set offsets 0, 0, graph 0.08, graph 0.02
array panel[2] = ["EgoMCQ inter: difference to all three objectives", "EgoMCQ intra: difference to all three objectives"]
set multiplot layout 2,1
do for [t = 1:2] {
    set title panel[t]
    plot data index t-1 using 2:3:xtic(1) title "dual" linecolor rgb "#4878a8", \
         "" index t-1 using 4:5 title "fused" linecolor rgb "#d98032", \
         "" index t-1 using 6:7 title "ensemble" linecolor rgb "#5a9a57"
}
unset multiplot
