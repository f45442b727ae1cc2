#!/usr/bin/env python3
"""Writes the small files under tests/unit/data that the readers of libcore/format are tested with.

They are committed; this script (torch, numpy, safetensors) is only needed to change them:
    python tests/reference/make_fixtures.py
The expected values stand in tests/unit/test_torchfile.c, test_safetensors.c and test_npy.c.
"""
import argparse
import collections
import io
import os
import pathlib
import struct
import sys
import types
import zipfile

import numpy as np
import safetensors.torch
import torch

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "unit" / "data"
DATA.mkdir(exist_ok=True)

# Checkpoints come from machines with a GPU: every storage says so.
torch.serialization.location_tag = lambda storage: "cuda:0"

# A class that no reader of the file has.
config_module = types.ModuleType("parse_config")


class ConfigParser:
    def __init__(self):
        self.args = argparse.Namespace(lr=3e-5, gpus=[0, 1])
        self._config = collections.OrderedDict(arch={"type": "X"}, sizes=(1, 2, 3))
        self._save_dir = pathlib.PosixPath("/tmp/somewhere")
        self.levels = {1, 2, 3}
        self.frozen = frozenset("ab")
        self.big, self.negative, self.raw = 1 << 100, -5, b"\0\1"


ConfigParser.__module__, ConfigParser.__qualname__ = "parse_config", "ConfigParser"
config_module.ConfigParser = ConfigParser
sys.modules["parse_config"] = config_module


class Wrapped(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 2)


Wrapped.__module__, Wrapped.__qualname__ = "parse_config", "Wrapped"
config_module.Wrapped = Wrapped


def ramp(*shape, dtype=torch.float32):
    return torch.arange(int(np.prod(shape)), dtype=torch.float32).reshape(shape).to(dtype)


def state_dict():
    shared = ramp(10)
    state = collections.OrderedDict()
    state["module.f32"] = ramp(2, 3) / 4
    for name in ("float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8"):
        state["module." + name] = ramp(5, dtype=getattr(torch, name)) + 1
    state["module.bool"] = torch.tensor([True, False, True])
    state["module.transposed"] = ramp(3, 4).t()
    state["module.expanded"] = torch.tensor([7.0]).expand(2, 3)
    state["module.sliced"] = ramp(20)[5:15:2]
    state["module.permuted"] = ramp(2, 3, 4).permute(2, 0, 1)
    state["module.shared_a"] = shared
    state["module.shared_b"] = shared[4:8]
    state["module.scalar"] = torch.tensor(2.5)
    state["module.empty"] = torch.zeros(0, 3)
    state["module.parameter"] = torch.nn.Parameter(ramp(4))
    state["module.complex"] = torch.zeros(2, dtype=torch.complex64)
    state["module.six"] = torch.zeros(1, 1, 1, 1, 1, 2)
    state["module.sparse"] = torch.eye(3).to_sparse()
    state["module.quantised"] = torch.quantize_per_tensor(ramp(4), 0.5, 0, torch.qint8)
    state["module.count"] = 3
    state._metadata = {"": {"version": 1}}
    return state


def checkpoint():
    weight = torch.nn.Parameter(ramp(4))
    adam = torch.optim.AdamW([weight], lr=0.01)
    weight.sum().backward()
    adam.step()
    return {
        "arch": "DistributedDataParallel",
        "epoch": 3,
        "state_dict": state_dict(),
        "optimizer": adam.state_dict(),
        "monitor_best": 0.5,
        "config": ConfigParser(),
        "nothing": None,
        7: "a key that is no string",
    }


def save(name, value, **options):
    torch.save(value, DATA / name, **options)


def rezip(source, name, method=zipfile.ZIP_STORED, change=lambda n, d: d):
    with zipfile.ZipFile(DATA / source) as old, zipfile.ZipFile(DATA / name, "w", method) as new:
        for entry in old.infolist():
            new.writestr(zipfile.ZipInfo(entry.filename), change(entry.filename, old.read(entry)), method)


def widen(source, name):
    """The same archive with every size and offset in zip64 records, as beyond 4 GiB."""
    data = (DATA / source).read_bytes()
    end = data.rindex(b"PK\5\6")
    count, = struct.unpack_from("<H", data, end + 10)
    at, = struct.unpack_from("<I", data, end + 16)
    out, start, p = io.BytesIO(), at, at
    out.write(data[:at])
    for _ in range(count):
        head = bytearray(data[p:p + 46])
        packed, size, n, extra, comment = struct.unpack_from("<IIHHH", head, 20)
        offset, = struct.unpack_from("<I", head, 42)
        struct.pack_into("<IIHHH", head, 20, 0xFFFFFFFF, 0xFFFFFFFF, n, 28, 0)
        struct.pack_into("<I", head, 42, 0xFFFFFFFF)
        out.write(head + data[p + 46:p + 46 + n])
        out.write(struct.pack("<HHQQQ", 1, 24, size, packed, offset))
        p += 46 + n + extra + comment
    end64 = out.tell()
    out.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, end64 - start, start))
    out.write(struct.pack("<IIQI", 0x07064B50, 0, end64, 1))
    out.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    (DATA / name).write_bytes(out.getvalue())


def torch_files():
    save("zip.pth", checkpoint())
    save("zip-protocol5.pth", checkpoint(), pickle_protocol=5)
    save("legacy.pth", checkpoint(), _use_new_zipfile_serialization=False)
    save("legacy-protocol4.pth", checkpoint(), _use_new_zipfile_serialization=False, pickle_protocol=4)
    plain = {"b": ramp(2), "a": ramp(3), "note": "text"}
    save("plain.pth", plain)
    save("model-member.pth", {"model": plain, "a": ramp(9)})
    save("nested.pth", {"x": {"w": ramp(2)}, "y": {"w": ramp(3)}, "z": [1]})
    save("no-tensors.pth", {"epoch": 1})
    save("module.pth", Wrapped())
    widen("plain.pth", "zip64.pth")
    rezip("plain.pth", "deflated.pth", zipfile.ZIP_DEFLATED)
    rezip("plain.pth", "big-endian.pth", change=lambda n, d: b"big" if n.endswith("byteorder") else d)


def safetensors_files():
    tensors = {"b": ramp(2, 3), "a": ramp(3, dtype=torch.bfloat16), "z": torch.tensor(1, dtype=torch.int64)}
    safetensors.torch.save_file(tensors, DATA / "reference.safetensors", {"format": "pt", "note": "né"})


def npy_files():
    np.save(DATA / "f4.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    np.save(DATA / "f2.npy", np.arange(3, dtype=np.float16))
    np.save(DATA / "b1.npy", np.array([True, False]))
    np.save(DATA / "scalar.npy", np.float64(2.5))
    np.save(DATA / "fortran.npy", np.asfortranarray(np.zeros((2, 3), np.float32)))
    np.save(DATA / "big.npy", np.zeros(2, ">f4"))
    np.save(DATA / "structured.npy", np.zeros(2, [("a", "<f4"), ("b", "<i4")]))
    for version in (2, 3):
        with open(DATA / f"version{version}.npy", "wb") as out:
            np.lib.format.write_array(out, np.arange(4, dtype=np.int64), version=(version, 0))


torch.manual_seed(1)
torch_files()
safetensors_files()
npy_files()
print(sum(os.path.getsize(f) for f in DATA.iterdir()), "bytes in", DATA)
