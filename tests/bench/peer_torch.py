"""The PyTorch peer: the full-size dual encoder in float32 on the processor, as fast as PyTorch gets.

    peer_torch.py [--method M,M|all] [--batch 1,2,4,8] [--what video|text|both] [--repeat N]
    peer_torch.py --serve --method M --batch B        a command per line on stdin, an answer per line

Prints JSON lines: how far a method's embeddings are from plain eager ones, then the median, fastest and
slowest `seconds_per_clip`, the methods taking turns. `--whole-last-block` switches off the one shortcut
of ours that PyTorch does not take by itself, but a careful user would: computing, in the last block,
only what the class token needs. The methods:

    eager        explicit products and softmax
    sdpa         scaled_dot_product_attention for space, explicit for time (groups of 5 keys)
    mkl          sdpa, weights packed once for MKL; an MLP's first product by oneDNN, with GELU inside
    onednn       the same with all weights packed for oneDNN
    jit          sdpa traced, frozen, torch.jit.optimize_for_inference
    compile      inductor, weights frozen: constants, which it packs for MKL
    autotune     the same, with max-autotune: inductor's own C++ products compete with the library's

The server answers {"batch":B,"clips":N,"seconds":S,"seconds_per_clip":…} to "run N" (N clips) and
{"gflops":{…}} to "sgemm"; "quit" ends it. It sleeps in between, so that another program can be timed.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time


import torch
import torch._inductor.config as inductor
from torch import nn
from torch.nn import functional as tnf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "reference"))
import egovlp

FULL = egovlp.Config(
    dim=768, heads=12, depth=12, vocab=50265, proj=4096, frames=4, fuse=6, img=224, patch=16,
    maxpos=514,
)  # fmt: skip
TOKENS = 12  # of each narration

# ---- faster parts ----------------------------------------------------------------------------------


def attend_sdpa(q, k, v, bias=None):
    """PyTorch's fused attention where it pays: not over the five keys of a group in time."""
    if q.dim() == 5 and q.shape[3] < 32:
        return egovlp.attend(q, k, v)
    if q.dim() == 5:
        flat = (t.flatten(1, 2) for t in (q, k, v))
        return tnf.scaled_dot_product_attention(*flat).unflatten(1, q.shape[1:3])
    return tnf.scaled_dot_product_attention(q, k, v, bias)


def last_video_block(block, x, frames):
    """The block's output for the class token alone, (B,1,D)."""
    in_time = block.norm1(x + block.timeattn(block.norm3(x), frames))
    part, dim = block.attn, x.shape[-1]
    weight, bias = part.qkv.weight, part.qkv.bias
    q = tnf.linear(in_time[:, :1], weight[:dim], bias[:dim])
    k, v = tnf.linear(in_time, weight[dim:], bias[dim:]).chunk(2, -1)
    q, k, v = (egovlp.split_heads(t, part.heads) for t in (q, k, v))
    x = x[:, :1] + part.proj(egovlp.merge_heads(part.attend(q, k, v)))
    return x + block.mlp(block.norm2(x))


def last_text_layer(layer, y, bias):
    first = y[:, :1]
    a = layer.attention_of(layer.attention, first, y, bias)
    first = layer.attention.output.LayerNorm(a + first)
    wide = tnf.gelu(layer.intermediate.dense(first))
    return layer.output.LayerNorm(layer.output.dense(wide) + first)


class Video(nn.Module):
    def __init__(self, model, whole):
        super().__init__()
        self.trunk, self.head, self.whole = model.video_model, model.vid_proj, whole

    def forward(self, video):
        if self.whole:
            return self.head(self.trunk(video))
        x, frames = self.trunk.tokens(video, self.trunk.cls_token), video.shape[1]
        for block in self.trunk.blocks[:-1]:
            x = block(x, frames)
        x = last_video_block(self.trunk.blocks[-1], x, frames)
        return self.head(self.trunk.norm(x[:, 0]))


