#!/usr/bin/env python3
"""Learns a byte-level BPE vocabulary, once more and as plainly as can be: what libcore/text/learn.c must give.

    python3 tests/reference/learn_bpe.py [--write] [--tokens 1600]        (needs `regex`; four minutes)

The texts are those of tokenizer_lines.py, which are also in tests/unit/data/bpe/lines.gz. Every step counts
all pairs anew, so nothing here can be forgotten by a clever update. What comes out is compared with
tests/unit/data/learn, or stored there, and with the trainer of the `tokenizers` package where that is installed:
it has the same rule for ties, but takes valid UTF-8 only.
"""
import argparse
import collections
import json
import os
import sys

import regex

import tokenizer_lines

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "unit", "data", "learn")
PIECES = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
FIRST, MOST_BYTES, LEAST = ["<s>", "<pad>", "</s>", "<unk>"], 128, 2

visible = [b for b in range(256) if 33 <= b < 127 or 161 <= b and b != 173]
NAME = {b: chr(b) for b in visible}
NAME |= {b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in NAME)}


def joined(word, pair):
    out, i = [], 0
    while i < len(word):
        two = word[i:i + 2] == pair
        out.append(word[i] + word[i + 1] if two else word[i])
        i += 1 + two
    return tuple(out)


def learn(lines, size):
    """lines: bytes. Returns the tokens in the order of their ids, and the merges."""
    pieces = collections.Counter()
    for line in lines:
        pieces.update(PIECES.findall(line.decode(errors="surrogateescape")))
    words = collections.Counter()
    for piece, count in pieces.items():
        words[tuple(NAME[b] for b in piece.encode(errors="surrogateescape"))] += count
    tokens, merges = FIRST + sorted(NAME.values()), []
    while len(tokens) < size - 1:
        counts = collections.Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                counts[pair] += count
        number = {token: i for i, token in enumerate(tokens)}
        allowed = [p for p, count in counts.items() if count >= LEAST and len(p[0] + p[1]) <= MOST_BYTES]
        if not allowed:
            break
        best = min(allowed, key=lambda p: (-counts[p], number[p[0]], number[p[1]]))
        if best[0] + best[1] in number:
            sys.exit(f"{best} makes a token that is there already")
        merges.append(best)
        tokens.append(best[0] + best[1])
        words = {joined(word, best): count for word, count in words.items()}
    return tokens + ["<mask>"], merges


def by_tokenizers(lines, size):
    import tokenizers
    from tokenizers import models, pre_tokenizers, trainers
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator([line.decode() for line in lines], trainers.BpeTrainer(
        vocab_size=size - 1, min_frequency=LEAST, special_tokens=FIRST, show_progress=False, max_token_length=MOST_BYTES + 1,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    vocab = tokenizer.get_vocab()
    return sorted(vocab, key=vocab.get) + ["<mask>"], [tuple(m) for m in json.loads(tokenizer.to_str())["model"]["merges"]]


def files(tokens, merges):
    vocab = json.dumps({token: i for i, token in enumerate(tokens)}, ensure_ascii=False, separators=(",", ":"))
    return {"vocab.json": vocab + "\n", "merges.txt": "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)}


def is_text(line):
    try:
        return line.decode() is not None
    except UnicodeDecodeError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--tokens", type=int, default=1600)
    options = parser.parse_args()
    lines = list(tokenizer_lines.lines())
    for name, content in files(*learn(lines, options.tokens)).items():
        path = f"{DATA}/{name}"
        if options.write:
            os.makedirs(DATA, exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(content)
        with open(path, encoding="utf-8") as f:
            if f.read() != content:
                sys.exit(f"{path}: differs from what is learned here (--write stores that)")
        print(f"{path}: {'written' if options.write else 'agrees'}, {len(content.encode())} bytes")
    valid = [line for line in lines if is_text(line)]
    try:
        theirs = by_tokenizers(valid, options.tokens)
    except ImportError:
        print("SKIPPED: the package tokenizers is not here")
        return
    if learn(valid, options.tokens) != theirs:
        sys.exit("tokenizers learns another vocabulary from the same texts")
    print(f"tokenizers learns the same {len(theirs[1])} merges from {len(valid)} lines")


main()
