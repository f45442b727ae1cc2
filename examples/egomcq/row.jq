# Answers of ego-mcq, all of them, to accuracies in percent by mode and type.
def percent: if length == 0 then "-" else map(if . then 100 else 0 end) | add / length * 10 | round / 10 | tostring end;
def column($width): (. + "          ")[:$width];
. as $all
| "mode      inter  intra  questions",
  (["dual", "fused", "ensemble"][] as $mode
   | [$all[] | select(.predicted[$mode] != null)]
   | select(length > 0)
   | ($mode | column(10))
     + (map(select(.type == "inter") | .truth == .predicted[$mode]) | percent | column(7))
     + (map(select(.type == "intra") | .truth == .predicted[$mode]) | percent | column(7))
     + (length | tostring)),
  "paper     91.0   60.9   (ensemble, 16 frames, the official weights)"
