#!/usr/bin/env python3
"""The manual page and the completion say what the program's --help says."""
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import unittest

SOURCE = pathlib.Path(os.environ["CLI_SOURCE"])
LINN = os.environ["CLI_LINN"]
PAGE, COMPLETION = pathlib.Path(os.environ["CLI_PAGE"]), SOURCE / "completions/linn"

spec = importlib.util.spec_from_file_location("man_page", SOURCE / "tools/man-page.py")
man_page = importlib.util.module_from_spec(spec)
spec.loader.exec_module(man_page)


class ManualPage(unittest.TestCase):
    def test_has_every_option(self):
        """Counted in the raw text of --help, so that nothing is lost on the way to the page."""
        page = re.sub(r"\\f[BIR]|\\", "", PAGE.read_text())
        for h in man_page.all_commands(LINN):
            section = page.split(f".SS {h.usage}\n")[1].split("\n.SS ")[0].split("\n.SH ")[0]
            text = subprocess.run([LINN, *h.words, "--help"], capture_output=True, text=True, check=True).stdout
            shown = re.findall(r"^  (-\w, )? *(--[\w-]+)( \S+)?", text, re.M)
            self.assertIn("--help", [name for _, name, _ in shown])
            for letter, name, argument in shown:
                if name != "--help":
                    with self.subTest(command=h.words, option=name):
                        self.assertIn(f".TP\n{letter}{name}{argument}", section)

    def test_every_environment_variable_is_listed(self):
        page = PAGE.read_text().replace("\\", "")
        for file in [*SOURCE.glob("src/**/*.c"), SOURCE / "try"]:
            if file.exists():
                for name in re.findall(r'getenv\("(\w+)"\)', file.read_text()):
                    with self.subTest(variable=name, file=file.name):
                        self.assertIn(name, page)

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_formats_without_a_warning(self):
        done = subprocess.run(["groff", "-man", "-Tutf8", "-wall", PAGE], capture_output=True, text=True)
        self.assertEqual(done.stderr, "")


class Completion(unittest.TestCase):
    def complete(self, *words):
        """What is offered for the last word."""
        script = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _linn; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", script, COMPLETION, LINN, *words], capture_output=True, text=True,
                              check=True, cwd=SOURCE / "models")
        self.assertEqual(done.stderr, "")
        return set(done.stdout.split())

    def test_commands(self):
        shown = {name for name, _ in man_page.Help(LINN, ()).commands}
        self.assertEqual(self.complete(""), shown)

    def test_options_of_each_command(self):
        for h in man_page.all_commands(LINN):
            with self.subTest(command=h.words):
                self.assertEqual(self.complete(*h.words, "--"), {f"--{o[1]}" for o in h.options()})

    def test_words_of_an_option(self):
        for h in man_page.all_commands(LINN):
            for letter, name, argument, _ in h.options():
                if argument and "|" in argument:
                    with self.subTest(command=h.words, option=name):
                        words = set(argument.split("|"))
                        self.assertEqual(self.complete(*h.words, f"--{name}", ""), words)
                        self.assertEqual(self.complete(*h.words, f"--{name}", "=", ""), words)
                        if letter:
                            self.assertEqual(self.complete(*h.words, f"-{letter}", ""), words)

    def test_models(self):
        for h in man_page.all_commands(LINN):
            if "MODEL" in h.usage.split():
                with self.subTest(command=h.words):
                    self.assertEqual(self.complete(*h.words, "riv"), {"river", "river.gguf"})


if __name__ == "__main__":
    unittest.main()
