"""EgoVLPv2 in PyTorch, written from the specification: the oracle the C code is held against.

One model with two ways through it. The dual encoder runs the video transformer and the text
transformer apart and compares their projections; the fused encoder lets the top `fuse` layers read
each other, for matching (VTM) and masked words (MLM). Parameter names are those of the official
checkpoint, so a state dict loads as it is. Everything is differentiable, in float32 or float64.

Dimensions: B clips, F frames, N patches a frame, T = 1 + F*N video tokens, L text tokens, D width,
H heads. The order of the video tokens is the class token, then frame by frame.
"""

import dataclasses
import pickle
import types

import numpy as np
import torch
from torch import nn
from torch.nn import functional as tnf

PAD = 1
BLOCKED = torch.finfo(torch.float32).min  # what a padded key gets added, in any precision


@dataclasses.dataclass(frozen=True)
class Config:
    """The members of `config` in a golden meta.json."""

    dim: int
    heads: int
    depth: int
    vocab: int
    proj: int
    frames: int
    fuse: int
    img: int
    patch: int
    maxpos: int
    mlp: int = 4
    small_projection: bool = False

    @staticmethod
    def of_state(state, heads=None):
        """What the shapes of a state dict tell; heads are not among it (default: width / 64)."""
        depth = sum(name.endswith(".timeattn.qkv.weight") for name in state)
        dim = state["cls_token"].shape[-1]
        patch = state["video_model.patch_embed.proj.weight"].shape[-1]
        small = "txt_proj.1.weight" in state
        grid = round((state["video_model.pos_embed"].shape[1] - 1) ** 0.5)
        return Config(
            dim=dim,
            heads=heads or dim // 64,
            depth=depth,
            vocab=state["text_model.embeddings.word_embeddings.weight"].shape[0],
            proj=state["txt_proj.1.weight" if small else "txt_proj.4.weight"].shape[0],
            frames=state["video_model.temporal_embed"].shape[1],
            fuse=sum(name.endswith(".alpha_t2i") for name in state),
            img=grid * patch,
            patch=patch,
            maxpos=state["text_model.embeddings.position_embeddings.weight"].shape[0],
            mlp=state["video_model.blocks.0.mlp.fc1.weight"].shape[0] // dim,
            small_projection=small,
        )


# ---- attention -----------------------------------------------------------------------------------


def attend(q, k, v, bias=None):
    """softmax(q k' / sqrt(head width) + bias) v over the last two dimensions.

    A model calls what stands in its `attend`, so that the benchmark can put a faster one there.
    """
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias
    return scores.softmax(-1) @ v


def split_heads(x, heads):
    """(B,T,D) -> (B,H,T,D/H)"""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x):
    """(B,H,T,D/H) -> (B,T,D)"""
    return x.transpose(1, 2).flatten(2)


class Part(nn.Module):
    """A named group of parameters, for the checkpoint's dotted names."""

    def __init__(self, /, **members):  # "self" is one of the names
        super().__init__()
        for name, member in members.items():
            setattr(self, name, member)


# ---- video ---------------------------------------------------------------------------------------


