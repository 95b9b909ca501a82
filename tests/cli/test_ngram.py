#!/usr/bin/env python3
"""linn ngram: a table from text, and drafting from it."""
import json
import os
import random
import signal
import subprocess
import unittest

from cli import Case, LINN, MODELS

WORDS = "the old river ran under a stone bridge and into the sea where it was slow and wide".split()
RUN = ("run", MODELS / "rill.gguf", "-p", "Question: Tom has 3 apples.", "-n", "60", "--seed", "5", "--json")


def prose(n, seed=1):
    """n words, in lines."""
    choose = random.Random(seed)
    return "".join(choose.choice(WORDS) + (".\n" if choose.random() < 0.1 else " ") for _ in range(n))


class Build(Case):
    def build(self, *words):
        out = self.folder / "out.ngram"
        said = self.done("ngram", "build", *words, "-o", out).stdout
        self.assertRegex(said, rf"\A{out}: [0-9.]+ k?B from [0-9.]+ k? ?tokens\n\Z")
        return out.read_bytes()

    def test_is_a_function_of_the_text(self):
        text = self.file("a.txt", prose(2000).encode())
        table = self.build(text)
        self.assertEqual(table[:8], b"linngram")
        self.assertEqual(table, self.build(text, "-m", MODELS / "brook.gguf"))
        self.assertNotEqual(table, self.build(text, text))
        self.assertNotEqual(table, self.build(text, "--min-count", "4"))
        self.assertLess(len(self.build(text, "--order", "2")), len(table))
        self.assertLessEqual(len(self.build(text, "--max-size", "5000")), 5000)

    def test_pieces_of_long_text_are_as_one(self):
        """Lines of up to a megabyte and more, and files that end anywhere."""
        text = prose(400000)
        whole = self.file("whole.txt", text.encode())
        line = self.file("line.txt", (text.replace("\n", " ") + "\nend").encode())
        self.assertGreater(len(self.build(whole, "--max-size", "100000")), 50000)
        self.build(line)
        self.build(self.file("empty.txt"), self.file("blank.txt", b"\n\n \n"))

    def test_special_tokens(self):
        text = self.file("a.txt", b"one two<|endoftext|>" * 50)
        other = self.file("b.txt", b"one two<|endoftext >" * 50)
        self.assertNotEqual(len(self.build(text)), len(self.build(other)))

    def test_drafts_and_changes_nothing(self):
        table = self.folder / "out.ngram"
        self.build(self.file("a.txt", b"Question: Tom has 3 apples. Answer: Tom has 3 apples. #### 3\n" * 20))
        for temperature in "0", "0.9":
            plain = json.loads(self.done(*RUN, "--temp", temperature, "--cascade", "off").stdout)
            for how in [["--cascade", "maxgram"], ["--no-maxgram"], ["-d", MODELS / "rill.gguf"]]:
                with self.subTest(how=how, temperature=temperature):
                    fast = json.loads(self.done(*RUN, "--temp", temperature, "--ngram", table, *how).stdout)
                    self.assertEqual(fast["ids"], plain["ids"])
                    (level,) = [x for x in fast["stats"]["levels"] if x["name"] == "n-gram"]
                    self.assertEqual(len(level["drafted"]), len(level["accepted"]))

    def test_the_family_has_one(self):
        plain = json.loads(self.done(*RUN, "--cascade", "off").stdout)
        fast = json.loads(self.done(*RUN, "--no-maxgram", "--ngram", "river", "--cascade", "K").stdout)
        self.assertEqual(fast["ids"], plain["ids"])
        self.assertLess(fast["stats"]["levels"][0]["passes"], plain["stats"]["levels"][0]["passes"])
        self.assertLessEqual((MODELS / "river.ngram").stat().st_size, 4000000)


class Refused(Case):
    def test_usage(self):
        text = self.file("a.txt", b"text")
        self.misused(["ngram"], "missing command")
        self.misused(["ngram", "bild"], "is it 'build'")
        self.misused(["ngram", "build", text], "-o")
        self.misused(["ngram", "build", "-o", "x"], "operand")
        for option, value in [("--order", "1"), ("--order", "6"), ("--min-count", "0"), ("--max-size", "4095"),
                              ("--max-size", "-1"), ("--max-size", "4k")]:
            self.misused(["ngram", "build", text, "-o", self.folder / "x", option, value], option, value)

    def test_text(self):
        out = self.folder / "x"
        good = self.file("good.txt", b"text\n")
        self.failed(["ngram", "build", good, self.folder / "none.txt", "-o", out], "none.txt", "No such file")
        self.failed(["ngram", "build", self.folder, "-o", out], str(self.folder), "directory")
        bad = self.file("bad.txt", b"good line\n" * 200000 + b"bad \xff line\n")
        self.failed(["ngram", "build", good, bad, "-o", out], "bad.txt", "UTF-8")
        self.assertFalse(out.exists())

    def test_model_and_output(self):
        text = self.file("a.txt", b"text\n")
        self.failed(["ngram", "build", text, "-m", "rivr", "-o", self.folder / "x"], "is it 'river'")
        self.failed(["ngram", "build", text, "-m", text, "-o", self.folder / "x"], "a.txt")
        self.failed(["ngram", "build", text, "-o", self.folder / "no/x"], "no/x", "No such file")
        self.assertEqual(list(self.folder.iterdir()), [text])

    def test_tables(self):
        self.failed([*RUN, "--ngram", self.folder / "none"], "none", "No such file")
        self.failed([*RUN, "--ngram", MODELS / "rill.gguf"], "rill.gguf", "not an n-gram table")
        self.failed([*RUN, "--ngram", "rivr"], "is it 'river'")
        table = bytearray((MODELS / "river.ngram").read_bytes())
        self.failed([*RUN, "--ngram", self.file("cut", table[:-1])], "cut", "cut short")
        table[2000] ^= 1
        self.failed([*RUN, "--ngram", self.file("damaged", table)], "damaged", "checksum")

    def test_interrupted(self):
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        out = self.folder / "x"
        with subprocess.Popen([LINN, "ngram", "build", fifo, "-o", out], stderr=subprocess.PIPE) as process:
            with open(fifo, "wb") as text:
                text.write(b"some text\n" * 300000)
                process.send_signal(signal.SIGINT)
            self.assertEqual(process.communicate(timeout=120)[1], b"")
            self.assertEqual(process.returncode, 130)
        self.assertFalse(out.exists())

    def test_outputs(self):
        text = self.file("a.txt", b"text\n")
        self.full_disk("ngram", "build", text, "-o", self.folder / "x")
        self.closed_pipe("ngram", "build", text, "-o", self.folder / "x")


if __name__ == "__main__":
    unittest.main()
