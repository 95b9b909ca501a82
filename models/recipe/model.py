"""The llama architecture as GGUF files of that name are run, and its checkpoints.

RMSNorm before each sub-layer, rotary embedding on adjacent pairs (so that no weight is permuted on
export), grouped-query attention, SwiGLU, no biases, output projection tied to the embedding.
"""
import math
import os
from dataclasses import asdict, dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

import gguf


@dataclass
class Config:
    vocab: int = 8192
    d: int = 192  # width of the embedding
    layers: int = 4
    heads: int = 6
    kv_heads: int = 2
    head_dim: int = 32
    ffn: int = 512  # width inside the feed-forward
    ctx: int = 1024  # longest context
    theta: float = 10000.0  # rotary base
    eps: float = 1e-5
    dropout: float = 0.0  # on what each sub-layer adds, in training only


def add_shape(parser):
    """An option for each field of Config that a command line may set."""
    standard = Config()
    for name in ("vocab", "d", "layers", "heads", "kv_heads", "head_dim", "ffn", "ctx", "dropout"):
        default = getattr(standard, name)
        option = {"ctx": "max-ctx"}.get(name, name.replace("_", "-"))
        parser.add_argument(f"--{option}", dest=f"shape_{name}", type=type(default), default=default,
                            help="shape of the model (default: %(default)s)")


def shape(a):
    return Config(**{name[len("shape_"):]: v for name, v in vars(a).items() if name.startswith("shape_")})


class RMSNorm(nn.Module):
    def __init__(self, d, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(d)), eps

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return y.to(x.dtype) * self.weight