class DividedAttention(nn.Module):
    """Attention over space (a patch sees its frame) or time (it sees its position in every frame).

    A patch sees the class token besides; the class token sees everything. The space attention of a
    fused block also holds the cross-attention to the text.
    """

    def __init__(self, config, over, fused=False):
        super().__init__()
        dim = config.dim
        self.heads, self.over, self.attend = config.heads, over, attend
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        if fused:
            self.alpha_i2t = nn.Parameter(torch.zeros(1))
            self.qkv_text_i2t = nn.Linear(dim, 2 * dim)
            self.qkv_i2t = nn.Linear(dim, dim)
            self.proj_i2t = nn.Linear(dim, dim)
            self.norm_i2t_i = nn.LayerNorm(dim)

    def forward(self, x, frames, text=None, text_bias=None):
        q, k, v = (split_heads(t, self.heads) for t in self.qkv(x).chunk(3, -1))
        over_everything = self.attend(q[:, :, :1], k, v)

        def grouped(t):  # (B,H,1+F*N,d) -> (B,H,F,N,d) for space, (B,H,N,F,d) for time
            t = t[:, :, 1:].unflatten(2, (frames, -1))
            return t if self.over == "space" else t.transpose(2, 3)

        def with_class(t):  # the class token stands first in each group
            group = grouped(t)
            first = t[:, :, None, :1].expand(-1, -1, group.shape[2], -1, -1)
            return torch.cat((first, group), 3)

        patches = self.attend(grouped(q), with_class(k), with_class(v))
        if self.over == "time":
            patches = patches.transpose(2, 3)
        out = torch.cat((over_everything, patches.flatten(2, 3)), 2)
        out = self.proj(merge_heads(out))
        return out if text is None else out + self.alpha_i2t * self.cross(out, text, text_bias)

    def cross(self, x, text, text_bias):
        q = self.qkv_i2t(self.norm_i2t_i(x))
        k, v = self.qkv_text_i2t(text).chunk(2, -1)
        q, k, v = (split_heads(t, self.heads) for t in (q, k, v))
        return self.proj_i2t(merge_heads(self.attend(q, k, v, text_bias)))


class Mlp(nn.Module):
    def __init__(self, dim, wide):
        super().__init__()
        self.fc1 = nn.Linear(dim, wide)
        self.fc2 = nn.Linear(wide, dim)

    def forward(self, x):
        return self.fc2(tnf.gelu(self.fc1(x)))


class VideoBlock(nn.Module):
    def __init__(self, config, fused):
        super().__init__()
        dim = config.dim
        self.norm1 = nn.LayerNorm(dim)
        self.attn = DividedAttention(config, "space", fused)
        self.timeattn = DividedAttention(config, "time")
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, config.mlp * dim)
        self.norm3 = nn.LayerNorm(dim)

    def forward(self, x, frames, text=None, text_bias=None):
        in_time = x + self.timeattn(self.norm3(x), frames)
        # The residual starts from x again, not from in_time.
        x = x + self.attn(self.norm1(in_time), frames, text, text_bias)
        return x + self.mlp(self.norm2(x))


class VideoModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        dim, patch = config.dim, config.patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (config.img // patch) ** 2, dim))
        self.temporal_embed = nn.Parameter(torch.zeros(1, config.frames, dim))
        self.patch_embed = Part(proj=nn.Conv2d(3, dim, patch, patch))
        unfused = config.depth - config.fuse
        self.blocks = nn.ModuleList(VideoBlock(config, i >= unfused) for i in range(config.depth))
        self.norm = nn.LayerNorm(dim)

    def tokens(self, video, cls_token):
        """(B,F,3,img,img) -> (B,T,D), before the first block"""
        clips, frames = video.shape[:2]
        patches = self.patch_embed.proj(video.flatten(0, 1)).flatten(2).transpose(1, 2)
        patches = patches.unflatten(0, (clips, frames)) + self.pos_embed[:, None, 1:]
        patches = patches + inflate(self.temporal_embed, frames)[:, :, None]
        first = (cls_token + self.pos_embed[:, :1]).expand(clips, -1, -1)
        return torch.cat((first, patches.flatten(1, 2)), 1)

    def forward(self, video, states=None):
        """The class token's feature (B,D) on the dual path."""
        x = self.tokens(video, self.cls_token)
        for block in self.blocks:
            x = note(states, block(x, video.shape[1]))
        return self.norm(x[:, 0])


def inflate(temporal, frames):
    """temporal_embed (1,rows,D) for another number of frames: cut, or interpolated end to end."""
    rows = temporal.shape[1]
    if frames <= rows:
        return temporal[:, :frames]
    at = torch.arange(frames, dtype=torch.float64) * ((rows - 1) / (frames - 1))
    low = at.floor().long().clamp(max=max(rows - 2, 0))
    part = (at - low).to(temporal.dtype)[None, :, None]
    return temporal[:, low] * (1 - part) + temporal[:, (low + 1).clamp(max=rows - 1)] * part


# ---- text ----------------------------------------------------------------------------------------


class TextLayer(nn.Module):
    def __init__(self, config, fused):
        super().__init__()
        dim, wide = config.dim, config.mlp * config.dim
        self.heads, self.attend = config.heads, attend

        def query_key_value():
            return Part(**{name: nn.Linear(dim, dim) for name in ("query", "key", "value")})

        def dense_and_norm(width):
            return Part(dense=nn.Linear(width, dim), LayerNorm=nn.LayerNorm(dim))

        if fused:
            self.alpha_t2i = nn.Parameter(torch.zeros(1))
        self.attention = Part(self=query_key_value(), output=dense_and_norm(dim))
        if fused:
            self.crossattention_t2i = Part(
                self=query_key_value(), output=Part(dense=nn.Linear(dim, dim))
            )
        self.intermediate = Part(dense=nn.Linear(dim, wide))
        self.output = dense_and_norm(wide)

    def attention_of(self, part, x, over, bias=None):
        weights = part.self
        q, k, v = weights.query(x), weights.key(over), weights.value(over)
        q, k, v = (split_heads(t, self.heads) for t in (q, k, v))
        return part.output.dense(merge_heads(self.attend(q, k, v, bias)))

    def forward(self, y, bias, video=None):
        a = self.attention_of(self.attention, y, y, bias)
        if video is not None:
            a = a + self.alpha_t2i * self.attention_of(self.crossattention_t2i, a, video)
        y = self.attention.output.LayerNorm(a + y)
        wide = tnf.gelu(self.intermediate.dense(y))
        return self.output.LayerNorm(self.output.dense(wide) + y)


class TextModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        dim, unfused = config.dim, config.depth - config.fuse
        self.embeddings = Part(
            word_embeddings=nn.Embedding(config.vocab, dim),
            position_embeddings=nn.Embedding(config.maxpos, dim),
            token_type_embeddings=nn.Embedding(1, dim),
            LayerNorm=nn.LayerNorm(dim),
        )
        self.embeddings.register_buffer("position_ids", torch.arange(config.maxpos)[None])
        self.encoder = Part(
            layer=nn.ModuleList(TextLayer(config, i >= unfused) for i in range(config.depth))
        )

    def tokens(self, ids):
        """(B,L) ids -> (B,L,D), before the first layer. Positions count what is no padding, from 2."""
        real = (ids != PAD).long()
        position = real.cumsum(1) * real + PAD
        part = self.embeddings
        whole = part.word_embeddings(ids) + part.position_embeddings(position)
        return part.LayerNorm(whole + part.token_type_embeddings.weight[0])

    @staticmethod
    def bias(mask):
        """(B,L) attention mask -> what is added to the scores, (B,1,1,L)"""
        return ((1 - mask) * BLOCKED)[:, None, None]

    def forward(self, ids, mask, states=None):
        """All final token states (B,L,D) on the dual path."""
        y = self.tokens(ids)
        bias = self.bias(mask.to(y.dtype))
        for layer in self.encoder.layer:
            y = note(states, layer(y, bias))
        return y


# ---- the whole -----------------------------------------------------------------------------------


class EgoVLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        dim, proj = config.dim, config.proj
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))  # of the fused path
        self.text_model = TextModel(config)
        self.video_model = VideoModel(config)
        if config.small_projection:
            self.txt_proj = nn.Sequential(nn.ReLU(), nn.Linear(dim, proj))
            self.vid_proj = nn.Sequential(nn.Linear(dim, proj))
        else:
            self.txt_proj, self.vid_proj = (
                nn.Sequential(
                    nn.Linear(dim, proj, bias=False),
                    nn.ReLU(),
                    nn.Linear(proj, proj),
                    nn.ReLU(),
                    nn.Linear(proj, proj),
                )
                for _ in range(2)
            )
        self.cross_modal_text_transform = nn.Linear(dim, dim)
        self.cross_modal_video_transform = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)  # of the fused path
        self.cross_modal_video_pooler = Part(dense=nn.Linear(dim, dim))
        self.cross_modal_text_pooler = Part(dense=nn.Linear(dim, dim))
        self.mlm_score = Part(
            bias=nn.Parameter(torch.zeros(config.vocab)),
            transform=Part(
                dense=nn.Linear(dim, dim),
                LayerNorm=nn.LayerNorm(dim, eps=1e-12),
            ),
            decoder=nn.Linear(dim, config.vocab, bias=False),
        )
        self.itm_score = Part(fc=nn.Linear(2 * dim, 2))

    def embed_video(self, video, states=None):
        """(B,F,3,img,img) -> (B,proj)"""
        return self.vid_proj(self.video_model(video, states))

    def embed_text(self, ids, mask, states=None):
        """(B,L) -> (B,proj)"""
        return self.txt_proj(self.text_model(ids, mask, states)[:, 0])

    def fused(self, video, ids, mask, video_states=None, text_states=None):
        """The fused path: the video's class token (B,D) after the root norm, all text tokens (B,L,D)."""
        x = self.video_model.tokens(video, self.cls_token)
        y = self.text_model.tokens(ids)
        bias = self.text_model.bias(mask.to(y.dtype))
        frames, unfused = video.shape[1], self.config.depth - self.config.fuse
        pairs = zip(self.video_model.blocks, self.text_model.encoder.layer)
        for i, (block, layer) in enumerate(pairs):
            if i < unfused:
                x, y = block(x, frames), layer(y, bias)
            else:  # each reads the other as it was before this block
                x, y = block(x, frames, y, bias), layer(y, bias, x)
            note(video_states, x)
            note(text_states, y)
        return self.norm(x[:, 0]), y

    def vtm(self, video, ids, mask, video_states=None, text_states=None):
        """Logits (B,2): no match, match."""
        v, y = self.fused(video, ids, mask, video_states, text_states)
        t = self.cross_modal_text_transform(y[:, 0])
        v = self.cross_modal_video_transform(v)
        t = self.cross_modal_text_pooler.dense(t).tanh()
        v = self.cross_modal_video_pooler.dense(v).tanh()
        return self.itm_score.fc(torch.cat((t, v), -1))

    def mlm(self, video, ids, mask):
        """Logits (B,L,vocab)."""
        y = self.cross_modal_text_transform(self.fused(video, ids, mask)[1])
        part = self.mlm_score
        y = part.transform.LayerNorm(tnf.gelu(part.transform.dense(y)))
        return part.decoder(y) + part.bias

    def use_attention(self, function):
        """Puts another function of attend's signature everywhere."""
        for module in self.modules():
            if isinstance(module, (DividedAttention, TextLayer)):
                module.attend = function


