# Lines of `ego-score --ci`, and the figures of $paper by metric, to a table of these metrics.
def cell($width): (. + "                    ")[:$width];
def number: if . == null then "-" else . * 100 | round / 100 | tostring end;
(map({key: .metric, value: .}) | from_entries) as $ours
| ("metric" | cell(12)) + ("ours" | cell(9)) + ("95 % interval" | cell(18)) + "paper",
  ($paper | to_entries[] | $ours[.key] as $own
   | (.key | cell(12)) + ($own.value | number | cell(9))
     + (if $own.low == null then "-" else "\($own.low | number) to \($own.high | number)" end | cell(18))
     + (.value | number))
