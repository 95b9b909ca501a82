#!/usr/bin/env python3
"""Distilled drafters against plainly trained ones: the table of the model card.

  compare.py --text TEXT --out OUT --linn PROGRAM      (half an hour of one core)

Three drafters of rill's shape from nothing, with as many tokens each: next-token training, KL to river
on the corpus, and KL to river with half of the text its own. river is the one that ships, and writes by
`linn run`. Judged (accept.py) after held-out text, OUT/held-out.md, and after what river
wrote itself, OUT/own.md. Finished steps are left out when it is called again.
"""
import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

import gguf
import tokenizer
import training
from text import END, KINDS

HERE = pathlib.Path(__file__).resolve().parent
SHAPE = ("--d 32 --layers 1 --heads 1 --kv-heads 1 --ffn 320 --lr 6e-3 --steps 4000 --batch-tokens 1024 "
         "--long-share 0.08 --threads 1 --evaluations 4").split()
WARMTH = (0, 0.7, 1, 1)  # temperatures of the text that is trained on, in turn


class Writer:
    """What river writes after token ids, by linn."""

    def __init__(self, linn, river):
        self.linn, self.river = linn, river
        self.tokens = gguf.read(river)[0]["tokenizer.ggml.tokens"]
        self.bytes = {c: bytes([b]) for b, c in enumerate(tokenizer.byte_characters())}

    def text(self, ids):
        parts = (b"\n" if self.tokens[i] == END else b"".join(self.bytes[c] for c in self.tokens[i]) for i in ids)
        return b"".join(parts).decode("utf-8", "ignore").replace("\0", "") or "The"

    def call(self, *words, **options):
        return json.loads(subprocess.run([self.linn, *map(str, words)], check=True, capture_output=True, **options).stdout)

    def write(self, ids, temperature, seed, n):
        """(ids of the prompt, ids written after it)"""
        prompt = self.text(ids)
        said = self.call("run", self.river, "-p", prompt, "-n", n, "--temp", temperature, "--top-k", 0, "--top-p", 1, "--min-p",
                         0, "--seed", seed, "--cascade", "off", "--no-profile", "-t", 1, "--json")
        return self.call("tokenize", self.river, "--jsonl", input=json.dumps(prompt).encode()), said["ids"]


def write_tokenizer(river, path):
    """tokenizer.json of a finished model."""
    meta = gguf.read(river)[0]
    tokens = meta["tokenizer.ggml.tokens"]
    path.write_text(json.dumps({
        "added_tokens": [{"id": len(tokens) - 1, "content": END, "special": True}],
        "model": {"vocab": {t: i for i, t in enumerate(tokens)}, "merges": meta["tokenizer.ggml.merges"]}}))


def write_training_text(writer, data, path, rows=600):
    end = len(writer.tokens) - 1
    prompts = data.batch(2, 0, rows, 31).tolist()
    ids = [[*sum(writer.write(p, WARMTH[i % 4], i, 960), []), end] for i, p in enumerate(prompts)]
    np.concatenate([np.array(row, np.uint16) for row in ids]).tofile(path)


def write_prompts(writer, data, folder, rows=200, length=128):
    """As held-out text, what river wrote after the beginning of each held-out prompt, at 0 and 1 in turn."""
    end = len(writer.tokens) - 1
    for kind in KINDS:
        texts = []
        for i, window in enumerate(data.valid(kind, rows, length - 1).tolist()):
            ids = sum(writer.write(window[:length // 2], i % 2, 900 + i, length), [])
            texts += ([end] * length + ids)[-length:]
        np.array(texts, np.uint16).tofile(folder / f"{kind}.valid.bin")


def recipe(*words, out=None):
    print("$", *words, flush=True)
    done = subprocess.run([sys.executable, HERE / words[0], *map(str, words[1:])], check=True, stdout=subprocess.PIPE if out else None)
    if out:
        out.write_bytes(done.stdout)


def train(a, name, *words):
    checkpoint, model = a.out / f"rill-{name}.pt", a.out / f"rill-{name}.gguf"
    if not model.exists():
        recipe(*words, "--data", a.data, "--out", checkpoint, *SHAPE)
        recipe("export.py", "--checkpoint", checkpoint, "--tokenizer", a.data / "tokenizer.json", "--out", model, "--name", "rill")
    return f"{a.river}:{model}"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--text", required=True, help="folder of books, textbooks and math")
    p.add_argument("--out", required=True, type=pathlib.Path)
    p.add_argument("--linn", required=True, help="the program")
    p.add_argument("--river", default=HERE.parent / "river.gguf")
    a = p.parse_args()
    a.data, own = a.out / "data", a.out / "own"
    for folder in a.data, own:
        folder.mkdir(parents=True, exist_ok=True)
    if not (a.data / "math.valid.bin").exists():
        write_tokenizer(a.river, a.data / "tokenizer.json")
        recipe("tokenizer.py", "encode", "--text", a.text, "--out", a.data)
    writer, data = Writer(a.linn, a.river), training.Data(a.data, 4.0)
    if not (a.data / "sampled.train.bin").exists():
        write_training_text(writer, data, a.data / "sampled.train.bin")
    if not (own / "math.valid.bin").exists():
        for kind in KINDS:
            (own / f"{kind}.train.bin").symlink_to((a.data / f"{kind}.train.bin").resolve())
        write_prompts(writer, data, own)
    distill = "distill.py", "--teacher", a.river, "--sampled-share"
    pairs = [f"{a.river}:{HERE.parent / 'rill.gguf'}", train(a, "plain", "train.py"), train(a, "corpus", *distill, 0),
             train(a, "sampled", *distill, 0.5)]
    for folder, name in (a.data, "held-out.md"), (own, "own.md"):
        recipe("accept.py", "--data", folder, "--threads", 1, *sum((["--pair", pair] for pair in pairs), []), out=a.out / name)
        print((a.out / name).read_text())


if __name__ == "__main__":
    main()
