#!/usr/bin/env python3
"""Trains the small vocabulary in tests/unit/data/bpe: 1,000 merges over our own lines.

    python3 tests/reference/make_test_vocabulary.py tests/unit/data/bpe      (needs `tokenizers`)
"""
import json
import os
import sys

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import tokenizer_lines

FIRST = ["<s>", "<pad>", "</s>", "<unk>"]


def main(directory):
    draw = tokenizer_lines.Draw(7)
    text = [tokenizer_lines.narration(draw) for _ in range(3000)]
    text += [f(s) for s in tokenizer_lines.PROSE for f in (str, str.upper, str.lower) for _ in range(5)]
    text += [tokenizer_lines.script(draw) for _ in range(3000)]
    text += [g(draw) for g in (tokenizer_lines.runs, tokenizer_lines.emoji, tokenizer_lines.quotes) for _ in range(300)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(text, trainers.BpeTrainer(
        vocab_size=len(FIRST) + 256 + 1000, special_tokens=FIRST, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    vocab = tokenizer.get_vocab()
    vocab["<mask>"] = len(vocab)
    os.makedirs(directory, exist_ok=True)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    with open(f"{directory}/vocab.json", "w", encoding="utf-8") as f:
        json.dump(dict(sorted(vocab.items(), key=lambda kv: kv[1])), f, ensure_ascii=False)
        f.write("\n")
    with open(f"{directory}/merges.txt", "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n")
        f.writelines(f"{a} {b}\n" for a, b in merges)
    print(f"{len(vocab)} tokens, {len(merges)} merges, tokenizers {tokenizers.__version__}")


main(sys.argv[1])
