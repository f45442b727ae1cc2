# results.tsv to a table: means over seeds and, in brackets, the paired difference to "all" with its 95 %
# interval, Student's t over the seeds. `differences`: the same for plot.gp, inter, then intra.
BEGIN {
    FS = "\t"
    modes = split("dual fused ensemble", mode, " ")
    split("inter intra", type, " ")
    label["all"] = "all three"
    label["egonce"] = "EgoNCE alone"
    label["egonce-vtm"] = "EgoNCE + VTM"
    label["no-hard"] = "no hard negatives"
    label["no-scene"] = "no scene negatives"
    label["gate-one"] = "gate fixed at one"
    label["stacked"] = "stacked fusion"
    label["film"] = "FiLM"
    label["half"] = "half the fused layers"
    # t for 95 %, by degrees of freedom; beyond, the normal's
    split("12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262 2.228", quantile, " ")
}
NR == 1 { next }
!($1 in runs) { order[++variants] = $1 }
{
    runs[$1]++
    if (!($2 in seen)) { seen[$2] = 1; seed[++seeds] = $2 }
    for (c = 3; c <= 8; c++) value[$1, $2, c] = $c
    parameters[$1] = $9
    products[$1] = $10
    seconds[$1, runs[$1]] = $11
}

# Sets mean, difference and half (the interval's half width) of a variant's column; "-" where there is none.
function measure(v, c,    i, n, d, sum, squares, base) {
    mean = difference = half = "-"
    n = sum = 0
    for (i = 1; i <= seeds; i++)
        if ((v, seed[i], c) in value && value[v, seed[i], c] != "-") { n++; sum += value[v, seed[i], c] }
    if (n) mean = sum / n
    if (v == "all") return
    n = sum = squares = 0
    for (i = 1; i <= seeds; i++) {
        if (!((v, seed[i], c) in value) || !(("all", seed[i], c) in value)) continue
        base = value["all", seed[i], c]
        if (value[v, seed[i], c] == "-" || base == "-") continue
        d[++n] = value[v, seed[i], c] - base
        sum += d[n]
    }
    if (!n) return
    difference = sum / n
    for (i = 1; i <= n; i++) squares += (d[i] - difference) ^ 2
    if (n > 1) half = (n - 1 in quantile ? quantile[n - 1] : 1.96) * sqrt(squares / (n - 1) / n)
}

function cell(    text) {
    if (mean == "-") return "–"
    text = sprintf("%.1f", mean)
    if (difference != "-") text = text sprintf(half == "-" ? " (%+.1f)" : " (%+.1f ± %.1f)", difference, half)
    return text
}

function seconds_of(v,    i, sum) {
    for (i = 1; i <= runs[v]; i++) sum += seconds[v, i]
    return sum / runs[v]
}

END {
    interval = seeds > 1 ? " ± its 95 % interval (paired t over seeds)" : ""
    print "EgoMCQ, % right, mean over seeds (" seeds "); in brackets the difference to \"all three\"" interval "."
    print ""
    print "| | inter dual | fused | ensemble | intra dual | fused | ensemble | parameters | multiply-adds | s a step |"
    print "|---|---|---|---|---|---|---|---|---|---|"
    for (k = 1; k <= variants; k++) {
        v = order[k]
        line = "| " (v in label ? label[v] : v)
        for (c = 3; c <= 8; c++) { measure(v, c); line = line " | " cell() }
        printf "%s | %.3f M | %.1f M | %.2f |\n", line, parameters[v] / 1e6, products[v] / 1e6, seconds_of(v)
    }
    for (t = 1; t <= 2; t++) {
        if (t == 2) printf "\n\n" >differences
        for (k = 1; k <= variants; k++) {
            v = order[k]
            if (v == "all") continue
            line = v in label ? label[v] : v
            for (m = 1; m <= modes; m++) {
                measure(v, 2 + 3 * (t - 1) + m)
                line = line "\t" (difference == "-" ? "NaN" : difference) "\t" (half == "-" ? (difference == "-" ? "NaN" : 0) : half)
            }
            print line >differences
        }
    }
}
