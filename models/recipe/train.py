#!/usr/bin/env python3
"""Trains a model on the next token.

  train.py --data DATA --out river.pt --steps 2000

Called again, it goes on from river.pt. With --from FILE.gguf it starts from the weights of a
finished model (of the same tokenizer).
"""
import argparse

import torch.nn.functional as F

import model as llama
import training


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    training.add_arguments(p)
    llama.add_shape(p)
    p.add_argument("--from", dest="start", metavar="GGUF", help="start from this model")
    a = p.parse_args()
    device, cast = training.setup(a)
    data = training.Data(a.data, a.math_weight)
    state = None
    if a.out.exists():
        model, state = llama.load(a.out, device)
    elif a.start:
        model = llama.load_gguf(a.start, device).train().requires_grad_(True)
    else:
        model = llama.Llama(llama.shape(a)).to(device)
    print(f"{a.out}: {model.size() / 1e6:.3f} M parameters, {model.c}", flush=True)
    fast = training.compiled(model, device)

    def loss_of(ids):
        if device == "cpu":
            h = model.hidden(ids[:, :-1]).flatten(0, 1)
            return training.TiedLoss.apply(h, model.embed.weight, ids[:, 1:].flatten())
        return F.cross_entropy(fast(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())

    training.Run(a, model, data, device, cast, state).run(loss_of)


if __name__ == "__main__":
    main()
