# egomcq.json to what there is to encode.
([.[].choices[] | [.video_uid, .clip_start, .clip_end]] | unique | length) as $clips
| ([.[].query.clip_text] | unique | length) as $texts
| ([.[].choices | length] | add) as $pairs
| {what: "\(length) questions: \($clips) clips, \($texts) narrations, \($pairs) pairs"}
  + if $mode == "fused" then {} else {$clips, $texts} end
  + if $mode == "dual" then {} else {lower: $clips, upper: $pairs} end
