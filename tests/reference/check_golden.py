"""Holds egovlp.py against golden folders: prints the relative error of every array, in both precisions.

    check_golden.py [--dtype float64|float32|both] FOLDER...

A folder is of the full-size layout (base4f) or of tiny's, which make_golden.py writes too. The
arrays are float64 results rounded to float32, so the float64 run should differ by 6e-8 at most.
Exit status 1 when an array is further off than LIMIT.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch

import egovlp

LIMIT = {torch.float64: 1e-7, torch.float32: 5e-6}
NOISE = {torch.float64: 1e-9, torch.float32: 1e-6}  # absolute: where the true value is rounding noise


class Report:
    def __init__(self, dtype):
        self.limit, self.noise = LIMIT[dtype], NOISE[dtype]
        self.worst, self.count, self.failed = 0.0, 0, 0

    def compare(self, name, got, want, quiet=False):
        got = np.asarray(got.detach() if torch.is_tensor(got) else got, np.float64)
        want = np.asarray(want, np.float64)
        if got.shape != want.shape:
            self.failed += 1
            print(f"  {name:62} shape {got.shape}, expected {want.shape}  FAILED")
            return
        off, size = np.linalg.norm(got - want), np.linalg.norm(want)
        error = off / size if size > 0 else off
        # A norm is one number; an array's noise grows with its length.
        good = error <= self.limit or off <= self.noise * max(1, got.size**0.5)
        self.count += 1
        self.failed += not good
        if off > self.noise:
            self.worst = max(self.worst, error)
        if not quiet or not good:
            print(f"  {name:62} {error:.2e}" + ("" if good else "  FAILED"))

    def summary(self, what):
        print(f"  {what}: {self.count} compared, worst {self.worst:.2e}, {self.failed} failed")
        return self.failed == 0


def load(folder, name):
    return np.load(folder / f"{name}.npy")


def check_full(folder, meta, dtype):
    report = Report(dtype)
    config = egovlp.Config(**meta["config"])
    for name, first in meta["weight_probes"].items():
        weight = egovlp.formula_weight(name, tuple(meta["tensors"][name])).ravel()
        if not np.array_equal(weight[: len(first)], np.float32(first)):
            sys.exit(f"{name}: the weight formula gives other bits than weight_probes")
    model = egovlp.build(config, dtype=dtype)
    shape = (2, config.frames, 3, config.img, config.img)
    video = (2 * egovlp.unit("input.video", int(np.prod(shape)))).astype(np.float32).reshape(shape)
    report.compare("input_video_first16", video.ravel()[:16], load(folder, "input_video_first16"))
    video = torch.from_numpy(video).to(dtype)
    ids = torch.from_numpy(load(folder, "input_ids")).long()
    mask = torch.from_numpy(load(folder, "attention_mask"))

    def states(prefix, kind, found):
        for i, state in enumerate(found):
            if (folder / f"{prefix}_{kind}{i}_cls.npy").exists():
                name = f"{prefix}_{kind}{i}_cls"
                report.compare(name, state, load(folder, name))

    with torch.inference_mode():
        v_states, t_states = [], []
        feature = model.video_model(video, v_states)
        v, t = model.vid_proj(feature), model.embed_text(ids, mask, t_states)
        states("dual", "video_block", v_states)
        states("dual", "text_layer", t_states)
        report.compare("dual_video_feature", feature, load(folder, "dual_video_feature"))
        report.compare("dual_video_embed", v, load(folder, "dual_video_embed"))
        report.compare("dual_text_embed", t, load(folder, "dual_text_embed"))
        report.compare("dual_sim", egovlp.cosine(t, v), load(folder, "dual_sim"))

        v_states, t_states = [], []
        logits = model.vtm(video, ids, mask, v_states, t_states)
        states("vtm", "video_block", v_states)
        states("vtm", "text_layer", t_states)
        report.compare("vtm_logits", logits, load(folder, "vtm_logits"))
        report.compare("vtm_prob", logits.softmax(1)[:, 1], load(folder, "vtm_prob"))

        masked = torch.from_numpy(load(folder, "mlm_input_ids")).long()
        rows = model.mlm(video, masked, mask)[masked == config.vocab - 1]
        report.compare("mlm_logits_masked", rows, load(folder, "mlm_logits_masked"))

        clip = folder.parent / "clip"
        if (clip / "clip_tensor.npy").exists():
            pixels = torch.from_numpy(load(clip, "clip_tensor"))[None].to(dtype)
            embed = load(clip, "dual_video_embed_base4f").reshape(1, -1)
            report.compare("clip: dual_video_embed_base4f", model.embed_video(pixels), embed)
    return report


def check_small(folder, meta, dtype):
    report = Report(dtype)
    config = egovlp.Config(**meta["config"])
    state = egovlp.load_checkpoint(folder / "checkpoint.pth")
    told = egovlp.Config.of_state(state, config.heads)
    if told != config or list(state) != list(meta["tensors"]):
        sys.exit(f"{folder}: meta.json is of another model than checkpoint.pth")
    model = egovlp.build(config, state, dtype)
    batch = {
        name: torch.from_numpy(load(folder, name))
        for name in (
            *("input_video", "input_ids", "attention_mask", "verb_vec", "noun_vec"),
            *("mlm_input_ids", "mlm_labels", "vtm_text_index", "vtm_video_index", "vtm_labels"),
        )
    }
    for name in ("input_video", "verb_vec", "noun_vec"):
        batch[name] = batch[name].to(dtype)
    for name in ("input_ids", "mlm_input_ids", "vtm_text_index", "vtm_video_index"):
        batch[name] = batch[name].long()
    video, ids, mask = batch["input_video"], batch["input_ids"], batch["attention_mask"]

    with torch.no_grad():
        report.compare("text_embed", model.embed_text(ids, mask), load(folder, "text_embed"))
        report.compare("video_embed", model.embed_video(video), load(folder, "video_embed"))
        text, clip = batch["vtm_text_index"], batch["vtm_video_index"]
        logits = model.vtm(video[clip], ids[text], mask[text])
        report.compare("vtm_logits", logits, load(folder, "vtm_logits"))
        logits = model.mlm(video, batch["mlm_input_ids"], mask)
        report.compare("mlm_logits", logits, load(folder, "mlm_logits"))
        more = load(folder, "temporal_embed_inflated_to_16")
        report.compare(
            "temporal_embed_inflated_to_16",
            egovlp.inflate(model.video_model.temporal_embed, more.shape[1]),
            more,
        )

    losses, sim = egovlp.training_losses(model, batch)
    report.compare("sim", sim, load(folder, "sim"))
    positive = egovlp.positives(batch["verb_vec"], batch["noun_vec"])
    report.compare("positive_mask", positive.int(), load(folder, "positive_mask"))
    text_rows, video_rows = egovlp.hard_negative_weights(sim, positive)
    report.compare("hardneg_weight_rows_v2t", text_rows, load(folder, "hardneg_weight_rows_v2t"))
    report.compare("hardneg_weight_rows_t2v", video_rows, load(folder, "hardneg_weight_rows_t2v"))
    for name, loss in losses.items():
        report.compare(f"loss {name}", loss, meta["losses"][name])
    losses["total"].backward()
    parameters = dict(model.named_parameters())
    for file in sorted((folder / "grad").glob("*.npy")):
        report.compare(f"grad {file.stem}", parameters[file.stem].grad, np.load(file))
    squares = 0.0
    for name, norm in meta["grad_norm"].items():
        found = parameters[name].grad.norm().item()
        report.compare(f"grad_norm {name}", found, norm, quiet=True)
        squares += found**2
    report.compare("grad_total_norm", squares**0.5, meta["grad_total_norm"])
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=("float64", "float32", "both"), default="both")
    parser.add_argument("folders", nargs="+", type=pathlib.Path, metavar="FOLDER")
    options = parser.parse_args()
    torch.manual_seed(0)
    names = ("float64", "float32") if options.dtype == "both" else (options.dtype,)
    good = True
    for folder in options.folders:
        meta = json.loads((folder / "meta.json").read_text())
        check = check_full if "weight_probes" in meta else check_small
        for name in names:
            print(f"{folder} in {name}")
            good &= check(folder, meta, getattr(torch, name)).summary(folder.name)
    sys.exit(not good)


if __name__ == "__main__":
    main()
