#!/bin/sh
# ego-model: one set of weights, in any file, under one name.
. "$(dirname "$0")/lib.sh"
need ego-model ego-embed jq
tiny_model m.safetensors --seed 3
name=$(jq -r .model "$out")

# ---- init, info, verify -----------------------------------------------------------------------------

holds_json "what init says" "$out" '.[0] | .parameters > 400000 and .parameters_dual < .parameters and .config.dim == 64
    and .config.projection == [96,96,96] and .trained == false and .vocabulary == "bytes" and (.model | test("^[0-9a-f]{64}$"))'
cp "$out" said
run 0 ego-model info m.safetensors
same "info says what init said" said "$out"
run 0 ego-model verify m.safetensors
holds_json verify "$out" ".[0] == {file: \"m.safetensors\", model: \"$name\", stored_name: true, missing: 0, unused: 0, ok: true}"
tiny_model again.safetensors --seed 3
same "the same seed" m.safetensors again.safetensors
tiny_model fourth.safetensors --seed 4
[ "$(jq -r .model "$out")" != "$name" ] || fail "another seed" "expected another model" "found    the same"
tiny_model golden.safetensors --rule golden
run 2 ego-model init -o m.safetensors --set dim=64 --set heads=4
holds "$err" '--force'
same "what exists is kept" m.safetensors again.safetensors
run 0 ego-model info --tokens 10 m.safetensors
holds_json "a shorter narration" "$out" '.[0].text_tokens == 10'
printf '{"model":{"dim":64,"heads":4,"depth":2,"fuse_layers":1,"patch":16,"image_size":32,"vocab":512,"max_positions":40,"projection":[96,96,96]}}' >c.json
run 0 ego-model init -o by_file.safetensors --config c.json --seed 3
same "--config and --set" m.safetensors by_file.safetensors
run 2 ego-model init -o x.safetensors --set dimm=64
holds "$err" dimm
run 2 ego-model init -o x.safetensors --set dim=63 --set heads=4
run 2 ego-model init --set dim=64
absent x.safetensors

# ---- convert, diff ----------------------------------------------------------------------------------

convert() { # NAME OPTIONS: m.safetensors to NAME.safetensors
    to=$1
    shift
    run 0 ego-model convert m.safetensors -o "$to.safetensors" "$@"
    cp "$out" said
    run 0 ego-model verify "$to.safetensors"
    is "verify agrees with convert $*" "$(jq -r .model said)" "$(jq -r .model "$out")"
}
convert same
is "the name after convert" "$name" "$(jq -r .model said)"
convert packed --pack
is "the name after convert --pack" "$name" "$(jq -r .model said)"
run 0 ego-model diff m.safetensors packed.safetensors
empty "diff of the same weights" "$out"
printf '{"text":"C opens a door"}\n{"tokens":[0,9,2]}\n' >r.jsonl
ego-embed -q -m m.safetensors r.jsonl >plain.ego
ego-embed -q -m packed.safetensors r.jsonl >packed.ego
same "embeddings by the packed file" plain.ego packed.ego
ego-model convert -q packed.safetensors -o unpacked.safetensors >"$out" 2>"$err"
same "packed and unpacked again" same.safetensors unpacked.safetensors
for store in f16 bf16; do
    convert $store --store $store
    [ "$(wc -c <$store.safetensors)" -lt $(($(wc -c <m.safetensors) * 6 / 10)) ] || fail "--store $store" "expected half the size"
    run 1 ego-model diff m.safetensors $store.safetensors
    holds_json "diff to $store" "$out" 'length > 20 and all(.relative > 0 and .relative < 0.01 and (.a | startswith("F32")))'
    run 0 ego-model diff --tolerance 0.01 m.safetensors $store.safetensors
    run 0 ego-embed -q -m $store.safetensors --format jsonl r.jsonl
    holds_json "embeddings by $store" "$out" 'length == 2 and all(.embedding | length == 96)'
done
run 1 ego-model diff m.safetensors fourth.safetensors
run 1 ego-model diff m.safetensors golden.safetensors
holds "$out" '"tensor":"video_model.'
run 2 ego-model convert m.safetensors -o same.safetensors
run 2 ego-model convert m.safetensors