class Text(nn.Module):
    def __init__(self, model, whole):
        super().__init__()
        self.trunk, self.head, self.whole = model.text_model, model.txt_proj, whole

    def forward(self, ids, mask):
        if self.whole:
            return self.head(self.trunk(ids, mask)[:, 0])
        y = self.trunk.tokens(ids)
        bias = self.trunk.bias(mask.to(y.dtype))
        for layer in self.trunk.encoder.layer[:-1]:
            y = layer(y, bias)
        return self.head(last_text_layer(self.trunk.encoder.layer[-1], y, bias)[:, 0])


class Both(nn.Module):
    def __init__(self, model, whole):
        super().__init__()
        self.video, self.text = Video(model, whole), Text(model, whole)

    def forward(self, video, ids, mask):
        return self.video(video), self.text(ids, mask)


# ---- methods ---------------------------------------------------------------------------------------


class PackedLinear(nn.Module):
    """A Linear whose weight is packed once, for MKL or (then with GELU inside, if asked) for oneDNN."""

    def __init__(self, linear, rows, library, gelu=False):
        super().__init__()
        self.weight, self.bias = linear.weight.detach(), linear.bias.detach()
        self.rows, self.library, self.gelu = rows, library, "gelu" if gelu else "none"
        pack = {
            "mkl": torch.ops.mkl._mkl_reorder_linear_weight,
            "onednn": torch.ops.mkldnn._reorder_linear_weight,
        }[library]
        self.packed = pack(self.weight, rows)

    def forward(self, x):
        if self.library == "mkl":
            return torch.ops.mkl._mkl_linear(x, self.packed, self.weight, self.bias, self.rows)
        how = (self.gelu, [], "none" if self.gelu == "gelu" else "")
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, *how)


class PackedMlp(nn.Module):
    def __init__(self, mlp, rows, library):
        super().__init__()
        self.fc1 = PackedLinear(mlp.fc1, rows, "onednn", gelu=True)
        self.fc2 = PackedLinear(mlp.fc2, rows, library)

    def forward(self, x):
        return self.fc2(self.fc1(x))


def pack_video(module, rows, library):
    """Packs the products of all video tokens; the few rows of the rest stay as they are."""
    for name, child in module.named_children():
        if isinstance(child, egovlp.Mlp):
            setattr(module, name, PackedMlp(child, rows, library))
        elif type(child) is nn.Linear and name in ("qkv", "proj"):
            setattr(module, name, PackedLinear(child, rows, library))
        else:
            pack_video(child, rows, library)
    return module


def compiled(module, **options):
    """Inductor with the weights as constants, which lets it pack them for the library's products."""
    inductor.freezing = True  # among the options it would come too late for dynamo
    options = {"cpp.threads": torch.get_num_threads(), **options}
    return torch.compile(module, dynamic=False, options=options)


