#!/usr/bin/env python3
"""How often a reviewer accepts what a drafter drafts, on held-out text, as a table.

  accept.py --data DATA --pair river.gguf:brook.gguf --pair brook.gguf:rill.gguf

A prompt is a window of held-out text. The drafter writes a few tokens after it; the reviewer
chooses its own at each place, given the draft so far; a draft token is accepted when the two are
equal. A rate is that of a position among the prompts where all before it were accepted, with
their number in brackets. greedy: both take the most likely token. coupled: temperature 1, both
take argmax(logits + g) with the same Gumbel noise g (Daliri, Musco and Suresh 2024).
"""
import argparse
import os
import pathlib

import torch

import model as llama
import training
from text import KINDS


@torch.no_grad()
def accepted(reviewer, drafter, prompts, noise):
    """prompts [n, T], noise [n, K, vocab] to [n, K]: true where all positions so far were accepted."""
    T, ids = prompts.shape[1], prompts
    for i in range(noise.shape[1]):
        q = drafter.logits(drafter.hidden(ids)[:, -1])
        ids = torch.cat((ids, (q + noise[:, i]).argmax(-1, keepdim=True)), 1)
    p = reviewer.logits(reviewer.hidden(ids[:, :-1])[:, T - 1:])
    same = (p + noise).argmax(-1) == ids[:, T:]
    return same.cumprod(1).bool()


def measure(reviewer, drafter, data, kind, coupled, a, device):
    generator = torch.Generator().manual_seed(a.seed)
    parts = []
    for x in data.valid(kind, a.prompts, a.length - 1).split(50):
        noise = torch.zeros(len(x), a.positions, reviewer.c.vocab)
        if coupled:
            noise = -noise.exponential_(generator=generator).log()
        parts.append(accepted(reviewer, drafter, x.to(device), noise.to(device)).cpu())
    return torch.cat(parts)


def row(names, choice, kind, ok):
    before = torch.cat((torch.ones(len(ok), 1), ok[:, :-1].float()), 1).sum(0).int().tolist()
    rates = [f"{n / b:.3f} ({b})" if b else "-" for n, b in zip(ok.sum(0).tolist(), before)]
    print(f"| {names} | {choice} | {kind} | {' | '.join(rates)} | {ok.float().sum(1).mean():.2f} |", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--pair", action="append", required=True, help="REVIEWER.gguf:DRAFTER.gguf, repeatable")
    p.add_argument("--prompts", type=int, default=200, help="of each kind (default: %(default)s)")
    p.add_argument("--length", type=int, default=128, help="tokens of a prompt (default: %(default)s)")
    p.add_argument("--positions", type=int, default=4, help="tokens of a draft (default: %(default)s)")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    a = p.parse_args()
    device, _ = training.setup(a)
    data = training.Data(a.data, 1.0)
    positions = " | ".join(str(i + 1) for i in range(a.positions))
    print(f"| reviewer, drafter | choice | text | {positions} | mean of {a.positions} |")
    print("| --- " * (a.positions + 4) + "|")
    for pair in a.pair:
        paths = pair.split(":")
        names = ", ".join(pathlib.Path(path).stem for path in paths)
        reviewer, drafter = (llama.load_gguf(path, device) for path in paths)
        for choice in ("greedy", "coupled"):
            kinds = {k: measure(reviewer, drafter, data, k, choice == "coupled", a, device) for k in KINDS}
            for kind, ok in {**kinds, "all": torch.cat(list(kinds.values()))}.items():
                row(names, choice, kind, ok)


if __name__ == "__main__":
    main()