# ---- checkpoints of torch ---------------------------------------------------------------------------

for pth in "$repo"/tests/golden/made/*/checkpoint.pth "$shared/golden/tiny/checkpoint.pth"; do
    [ -r "$pth" ] || { skip_part "$pth"; continue; }
    run 0 ego-model verify "$pth"
    name=$(jq -r .model "$out")
    holds_json "$pth" "$out" '.[0].ok and .[0].stored_name == false'
    rm -f c1.safetensors c2.safetensors
    run 0 ego-model convert "$pth" -o c1.safetensors
    is "the name of $pth converted" "$name" "$(jq -r .model "$out")"
    run 0 ego-model convert "$pth" -o c2.safetensors --pack
    is "the name of $pth packed" "$name" "$(jq -r .model "$out")"
    run 0 ego-model verify c1.safetensors
    run 0 ego-model diff "$pth" c2.safetensors
    for time in first second; do # the second time from the cache
        is "ego-embed's name for $pth, the $time time" "$name" \
            "$(echo '{"tokens":[0,2]}' | ego-embed -q -m "$pth" --format jsonl | jq -r .model)"
    done
    [ -d "$XDG_CACHE_HOME/ego" ] || fail "the cache" "expected $XDG_CACHE_HOME/ego" "found    none"
done
data=$repo/tests/unit/data
run 0 ego-model diff "$data/zip.pth" "$data/zip-protocol5.pth"
run 0 ego-model diff "$data/legacy.pth" "$data/zip.pth"
run 3 ego-model info "$data/plain.pth"
holds "$err" 'not an EgoVLPv2 checkpoint'
run 3 ego-model info "$data/no-tensors.pth"

# ---- damage -----------------------------------------------------------------------------------------

size=$(wc -c <m.safetensors)
cp m.safetensors bad.safetensors
chmod u+w bad.safetensors
byte=$(tail -c 400 m.safetensors | head -c 1 | od -An -t u1)
# shellcheck disable=SC2059
printf "\\$(printf %o $((byte ^ 1)))" | dd of=bad.safetensors bs=1 seek=$((size - 400)) conv=notrunc 2>/dev/null
run 3 ego-model verify bad.safetensors
holds "$err" 'bad.safetensors: damaged'
for left in 7 300 $((size / 2)) $((size - 1)); do
    head -c "$left" m.safetensors >bad.safetensors
    run 3 ego-model verify bad.safetensors
    holds "$err" 'bad.safetensors'
done
# A tensor under another name: the one is missing, the other unused.
LC_ALL=C sed 's/"text_model.embeddings.LayerNorm.bias"/"text_model.embeddings.LayerNorm.vias"/' m.safetensors >bad.safetensors
cmp -s m.safetensors bad.safetensors && fail "the name to change is not in the file"
run 3 ego-model verify bad.safetensors
holds "$err" text_model.embeddings.LayerNorm.bias
run 3 ego-embed -m bad.safetensors --text x
holds "$err" text_model.embeddings.LayerNorm.bias
run 0 ego-model info -v bad.safetensors
holds "$err" 'unused: text_model.embeddings.LayerNorm.vias'

# ---- words ------------------------------------------------------------------------------------------

bpe=$data/bpe
tiny_model words.safetensors --seed 3 --set vocab=1261
run 0 ego-model convert words.safetensors --tokenizer "$bpe" -o whole.safetensors
is "the name with a tokenizer inside" "$(ego-model info words.safetensors | jq -r .model)" "$(jq -r .model "$out")"
holds_json "its vocabulary" "$out" '.[0].vocabulary == "bpe"'
cat >lines.jsonl <<'END'
{"id":"a","text":"#C C picks up the red cup, isn't it 12 ?","extra":[1.50]}
{"text":"  two  spaces"}
{"id":"none"}
END
run 1 ego-model tokenize --tokenizer "$bpe" lines.jsonl
cp "$out" tokens.jsonl
is "every record in its place" '"a" 2 "none"' "$(jq -c .id tokens.jsonl | xargs -d '\n')"
holds tokens.jsonl '"extra":[1.50]'
jq -r --slurpfile vocab "$bpe/vocab.json" '($vocab[0] | with_entries({key: (.value | tostring), value: .key})) as $word
    | select(.tokens) | .tokens | map($word[tostring]) | join("") | gsub("Ġ"; " ")' tokens.jsonl >"$out" 2>&1
is "tokens spell the text" "<s>#C C picks up the red cup, isn't it 12 ?</s>|<s>  two  spaces</s>" "$(paste -sd '|' "$out")"
run 1 ego-model tokenize -m whole.safetensors lines.jsonl
same "by the tokenizer in the model file" tokens.jsonl "$out"
ego-model tokenize --tokenizer "$bpe" <lines.jsonl >"$out" 2>"$err"
same "from stdin" tokens.jsonl "$out"
ego-embed -q -m whole.safetensors --format jsonl lines.jsonl 2>"$err" | jq -c .embedding >by_text
ego-embed -q -m words.safetensors --format jsonl tokens.jsonl 2>"$err" | jq -c .embedding >by_tokens
ego-embed -q -m words.safetensors --tokenizer "$bpe" --format jsonl lines.jsonl 2>"$err" | jq -c .embedding >by_directory
same "embeddings by text and by tokens" by_text by_directory
sed 's/"text":"[^"]*",//' tokens.jsonl | jq -c 'del(.text)' | ego-embed -q -m words.safetensors --format jsonl 2>"$err" | jq -c .embedding >by_tokens
same "embeddings by tokens" by_text by_tokens
run 3 ego-model tokenize --tokenizer no/such lines.jsonl
run 3 ego-model convert m.safetensors --tokenizer "$bpe" -o large.safetensors
holds "$err" '1261'
absent large.safetensors

# ---- heads ------------------------------------------------------------------------------------------

pth=$repo/tests/golden/heads/vslnet.pth
run 0 ego-model info "$pth"
holds_json "info of a head" "$out" '.[0] | .kind == "nlq.vslnet" and .config.dim == 32 and .config.heads == 4
    and .parameters == 58403 and .backbone == null and (.head | test("^[0-9a-f]{64}$"))'
name=$(jq -r .head "$out")
run 0 ego-model convert "$pth" -o head.safetensors
is "a head's name after convert" "$name" "$(jq -r .head "$out")"
run 0 ego-model verify head.safetensors
holds_json "verify of a head" "$out" ".[0] | .head == \"$name\" and .stored_name and .unused == 0 and .ok"
run 0 ego-model diff "$pth" head.safetensors
empty "diff of the same head" "$out"
run 0 ego-model convert head.safetensors --store f16 -o half.safetensors
half=$(jq -r .head "$out")
run 0 ego-model convert half.safetensors -o half_again.safetensors
is "a head stored in 16 bits stays so" "$half" "$(jq -r .head "$out")"
run 1 ego-model diff head.safetensors half.safetensors
run 0 ego-model diff --tolerance 1e-3 head.safetensors half.safetensors
run 2 ego-model convert head.safetensors --store bf16 -o no.safetensors
run 2 ego-model convert head.safetensors --pack -o no.safetensors
run 2 ego-model convert head.safetensors -o half.safetensors
absent no.safetensors
head -c 100000 head.safetensors >cut.safetensors
run 3 ego-model verify cut.safetensors
cp half.safetensors damaged.safetensors
printf '\1' | dd of=damaged.safetensors bs=1 seek=100000 conv=notrunc 2>/dev/null
run 3 ego-model verify damaged.safetensors
holds "$err" damaged

# ---- usage ------------------------------------------------------------------------------------------

run 2 ego-model
run 2 ego-model explain m.safetensors
holds "$err" explain
run 2 ego-model info
run 2 ego-model diff m.safetensors
run 3 ego-model info no.safetensors
holds "$err" no.safetensors
[ ! -w /dev/full ] || { ego-model info m.safetensors 2>"$err" >/dev/full; is "status with a full disk" 3 $?; }
mkdir closed && chmod a-w closed
if [ -w closed ]; then
    skip_part "a directory that cannot be written: running as root"
else
    run 3 ego-model convert m.safetensors -o closed/x.safetensors
fi
run 3 ego-model convert m.safetensors -o no/such/x.safetensors
find . -name '*.tmp*' -o -name '.*.safetensors*' >left
empty "what is left of unfinished files" left
finish
