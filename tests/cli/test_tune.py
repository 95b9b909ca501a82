#!/usr/bin/env python3
"""linn tune: a profile filled, the best fixed K, and what auto reaches; prompts files with broken lines."""
import json
import os
import pathlib
import subprocess
import unittest

from cli import LINN, SOURCE, Case

PROMPTS = SOURCE / "bench" / "prompts" / "prompts.jsonl"
TUNE = ("tune", "brook", "-d", "rill", "-n", "12", "--rounds", "1", "--limit", "3")


class Tune(Case):
    def test_profile_and_table(self):
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.folder)}
        for temperature in "0", "0.8":
            done = subprocess.run([LINN, *TUNE, "--prompts", PROMPTS, "--temp", temperature], capture_output=True,
                                  text=True, check=False, env=environment)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(f"3 prompts, up to 12 tokens each, temperature {temperature}\n", done.stdout)
            self.assertIn("best fixed K: ", done.stdout)
            for side in "plain", "auto":
                self.assertRegex(done.stdout, rf"(?m)^{side} +\d+\.\d +\d+\.\d\dx +\d+\.\d\d$")
            self.assertRegex(done.stdout, r"(?m)^auto: draft")
        (profile,) = (pathlib.Path(self.folder) / "linn").glob("*.profile")
        self.assertGreater(profile.stat().st_size, 1000)

    def test_fixed_cascade_can_be_run(self):
        text = self.done(*TUNE, "--prompts", PROMPTS, "--temp", "0").stdout
        line = next(x for x in text.splitlines() if x.startswith("best fixed K: "))
        if "--k-matrix" in line:
            _, matrix, block = line.split('"')
            words = ("brook", "-d", "rill", "-p", "Once", "-n", "8", "--temp", "0")
            self.assertEqual(self.done("run", *words, "--k-matrix", matrix, *block.split()).stdout,
                             self.done("run", *words, "--cascade", "off").stdout)

    def test_broken_lines(self):
        lines = [json.dumps({"question": "What is 2 + 2?"}), "{", '{"answer": 4}', '{"prompt": ""}', "", '{"prompt": 3}',
                 "[1]", "null", '{"turns": ["Hello", "again"], "category": "x"}']
        path = self.file("p.jsonl", "\n".join(lines).encode())
        done = subprocess.run([LINN, *TUNE, "--prompts", str(path)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 prompts", done.stdout)
        for number in 2, 3, 4, 6, 7:
            self.assertIn(f"line {number}: ", done.stderr)
        self.assertNotIn("line 8: ", done.stderr)  # five are named
        self.assertIn("6 lines hold no prompt", done.stderr)

    def test_refused(self):
        self.misused(["tune", "river"], "--prompts")
        self.failed(["tune", "brook", "--prompts", "/nowhere.jsonl"], "/nowhere.jsonl")
        self.failed(["tune", "brook", "--prompts", self.file("e", b"")], "no prompts")


if __name__ == "__main__":
    unittest.main()
