# nlq_train.json and nlq_val.json to what there is to encode: 1.87 clips of four frames a second of every annotated
# part, and each of them with each question about it (fused), or once (dual).
[.[].videos[].clips[]
 | {clips: ((.video_end_sec - .video_start_sec) * 1.87 * 4 + 1 | floor / 4 | floor),
    queries: [.annotations[]?.language_queries[]? | select(.query)] | length}
 | select(.queries > 0)]
| (map(.clips) | add // 0) as $clips | (map(.queries) | add // 0) as $queries
| (map(.clips * .queries) | add // 0) as $pairs
| "\($queries) queries about \(length) parts of videos: \($clips) clips" as $what
| if $features == "dual" then {what: $what, clips: $clips, texts: $queries}
  else {what: "\($what), \($pairs) pairs of clip and query", lower: $clips, upper: $pairs, texts: $queries} end
