#!/usr/bin/env python3
"""linn demo: both texts, a table, the verdict; colours on a terminal only, never past column 80."""
import re
import unittest

from cli import Case, on_terminal

PROMPTS = ("story", "maths", "talk")


class Demo(Case):
    def test_plain(self):
        text = self.done("demo", "-n", "24", "--rounds", "1").stdout
        self.assertNotIn("\033", text)
        for name in (*PROMPTS, "plain", "cascade"):
            self.assertRegex(text, rf"(?m)^{name}\b")
        for name in PROMPTS:
            self.assertRegex(text, rf"(?m)^{name} +\d\.\d +\d+ +\d+ +\d+\.\d\dx +[1-9]\d*\.\d\d")
        self.assertIn("\nsame text: yes (72 token ids compared, in 2 runs of each side)\n", text)
        blocks = re.findall(r"(?ms)^plain +(.*?)^cascade +(.*?)^(?=\S|\n +tokens)", text)
        self.assertEqual(len(blocks), 3)
        for plain, cascade in blocks:
            self.assertEqual(plain.strip(), cascade.strip())

    def test_terminal(self):
        status, text = on_terminal("demo", "-n", "24", "--rounds", "1")
        self.assertEqual(status, 0, text)
        self.assertRegex(text, r"\033\[3[236]m")
        self.assertTrue(text.rstrip().endswith("runs of each side)"))
        for line in re.sub(r"\033\[\d+m", "", text).splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_other_models(self):
        self.misused(["demo", "brook"], "brook needs a drafter: -d DRAFT")
        text = self.done("demo", "brook", "-d", "rill", "-n", "8", "--rounds", "1").stdout
        self.assertIn("brook writes; rill and Max-Gram draft", text)
        self.failed(["demo", "river", "-d", "nothing.gguf"], "nothing.gguf")


if __name__ == "__main__":
    unittest.main()
