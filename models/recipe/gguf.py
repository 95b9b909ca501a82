"""GGUF v3 files, as far as this recipe needs them: F32 and Q8_0 tensors, read and written.

Layout: header, metadata, tensor table, then the tensors, each padded to 32 bytes.
"""
import os
import struct

import numpy as np

U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10
SCALARS = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q"}
TYPE_F32, TYPE_Q8_0, ALIGN = 0, 8, 32


def quantize(w):
    """Q8_0: blocks of 32 values, | float16 d | 32 int8 q |, w = d q, d = max |w| / 127."""
    x = w.reshape(-1, 32).astype(np.float32)
    d = np.abs(x).max(1, keepdims=True) / np.float32(127)
    y = x * np.divide(1, d, out=np.zeros_like(d), where=d > 0)
    q = np.copysign(np.floor(np.abs(y) + np.float32(0.5)), y)  # halves away from zero
    out = np.empty((len(x), 34), np.uint8)
    out[:, :2] = d.astype("<f2").view(np.uint8)
    out[:, 2:] = q.astype(np.int8).view(np.uint8)
    return out.tobytes()


def dequantize(data):
    blocks = np.frombuffer(data, np.uint8).reshape(-1, 34)
    d = blocks[:, :2].copy().view("<f2").astype(np.float32)
    return d * blocks[:, 2:].copy().view(np.int8).astype(np.float32)


# ---- writing ------------------------------------------------------------------------------


def pack_text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def pack(kind, value):
    return pack_text(value) if kind == STRING else struct.pack(SCALARS[kind], value)


def pack_pair(key, kind, value):
    if isinstance(value, list):  # kind is that of the elements
        items = b"".join(pack(kind, v) for v in value)
        return pack_text(key) + struct.pack("<IIQ", ARRAY, kind, len(value)) + items
    return pack_text(key) + struct.pack("<I", kind) + pack(kind, value)


def write(path, metadata, tensors):
    """metadata: (key, kind, value)...; tensors: (name, array)... Matrices whose rows are whole blocks
    become Q8_0, all else F32. The file appears complete or not at all."""
    table, data, n = bytearray(), bytearray(), 0
    for name, w in tensors:
        kind = TYPE_Q8_0 if w.ndim == 2 and w.shape[1] % 32 == 0 else TYPE_F32
        table += pack_text(name) + struct.pack(f"<I{w.ndim}QIQ", w.ndim, *w.shape[::-1], kind, len(data))
        data += quantize(w) if kind == TYPE_Q8_0 else w.astype("<f4").tobytes()
        data += bytes(-len(data) % ALIGN)
        n += 1
    head = b"GGUF" + struct.pack("<IQQ", 3, n, len(metadata))
    head += b"".join(pack_pair(*m) for m in metadata) + table
    head += bytes(-len(head) % ALIGN)
    new = f"{path}.new"
    with open(new, "wb") as f:
        f.write(head + data)
    os.replace(new, path)
    return len(head) + len(data)


# ---- reading ------------------------------------------------------------------------------


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def scalar(self, form):
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def text(self):
        n = self.scalar("<Q")
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def value(self, kind):
        if kind == ARRAY:
            kind, n = self.scalar("<I"), self.scalar("<Q")
            return [self.value(kind) for _ in range(n)]
        return self.text() if kind == STRING else self.scalar(SCALARS[kind])


def read(path):
    """(metadata, tensors) of a file that `write` made, or one with the same types: dicts by name."""
    with open(path, "rb") as f:
        c = Cursor(f.read())
    if c.data[:4] != b"GGUF":
        raise SystemExit(f"{path}: not a GGUF file")
    c.at = 8
    n_tensors, n_pairs = c.scalar("<Q"), c.scalar("<Q")
    metadata = {c.text(): c.value(c.scalar("<I")) for _ in range(n_pairs)}
    table = []
    for _ in range(n_tensors):
        name = c.text()
        shape = [c.scalar("<Q") for _ in range(c.scalar("<I"))]
        table.append((name, shape[::-1], c.scalar("<I"), c.scalar("<Q")))
    start = c.at + -c.at % ALIGN
    tensors = {}
    for name, shape, kind, offset in table:
        n = int(np.prod(shape))
        if kind == TYPE_F32:
            w = np.frombuffer(c.data, "<f4", n, start + offset).copy()
        elif kind == TYPE_Q8_0:
            w = dequantize(c.data[start + offset:start + offset + n // 32 * 34])
        else:
            raise SystemExit(f"{path}: {name} has type {kind}; only F32 and Q8_0 are read here")
        tensors[name] = w.reshape(shape)
    return metadata, tensors
