# What `ego-train qfvs --dry-run` says of training on all videos, and their shots, to what there is to encode: for
# training three prompts a query, kept for all heads, and for the answers each query once more.
.[0] as $train | .[1] as $shots
| ($train.lower_halves + $shots) as $lower | ($train.upper_halves * 4 / 3 | ceil) as $upper
| {what: "\($train.queries) queries about \($shots) shots: \($upper) pairs of shot and prompt", $lower, $upper}
