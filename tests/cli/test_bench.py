#!/usr/bin/env python3
"""linn bench."""
import json
import re
import unittest

from cli import Case, MODELS


class Memory(Case):
    def test_json(self):
        said = json.loads(self.done("bench", "memory", "--size", "2", "--rounds", "3", "-t", "2", "--json").stdout)
        self.assertEqual((said["bytes"], said["rounds"], said["threads"]), (2 << 20, 3, 2))
        self.assertGreater(said["bytes_per_second"], 1e6)

    def test_line(self):
        said = self.done("bench", "memory", "--size", "1", "--rounds", "1", "-t", "1").stdout
        self.assertRegex(said, r"^[0-9.]+ GB/s from 1 MiB, 1 thread, best of 1 rounds\n$")

    def test_misuse(self):
        self.misused(["bench", "memory", "--size", "0"])
        self.misused(["bench", "memory", "--rounds", "-1"])
        self.misused(["bench", "memory", "extra"])
        self.misused(["bench", "speedy"])


class Kernels(Case):
    def test_json(self):
        said = json.loads(self.done("bench", "kernels", "--types", "q8_0,F16", "--widths", "1,3", "--cpus", "c",
                                    "--rounds", "2", "--rows", "40", "--columns", "256", "-t", "2", "--json").stdout)
        self.assertEqual((said["threads"], said["rows"], said["columns"], said["rounds"]), (2, 40, 256, 2))
        self.assertEqual([(p["type"], p["cpu"], p["width"]) for p in said["products"]],
                         [(t, "c", n) for t in ("F16", "Q8_0") for n in (1, 3)])
        for p in said["products"]:
            self.ordered(p["gmacs"])

    def test_table(self):
        lines = self.done("bench", "kernels", "--types", "Q4_K,IQ4_XS", "--widths", "2", "--rounds", "1",
                          "--rows", "16", "-t", "1").stdout.splitlines()
        self.assertIn("16 x 2048 weights, 1 thread", lines[0])
        self.assertEqual(lines[1].split()[0], "2")
        self.assertEqual([line.split()[0] for line in lines[2:]], ["Q4_K", "IQ4_XS"])

    def test_misuse(self):
        self.misused(["bench", "kernels", "--types", "Q4_0,Q9"], "--types", "'Q9'")
        self.misused(["bench", "kernels", "--types", ""], "--types", "''")
        self.misused(["bench", "kernels", "--cpus", "z80"], "--cpus", "'z80'")
        self.misused(["bench", "kernels", "--cpus", "c,c,c,c,c"], "--cpus")
        self.misused(["bench", "kernels", "--columns", "300"], "--columns", "256")
        self.misused(["bench", "kernels", "--widths", "1,x"], "--widths", "'x'")
        self.misused(["bench", "kernels", "--widths", "0"], "--widths", "from 1")
        self.misused(["bench", "kernels", "--widths", "2000"], "--widths", "1 to 1024")

    def ordered(self, samples):
        self.assertTrue(0 < samples["min"] <= samples["median"] <= samples["max"], samples)
        self.assertGreaterEqual(samples["spread"], 0)


class Model(Case):
    def test_width(self):
        said = json.loads(self.done("bench", "width", MODELS / "rill.gguf", "--widths", "1,4", "--context", "9",
                                    "--rounds", "2", "--kv", "f32", "-t", "2", "--json").stdout)
        self.assertEqual([said[k] for k in ("context", "rounds", "threads", "kv")], [9, 2, 2, "f32"])
        self.assertGreater(said["weight_bytes"], 1e5)
        self.assertGreater(said["bytes_per_second"]["median"], 1e6)
        one, four = said["widths"]
        self.assertEqual((one["tokens"], four["tokens"], one["ratio"]), (1, 4, 1))
        for line in said["widths"]:
            self.assertTrue(0 < line["ms"]["min"] <= line["ms"]["median"] <= line["ms"]["max"])
            self.assertAlmostEqual(line["tokens_per_second"] * line["ms"]["median"], 1e3 * line["tokens"],
                                   delta=10 * line["tokens"])
            self.assertGreater(line["roofline"], 0)

    def test_speed(self):
        said = json.loads(self.done("bench", "speed", "rill", "--prompt", "20", "--contexts", "0,600", "--rounds",
                                    "2", "-t", "1", "--json").stdout)
        self.assertEqual((said["prompt"]["tokens"], [d["context"] for d in said["decode"]]), (20, [0, 600]))
        self.assertGreater(said["load_ms"]["min"], 0)
        for line in [said["prompt"], *said["decode"]]:
            self.assertGreater(line["tokens_per_second"], 0)

    def test_tables(self):
        lines = self.done("bench", "width", "rill", "--rounds", "1", "--widths", "2,3").stdout.splitlines()
        self.assertRegex(lines[0], r"^rill: [0-9.]+ [kM]B a pass, \w+, \d+ threads?, f16 cache$")
        self.assertRegex(lines[1], r"^memory: [0-9.]+ GB/s, spread 0%; median of 1 rounds$")
        self.assertRegex(lines[3], r"T\(n\)/T\(2\)")
        self.assertEqual([line.split()[0] for line in lines[4:]], ["2", "3"])
        lines = self.done("bench", "speed", "rill", "--rounds", "1", "--prompt", "3").stdout.splitlines()
        self.assertEqual([re.match(r"[a-z]+( [a-z]+ \d+)?", line)[0] for line in lines[4:]],
                         ["load", "prompt of 3", "decode after 128"])

    def test_misuse(self):
        self.misused(["bench", "width"])
        self.misused(["bench", "width", "rill", "--widths", "1,,2"], "--widths")
        self.misused(["bench", "speed", "rill", "--contexts", "-1"], "--contexts")
        self.misused(["bench", "speed", "rill", "--kv", "q5"], "--kv")
        self.failed(["bench", "speed", "nowhere.gguf"], "nowhere.gguf")
        self.failed(["bench", "width", self.folder], "directory")


if __name__ == "__main__":
    unittest.main()
