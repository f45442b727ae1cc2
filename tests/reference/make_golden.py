"""Writes a golden folder of tiny's layout for another configuration, computed in float64 by egovlp.py.

    make_golden.py DIR --dim 24 --heads 3 --depth 3 --fuse 1 --frames 3 --img 30 --patch 6
                   --vocab 97 --proj 20 [--mlp 4] [--small-projection] [--clips 4] [--maxpos 20]

Weights follow the formula of golden/README.md and checkpoint.pth the official trainer's layout
(`module.` prefix, CUDA storage tags, optimizer state, a config object of a class nobody has), with the
number of heads in checkpoint.json. The input clip is 2u of "input.video"; ids, masks, tags and choices
come from the stream of other names, so that the same command writes the same figures anywhere.
"""

import argparse
import collections
import contextlib
import json
import pathlib
import sys
import types

import numpy as np
import torch

import egovlp

GRADIENTS_UP_TO = 600  # elements; of larger parameters only the norm is kept
TEMPERATURE = 0.05


# ---- inputs ----------------------------------------------------------------------------------------


def draw(name, count, below):
    """`count` integers in [0, below) from the stream of a name."""
    return ((egovlp.unit(name, count) + 1) / 2 * below).astype(np.int64)


def narrations(config, clips):
    """Right-padded ids (clips, L) of different lengths, and their mask. The last id is the mask token."""
    longest = min(9, config.maxpos - 2)
    ids = np.full((clips, longest), egovlp.PAD, np.int32)
    for row in range(clips):
        words = max(1, longest - 2 - 2 * row)
        ids[row, 0] = 0
        ids[row, 1 : 1 + words] = 4 + draw(f"input.words.{row}", words, config.vocab - 5)
        ids[row, 1 + words] = 2
    return ids, (ids != egovlp.PAD).astype(np.int32)


def masked_words(config, ids):
    """Every other word hidden: (ids for the model, labels with -100 elsewhere)."""
    masked, labels = ids.copy(), np.full_like(ids, -100)
    for row in range(len(ids)):
        words = np.flatnonzero(ids[row] > 3)
        hidden = words[row % 2 :: 2] if len(words) > 1 else words
        labels[row, hidden] = ids[row, hidden]
        masked[row, hidden] = config.vocab - 1
    return masked, labels


