# What `ego-model info` says of one clip, narration and pair, times what $mcq[0] (egomcq.json) asks for.
# At most this: the lower half of the fused path is computed once for each clip and narration, not each pair.
def round_up($digits): . * $digits | ceil / $digits;
def line($name): "\($name) \(. / 1e9 | ceil) billion multiply-adds, \(. / 36e11 / $rate | round_up(1000)) hours at \($rate) billion a second";
($mcq[0] | length) as $questions
| ([$mcq[0][].choices[] | [.video_uid, .clip_start, .clip_end]] | unique | length) as $clips
| ([$mcq[0][].query.clip_text] | unique | length) as $texts
| ([$mcq[0][].choices | length] | add) as $pairs
| "\($questions) questions: \($clips) clips of \(.frames) frames, \($texts) narrations, \($pairs) pairs",
  ($clips * .dual_video.multiply_adds + $texts * .dual_text.multiply_adds | line("dual  ")),
  ($pairs * .fused_match.multiply_adds | line("fused "))
