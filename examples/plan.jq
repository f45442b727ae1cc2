# [what `ego-model info` says, the work, seconds that a clip takes here] to what it will cost.
# The work: what (in words), and how many passes: clips and texts of the dual encoders; lower, of clips below the
# fused layers, and upper, of pairs in them. Any may be missing.
# At most this: what several pairs of a clip share is computed once wherever the tool can.
def digits($n): if . == 0 then . else pow(10; $n - 1 - (fabs | log10 | floor)) as $scale | . * $scale | round / $scale end;
.[0] as $info | .[1] as $work | .[2] as $seconds
| ($info.config | 1 - .fuse_layers / .depth) as $below
| $info.dual_video.multiply_adds as $clip
| (($info.fused_match.multiply_adds // 0) - $below * $clip | if . < 0 then 0 else . end) as $upper
| (($work.clips // 0) * $clip + ($work.texts // 0) * $info.dual_text.multiply_adds
   + ($work.lower // 0) * $below * $clip + ($work.upper // 0) * $upper) as $all
| $work.what,
  "\($all / 1e9 | digits(3)) billion multiply-adds, a clip of \($info.frames) frames being \($clip / 1e9 | digits(3))",
  if $seconds then
      "measured here: a clip takes \($seconds | digits(3)) s, so all of it takes about \($all / $clip * $seconds / 3600 | digits(2)) hours"
  else "not measured here: the first clip cannot be read" end