def make_batch(config, clips):
    """Everything one training step needs, as arrays of the types tiny stores."""
    shape = (clips, config.frames, 3, config.img, config.img)
    video = 2 * egovlp.unit("input.video", int(np.prod(shape)))
    ids, mask = narrations(config, clips)
    masked, labels = masked_words(config, ids)
    verb, noun = np.zeros((clips, 6), np.float32), np.zeros((clips, 10), np.float32)
    for row in range(clips):  # of the first four, the middle two share a verb and a noun
        verb[row, [row // 3 % 3, 3 + row % 3]] = 1
        noun[row, [(row + 1) // 2 % 5, 5 + row % 5]] = 1
    text, clip = np.arange(clips), np.arange(clips)
    match = np.zeros(clips, np.int32)
    match[: clips // 2] = 1
    for row in range(clips // 2, clips):  # a foreign clip or a foreign narration, in turn
        (clip if row % 2 == 0 else text)[row] = (row + 1) % clips
    return {
        "input_video": video.astype(np.float32).reshape(shape),
        "input_ids": ids,
        "attention_mask": mask,
        "verb_vec": verb,
        "noun_vec": noun,
        "mlm_input_ids": masked,
        "mlm_labels": labels,
        "vtm_text_index": text.astype(np.int32),
        "vtm_video_index": clip.astype(np.int32),
        "vtm_labels": match,
    }


def as_tensors(batch):
    """float64 for what is computed with, int64 for what is looked up."""
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    return {k: t.double() if t.is_floating_point() else t.long() for k, t in tensors.items()}


# ---- the checkpoint --------------------------------------------------------------------------------


@contextlib.contextmanager
def stored_as_if_from_cuda():
    """torch.save tags each storage with its device; the trainer's were on the first GPU."""
    kept = torch.serialization.location_tag
    torch.serialization.location_tag = lambda storage: "cuda:0"
    try:
        yield
    finally:
        torch.serialization.location_tag = kept


def trainer_config():
    """A stand-in for the trainer's live configuration object, of a class a reader does not have."""
    module = types.ModuleType("parse_config")
    parser = type("ConfigParser", (), {"__module__": "parse_config"})
    module.ConfigParser = parser
    sys.modules["parse_config"] = module  # pickle writes a class by name and wants to find it
    config = parser()
    config.args = argparse.Namespace(config="pretrain.json", resume=None, device=None)
    config._save_dir = pathlib.PurePosixPath("results/models")
    config._config = collections.OrderedDict(arch={"type": "FrozenInTime"}, n_gpu=1)
    config.log_levels = {0: 30, 1: 20, 2: 10}
    return config


def save_checkpoint(path, config, model):
    state = collections.OrderedDict(
        (f"module.{name}", t.float() if t.is_floating_point() else t)
        for name, t in model.state_dict().items()
    )
    gate = torch.zeros(1)  # one parameter's worth of optimizer state, for a reader to pass over
    whole = {
        "arch": "DistributedDataParallel",
        "epoch": 10,
        "state_dict": state,
        "optimizer": {
            "state": {0: {"step": 3, "exp_avg": gate, "exp_avg_sq": gate.clone()}},
            "param_groups": [{"lr": 3e-5, "weight_decay": 0.01, "params": [0]}]
            + [{"lr": 3e-5, "weight_decay": 0.0, "params": []} for _ in range(5)],
        },
        "scheduler": {"base_lrs": [3e-5] * 6, "last_epoch": 3, "lr_lambdas": [None] * 6},
        "monitor_best": 0,
        "config": trainer_config(),
    }
    with stored_as_if_from_cuda():
        torch.save(whole, path)
    path.with_suffix(".json").write_text(json.dumps({"heads": config.heads}) + "\n")


# ---- the folder ------------------------------------------------------------------------------------


def write(folder, config, clips):
    model = egovlp.build(config, dtype=torch.float64)
    inputs = make_batch(config, clips)
    batch = as_tensors(inputs)
    video, ids, mask = batch["input_video"], batch["input_ids"], batch["attention_mask"]
    losses, sim = egovlp.training_losses(model, batch)
    losses["total"].backward()
    positive = egovlp.positives(batch["verb_vec"], batch["noun_vec"])
    text_rows, video_rows = egovlp.hard_negative_weights(sim, positive, TEMPERATURE)
    with torch.no_grad():
        text, clip = batch["vtm_text_index"], batch["vtm_video_index"]
        outputs = {
            "text_embed": model.embed_text(ids, mask),
            "video_embed": model.embed_video(video),
            "sim": sim,
            "vtm_logits": model.vtm(video[clip], ids[text], mask[text]),
            "mlm_logits": model.mlm(video, batch["mlm_input_ids"], mask),
            "positive_mask": positive.int(),
            "hardneg_weight_rows_v2t": text_rows,
            "hardneg_weight_rows_t2v": video_rows,
            "temporal_embed_inflated_to_16": egovlp.inflate(model.video_model.temporal_embed, 16),
        }
    (folder / "grad").mkdir(parents=True, exist_ok=True)
    for name, array in inputs.items():
        np.save(folder / f"{name}.npy", array)
    for name, tensor in outputs.items():
        array = tensor.detach().numpy()
        np.save(folder / f"{name}.npy", array.astype("f4" if array.dtype.kind == "f" else "i4"))
    norms = {}
    for name, parameter in model.named_parameters():
        norms[name] = parameter.grad.norm().item()
        if parameter.numel() <= GRADIENTS_UP_TO and norms[name] > 1e-9 and in_short_list(name):
            np.save(folder / "grad" / f"{name}.npy", parameter.grad.numpy().astype("f4"))
    meta = {
        "config": vars(config),
        "losses": {name: loss.item() for name, loss in losses.items()}
        | {"temperature": TEMPERATURE},
        "grad_norm": norms,
        "grad_total_norm": sum(norm**2 for norm in norms.values()) ** 0.5,
        "tensors": {name: list(t.shape) for name, t in model.state_dict().items()},
    }
    (folder / "meta.json").write_text(one_line_a_member(meta))
    save_checkpoint(folder / "checkpoint.pth", config, model)


def one_line_a_member(meta):
    return "{" + ",\n ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in meta.items()) + "}\n"


def in_short_list(name):
    """Gradients worth a file: gates, class tokens, norms and embeddings of position and time."""
    return "alpha" in name or name.split(".")[-1] in ("cls_token", "temporal_embed", "pos_embed") or (
        name in ("norm.weight", "video_model.norm.weight", "itm_score.fc.weight", "mlm_score.bias")
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, metavar="DIR")
    for name in ("dim", "heads", "depth", "fuse", "frames", "img", "patch", "vocab", "proj"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--mlp", type=int, default=4)
    parser.add_argument("--maxpos", type=int, default=20)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--small-projection", action="store_true")
    options = vars(parser.parse_args())
    folder, clips = options.pop("folder"), options.pop("clips")
    config = egovlp.Config(**options)
    if config.dim % config.heads or config.img % config.patch or not 0 <= config.fuse <= config.depth:
        parser.error("heads divide dim, patches divide img, and fuse lies in 0..depth")
    write(folder, config, clips)


if __name__ == "__main__":
    main()