def note(states, x):
    """Keeps the class token's state for whoever asked; hands x on."""
    if states is not None:
        states.append(x[:, 0])
    return x


# ---- losses --------------------------------------------------------------------------------------


def cosine(a, b):
    """All pairs, (A,B)"""
    a, b = (t / t.norm(dim=-1, keepdim=True).clamp(min=1e-8) for t in (a, b))
    return a @ b.T


def positives(verb, noun):
    """True where two rows share a verb and a noun, and on the diagonal."""
    shared = cosine(verb, verb) * cosine(noun, noun)
    return shared + torch.eye(len(verb), dtype=shared.dtype) > 0


def egonce(sim, positive, temperature=0.05):
    """sim: text rows, video columns. Softmax, then sum over the positives, then log."""
    loss = 0
    for rows in (sim, sim.T):
        share = (rows / temperature).softmax(1)
        loss = loss - (share * positive).sum(1).log().mean()
    return loss


def hard_negative_weights(sim, positive, temperature=0.05):
    """How likely each other row is drawn as a negative: (rows text, rows video); positives 0."""
    return tuple(
        (rows / temperature).softmax(1).masked_fill(positive, 0) for rows in (sim, sim.T)
    )


def mlm_loss(logits, labels):
    return tnf.cross_entropy(logits.flatten(0, 1), labels.flatten().long(), ignore_index=-100)