def prepare(method, module, inputs):
    """The callable of a method."""
    attention = egovlp.attend if method == "eager" else attend_sdpa
    for part in module.modules():
        if hasattr(part, "attend"):
            part.attend = attention
    if method in ("eager", "sdpa"):
        return module
    if method in ("mkl", "onednn"):
        clips = inputs[0].shape[0]
        return pack_video(module, clips * (1 + FULL.frames * (FULL.img // FULL.patch) ** 2), method)
    if method == "jit":
        frozen = torch.jit.freeze(torch.jit.trace(module, inputs, check_trace=False))
        return torch.jit.optimize_for_inference(frozen)
    if method == "autotune":
        backends = "CPP,ATEN"
        return compiled(module, max_autotune=True, max_autotune_gemm_backends=backends)
    if method == "compile":
        return compiled(module)
    sys.exit(f"no method {method!r}")


METHODS = ("eager", "sdpa", "mkl", "onednn", "jit", "compile", "autotune")


def inputs_for(what, batch):
    clip = (2 * egovlp.unit("input.video", 4 * 3 * 224 * 224)).astype("float32")
    video = torch.from_numpy(clip).reshape(1, 4, 3, 224, 224).repeat(batch, 1, 1, 1, 1)
    words = (egovlp.unit("input.text", batch * TOKENS) + 1) * (FULL.vocab / 2 - 4) + 4
    ids = torch.from_numpy(words).long().reshape(batch, TOKENS)
    ids[:, 0], ids[:, -1] = 0, 2
    mask = torch.ones_like(ids)
    return {"video": (video,), "text": (ids, mask), "both": (video, ids, mask)}[what]


def prepared(method, what, batch, whole):
    """(callable, inputs, relative error against plain eager), warmed up."""
    model = egovlp.build(FULL)
    module = {"video": Video, "text": Text, "both": Both}[what](model, whole).eval()
    inputs = inputs_for(what, batch)

    def embeddings(function):
        out = function(*inputs)
        return torch.cat(out, 1) if what == "both" else out

    want = embeddings(module).clone()
    function = prepare(method, module, inputs)
    got = embeddings(function)
    function(*inputs)
    return function, inputs, ((got - want).norm() / want.norm()).item()


def timed(function, inputs, calls):
    begin = time.perf_counter()
    for _ in range(calls):
        function(*inputs)
    return time.perf_counter() - begin


# ---- what the machine can do -----------------------------------------------------------------------


def sgemm_rates(repeat=3):
    """GFLOP/s of torch.mm: one large product, and this model's shapes at one clip and at four."""
    shapes = {"4096x4096x4096": (4096, 4096, 4096)}
    for rows in (785, 3140):
        for inner, columns in ((768, 2304), (768, 768), (768, 3072), (3072, 768)):
            shapes[f"{rows}x{inner}x{columns}"] = (rows, inner, columns)
    rates = {}
    for name, (rows, inner, columns) in shapes.items():
        a, b = torch.rand(rows, inner), torch.rand(inner, columns)
        out = torch.empty(rows, columns)
        torch.mm(a, b, out=out)
        work = 2e-9 * rows * inner * columns
        seconds = []
        for _ in range(repeat if work > 50 else 5 * repeat):
            begin = time.perf_counter()
            torch.mm(a, b, out=out)
            seconds.append(time.perf_counter() - begin)
        rates[name] = round(work / statistics.median(seconds), 1)
    return rates


# ---- command line ----------------------------------------------------------------------------------


def say(**members):
    print(json.dumps(members), flush=True)


def serve(options):
    batch = int(options.batch)
    function, inputs, error = prepared(options.method, options.what, batch, options.whole)
    say(ready=True, method=options.method, batch=batch, relative_error=error)
    for line in sys.stdin:
        word, *rest = line.split() or [""]
        if word == "run":
            calls = max(1, int(rest[0]) // batch)
            seconds = timed(function, inputs, calls)
            each = seconds / (calls * batch)
            say(batch=batch, clips=calls * batch, seconds=seconds, seconds_per_clip=each)
        elif word == "sgemm":
            say(gflops=sgemm_rates())
        elif word == "quit":
            return
        else:
            say(error=f"no command {word!r}")


def compare(options):
    say(torch=torch.__version__, threads=torch.get_num_threads(), what=options.what,
        whole_last_block=options.whole, sgemm_gflops=sgemm_rates())  # fmt: skip
    methods = METHODS if options.method == "all" else options.method.split(",")
    for batch in map(int, options.batch.split(",")):
        ready = {}
        for method in methods:
            begin = time.perf_counter()
            try:
                ready[method] = prepared(method, options.what, batch, options.whole)
            except Exception as trouble:  # a method this version cannot do is a result, too
                say(method=method, batch=batch, error=f"{type(trouble).__name__}: {trouble}"[:300])
                continue
            seconds = round(time.perf_counter() - begin, 1)
            say(method=method, batch=batch, relative_error=ready[method][2],
                seconds_to_ready=seconds)  # fmt: skip
        each = {method: [] for method in ready}
        for _ in range(options.repeat):  # in turns, so that a busy minute hits all alike
            for method, (function, inputs, _) in ready.items():
                each[method].append(timed(function, inputs, 1) / batch)
        for method, found in each.items():
            say(method=method, batch=batch, seconds_per_clip=round(statistics.median(found), 4),
                fastest=round(min(found), 4), slowest=round(max(found), 4))  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="all")
    parser.add_argument("--batch", default="1,2,4,8")
    parser.add_argument("--what", choices=("video", "text", "both"), default="video")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--whole-last-block", dest="whole", action="store_true")
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with torch.no_grad():  # what inductor's freezing asks for
        (serve if options.serve else compare)(options)


if __name__ == "__main__":
    main()
