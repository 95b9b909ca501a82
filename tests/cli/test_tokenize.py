#!/usr/bin/env python3
"""linn tokenize: a line of ids for each line of text, and back; what is wrong is told by line."""
import json
import os
import struct
import subprocess
import unittest

from cli import Case, LINN, SHARED, TIMEOUT

GOLDEN = SHARED / "golden" / "dev" / "tokenizers"
TEXTS = ["Once upon a time", "", " two  blanks ", "日本語 naïve 🙂", "tab\tand\rreturn", "\x7f\x01", "12 + 34 = 46"]


def string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def key(name, kind, value):
    return string(name) + struct.pack("<I", kind) + value


def pieces(*more):
    """A SentencePiece vocabulary of its own: <unk>, <s>, </s>, the bytes, then the pieces given."""
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + list(more)
    kinds = [2, 3, 3] + [6] * 256 + [1] * len(more)
    ranks = [0.0] * 259 + [-float(i) for i in range(len(more))]
    keys = [
        key("tokenizer.ggml.model", 8, string("llama")),
        key("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, len(tokens)) + b"".join(map(string, tokens))),
        key("tokenizer.ggml.scores", 9, struct.pack(f"<IQ{len(ranks)}f", 6, len(ranks), *ranks)),
        key("tokenizer.ggml.token_type", 9, struct.pack(f"<IQ{len(kinds)}i", 5, len(kinds), *kinds)),
    ]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)) + b"".join(keys)


