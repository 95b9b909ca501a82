#!/usr/bin/env python3
"""linn inspect: a summary for people, everything for programs, one line for what is no model."""
import json
import os
import struct
import unittest

from cli import Case, MODELS, SHARED

RILL = MODELS / "rill.gguf"


def gguf_string(text):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text)) + text


def gguf(keys=(), tensors=(), data=0):
    """A file image; keys: (name, type number, bytes of the value), tensors: (name, shape, type, offset)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, kind, value in keys:
        head += gguf_string(name) + struct.pack("<I", kind) + value
    for name, shape, kind, offset in tensors:
        head += gguf_string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
    return head + bytes(-len(head) % 32) + bytes(data)


class Inspect(Case):
    def test_summary(self):
        text = self.done("inspect", MODELS / "river.gguf").stdout
        for line in ("File            " + str(MODELS / "river.gguf"),
                     "Name            river",
                     "Licence         cc-by-4.0",
                     "Architecture    llama"):
            self.assertIn(line + "\n", text)
        for pattern in (r"(?m)^ +[\d.]+ MB, GGUF version 3, \d+ keys, \d+ tensors$",
                        r"(?m)^Parameters +[\d,]+ \([\d.]+ M\), \d+\.\d\d bits each$",
                        r"(?m)^ +Q8_0 +[\d,]+ in \d+ tensors, \d+\.\d%, [\d.]+ MB$",
                        r"(?m)^Layers +\d+, width \d+, feed-forward \d+$",
                        r"(?m)^Heads +\d+ \(\d+ for keys and values\), width \d+$",
                        r"(?m)^Context +\d+ tokens$",
                        r"(?m)^Chat template +\w+",
                        r"(?m)^Vocabulary +[\d,]+ tokens, gpt2 \(qwen2\)$"):
            self.assertRegex(text, pattern)
        self.assertLessEqual(max(map(len, text.splitlines()[1:])), 80)

    def test_keys(self):
        lines = self.done("inspect", "--keys", RILL).stdout.splitlines()
        self.assertEqual(lines[0], 'general.architecture = "llama"')
        self.assertTrue(any(line.startswith('tokenizer.ggml.tokens = ["') and line.endswith(' more"]') for line in lines))
        self.assertLess(max(map(len, lines)), 300)
        full = self.done("inspect", "--full", RILL).stdout.splitlines()
        self.assertEqual(len(full), len(lines))
        self.assertGreater(max(map(len, full)), 10000)

    def test_tensors(self):
        lines = self.done("inspect", "-t", RILL).stdout.splitlines()
        self.assertEqual(lines[0].split()[:2], ["token_embd.weight", "Q8_0"])
        both = self.done("inspect", "-k", "-t", RILL).stdout
        self.assertEqual(both, self.done("inspect", "-k", RILL).stdout + "\n" + "\n".join(lines) + "\n")

    def test_json(self):
        found = json.loads(self.done("inspect", "--json", RILL).stdout)
        self.assertEqual(found["path"], str(RILL))
        self.assertEqual(found["bytes"], RILL.stat().st_size)
        self.assertEqual(found["version"], 3)
        self.assertEqual(found["keys"]["general.architecture"], "llama")
        self.assertGreater(len(found["keys"]["tokenizer.ggml.tokens"]), 1000)
        elements = 0
        for tensor in found["tensors"]:
            n = 1
            for d in tensor["shape"]:
                n *= d
            elements += n
        self.assertEqual(found["parameters"], elements)
        self.assertEqual(found["weight_bytes"], sum(t["bytes"] for t in found["tensors"]))
        self.assertEqual(sum(t["tensors"] for t in found["types"].values()), len(found["tensors"]))

    def test_all_golden_files(self):
        files = sorted(SHARED.glob("golden/dev/**/*.gguf"))
        if not files:
            self.skipTest("the conformance data are not here")
        for file in files:
            with self.subTest(file=file.name):
                self.done("inspect", file)
                json.loads(self.done("inspect", "--json", file).stdout)

    def test_unsupported_type(self):
        path = self.file("x.gguf", gguf(tensors=[("t", (256, 2), 16, 0), ("u", (8,), 0, 32)], data=64))
        text = self.done("inspect", path).stdout
        self.assertIn("IQ2_XXS", text)
        self.assertIn("linn has no code for this type", text)
        self.assertIn("Architecture    not stated\n", text)
        self.assertIn("?  at ", self.done("inspect", "-t", path).stdout)
        found = json.loads(self.done("inspect", "--json", path).stdout)
        self.assertEqual([t["supported"] for t in found["types"].values()], [False, True])

    def test_files_without_keys_or_tensors(self):
        path = self.file("x.gguf", gguf())
        self.assertIn("none: the file has no tensors", self.done("inspect", path).stdout)
        self.assertEqual(self.done("inspect", "-k", "-t", path).stdout, "\n")
        found = json.loads(self.done("inspect", "--json", path).stdout)
        self.assertEqual((found["keys"], found["tensors"], found["types"]), ({}, [], {}))

    def test_nothing_in_a_file_upsets_a_terminal(self):
        hostile = b"a\n\x1b[31m\xff\xc2\x9b\x07\"\\z"
        path = self.file("x.gguf", gguf(keys=[("general.name", 8, gguf_string(hostile))]))
        for options in ([], ["-k"], ["-t"], ["--json"]):
            text = self.done("inspect", *options, path, text=False).stdout
            self.assertNotRegex(text, rb"[\x00-\x09\x0b-\x1f\x7f\xff]")
            self.assertNotIn(b"\xc2\x9b", text)
        found = json.loads(self.done("inspect", "--json", path).stdout)
        self.assertEqual(found["keys"]["general.name"], "a\n\x1b[31m\ufffd\x9b\x07\"\\z")
        self.assertIn("Name            a\\n\\u001b[31m\\ufffd\\u009b\\u0007\"\\z\n", self.done("inspect", path).stdout)

    def test_path_that_is_no_text(self):
        odd = b"\xff\xc3\xa9\x01\"\\\n\xc2\x9b\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xf0\x9f\x98\x80\xe2\x82.gguf"
        path = os.path.join(os.fsencode(self.folder), odd)
        with open(path, "wb") as file:
            file.write(gguf())
        text = self.done("inspect", "--json", path, text=False).stdout
        self.assertNotRegex(text, rb"[\x00-\x09\x0b-\x1f\x7f]")
        bad = "\ufffd"
        self.assertTrue(json.loads(text)["path"].endswith(
            f"/{bad}\u00e9\x01\"\\\n\x9b{bad * 2}{bad * 3}{bad * 4}\U0001f600{bad * 2}.gguf"))
        shown = self.done("inspect", path, text=False).stdout
        self.assertIn(b'\xc3\xa9?"\\?', shown)

    def test_tokenizer(self):
        """A vocabulary of six tokens with a template that linn knows."""
        tokens = ["<unk>", "<s>", "</s>", "\u2581a", "\u2581", "a"]
        pack = lambda kind, code, items: struct.pack(f"<IQ{len(items)}{code}", kind, len(items), *items)
        path = self.file("x.gguf", gguf(keys=[
            ("tokenizer.ggml.model", 8, gguf_string("llama")),
            ("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 6) + b"".join(map(gguf_string, tokens))),
            ("tokenizer.ggml.scores", 9, pack(6, "f", [0, 0, 0, -1, -2, -3])),
            ("tokenizer.ggml.token_type", 9, pack(5, "i", [2, 3, 3, 1, 1, 1])),
            ("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 1)),
            ("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 2)),
            ("tokenizer.chat_template", 8, gguf_string("<|im_start|>user ..."))]))
        text = self.done("inspect", path).stdout
        self.assertIn('Vocabulary      6 tokens, llama\nBegin of text   1 "<s>"\nEnd of text     2 "</s>"\n'
                      "Chat template   chatml\n", text)

    def test_odd_values(self):
        """What a summary meets in files of other programs: numbers as arrays, or not there."""
        array = struct.pack("<IQ2I", 4, 2, 8, 4)
        path = self.file("x.gguf", gguf(keys=[
            ("general.architecture", 8, gguf_string("x")),
            ("x.attention.head_count", 9, array),
            ("x.embedding_length", 4, struct.pack("<I", 100)),
            ("tokenizer.ggml.model", 8, gguf_string("odd")),
            ("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 7)),
            ("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 1) + gguf_string("a")),
            ("tokenizer.chat_template", 8, gguf_string("{{ something else }}")),
            ("text", 8, gguf_string("\u00e9" * 1000))]))
        text = self.done("inspect", path).stdout
        self.assertIn("Heads           [8, 4] ([8, 4] for keys and values)\n", text)
        self.assertIn("Vocabulary      1 token, odd\n                linn cannot use it: ", text)
        self.assertIn("Begin of text   7\n", text)
        self.assertIn("Chat template   one that linn does not know\n", text)
        last = self.done("inspect", "-k", path).stdout.splitlines()[-1]
        self.assertRegex(last, r'^text = "\u00e9+ \.\.\. \(\d+ bytes more\)$')
        self.assertEqual(self.done("inspect", "--full", path).stdout.splitlines()[-1], 'text = "%s"' % ("\u00e9" * 1000))

    def test_bad_files(self):
        good = RILL.read_bytes()
        self.failed(["inspect", self.folder / "missing"], "missing: cannot open: No such file")
        self.failed(["inspect", self.folder], "is a directory, expected a file")
        self.failed(["inspect", self.file("empty")], "empty: is empty, expected a GGUF file")
        self.failed(["inspect", self.file("text", b"Hello")], "text: byte 0: not a GGUF file")
        self.failed(["inspect", self.file("cut", good[:-1])], "cut: tensor 'output_norm.weight'", "is it complete?")
        self.failed(["inspect", self.file("head", good[:1000])], "head: byte ", " more")
        self.failed(["inspect", self.file("big", b"GGUF\0\0\0\3" + good[8:])], "big-endian")
        self.failed(["inspect", ""], "cannot open")
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        self.failed(["inspect", fifo], "not a regular file")
        if os.geteuid():
            locked = self.file("locked", good)
            locked.chmod(0)
            self.failed(["inspect", locked], "Permission denied")

    def test_usage(self):
        self.misused(["inspect"], "missing operand")
        self.misused(["inspect", RILL, RILL], "one operand too many")
        self.misused(["inspect", "--json=x", RILL])

    def test_stdout(self):
        for options in ([], ["-k"], ["-t"], ["--json"]):
            self.full_disk("inspect", *options, RILL)
            self.closed_pipe("inspect", *options, RILL)


if __name__ == "__main__":
    unittest.main()
