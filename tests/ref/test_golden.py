#!/usr/bin/env python3
"""`linn logits` against the logits of the conformance data, within the limits its README states.
Skipped where the data are not."""
import array
import json
import os
import pathlib
import unittest

from compare import distance, linn_logits

GOLDEN = pathlib.Path(os.environ["LINN_SHARED"]) / "golden" / "dev"


def expected(name):
    ids = json.loads((GOLDEN / f"{name}.tokens.json").read_text())
    flat = array.array("f", (GOLDEN / f"{name}.logits.f32").read_bytes())
    width = len(flat) // len(ids)
    return ids, [flat[i:i + width] for i in range(0, len(flat), width)]


@unittest.skipUnless(GOLDEN.is_dir(), "no conformance data")
class Golden(unittest.TestCase):
    def measure(self, name, *options):
        ids, want = expected(name)
        return distance(want, linn_logits(GOLDEN / f"{name}.gguf", ids, *options))

    def names(self, folder):
        found = [f"{folder}/{p.stem}" for p in sorted((GOLDEN / folder).glob("*.gguf"))]
        self.assertTrue(found)
        return found

    def test_f32_models(self):
        for name in [*self.names("models"), "stories260K"]:
            with self.subTest(name):
                self.assertLess(self.measure(name, "--kv", "f32").max, 2e-4)

    def test_f32_models_with_half_cache(self):
        for name in [*self.names("models"), "stories260K"]:
            with self.subTest(name):
                self.assertLess(self.measure(name).max, 1.5e-2)

    def within_8_bits(self, found):
        self.assertLess(found.rms, 0.05, found)
        self.assertLess(found.max, 0.25, found)
        self.assertLess(found.kl, 0.01, found)

    def test_quantised_models(self):
        for name in self.names("quant"):
            with self.subTest(name):
                self.within_8_bits(self.measure(name))

    def test_f32_models_with_8_bit_cache(self):
        for name in [*self.names("models"), "stories260K"]:
            with self.subTest(name):
                self.within_8_bits(self.measure(name, "--kv", "q8_0"))

    def test_half_models(self):
        """Activations stay float32 here, so these are as near as F32 models."""
        for name in "quant/q96-F16", "quant/q96-BF16":
            with self.subTest(name):
                self.assertLess(self.measure(name, "--kv", "f32").max, 2e-4)

    def test_any_cut(self):
        for name in "models/llama-gqa", "models/qwen3", "quant/q256-Q4_K":
            ids, _ = expected(name)
            for kv in "f16", "q8_0":
                want = linn_logits(GOLDEN / f"{name}.gguf", ids, "--kv", kv)
                for width in 1, 2, 3, 5, 8, 17, 64:
                    with self.subTest(name=name, width=width, kv=kv):
                        self.assertEqual(linn_logits(GOLDEN / f"{name}.gguf", ids, "--kv", kv, "--width",
                                                     str(width)), want)


if __name__ == "__main__":
    unittest.main()
