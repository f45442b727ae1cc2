#!/usr/bin/env python3
"""Three tokenizers must agree on every line of tokenizer_lines.py.

1. Our own RoBERTa encoder below: thirty lines of Python over the `regex` package.
2. The `tokenizers` package with the settings of HuggingFace's RobertaTokenizerFast (valid UTF-8 only).
3. libego, through tests/unit/data/bpe/lines.gz: what 1 and 2 agree on is stored there and
   tests/unit/test_bpe.c compares. For RoBERTa's own vocabulary, which is not ours to ship, the
   SHA-256 of the ids is stored (roberta.sha256).

    python3 tests/reference/check_tokenizer.py [--write] [--roberta ../shared/roberta]

lines.gz: for every line its length and bytes, then the count of its ids and the ids; all numbers are
16-bit little-endian. The hash is over every line's count and ids as 32-bit little-endian numbers.
"""
import argparse
import gzip
import hashlib
import json
import os
import struct
import sys

import regex
import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

import tokenizer_lines

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "unit", "data", "bpe")
CUT = 15


class Ours:
    """Bytes in, ids out; quadratic and plain."""
    PIECES = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
    SPECIAL = regex.compile(r"(\s*<mask>|<s>|</s>|<pad>|<unk>)")

    def __init__(self, directory):
        with open(f"{directory}/vocab.json", encoding="utf-8") as f:
            self.vocab = json.load(f)
        with open(f"{directory}/merges.txt", encoding="utf-8") as f:
            pairs = [tuple(line.split()) for line in f if not line.startswith("#version")]
        self.rank = {pair: i for i, pair in enumerate(pairs)}
        visible = [b for b in range(256) if 33 <= b < 127 or 161 <= b and b != 173]
        hidden = [b for b in range(256) if b not in visible]
        self.name = {b: chr(b) for b in visible} | {b: chr(256 + i) for i, b in enumerate(hidden)}

    def merge(self, piece):
        symbols = [self.name[b] for b in piece]
        while len(symbols) > 1:
            best = min(zip(symbols, symbols[1:]), key=lambda pair: self.rank.get(pair, 1e9))
            if best not in self.rank:
                break
            i = next(i for i in range(len(symbols)) if (symbols[i], symbols[i + 1]) == best)
            symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]
        return symbols

    def encode(self, line):
        ids = [self.vocab["<s>"]]
        for part in self.SPECIAL.split(line.decode(errors="surrogateescape")):
            if self.SPECIAL.fullmatch(part):
                ids.append(self.vocab[part.strip()[part.strip().index("<"):]])
                continue
            for piece in self.PIECES.findall(part):
                ids += [self.vocab[s] for s in self.merge(piece.encode(errors="surrogateescape"))]
        return ids + [self.vocab["</s>"]]


def huggingface(directory):
    tokenizer = Tokenizer(models.BPE.from_file(f"{directory}/vocab.json", f"{directory}/merges.txt"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, rstrip=False, special=True)])
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>")), add_prefix_space=False)
    return tokenizer


def is_text(line):
    try:
        line.decode()
        return True
    except UnicodeDecodeError:
        return False


def encode_all(directory, lines):
    ours, theirs = Ours(directory), huggingface(directory)
    rows, compared = [ours.encode(line) for line in lines], 0
    for cut in (None, CUT, 2):
        if cut:
            theirs.enable_truncation(cut)
        for line, row in zip(lines, rows):
            if not is_text(line):
                continue
            want = row if not cut or len(row) <= cut else row[:cut - 1] + row[-1:]
            got = theirs.encode(line.decode()).ids
            compared += 1
            if got != want:
                sys.exit(f"{directory}: {line!r} (at most {cut} tokens)\n  ours       {want}\n  tokenizers {got}")
    print(f"{directory}: {len(lines)} lines, {sum(map(len, rows))} ids; {compared} comparisons with tokenizers "
          f"{tokenizers.__version__}, none differs")
    return rows


def packed(lines, rows):
    return b"".join(struct.pack("<H", len(line)) + line + struct.pack(f"<H{len(row)}H", len(row), *row)
                    for line, row in zip(lines, rows))


def digest(rows):
    return hashlib.sha256(b"".join(struct.pack(f"<I{len(row)}I", len(row), *row) for row in rows)).hexdigest()


def settle(path, content, write):
    """Stores the content, or checks that it is what is stored."""
    if write:
        with open(path, "wb") as f:
            f.write(gzip.compress(content, 9, mtime=0) if path.endswith(".gz") else content)
    with open(path, "rb") as f:
        stored = f.read()
    if (gzip.decompress(stored) if path.endswith(".gz") else stored) != content:
        sys.exit(f"{path}: differs from what the two Python tokenizers give (--write stores that)")
    print(f"{path}: {'written' if write else 'agrees'}, {len(stored)} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--roberta", default=os.path.join(HERE, "..", "..", "..", "shared", "roberta"))
    options = parser.parse_args()
    lines = list(tokenizer_lines.lines())
    settle(f"{DATA}/lines.gz", packed(lines, encode_all(DATA, lines)), options.write)
    if os.path.isdir(options.roberta):
        content = digest(encode_all(options.roberta, lines)).encode() + b"\n"
        settle(f"{DATA}/roberta.sha256", content, options.write)
    else:
        print(f"SKIPPED: {options.roberta} is not there, RoBERTa's own vocabulary was not compared")


main()
