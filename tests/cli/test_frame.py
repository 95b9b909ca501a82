#!/usr/bin/env python3
"""What all commands have in common: --help, unknown words, and a stdout that fails."""
import re
import subprocess
import unittest

from cli import Case, LINN, linn


def commands(*words):
    """Names of the commands that `linn words --help` lists, as lists of words, leaves only."""
    text = linn(*words, "--help").stdout
    found = re.search(r"^Commands:\n((?:  .*\n)+)", text, re.M)
    if not found:
        return [list(words)]
    names = re.findall(r"^  ([a-z][a-z ]*[a-z])(?:  |$)", found[1], re.M)
    return [leaf for name in names for leaf in commands(*(words[:0] if " " in name else words), *name.split())]


class Frame(Case):
    def test_help_of_the_program(self):
        text = self.done("--help").stdout
        self.assertEqual(text, self.done("-h").stdout)
        self.assertTrue(text.startswith("Usage: linn COMMAND"))
        self.assertIn(["inspect"], commands())

    def test_help_of_each_command(self):
        for words in commands():
            with self.subTest(command=words):
                text = self.done(*words, "--help").stdout
                self.assertTrue(text.startswith(f"Usage: linn {' '.join(words)} "))
                self.assertLessEqual(max(map(len, text.splitlines())), 80)
                self.full_disk(*words, "--help")
                self.closed_pipe(*words, "--help")

    def test_version(self):
        self.assertRegex(self.done("--version").stdout, r"\Alinn \d+\.\d+\.\d+ \(numeric version \d+\)\n\Z")
        self.full_disk("--version")

    def test_unknown_words(self):
        self.misused([], "missing command")
        self.misused(["inspcet"], "unknown command 'inspcet'", "'inspect'")
        self.misused(["--frobnicate"], "unknown option '--frobnicate'")
        self.misused(["a\nb\x1b[31m"], "unknown command 'a?b?[31m'")
        for words in commands():
            with self.subTest(command=words):
                self.misused([*words, "--frobnicate"], "--frobnicate")

    def test_no_stdout_at_all(self):
        done = subprocess.run(["sh", "-c", '"$0" --version >&-', LINN], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output: Bad file descriptor", done.stderr)


if __name__ == "__main__":
    unittest.main()