class Tokenize(Case):
    def ids(self, model, lines, *options):
        out = self.done("tokenize", model, *options, input="".join(line + "\n" for line in lines)).stdout
        return [json.loads(line) for line in out.splitlines()]

    def test_there_and_back(self):
        ids = self.ids("river", TEXTS)
        self.assertEqual(len(ids), len(TEXTS))
        self.assertEqual(ids[1], [])
        lists = "".join(json.dumps(i) + "\n" for i in ids)
        back = self.done("tokenize", "river", "--decode", input=lists.encode(), text=False).stdout
        self.assertEqual(back.decode(), "".join(t + "\n" for t in TEXTS))

    def test_jsonl(self):
        texts = TEXTS + ["two\nlines\n", "nul\0inside", "\u2028\ue000\U0010ffff", "\"quoted\\\""]
        lines = [json.dumps(t) for t in texts]
        ids = self.ids("river", lines, "--jsonl")
        self.assertEqual(ids[:len(TEXTS)], self.ids("river", TEXTS))
        out = self.done("tokenize", "river", "--decode", "--jsonl",
                        input="".join(json.dumps(i) + "\n" for i in ids)).stdout
        self.assertEqual([json.loads(line) for line in out.splitlines()], texts)

    def test_special(self):
        model = self.file("a.gguf", pieces("▁", "a", "▁a"))
        self.assertEqual(self.ids(model, ["a", "<s>a</s>"]), [[1, 261], [1, 1, 261, 2]])
        plain = self.ids(model, ["a", "<s>a"], "--no-special")
        self.assertEqual(plain[0], [261])
        self.assertNotIn(1, plain[1])
        lists = "[1, 261]\n[1, 1, 261, 2]\n[261]\n"
        self.assertEqual(self.done("tokenize", model, "--decode", input=lists).stdout, "a\n<s>a</s>\na\n")
        self.assertEqual(self.done("tokenize", model, "--decode", "--no-special", input=lists).stdout, "a\na\na\n")

    def test_last_line_without_newline(self):
        self.assertEqual(self.done("tokenize", "river", input="a\nb").stdout.count("\n"), 2)
        self.assertEqual(self.done("tokenize", "river", input="").stdout, "")

    def test_long_line(self):
        text = "word " * 100000
        (ids,) = self.ids("river", [text])
        self.assertGreaterEqual(len(ids), 100000)

    def test_answers_each_line(self):
        with subprocess.Popen([LINN, "tokenize", "river"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as linn:
            for line in (b"one\n", b"two\n"):
                linn.stdin.write(line)
                linn.stdin.flush()
                self.assertTrue(json.loads(linn.stdout.readline()))
            linn.stdin.close()
            self.assertEqual(linn.wait(TIMEOUT), 0)

    def test_broken_characters_decode(self):
        model = self.file("a.gguf", pieces("▁"))
        out = self.done("tokenize", model, "--decode", "--jsonl", input="[258, 230, 154]\n").stdout
        self.assertEqual(json.loads(out), "\ufffd\ufffd")

    def test_bad_lines(self):
        for text, options, parts in (
                (b"good\n\xff\n", [], ["line 2", "not UTF-8 at byte 0"]),
                (b"good\nab\xc3", [], ["line 2", "not UTF-8 at byte 2"]),
                (b"text\n", ["--jsonl"], ["line 1", "not JSON"]),
                (b"\"a\"\n[\"a\"]\n", ["--jsonl"], ["line 2", "must be a JSON string"]),
                (b"\"a\"\n\n", ["--jsonl"], ["line 2", "not JSON"]),
                (b'"\\ud800"\n', ["--jsonl"], ["line 1", "not JSON"]),
                (b'"a" "b"\n', ["--jsonl"], ["line 1", "not JSON"]),
                (b'"\xff"\n', ["--jsonl"], ["line 1", "not JSON"]),
                (b"[1]\n[1\n", ["--decode"], ["line 2", "not JSON"]),
                (b"\"a\"\n", ["--decode"], ["line 1", "list of token ids"]),
                (b"[1, 8192]\n", ["--decode"], ["line 1", "item 2", "0 to 8191"]),
                (b"[-1]\n", ["--decode"], ["line 1", "item 1"]),
                (b"[1.0]\n", ["--decode"], ["line 1", "item 1"]),
                (b"[true]\n", ["--decode"], ["line 1", "item 1"]),
                (b"[99999999999]\n", ["--decode"], ["line 1", "item 1"]),
                (b"[99999999999999999999999]\n", ["--decode"], ["line 1"]),
                (b"[" * 100000 + b"\n", ["--decode"], ["line 1", "not JSON"]),
        ):
            with self.subTest(text=text[:40]):
                result = self.failed(["tokenize", "river", *options], *parts, input=text, text=False)
                self.assertEqual(result.stdout.count(b"\n"), 1 if "line 2" in parts else 0)

    def test_bad_files(self):
        self.failed(["tokenize", "nowhere.gguf"], "nowhere.gguf")
        self.failed(["tokenize", self.file("a.gguf", b"GGUF")], "a.gguf")
        self.failed(["tokenize", self.file("b.gguf", pieces().replace(b"llama", b"llamb"))], "b.gguf", "'llamb'",
                    "llama", "gpt2")
        self.misused(["tokenize"], "missing operand")
        self.misused(["tokenize", "river", "--deode"], "--decode")

    def test_bad_streams(self):
        self.full_disk("tokenize", "river", input="a\n" * 10)
        self.closed_pipe("tokenize", "river", input="a\n" * 100000)
        folder = os.open(self.folder, os.O_RDONLY)
        self.failed(["tokenize", "river"], "standard input: Is a directory", stdin=folder)
        os.close(folder)

    @unittest.skipUnless(GOLDEN.is_dir(), "no conformance data")
    def test_vectors(self):
        with open(GOLDEN / "stress-llama-spm.jsonl", encoding="utf-8") as f:
            rows = [json.loads(line) for line in f]
        model = GOLDEN / "ggml-vocab-llama-spm.gguf"
        ids = self.ids(model, [json.dumps(r["text"]) for r in rows], "--jsonl", "--no-special")
        self.assertEqual(ids, [r["ids"] for r in rows])
        out = self.done("tokenize", model, "--decode", "--jsonl", "--no-special",
                        input="".join(json.dumps(i) + "\n" for i in ids)).stdout
        self.assertEqual([json.loads(line) for line in out.splitlines()],
                         [r["text"].replace("\u2581", " ") for r in rows])


if __name__ == "__main__":
    unittest.main()
