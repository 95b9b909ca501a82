"""Reads GGUF files in plain Python: for the reference of the forward pass, independent of the C code.

Understands what tests need: all keys, and tensors of the types in BLOCKS.
"""
import array
import struct

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
ALIGNMENT = 32
F32, F16, Q4_0, Q8_0, BF16 = 0, 1, 2, 8, 30
BLOCKS = {F32: (1, 4), F16: (1, 2), Q4_0: (32, 18), Q8_0: (32, 34), BF16: (1, 2)}  # values, bytes


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def unpack(self, form):
        value = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value[0]

    def string(self):
        n = self.unpack("<Q")
        self.at += n
        return self.data[self.at - n:self.at].decode("utf-8", "surrogateescape")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            kind, n = self.unpack("<I"), self.unpack("<Q")
            return [self.value(kind) for _ in range(n)]
        return self.unpack(SCALARS[kind])


def decode(kind, data):
    """The values of consecutive blocks, as floats."""
    if kind == F32:
        return list(array.array("f", data))
    if kind == F16:
        return list(struct.unpack(f"<{len(data) // 2}e", data))
    if kind == BF16:
        words = array.array("H", data)
        return list(array.array("f", array.array("I", (w << 16 for w in words)).tobytes()))
    values, step = [], BLOCKS[kind][1]
    for at in range(0, len(data), step):
        d = struct.unpack_from("<e", data, at)[0]
        q = data[at + 2:at + step]
        if kind == Q8_0:
            values += [d * v for v in struct.unpack("<32b", q)]
        else:
            values += [d * ((b & 15) - 8) for b in q] + [d * ((b >> 4) - 8) for b in q]
    return values


class File:
    """keys: a dict. matrix(name) gives rows of floats, vector(name) floats."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        r = Reader(self.data)
        if r.unpack("<I") != 0x46554747 or r.unpack("<I") not in (2, 3):
            raise ValueError(f"{path}: not a GGUF file of version 2 or 3")
        n_tensors, n_keys = r.unpack("<Q"), r.unpack("<Q")
        self.keys = {}
        for _ in range(n_keys):
            name = r.string()
            self.keys[name] = r.value(r.unpack("<I"))
        self.tensors = {}  # name: shape (fastest first), type, offset
        for _ in range(n_tensors):
            name, n_dims = r.string(), r.unpack("<I")
            shape = [r.unpack("<Q") for _ in range(n_dims)]
            self.tensors[name] = shape, r.unpack("<I"), r.unpack("<Q")
        align = self.keys.get("general.alignment", ALIGNMENT)
        self.start = (r.at + align - 1) // align * align

    def vector(self, name):
        shape, kind, offset = self.tensors[name]
        n = 1
        for d in shape:
            n *= d
        values, size = BLOCKS[kind]
        at = self.start + offset
        return decode(kind, self.data[at:at + n // values * size])

    def matrix(self, name):
        columns = self.tensors[name][0][0]
        flat = self.vector(name)
        return [flat[i:i + columns] for i in range(0, len(flat), columns)]
