#!/usr/bin/env python3
"""Holds a .safetensors file of ours against the reference implementation: it must load there and, when the
checkpoint it was converted from is given too, hold the same tensors bit for bit.

    python tests/reference/check_safetensors.py OURS.safetensors [ORIGINAL.pth]
"""
import sys
import types

import safetensors
import safetensors.torch
import torch


class Unknown:
    """Stands for any class that a checkpoint names and nobody has here."""

    def __init__(self, *_, **__):
        pass

    def __setstate__(self, _):
        pass


def load_checkpoint(path):
    module = types.ModuleType("parse_config")
    module.ConfigParser = Unknown
    sys.modules.setdefault("parse_config", module)
    value = torch.load(path, map_location="cpu", weights_only=False)
    for member in ("state_dict", "model_state_dict", "model"):
        if isinstance(value.get(member), dict):
            value = value[member]
            break
    return {name.removeprefix("module."): t for name, t in value.items() if torch.is_tensor(t)}


ours = safetensors.torch.load_file(sys.argv[1])
with safetensors.safe_open(sys.argv[1], "pt") as file:
    print(f"{len(ours)} tensors, metadata {sorted(file.metadata() or {})}")
if len(sys.argv) > 2:
    original = load_checkpoint(sys.argv[2])
    assert ours.keys() >= original.keys(), sorted(original.keys() - ours.keys())
    different = [n for n, t in original.items() if t.dtype != ours[n].dtype or not torch.equal(t, ours[n])]
    assert not different, different
    print(f"{len(original)} equal")
