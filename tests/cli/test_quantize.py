#!/usr/bin/env python3
"""linn quantize: files that work, what it says of them, and failures that leave nothing behind."""
import array
import json
import math
import os
import random
import resource
import signal
import struct
import subprocess
import time
import unittest

from cli import Case, LINN, MODELS, SHARED, TIMEOUT, linn

RIVER = MODELS / "river.gguf"
RILL = MODELS / "rill.gguf"
F32, F16 = 0, 1


def gguf_string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def model(*tensors):
    """An image of a file; tensors: (name, shape, bytes), all F16."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 1)
    head += gguf_string("general.architecture") + struct.pack("<I", 8) + gguf_string("llama")
    offset, body = 0, b""
    for name, shape, data in tensors:
        head += gguf_string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, F16, offset)
        body += data + bytes(-len(data) % 32)
        offset = len(body)
    return head + bytes(-len(head) % 32) + body


def halves(n, seed=1):
    """n numbers of F16 as bytes."""
    draw = random.Random(seed)
    pattern = struct.pack("<4096e", *(draw.gauss(0, 0.1) for _ in range(4096)))
    return (pattern * (n // 4096 + 1))[: 2 * n]


class Quantize(Case):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out.gguf"

    def types(self, path):
        found = json.loads(self.done("inspect", "--json", path).stdout)
        return {t["name"]: t["type"] for t in found["tensors"]}, found

    def nothing_left(self, *kept):
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(kept))

    def test_summary(self):
        result = linn("quantize", RIVER, self.out, "Q4_0", "--allow-requantize")
        self.assertEqual((result.returncode, result.stderr), (0, (
            "linn quantize: 1 tensor: rows of 192 are no multiple of 256: Q8_0 instead of Q6_K\n")))
        self.assertRegex(result.stdout, r"\A\d+ tensors, 3\.\d M parameters: 3\.\d MB to 2\.\d MB, "
                               r"8\.\d\d to 6\.\d\d bits each, \d+\.\d s\n\Z")
        types, found = self.types(self.out)
        self.assertEqual(types["blk.0.attn_q.weight"], "Q4_0")
        self.assertEqual(types["output_norm.weight"], "F32")
        before = json.loads(self.done("inspect", "--json", RIVER).stdout)
        changed = {"general.file_type", "general.quantization_version", "general.alignment"}
        for key in before["keys"].keys() - changed:
            self.assertEqual(found["keys"][key], before["keys"][key])

    def test_output_runs(self):
        """Logits move by as much as the bits that went; Q8_0 to F32 moves none at all."""
        ids = ["--ids", "1,7,99,1000,5,62", "--kv", "f32"]

        def logits(path):
            data = self.done("logits", path, *ids, text=False).stdout
            return struct.unpack(f"<{len(data) // 4}f", data)

        self.done("quantize", RIVER, self.out, "F32", "--pure")
        exact = logits(self.out)
        mean = sum(exact) / len(exact)
        scale = sum((x - mean) ** 2 for x in exact) ** 0.5
        wide = self.file("wide.gguf", self.out.read_bytes())
        self.out.unlink()
        for kind, least, most in (("F32", 0, 1e-6), ("BF16", 1e-4, 0.02), ("Q6_K", 1e-3, 0.1), ("Q4_0", 0.01, 0.5)):
            linn("quantize", wide, self.out, kind, "--pure")
            moved = sum((x - y) ** 2 for x, y in zip(exact, logits(self.out))) ** 0.5 / scale
            self.assertTrue(least <= moved <= most, f"{kind}: {moved}")

    def test_threads_do_not_show(self):
        source = self.file("in.gguf", model(("blk.0.ffn_up.weight", (512, 999), halves(512 * 999))))
        outputs = set()
        for n in "1", "2", "3":
            self.done("quantize", source, self.out, "Q3_K_S", "-t", n)
            outputs.add(self.out.read_bytes())
        self.assertEqual(len(outputs), 1)

    def test_notes_come_once(self):
        tensors = [(f"blk.{i}.ffn_up.weight", (96, 64), halves(96 * 64)) for i in range(3)]
        tensors.append(("blk.0.ffn_down.weight", (20, 64), halves(20 * 64)))
        result = linn("quantize", self.file("in.gguf", model(*tensors)), self.out, "q5_k_s")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr.splitlines(), [
            "linn quantize: 3 tensors: rows of 96 are no multiple of 256: Q5_1 instead of Q5_K",
            "linn quantize: 1 tensor: rows of 20 are no multiple of 256: F16 instead of Q5_K"])

    def test_help_names_every_type(self):
        text = self.done("quantize", "--help").stdout
        names = self.misused(["quantize", RIVER, self.out, "?"]).stderr.split("known are ")[1].split(" (see")[0]
        names = names.split(", ")
        self.assertEqual(len(names), 23)
        for name in names:
            self.assertRegex(text, rf"\b{name}\b")

    def test_bad_usage(self):
        self.misused(["quantize"], "missing operand", "MODEL OUT TYPE")
        self.misused(["quantize", RIVER, self.out], "missing operand")
        self.misused(["quantize", RIVER, self.out, "Q4_0", "more"], "more: one operand too many")
        self.misused(["quantize", RIVER, self.out, "q4_km"], "q4_km: unknown type, perhaps Q4_K")
        self.misused(["quantize", RIVER, self.out, ""], ": unknown type; known are F32, F16, BF16, Q8_0")
        self.misused(["quantize", RIVER, self.out, "Q4_0", "-t", "0"], "-t 0: must be")
        self.misused(["quantize", RIVER, RIVER, "Q4_0"], "river.gguf: is the model itself")
        link = self.folder / "link.gguf"
        link.symlink_to(RIVER)
        self.misused(["quantize", "river", link, "Q4_0"], "link.gguf: is the model itself")
        self.nothing_left("link.gguf")

    def test_failures(self):
        self.failed(["quantize", "nowhere.gguf", self.out, "Q4_0"], "nowhere.gguf", "cannot open")
        self.failed(["quantize", RIVER, self.folder / "no/where", "F32"], "no/where: cannot create")
        self.failed(["quantize", RIVER, self.folder, "F32"], "is a directory")
        if os.path.exists("/dev/null"):
            self.failed(["quantize", RIVER, "/dev/null", "F32"], "/dev/null: cannot create: is a device")
        self.failed(["quantize", RIVER, self.out, "Q4_0"], "tensor ", "is quantised already (Q8_0)", "--allow-requantize")
        self.nothing_left()
        half = self.file("half.gguf", RIVER.read_bytes()[:-1000])
        self.failed(["quantize", half, self.out, "Q4_0"], "half.gguf")
        nan = struct.pack("<e", float("nan"))
        bad = model(("blk.0.ffn_up.weight", (256, 2), halves(300) + nan + halves(211)))
        self.failed(["quantize", self.file("nan.gguf", bad), self.out, "Q4_0"], "nan.gguf", "blk.0.ffn_up.weight",
                    "element 300 is not a number")
        self.nothing_left("half.gguf", "nan.gguf")

    def test_no_partial_file(self):
        """A file that may not grow, which is a full disk in small. An old file stays as it was."""
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))

        for old in (None, b"old"):
            if old:
                self.out.write_bytes(old)
            self.failed(["quantize", RIVER, self.out, "F32"], "out.gguf: cannot write: File too large", preexec_fn=limit,
                        restore_signals=False)
            self.nothing_left(*(["out.gguf"] if old else []))
        self.assertEqual(self.out.read_bytes(), b"old")
        self.full_disk("quantize", RILL, self.out, "F32")  # of the summary; the file is complete
        self.done("inspect", self.out)

    def test_interrupt_leaves_nothing(self):
        n = 4096 * 4096
        source = self.file("in.gguf", model(("blk.0.ffn_up.weight", (4096, 4096), halves(n))))
        with subprocess.Popen([LINN, "quantize", source, self.out, "Q2_K_S", "-t", "1"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while len(os.listdir(self.folder)) < 2 and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=TIMEOUT)
        self.assertEqual((process.returncode, out, err), (130, b"", b""))
        self.nothing_left("in.gguf")

    GOLDEN = SHARED / "golden/dev/quant"

    @unittest.skipUnless(GOLDEN.exists(), "no conformance data")
    def test_logits_stay_as_close_as_those_of_a_peer(self):
        """A model that came in Q8_0 and, quantised by llama.cpp from the same weights, in other types. With
        its Q8_0 weights taken for the original, our files are to move the logits no further than those."""
        ids = ",".join(map(str, json.loads((self.GOLDEN / "q256-Q8_0.tokens.json").read_text())))
        wide, narrow, again = (self.folder / name for name in ("wide", "narrow", "again"))

        def recorded(kind):
            return array.array("f", (self.GOLDEN / f"q256-{kind}.logits.f32").read_bytes())

        def distance(a, b):
            return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b)))

        original = recorded("Q8_0")
        self.done("quantize", self.GOLDEN / "q256-Q8_0.gguf", wide, "F32")
        for kind in "Q4_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS":
            with self.subTest(type=kind):
                self.done("quantize", wide, narrow, kind, "--pure")
                self.done("quantize", narrow, again, "F32")  # so that activations are not quantised
                ours = array.array("f", self.done("logits", again, "--ids", ids, "--kv", "f32", text=False).stdout)
                self.assertEqual(len(ours), len(original))
                self.assertLess(distance(ours, original), distance(recorded(kind), original))


if __name__ == "__main__":
    unittest.main()
