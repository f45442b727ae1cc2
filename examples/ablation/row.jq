# One run as a line: accuracies in percent, what the model costs, seconds a step.
def percent: if length == 0 then "-" else map(if . then 100 else 0 end) | add / length end;
def accuracy($type; $mode):
  [$answers[] | select(.type == $type and .predicted[$mode] != null) | .truth == .predicted[$mode]] | percent;
# Multiply-adds of a training instance forward, of the passes that the run makes; its parameters likewise.
([$log[] | select(.losses)] | last.losses) as $losses
| $info[0] as $i
| ($i.dual_video.multiply_adds + $i.dual_text.multiply_adds
   + (if $losses.vtm then $i.fused_match.multiply_adds else 0 end)
   + (if $losses.mlm then $i.fused_mlm.multiply_adds else 0 end)) as $products
| ($run | split("/"))
  + [accuracy(("inter", "intra"); ("dual", "fused", "ensemble"))]
  + [if $losses.vtm or $losses.mlm then $i.parameters else $i.parameters_dual end, $products,
     ([$log[] | select(.losses) | .seconds] | sort | .[length / 2 | floor])]
| @tsv
