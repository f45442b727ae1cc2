"""The PyTorch peer of a training step: the full-size model, all objectives, float32 on the processor.

    peer_train.py [--method eager|sdpa|compile] [--optimizer plain|fused] [--steps 3] [--depth 12]
    peer_train.py --serve ...                    a command per line on stdin, an answer per line

One step: 2 clips and their 2 scene partners, 4 frames of 224x224, narrations of 15 tokens. EgoNCE over
the 4x4 similarities, MLM, VTM with hard negatives drawn from them, dropout .1 in the text, one backward
pass, AdamW. Every block, layer and projection is checkpointed: only its input is kept, and it is
computed again in the backward pass. Weights, clips and words are random.

    eager        explicit products and softmax
    sdpa         scaled_dot_product_attention for space, explicit for time (groups of 5 keys)
    compile      the same, each kind of video block compiled by inductor, checkpoint and all: it then
                 sees that a block's last product need not be computed again

Prints a JSON line a step; the first one warms up (and compiles). `cpu_seconds` is of all threads, for
a busy machine. The server takes one step to get ready and answers {"steps":N,"seconds":S,
"seconds_per_step":...} to "run N" and {"gflops":{...}} to "sgemm"; "quit" ends it. It sleeps in
between, so that another program can be timed. `--depth` makes a smaller model to try things with.
"""

import argparse
import ctypes
import dataclasses
import json
import math
import pathlib
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as tnf
from torch.utils.checkpoint import checkpoint

import egovlp
import train_reference

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
import peer_torch

CLIPS, TOKENS = 2, 15
MASK, SPECIAL = 50264, (0, 1, 2, 3, 50264)
DROPOUT = 0.1
TEMPERATURE = 0.05

# ---- the model, made ready for training ------------------------------------------------------------


class Checkpointed(nn.Module):
    """A part that keeps its inputs only."""

    def __init__(self, inner, random):
        super().__init__()
        self.inner, self.random = inner, random  # random: dropout, which must be drawn alike again

    def forward(self, *inputs):
        return checkpoint(self.inner, *inputs, use_reentrant=False, preserve_rng_state=self.random)


def attend_with_dropout(q, k, v, bias=None):
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias
    return tnf.dropout(scores.softmax(-1), DROPOUT) @ v


def drop(_module, _inputs, output):
    return tnf.dropout(output, DROPOUT)


def add_dropout(text_model):
    text_model.embeddings.LayerNorm.register_forward_hook(drop)
    for layer in text_model.encoder.layer:
        layer.attend = attend_with_dropout
        layer.attention.output.dense.register_forward_hook(drop)
        layer.output.dense.register_forward_hook(drop)
        if hasattr(layer, "crossattention_t2i"):
            layer.crossattention_t2i.output.dense.register_forward_hook(drop)


def wrap(parts, random):
    """Puts each module of a list behind a checkpoint."""
    for i, part in enumerate(parts):
        parts[i] = Checkpointed(part, random)


def prepare(config, method):
    model = egovlp.EgoVLP(config)
    for name, p in model.named_parameters():
        if "alpha" in name:
            nn.init.constant_(p, 0.5)
    if method != "eager":
        model.use_attention(peer_torch.attend_sdpa)
    add_dropout(model.text_model)
    wrap(model.text_model.encoder.layer, True)
    wrap(model.video_model.blocks, False)
    model.txt_proj, model.vid_proj = (
        Checkpointed(projection, False) for projection in (model.txt_proj, model.vid_proj)
    )
    if method == "compile":
        for block in model.video_model.blocks:
            block.compile(dynamic=False)
    return model.train()


# ---- the optimiser ---------------------------------------------------------------------------------


class FusedAdamW:
    """train_reference.AdamW through torch's fused Adam, in one pass over the memory, and one for decay.

    That Adam has eps inside the bias correction; an eps divided by the correction comes out of it.
    """

    def __init__(self, named_parameters, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01):
        self.betas, self.eps, self.t = betas, eps, 0
        groups = {}
        for name, p in named_parameters:
            groups.setdefault(train_reference.group_of(name), []).append(p)
        self.adam = torch.optim.Adam(
            [
                {"params": group, "kind": kind, "decay": weight_decay if decays else 0.0}
                for (kind, decays), group in groups.items()
            ],
            betas=betas,
            fused=True,
        )

    @torch.no_grad()
    def step(self, lr):
        self.t += 1
        for group in self.adam.param_groups:
            group["lr"] = lr * train_reference.MULTIPLIER[group["kind"]]
            group["eps"] = self.eps / math.sqrt(1 - self.betas[1] ** self.t)
        self.adam.step()
        for group in self.adam.param_groups:
            if group["decay"]:
                torch._foreach_mul_(group["params"], 1 - group["lr"] * group["decay"])

    def zero_grad(self):
        self.adam.zero_grad()


