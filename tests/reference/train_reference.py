"""Trains a golden folder of tiny's layout for some steps: what a C training loop is held against.

    train_reference.py FOLDER [--steps 100] [--lr 3e-4] [--warmup 0.1] [-o adamw100.json]

The optimiser, its six groups and the schedule are those of the pre-training specification, written
out. Dropout is off, and batch, masked words and negatives are the folder's at every step, so that
nothing is random. The run is done in float64, whose values are written, and again in float32, of
which only the largest deviations are: how far another float32 program may be expected to be off.
(EgoNCE falls to 1e-6, where float32 cannot tell log(1 - x) from -x: compare it absolutely.)

The file has `optim` (every setting), `groups` (how many tensors and elements each has), `steps` (the
lr and the losses before each update), and `probes`: elements of some parameters after 1, 2, 10 ...
updates. Update 1 has lr 0, so value 1 is the checkpoint's own.
"""

import argparse
import json
import math
import pathlib
import sys

import numpy as np
import torch

import egovlp

# ---- optimiser -----------------------------------------------------------------------------------

HEAD = ("mlm_score", "itm_score", "txt_proj", "vid_proj")
CROSS = ("cross_modal", "i2t", "t2i")
NO_DECAY = (
    "bias", "LayerNorm.bias", "LayerNorm.weight", "norm.bias", "norm.weight", "norm1.bias",
    "norm1.weight", "norm2.bias", "norm2.weight",
)  # fmt: skip
MULTIPLIER = {"base": 1.0, "head": 4.0, "cross": 4.0}


def group_of(name):
    """("base" | "head" | "cross", whether it decays). By substring: norm3 and norm_i2t_i slip through."""
    is_any = lambda parts: any(part in name for part in parts)
    kind = "head" if is_any(HEAD) else "cross" if is_any(CROSS) else "base"
    return kind, not is_any(NO_DECAY)


class AdamW:
    """Hugging Face's: eps stands outside the bias correction, and decay takes the updated parameter."""

    def __init__(self, named_parameters, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01):
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.groups, self.t = {}, 0
        for name, p in named_parameters:
            self.groups.setdefault(group_of(name), []).append((name, p))
        self.m = {p: torch.zeros_like(p) for group in self.groups.values() for _, p in group}
        self.v = {p: torch.zeros_like(p) for p in self.m}

    @torch.no_grad()
    def step(self, lr):
        """One update; lr is that of the base groups. A parameter without a gradient stays as it is."""
        self.t += 1
        for (kind, decays), group in self.groups.items():
            parameters = [p for _, p in group if p.grad is not None]
            decay = self.weight_decay if decays else 0.0
            self.update(parameters, lr * MULTIPLIER[kind], decay)

    def update(self, parameters, lr, decay):
        beta1, beta2 = self.betas
        size = lr * math.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)
        for p in parameters:
            m, v = self.m[p], self.v[p]
            m.mul_(beta1).add_(p.grad, alpha=1 - beta1)
            v.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
            p.addcdiv_(m, v.sqrt().add_(self.eps), value=-size)
            p.add_(p, alpha=-lr * decay)

    def zero_grad(self):
        for p in self.m:
            p.grad = None


def schedule(step, steps, warmup):
    """What the lr of update `step` (from 0) is multiplied with: linear from 0, then half a cosine to 0."""
    rising = math.trunc(warmup * steps)
    if step < rising:
        return step / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


# ---- a run over one batch ------------------------------------------------------------------------

LOSSES = ("egonce", "mlm", "vtm", "total")
BATCH = (
    "input_video", "input_ids", "attention_mask", "verb_vec", "noun_vec", "mlm_input_ids",
    "mlm_labels", "vtm_text_index", "vtm_video_index", "vtm_labels",
)  # fmt: skip


def load_batch(folder, dtype):
    tensors = {name: torch.from_numpy(np.load(folder / f"{name}.npy")) for name in BATCH}
    return {k: t.to(dtype) if t.is_floating_point() else t.long() for k, t in tensors.items()}


def run(folder, config, dtype, options, observe=None):
    """One row of figures a step. observe(updates done, parameters by name) is called after every update."""
    state = egovlp.load_checkpoint(folder / "checkpoint.pth")
    model = egovlp.build(config, state, dtype)
    batch = load_batch(folder, dtype)
    named = dict(model.named_parameters())
    optimiser = AdamW(named.items())
    rows = []
    for step in range(options.steps):
        lr = options.lr * schedule(step, options.steps, options.warmup)
        losses, _ = egovlp.training_losses(model, batch)
        losses["total"].backward()
        optimiser.step(lr)
        if observe:
            observe(step + 1, named)
        optimiser.zero_grad()
        rows.append({"step": step, "lr": lr} | {name: loss.item() for name, loss in losses.items()})
    return rows, optimiser


# ---- probes --------------------------------------------------------------------------------------

