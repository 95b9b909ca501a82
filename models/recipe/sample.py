#!/usr/bin/env python3
"""Text that a model writes itself, for its drafters to be trained on.

  sample.py --model river.gguf --data DATA --rows 512      writes DATA/sampled.train.bin

A drafter in use meets what its target writes, which is not what people wrote. Each row goes on
from a short piece of training text, at one of several temperatures in turn (0: the most likely
token, and the loops that small models fall into then); <|endoftext|> follows each row.
"""
import argparse
import os
import pathlib

import numpy as np
import torch

import model as llama
import training


@torch.no_grad()
def write(model, prompts, temperature, length, generator):
    """Goes on from prompts [n, T] to [n, length]; temperature [n, 1]."""
    ids, cache, start = prompts, {}, 0
    while ids.shape[1] < length:
        z = model.logits(model.hidden(ids[:, start:], cache, start)[:, -1])
        start = ids.shape[1]
        u = torch.rand(z.shape, generator=generator, device=z.device).clamp_(1e-20, 1 - 2 ** -24)
        token = (z - temperature * (-u.log()).log()).argmax(-1, keepdim=True)  # Gumbel noise
        ids = torch.cat((ids, token), 1)
    return ids


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, help="the teacher (.gguf)")
    p.add_argument("--data", required=True, type=pathlib.Path)
    p.add_argument("--rows", type=int, default=256, help="texts (default: %(default)s)")
    p.add_argument("--length", type=int, default=1024, help="tokens of each (default: %(default)s)")
    p.add_argument("--prompt", type=int, default=32, help="tokens of its beginning (default: %(default)s)")
    p.add_argument("--temperatures", default="0,0.7,1", help="in turn (default: %(default)s)")
    p.add_argument("--math-weight", type=float, default=4.0, help="as in training (default: %(default)s)")
    p.add_argument("--at-once", type=int, default=64, help="rows in memory (default: %(default)s)")
    p.add_argument("--seed", type=int, default=2)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    a = p.parse_args()
    device, _ = training.setup(a)
    model = llama.load_gguf(a.model, device)
    data = training.Data(a.data, a.math_weight)
    warmth = [float(t) for t in a.temperatures.split(",")]
    generator = torch.Generator(device).manual_seed(a.seed)
    rows = []
    for first in range(0, a.rows, a.at_once):
        n = min(a.at_once, a.rows - first)
        prompts = data.batch(a.seed, first, n, a.prompt - 1).to(device)
        temperature = torch.tensor([[warmth[(first + i) % len(warmth)]] for i in range(n)], device=device)
        rows.append(write(model, prompts, temperature, min(a.length, model.c.ctx), generator).cpu())
        print(f"{first + n} of {a.rows} texts", flush=True)
    ids = torch.cat(rows).numpy().astype(np.uint16)
    ids = np.concatenate((ids, np.full((len(ids), 1), model.c.vocab - 1, np.uint16)), 1)
    path = a.data / "sampled.train.bin"
    ids.tofile(path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)
    print(f"{path}: {ids.size} tokens")


if __name__ == "__main__":
    main()