def rotate(x, cos, sin):
    """x [B, T, H, hd]; cos, sin [T, 1, hd/2]. Turns the pair (x[2i], x[2i+1]) by t theta^(-2i/hd)."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2).to(x.dtype)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.attn_norm, self.ffn_norm = RMSNorm(c.d, c.eps), RMSNorm(c.d, c.eps)
        self.q = nn.Linear(c.d, c.heads * c.head_dim, bias=False)
        self.k = nn.Linear(c.d, c.kv_heads * c.head_dim, bias=False)
        self.v = nn.Linear(c.d, c.kv_heads * c.head_dim, bias=False)
        self.o = nn.Linear(c.heads * c.head_dim, c.d, bias=False)
        self.gate = nn.Linear(c.d, c.ffn, bias=False)
        self.up = nn.Linear(c.d, c.ffn, bias=False)
        self.down = nn.Linear(c.ffn, c.d, bias=False)
        self.drop = nn.Dropout(c.dropout)

    def attend(self, x, cos, sin, mask, cache):
        c, (B, T, _) = self.c, x.shape
        q = rotate(self.q(x).view(B, T, c.heads, c.head_dim), cos, sin).transpose(1, 2)
        k = rotate(self.k(x).view(B, T, c.kv_heads, c.head_dim), cos, sin).transpose(1, 2)
        v = self.v(x).view(B, T, c.kv_heads, c.head_dim).transpose(1, 2)
        if cache is not None:  # {block: (k, v) of the tokens before}
            if self in cache:
                k, v = (torch.cat(pair, 2) for pair in zip(cache[self], (k, v)))
            cache[self] = k, v
        n = c.heads // c.kv_heads  # query head h reads KV head h // n
        if hasattr(F, "scaled_dot_product_attention"):
            # T > 1 only where there is nothing in the cache before, so "causal" is right.
            y = F.scaled_dot_product_attention(q, k.repeat_interleave(n, 1), v.repeat_interleave(n, 1),
                                               is_causal=T > 1)
        else:  # torch 1: the n query heads of a KV head in one product
            q = q.reshape(B, c.kv_heads, n * T, c.head_dim) * (1 / math.sqrt(c.head_dim))
            s = (q @ k.transpose(-2, -1)).view(B, c.kv_heads, n, T, -1) + mask
            y = (torch.softmax(s, -1).view(B, c.kv_heads, n * T, -1) @ v).view(B, c.heads, T, c.head_dim)
        return self.o(y.transpose(1, 2).reshape(B, T, -1))

    def forward(self, x, cos, sin, mask, cache=None):
        x = x + self.drop(self.attend(self.attn_norm(x), cos, sin, mask, cache))
        h = self.ffn_norm(x)
        return x + self.drop(self.down(F.silu(self.gate(h)) * self.up(h)))


class Llama(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed = nn.Embedding(c.vocab, c.d)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = RMSNorm(c.d, c.eps)
        f = c.theta ** (-torch.arange(0, c.head_dim, 2).float() / c.head_dim)
        angle = torch.arange(c.ctx).float()[:, None] * f
        self.register_buffer("cos", angle.cos()[:, None], persistent=False)
        self.register_buffer("sin", angle.sin()[:, None], persistent=False)
        self.register_buffer("mask", torch.full((c.ctx, c.ctx), -1e9).triu(1), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:  # what adds to the residual starts smaller, as in GPT-2
                adds = name.endswith(("o.weight", "down.weight"))
                nn.init.normal_(p, 0, 0.02 / math.sqrt(2 * c.layers) if adds else 0.5 * c.d ** -0.5)
        nn.init.normal_(self.embed.weight, 0, 0.02)

    def hidden(self, ids, cache=None, start=0):
        """ids [B, T] to the last hidden state [B, T, d]. With a cache (a dict, empty at first) the ids
        stand at `start` on: a whole prompt at 0, then one at a time."""
        end = start + ids.shape[1]
        x = self.embed(ids)
        for b in self.blocks:
            x = b(x, self.cos[start:end], self.sin[start:end], self.mask[start:end, :end], cache)
        return self.norm(x)

    def logits(self, hidden):
        """In float32 under autocast too: bfloat16 would blur what a drafter is to copy."""
        with torch.autocast(hidden.device.type, enabled=False):
            return hidden.float() @ self.embed.weight.t()

    def forward(self, ids):
        """ids [B, T] to logits [B, T, vocab]."""
        return self.logits(self.hidden(ids))

    def size(self):
        return sum(p.numel() for p in self.parameters())

    def named_tensors(self):
        """(name in GGUF, parameter), in the order of the file."""
        yield "token_embd.weight", self.embed.weight
        for i, b in enumerate(self.blocks):
            for name, m in (("attn_norm", b.attn_norm), ("attn_q", b.q), ("attn_k", b.k), ("attn_v", b.v),
                            ("attn_output", b.o), ("ffn_norm", b.ffn_norm), ("ffn_gate", b.gate),
                            ("ffn_up", b.up), ("ffn_down", b.down)):
                yield f"blk.{i}.{name}.weight", m.weight
        yield "output_norm.weight", self.norm.weight


def save(path, model, **state):
    """A checkpoint; it appears complete or not at all."""
    torch.save({"config": asdict(model.c), "model": model.state_dict(), **state}, f"{path}.new")
    os.replace(f"{path}.new", path)


def load(path, device="cpu"):
    """(model, all else) of a checkpoint."""
    state = torch.load(path, map_location=device)
    m = Llama(Config(**state.pop("config"))).to(device)
    m.load_state_dict(state.pop("model"))
    return m, state


def load_gguf(path, device="cpu"):
    """A finished model, to be read only: teachers, reviewers, drafters."""
    meta, tensors = gguf.read(path)
    key = lambda name: meta["llama." + name]
    c = Config(vocab=len(meta["tokenizer.ggml.tokens"]), d=key("embedding_length"), layers=key("block_count"),
               heads=key("attention.head_count"), kv_heads=key("attention.head_count_kv"),
               head_dim=key("attention.key_length"), ffn=key("feed_forward_length"), ctx=key("context_length"),
               theta=key("rope.freq_base"), eps=key("attention.layer_norm_rms_epsilon"))
    m = Llama(c)
    with torch.no_grad():
        for name, p in m.named_tensors():
            p.copy_(torch.from_numpy(tensors[name]))
    return m.to(device).eval().requires_grad_(False)