WORDS = "text_model.embeddings.word_embeddings.weight"
PROBES = (  # at least one of each group and of each name the decay list gets right or misses
    "cls_token",  # base, decays
    "video_model.cls_token",
    "video_model.temporal_embed",
    "video_model.blocks.0.attn.qkv.weight",
    "video_model.blocks.0.norm3.weight",  # decays, though a norm
    WORDS,
    "norm.weight",  # base, does not decay
    "video_model.blocks.0.norm1.weight",
    "text_model.encoder.layer.0.output.LayerNorm.weight",
    "video_model.blocks.0.mlp.fc1.bias",
    "txt_proj.0.weight",  # head, decays
    "mlm_score.decoder.weight",
    "mlm_score.bias",  # head, does not decay
    "mlm_score.transform.LayerNorm.weight",
    "video_model.blocks.{last}.attn.alpha_i2t",  # cross, decays
    "text_model.encoder.layer.{last}.alpha_t2i",
    "video_model.blocks.{last}.attn.norm_i2t_i.weight",
    "video_model.blocks.{last}.attn.qkv_text_i2t.weight",
    "cross_modal_text_transform.weight",
    "video_model.blocks.{last}.attn.proj_i2t.bias",  # cross, does not decay
)


class Prober:
    """Follows one element a tensor: where the first gradient is largest, so that its sign is no noise."""

    def __init__(self, config, at):
        self.names = [probe.format(last=config.depth - 1) for probe in PROBES]
        self.at, self.where, self.values = at, [], []

    def choose(self, parameters):
        for name in self.names:
            yield name, parameters[name].grad.abs().argmax().item()
        unused = (parameters[WORDS].grad == 0).all(1).nonzero()[0].item()  # a word that only decays
        yield WORDS, unused * parameters[WORDS].shape[1]

    def __call__(self, updates, parameters):
        if updates == 1:
            self.where = list(self.choose(parameters))
            self.values = [[] for _ in self.where]
        if updates in self.at:
            for (name, index), values in zip(self.where, self.values):
                values.append(parameters[name].flatten()[index].item())

    def rows(self):
        for (name, index), values in zip(self.where, self.values):
            kind, decays = group_of(name)
            yield {"name": name, "index": index, "group": kind, "decays": decays, "values": values}


# ---- the fixture ---------------------------------------------------------------------------------


def relative(got, want):
    return abs(got - want) / abs(want)


def one_line_a_row(whole):
    """JSON with every row of a list of objects on a line of its own."""
    members = []
    for name, value in whole.items():
        if isinstance(value, list) and isinstance(value[0], dict):
            value = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "]"
        else:
            value = json.dumps(value)
        members.append(f"{json.dumps(name)}: {value}")
    return "{" + ",\n ".join(members) + "}\n"


def largest_off(rows, want_rows, prober, want_prober, how):
    """Of each loss over the steps, and of the probes."""
    table = lambda rows: np.array([[row[loss] for loss in LOSSES] for row in rows])
    losses = how(table(rows), table(want_rows)).max(0)
    return [*losses, how(np.array(prober.values), np.array(want_prober.values)).max()]


def make_fixture(folder, options):
    meta = json.loads((folder / "meta.json").read_text())
    config = egovlp.Config(**meta["config"])
    exact, rough = Prober(config, options.probe_at), Prober(config, options.probe_at)
    rows, optimiser = run(folder, config, torch.float64, options, exact)
    for name in LOSSES:
        if relative(rows[0][name], meta["losses"][name]) > 1e-6:
            sys.exit(f"step 0: {name} is {rows[0][name]}, meta.json has {meta['losses'][name]}")
    rows32, _ = run(folder, config, torch.float32, options, rough)
    deviation = {
        how: {name: largest[i] for i, name in enumerate(LOSSES)} | {"probes": largest[-1]}
        for how, largest in (
            ("relative", largest_off(rows32, rows, rough, exact, relative)),
            ("absolute", largest_off(rows32, rows, rough, exact, lambda a, b: abs(a - b))),
        )
    }
    return {
        "what": "train_reference.py: float64, dropout off, every choice fixed",
        "folder": folder.name,
        "config": meta["config"],
        "optim": {
            "lr": options.lr, "head": MULTIPLIER["head"], "cross": MULTIPLIER["cross"],
            "betas": optimiser.betas, "eps": optimiser.eps,
            "weight_decay": optimiser.weight_decay, "warmup": options.warmup,
            "steps": options.steps,
        },
        "groups": [
            {"group": kind, "decays": decays, "tensors": len(group),
             "elements": sum(p.numel() for _, p in group)}
            for (kind, decays), group in optimiser.groups.items()
        ],
        "float32_largest_deviation": deviation,
        "steps": rows,
        "probe_after_updates": options.probe_at,
        "probes": list(exact.rows()),
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--warmup", type=float, default=0.1)
    parser.add_argument("-o", "--out", type=pathlib.Path)
    options = parser.parse_args()
    options.probe_at = sorted({n for n in (1, 2, 10, 100) if n < options.steps} | {options.steps})
    torch.use_deterministic_algorithms(True)
    text = one_line_a_row(make_fixture(options.folder.resolve(), options))
    if options.out:
        options.out.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
