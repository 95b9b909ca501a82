#!/usr/bin/env python3
"""A byte-level BPE trained on the training text, and the text as token ids.

  tokenizer.py train  --text DIR --out DIR     writes OUT/tokenizer.json
  tokenizer.py encode --text DIR --out DIR     writes OUT/KIND.train.bin and OUT/KIND.valid.bin

The bytes are written as in GPT-2, the text is cut as qwen2 does it (single digits, which help
with numbers), so the models load wherever those are known. The .bin files are uint16 ids, each
document followed by <|endoftext|>, the last id. The same text gives the same tokenizer.
"""
import argparse
import collections
import heapq
import json
import multiprocessing
import os
import pathlib
import random

import numpy as np
import regex

import text

# Contractions in character classes: (?i:'s) would also take the long s, U+017F.
PATTERN = (r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
           r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CUT = regex.compile(PATTERN)


def byte_characters():
    """GPT-2's printable character for each of the 256 bytes."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(others)) for b in range(256)]


# ---- training -----------------------------------------------------------------------------


def count_words(document):
    return collections.Counter(CUT.findall(document))


def sample(folder, share, megabytes):
    """The small kinds whole, then random paragraphs of the books up to the size."""
    parts, rng = [], random.Random(1)
    for kind in reversed(text.KINDS):
        training, _ = text.load(folder, kind, share)
        room = megabytes * 1e6 - sum(map(len, parts))
        size = sum(map(len, training))
        if size > room:
            lines = [line for document in training for line in document.split("\n")]
            training = ["\n".join(line for line in lines if rng.random() < room / size)]
        parts += training
    return parts


def apply_merge(word, pair, new):
    out, i = [], 0
    while i < len(word):
        if tuple(word[i:i + 2]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


def learn_merges(counts, n_merges):
    """The most frequent pair of neighbours becomes a token, n_merges times; of equals the lower
    ids. Returns the pairs; ids 0..255 are the bytes."""
    words, weight = [list(w.encode()) for w in counts], list(counts.values())
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pairs[pair] += weight[i]
            where[pair].add(i)
    heap = [(-n, pair) for pair, n in pairs.items()]  # entries go stale: they count if still true
    heapq.heapify(heap)
    merges = []
    while len(merges) < n_merges:
        if not heap:
            raise SystemExit(f"the text is too short: it gives {len(merges)} of {n_merges} merges")
        n, pair = heapq.heappop(heap)
        if -n != pairs.get(pair, 0):
            continue
        new, changed = 256 + len(merges), set()
        merges.append(pair)
        for i in where.pop(pair):
            out = apply_merge(words[i], pair, new)
            if len(out) == len(words[i]):
                continue  # an earlier merge took the pair out of this word
            for p in zip(words[i], words[i][1:]):
                pairs[p] -= weight[i]
                changed.add(p)
            for p in zip(out, out[1:]):
                pairs[p] += weight[i]
                where[p].add(i)
                changed.add(p)
            words[i] = out
        for p in changed:
            if pairs[p] > 0:
                heapq.heappush(heap, (-pairs[p], p))
            else:
                del pairs[p]
    return merges


def train(a):
    counts = collections.Counter()
    with multiprocessing.Pool(a.processes) as pool:
        for c in pool.imap(count_words, sample(a.text, a.share, a.sample_mb), chunksize=16):
            counts.update(c)
    merges = learn_merges(counts, a.vocab - 256 - 1)
    tokens, lines = byte_characters(), []
    for left, right in merges:
        lines.append(f"{tokens[left]} {tokens[right]}")
        tokens.append(tokens[left] + tokens[right])
    tokens.append(text.END)
    out = {"version": "1.0",
           "added_tokens": [{"id": a.vocab - 1, "content": text.END, "special": True}],
           "pre_tokenizer": {"type": "Split", "pattern": {"Regex": PATTERN}},
           "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(tokens)}, "merges": lines}}
    a.out.mkdir(parents=True, exist_ok=True)
    path = a.out / "tokenizer.json"
    path.write_text(json.dumps(out, ensure_ascii=False, indent=0), encoding="utf-8")
    print(f"{path}: {len(merges)} merges from {len(counts)} different words")


# ---- encoding -----------------------------------------------------------------------------


class Tokenizer:
    def __init__(self, path):
        model = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["model"]
        self.vocab = model["vocab"]
        self.end = self.vocab[text.END]
        self.rank = {tuple(m.split(" ")): i for i, m in enumerate(model["merges"])}
        self.characters = byte_characters()
        self.known = {}

    def word(self, word):
        parts = [self.characters[b] for b in word.encode()]
        while len(parts) > 1:
            rank, i = min((self.rank.get(pair, len(self.rank)), i)
                          for i, pair in enumerate(zip(parts, parts[1:])))
            if rank == len(self.rank):
                break
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
        return [self.vocab[p] for p in parts]

    def encode(self, document):
        ids = []
        for word in CUT.findall(document):
            if word not in self.known:
                self.known[word] = self.word(word)
            ids += self.known[word]
        return ids


def start_worker(path):
    global worker
    worker = Tokenizer(path)


def encode_document(document):
    return np.array(worker.encode(document) + [worker.end], np.uint16)


def encode(a):
    with multiprocessing.Pool(a.processes, start_worker, (a.out / "tokenizer.json",)) as pool:
        for kind in text.KINDS:
            for part, documents in zip(("train", "valid"), text.load(a.text, kind, a.share)):
                step = max(1, min(64, len(documents) // 64))
                ids = np.concatenate(list(pool.imap(encode_document, documents, chunksize=step)))
                path = a.out / f"{kind}.{part}.bin"
                ids.tofile(path)
                size = sum(len(d.encode()) for d in documents)
                print(f"{path}: {len(documents)} documents, {len(ids)} tokens, "
                      f"{size / len(ids):.2f} bytes a token")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command", choices=("train", "encode"))
    p.add_argument("--text", required=True, help="folder of books, textbooks and math")
    p.add_argument("--out", required=True, type=pathlib.Path)
    p.add_argument("--vocab", type=int, default=8192, help="tokens (default: %(default)s)")
    p.add_argument("--sample-mb", type=float, default=25,
                   help="text that the tokenizer is trained on (default: %(default)s)")
    p.add_argument("--share", type=float, default=1.0, help="part of the text to use (default: all)")
    p.add_argument("--processes", type=int, default=os.cpu_count())
    a = p.parse_args()
    if not 257 < a.vocab <= 65536:
        p.error("--vocab: must be from 258 to 65536")
    (train if a.command == "train" else encode)(a)


if __name__ == "__main__":
    main()