# ---- a step ----------------------------------------------------------------------------------------


def random_batch(config):
    """Clips, then their partners: each pair shares a verb, every other one a noun as well."""
    rows = 2 * CLIPS
    ids = torch.randint(4, MASK, (rows, TOKENS))
    ids[:, 0], ids[:, -1] = 0, 2
    verb, noun = torch.zeros(rows, 118), torch.zeros(rows, 582)
    for row in range(rows):
        verb[row, row % CLIPS] = 1
        noun[row, row % CLIPS + (row >= CLIPS and row % 2)] = 1
    return {
        "video": torch.randn(rows, config.frames, 3, config.img, config.img),
        "ids": ids,
        "mask": torch.ones_like(ids),
        "positive": egovlp.positives(verb, noun),
    }


def mask_words(ids):
    special = torch.isin(ids, torch.tensor(SPECIAL))
    chosen = (torch.rand(ids.shape) < 0.15) & ~special
    how = torch.rand(ids.shape)
    masked = torch.where(chosen & (how < 0.8), MASK, ids)
    other = torch.randint(0, MASK + 1, ids.shape)
    masked = torch.where(chosen & (how >= 0.9), other, masked)
    return masked, torch.where(chosen, ids, -100)


def draw_pairs(sim, positive):
    """(text row, clip row, whether they match) of each sample; the official code's crossed names kept."""
    rows = len(sim)
    by_text, by_video = egovlp.hard_negative_weights(sim, positive, TEMPERATURE)
    labels = (torch.randperm(rows) < rows // 2).long()
    text, clip = torch.arange(rows), torch.arange(rows)
    for row in (labels == 0).nonzero().flatten().tolist():
        if torch.rand(()) < 0.5:
            clip[row] = torch.multinomial(by_video[row] + 1e-9, 1)
        else:
            text[row] = torch.multinomial(by_text[row] + 1e-9, 1)
    return text, clip, labels


def step(model, optimiser, batch, lr):
    video, ids, mask = batch["video"], batch["ids"], batch["mask"]
    sim = egovlp.cosine(model.embed_text(ids, mask), model.embed_video(video))
    text, clip, match = draw_pairs(sim.detach(), batch["positive"])
    masked, labels = mask_words(ids)
    egonce = egovlp.egonce(sim, batch["positive"], TEMPERATURE)
    mlm = egovlp.mlm_loss(model.mlm(video, masked, mask), labels)
    vtm = egovlp.vtm_loss(model.vtm(video[clip], ids[text], mask[text]), match)
    (egonce + mlm + 2 * vtm).backward()
    optimiser.step(lr)
    optimiser.zero_grad()
    return {"egonce": egonce.item(), "mlm": mlm.item(), "vtm": vtm.item()}


# ---- command line ----------------------------------------------------------------------------------


def keep_freed_memory():
    """Makes malloc reuse large blocks, which it would hand back to the kernel and fault in again."""
    trim_threshold, mmap_max = -1, -4  # malloc.h
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)


def say(**members):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # of KiB
    print(json.dumps(members | {"peak_rss_gib": round(peak, 2)}), flush=True)


class Trainer:
    def __init__(self, options):
        full = peer_torch.FULL
        fuse = full.fuse * options.depth // full.depth
        config = dataclasses.replace(full, depth=options.depth, fuse=fuse)
        self.model, self.batch = prepare(config, options.method), random_batch(config)
        kind = {"plain": train_reference.AdamW, "fused": FusedAdamW}[options.optimizer]
        self.optimiser = kind(self.model.named_parameters())

    def steps(self, count):
        """What it took, and the last step's losses."""
        begin, begin_cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            losses = step(self.model, self.optimiser, self.batch, 3e-5)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
        return {"steps": count, "seconds": seconds, "seconds_per_step": seconds / count,
                "cpu_seconds": cpu, **losses}  # fmt: skip


def serve(options):
    trainer = Trainer(options)
    say(ready=True, method=options.method, **trainer.steps(1))
    for line in sys.stdin:
        word, *rest = line.split() or [""]
        if word == "run":
            say(**trainer.steps(int(rest[0]) if rest else 1))
        elif word == "sgemm":
            say(gflops=peer_torch.sgemm_rates())
        elif word == "quit":
            return
        else:
            say(error=f"no command {word!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", choices=("eager", "sdpa", "compile"), default="compile")
    parser.add_argument("--optimizer", choices=("plain", "fused"), default="fused")
    parser.add_argument("--depth", type=int, default=peer_torch.FULL.depth)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    if options.serve:
        serve(options)
        return
    trainer = Trainer(options)
    for i in range(options.steps):
        say(step=i, **trainer.steps(1))


if __name__ == "__main__":
    main()
