#!/usr/bin/env python3
"""linn logits."""
import array
import math
import os
import unittest

from cli import MODELS, Case, on_terminal

IDS = "72,101,5,5,900,8191,0,33,4000,17,18,19,20,21,22,23,24,25,26,27"


class Logits(Case):
    def logits(self, *words, **options):
        return self.done("logits", MODELS / "rill.gguf", *words, text=False, **options).stdout

    def test_shape(self):
        rows = array.array("f", self.logits("--ids", IDS))
        self.assertEqual(len(rows), 20 * 8192)
        self.assertTrue(all(map(math.isfinite, rows)))

    def test_a_row_sees_what_is_before_it(self):
        all_rows, some = self.logits("--ids", IDS), self.logits("--ids", "72,101,5")
        self.assertEqual(all_rows[:3 * 8192 * 4], some)
        self.assertEqual(self.logits("--ids", " 72 ,101, 5 "), some)

    def test_width_and_threads_change_nothing(self):
        want = self.logits("--ids", IDS)
        for width in 1, 2, 3, 5, 8, 17, 64:
            with self.subTest(width=width):
                self.assertEqual(self.logits("--ids", IDS, "--width", str(width)), want)
        for threads in 1, 2, 3, 5:
            with self.subTest(threads=threads):
                self.assertEqual(self.logits("--ids", IDS, "-t", str(threads)), want)

    def test_plain_kernels_change_nothing(self):
        plain = self.logits("--ids", IDS, env={**os.environ, "LINN_CPU": "c"})
        any_set = self.logits("--ids", IDS, env={k: v for k, v in os.environ.items() if k != "LINN_CPU"})
        self.assertEqual(plain, any_set)

    def test_cache_type_changes_a_little(self):
        half = array.array("f", self.logits("--ids", IDS, "--kv", "f16"))
        full = array.array("f", self.logits("--ids", IDS, "--kv", "f32"))
        self.assertEqual(self.logits("--ids", IDS), half.tobytes())
        self.assertNotEqual(half, full)
        self.assertLess(max(abs(a - b) for a, b in zip(half, full)), 0.1)
        small = self.logits("--ids", IDS, "--kv", "q8_0")
        self.assertLess(max(abs(a - b) for a, b in zip(array.array("f", small), full)), 0.5)
        self.assertEqual(self.logits("--ids", IDS, "--kv", "q8_0", "--width", "2", "-t", "3"), small)
        self.assertEqual(self.logits("--ids", IDS, "--kv", "q8_0", env={**os.environ, "LINN_CPU": "c"}), small)

    def test_name_of_the_family(self):
        self.assertEqual(self.done("logits", "rill", "--ids", "1", text=False).stdout, self.logits("--ids", "1"))

    def test_bad_usage(self):
        rill = MODELS / "rill.gguf"
        self.misused(["logits", rill], "--ids is missing")
        self.misused(["logits"], "missing operand")
        self.misused(["logits", rill, "--ids", "1,x"], "--ids", "'x'")
        self.misused(["logits", rill, "--ids", ""], "--ids")
        self.misused(["logits", rill, "--ids", "-1"], "--ids", "'-1'")
        self.misused(["logits", rill, "--ids", "1", "--width", "0"], "--width 0")
        self.misused(["logits", rill, "--ids", "1", "--kv", "q5_0"], "--kv q5_0", "f16, f32 or q8_0")
        self.misused(["logits", rill, "--ids", "1", "-t", "0"], "-t 0")
        self.misused(["logits", rill, rill, "--ids", "1"], "one operand too many")

    def test_failures(self):
        rill = MODELS / "rill.gguf"
        self.failed(["logits", rill, "--ids", "5,8192"], "row 1: token 8192, expected 0 to 8191")
        self.failed(["logits", rill, "--ids", ",".join(["7"] * 1025)], "context is full", "1024")
        self.failed(["logits", "nowhere.gguf", "--ids", "1"], "nowhere.gguf", "cannot open")
        self.failed(["logits", self.file("empty.gguf"), "--ids", "1"], "empty.gguf")
        self.failed(["logits", rill, "--ids", "1"], "LINN_CPU=sse2: must be c, avx2, avx512 or neon",
                    env={**os.environ, "LINN_CPU": "sse2"})

    def test_full_disk(self):
        self.full_disk("logits", MODELS / "rill.gguf", "--ids", IDS)

    def test_closed_pipe(self):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as out:
            self.failed(["logits", MODELS / "rill.gguf", "--ids", IDS], "standard output: Broken pipe", stdout=out)

    def test_terminal(self):
        status, said = on_terminal("logits", MODELS / "rill.gguf", "--ids", "1")
        self.assertEqual(status, 2)
        self.assertIn("not for a terminal", said)


if __name__ == "__main__":
    unittest.main()
