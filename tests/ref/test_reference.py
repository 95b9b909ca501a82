#!/usr/bin/env python3
"""`linn logits` against the forward pass in double precision, on models made on the spot."""
import os
import pathlib
import random
import subprocess
import tempfile
import unittest

from compare import distance, linn_logits
from forward import Model

MAKE_MODEL = os.environ["REF_MAKE_MODEL"]
MODELS = pathlib.Path(os.environ["REF_MODELS"])
SHAPE = ["--layers", "2", "--embd", "32", "--heads", "4", "--kv-heads", "2", "--ff", "48", "--vocab", "270",
         "--ctx", "128"]


class Reference(unittest.TestCase):
    def compare(self, ids, *options, path=None, kv="f32", widths=(1, 64)):
        with tempfile.TemporaryDirectory() as folder:
            if not path:
                path = pathlib.Path(folder) / "model.gguf"
                subprocess.run([MAKE_MODEL, *SHAPE, *options, str(path)], check=True)
            want = Model(path).logits(ids)
            found = [distance(want, linn_logits(path, ids, "--kv", kv, "--width", str(w))) for w in widths]
        self.assertEqual(len({str(d) for d in found}), 1)
        return found[0]

    def exact(self, *options, n=70):
        """float32 throughout, on more than a page of tokens: two unrelated programs are about
        1e-5 apart, a wrong epsilon or rotation 1e-2 and more."""
        ids = [random.Random(1).randrange(260) for _ in range(n)]
        found = self.compare(ids, "--type", "f32", *options)
        self.assertLess(found.max, 2e-5, found)

    def test_llama(self):
        self.exact("--arch", "llama")

    def test_llama_large_epsilon(self):
        self.exact("--arch", "llama", "--eps", "0.3", n=10)

    def test_llama_tied_with_factors(self):
        self.exact("--arch", "llama", "--tied", "--rope-factors", "--freq-base", "500000")

    def test_llama_linear_scaling(self):
        self.exact("--arch", "llama", "--rope-scale", "4", "--kv-heads", "4")

    def test_qwen2(self):
        self.exact("--arch", "qwen2", "--freq-base", "1000000")

    def test_qwen3_free_head_dim(self):
        self.exact("--arch", "qwen3", "--head-dim", "24", "--kv-heads", "1")

    def test_half_weights(self):
        ids = [random.Random(2).randrange(260) for _ in range(20)]
        for kind in "f16", "bf16":
            with self.subTest(kind):
                self.assertLess(self.compare(ids, "--type", kind).max, 2e-5)

    def test_half_cache(self):
        ids = [random.Random(3).randrange(260) for _ in range(20)]
        found = self.compare(ids, "--type", "f32", kv="f16")
        self.assertLess(found.max, 1.5e-2)
        self.assertGreater(found.max, 1e-5)

    def test_quantised_weights(self):
        ids = [random.Random(4).randrange(260) for _ in range(20)]
        for kind in "q8_0", "q4_0":
            with self.subTest(kind):
                found = self.compare(ids, "--type", kind, "--embd", "64", "--ff", "96")
                self.assertLess(found.rms, 0.05, found)
                self.assertLess(found.max, 0.25, found)
                self.assertLess(found.kl, 0.01, found)

    def test_rill(self):
        """A trained model, whose activations have outliers."""
        found = self.compare([11, 257, 4000, 5, 8191, 100, 7, 2], path=MODELS / "rill.gguf")
        self.assertLess(found.rms, 0.05, found)
        self.assertLess(found.kl, 0.01, found)


if __name__ == "__main__":
    unittest.main()
