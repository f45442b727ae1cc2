# EgoTaskQA's files to what there is to encode: every interval once below the fused layers, and in them with each of
# its questions.
(map(length) | add) as $questions | ([.[][] | [.interval, .question]] | unique | length) as $pairs
| ([.[][].interval] | unique | length) as $clips
| {what: "\($questions) questions: \($clips) clips, \($pairs) pairs of clip and question", lower: $clips, upper: $pairs}