def vtm_loss(logits, labels):
    return tnf.cross_entropy(logits, labels.long())


def training_losses(model, batch):
    """One pre-training step with every choice given: a dict of scalars, `total` among them.

    batch: video, input_ids, attention_mask, verb_vec, noun_vec, mlm_input_ids, mlm_labels,
    vtm_text_index, vtm_video_index, vtm_labels. Also returns the similarity matrix.
    """
    video, ids, mask = batch["input_video"], batch["input_ids"], batch["attention_mask"]
    sim = cosine(model.embed_text(ids, mask), model.embed_video(video))
    text, clip = batch["vtm_text_index"], batch["vtm_video_index"]
    losses = {
        "egonce": egonce(sim, positives(batch["verb_vec"], batch["noun_vec"])),
        "mlm": mlm_loss(model.mlm(video, batch["mlm_input_ids"], mask), batch["mlm_labels"]),
        "vtm": vtm_loss(model.vtm(video[clip], ids[text], mask[text]), batch["vtm_labels"]),
    }
    losses["total"] = losses["egonce"] + losses["mlm"] + 2 * losses["vtm"]
    return losses, sim


# ---- weights that need no file -------------------------------------------------------------------


def unit(name, count):
    """The stream u of a name: `count` float64 in [-1,1), the same bits in any language."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    out = np.empty(count)
    step = 1 << 18  # stays in the cache
    for begin in range(0, count, step):
        end = min(begin + step, count)
        z = np.arange(begin + 1, end + 1, dtype=np.uint64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z += np.uint64(seed)
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        out[begin:end] = (z >> np.uint64(40)) * (2.0 * 2.0**-24) - 1
    return out


def formula_weight(name, shape):
    """float32 array for a parameter's name and shape, by the formula of golden/README.md."""
    u = unit(name, int(np.prod(shape, dtype=np.int64)))
    if u.size == 1 and "alpha" in name:
        u = 0.5 + 0.25 * u
    elif len(shape) < 2:
        u = 1 + 0.1 * u if name.endswith("weight") else 0.05 * u
    else:
        fan_in = int(np.prod(shape[1:])) if len(shape) == 4 else shape[-1]
        u *= np.sqrt(3 / fan_in)
    return u.astype(np.float32).reshape(shape)


def build(config, state=None, dtype=torch.float32):
    """A model with the weights of `state`, or with the formula's."""
    with torch.device("meta"):
        model = EgoVLP(config)
    weights = {}
    for name, empty in model.state_dict().items():
        if name.endswith("position_ids"):
            weights[name] = torch.arange(config.maxpos)[None]
        elif state is None:
            weights[name] = torch.from_numpy(formula_weight(name, tuple(empty.shape))).to(dtype)
        else:
            weights[name] = state[name].to(dtype)
    model.load_state_dict(weights, assign=True)
    return model.eval()


# ---- official checkpoints ------------------------------------------------------------------------


class _Tolerant(pickle.Unpickler):
    """Stands in for classes of the trainer that are not here (its `config` object)."""

    def find_class(self, module, name):
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return type(name, (), {"__module__": module})


def load_checkpoint(path):
    """state_dict of an official checkpoint, without the prefix. Trusts the file: it is a pickle."""
    module = types.SimpleNamespace(Unpickler=_Tolerant, load=pickle.load, __name__="tolerant")
    whole = torch.load(path, map_location="cpu", pickle_module=module, weights_only=False)
    state = whole["state_dict"]
    prefixed = next(iter(state)).startswith("module.")
    return {name[7 * prefixed :]: tensor for name, tensor in state.items()}
