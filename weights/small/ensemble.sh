#!/bin/sh
# ensemble.sh ANSWERS.jsonl...: what the probability of a match should count beside the cosine (config.ensemble).
#
# ANSWERS are ego-mcq's, of questions whose answers are known and that nothing is reported of. Each weight w and temperature t make
# softmax((cosine + w · probability) / t) a guess over the choices; printed is the w whose guesses make the right
# answers likeliest, and on standard error how likely with each w and its best t.
set -eu
jq -r 'select(.fused) | [.truth + 1] + .dual + .fused | @tsv' "$@" | awk '
    { n = (NF - 1) / 2; truth[NR] = $1; count[NR] = n; for (k = 1; k <= 2 * n; k++) x[NR, k] = $(k + 1) }
    function nats(w, t,    i, k, n, most, sum, all, s) {
        for (i = 1; i <= NR; i++) {
            n = count[i]; most = -1e9; sum = 0
            for (k = 1; k <= n; k++) { s[k] = (x[i, k] + w * x[i, n + k]) / t; if (s[k] > most) most = s[k] }
            for (k = 1; k <= n; k++) sum += exp(s[k] - most)
            all += most + log(sum) - s[truth[i]]
        }
        return all / NR
    }
    END {
        if (!NR) { print "no answered questions" >"/dev/stderr"; exit 1 }
        split("0 .025 .05 .075 .1 .125 .15 .2 .25 .3 .4 .5 .6 .8 1 1.5 2 3", w, " ")
        split(".03 .04 .05 .06 .08 .1 .13 .16 .2 .25 .3 .4 .6", t, " ")
        for (i = 1; i in w; i++) {
            least = 1e9
            for (j = 1; j in t; j++) { l = nats(w[i], t[j]); if (l < least) { least = l; warm = t[j] } }
            printf "%g: %.4f nats a question at temperature %g\n", w[i], least, warm >"/dev/stderr"
            if (i == 1 || least < best) { best = least; chosen = w[i] }
        }
        print chosen + 0
    }'
