"""The forward pass of llama, qwen2 and qwen3 in double precision: exact math on the weights that
the file stands for, written for reading, one position at a time through a cache.
"""
import math
from operator import mul

import gguf


def dot(a, b):
    return sum(map(mul, a, b))


def product(matrix, x):
    return [dot(row, x) for row in matrix]


def add(a, b):
    return [x + y for x, y in zip(a, b)]


def norm(x, weight, eps):
    r = 1 / math.sqrt(dot(x, x) / len(x) + eps)
    return [v * r * w for v, w in zip(x, weight)]


def silu(x):
    return x / (1 + math.exp(-x)) if x > -700 else 0.0


class Model:
    def __init__(self, path):
        self.file = f = gguf.File(path)
        arch = f.keys["general.architecture"]
        key = lambda tail, otherwise=None: f.keys.get(f"{arch}.{tail}", otherwise)
        self.neox = arch in ("qwen2", "qwen3")
        self.layers = key("block_count")
        self.heads = key("attention.head_count")
        self.kv_heads = key("attention.head_count_kv", self.heads)
        self.head_dim = key("attention.key_length", key("embedding_length") // self.heads)
        self.eps = key("attention.layer_norm_rms_epsilon")
        self.n_rot = key("rope.dimension_count", self.head_dim)
        scale = key("rope.scaling.factor", 1.0) if key("rope.scaling.type") == "linear" else 1.0
        factors = [1.0] * (self.n_rot // 2)
        if "rope_freqs.weight" in f.tensors:
            factors = f.vector("rope_freqs.weight")
        base = key("rope.freq_base", 10000.0)
        self.frequencies = [base ** (-2 * i / self.n_rot) / (factor * scale)
                            for i, factor in enumerate(factors)]
        self.embedding = f.matrix("token_embd.weight")
        self.output = f.matrix("output.weight") if "output.weight" in f.tensors else self.embedding
        self.output_norm = f.vector("output_norm.weight")
        self.blocks = [self.block(i) for i in range(self.layers)]

    def block(self, i):
        weights = {}
        for name, (shape, _, _) in self.file.tensors.items():
            if name.startswith(f"blk.{i}."):
                read = self.file.matrix if len(shape) == 2 else self.file.vector
                weights[name.split(".", 2)[2]] = read(name)
        return weights

    def project(self, block, name, h):
        """Heads of q, k or v, before the rotation."""
        y = product(block[f"attn_{name}.weight"], h)
        if f"attn_{name}.bias" in block:
            y = add(y, block[f"attn_{name}.bias"])
        heads = [y[i:i + self.head_dim] for i in range(0, len(y), self.head_dim)]
        if f"attn_{name}_norm.weight" in block:
            heads = [norm(head, block[f"attn_{name}_norm.weight"], self.eps) for head in heads]
        return heads

    def rotate(self, heads, position):
        half = self.n_rot // 2
        for head in heads:
            for i, f in enumerate(self.frequencies):
                a, b = (i, i + half) if self.neox else (2 * i, 2 * i + 1)
                c, s = math.cos(position * f), math.sin(position * f)
                head[a], head[b] = head[a] * c - head[b] * s, head[a] * s + head[b] * c
        return heads

    def attend(self, queries, keys, values):
        """keys and values: of each position, a list of heads."""
        out = []
        for h, q in enumerate(queries):
            kv = h // (self.heads // self.kv_heads)
            scores = [dot(q, k[kv]) / math.sqrt(self.head_dim) for k in keys]
            top = max(scores)
            p = [math.exp(s - top) for s in scores]
            total = sum(p)
            columns = zip(*(v[kv] for v in values))
            out += [dot(p, column) / total for column in columns]
        return out

    def logits(self, ids):
        """A row for each id: the prediction after it."""
        keys = [[] for _ in self.blocks]
        values = [[] for _ in self.blocks]
        rows = []
        for position, token in enumerate(ids):
            x = list(self.embedding[token])
            for block, ks, vs in zip(self.blocks, keys, values):
                h = norm(x, block["attn_norm.weight"], self.eps)
                q = self.rotate(self.project(block, "q", h), position)
                ks.append(self.rotate(self.project(block, "k", h), position))
                vs.append(self.project(block, "v", h))
                x = add(x, product(block["attn_output.weight"], self.attend(q, ks, vs)))
                h = norm(x, block["ffn_norm.weight"], self.eps)
                gate = product(block["ffn_gate.weight"], h)
                up = product(block["ffn_up.weight"], h)
                x = add(x, product(block["ffn_down.weight"], [silu(g) * u for g, u in zip(gate, up)]))
            rows.append(product(self.output, norm(x, self.output_norm, self.eps)))
        return rows
