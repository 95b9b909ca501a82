#!/usr/bin/env python3
"""Trains a drafter to give its target's distribution: KL(teacher || drafter) over the whole
vocabulary, at every position.

  distill.py --teacher river.gguf --data DATA --out brook.pt --steps 1500 --d 96 --layers 2 \\
             --heads 3 --kv-heads 1 --ffn 128

Half of the text is the corpus, half what the teacher wrote (sample.py). The training loss in the
log is the cross-entropy to the teacher: the KL and the teacher's entropy.
"""
import argparse

import torch
import torch.nn.functional as F

import model as llama
import training


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    training.add_arguments(p)
    llama.add_shape(p)
    p.add_argument("--teacher", required=True, help="the target (.gguf)")
    p.add_argument("--sampled-share", type=float, default=0.5,
                   help="part of the text that the teacher wrote (default: %(default)s)")
    p.add_argument("--from", dest="start", metavar="GGUF", help="start from this model")
    a = p.parse_args()
    device, cast = training.setup(a)
    teacher = llama.load_gguf(a.teacher, device)
    data = training.Data(a.data, a.math_weight, a.sampled_share)
    state = None
    if a.out.exists():
        model, state = llama.load(a.out, device)
    elif a.start:
        model = llama.load_gguf(a.start, device).train().requires_grad_(True)
    else:
        model = llama.Llama(llama.shape(a)).to(device)
    print(f"{a.out}: {model.size() / 1e6:.3f} M parameters, {model.c}", flush=True)
    fast, fast_teacher = training.compiled(model, device), training.compiled(teacher, device)

    def loss_of(ids):
        ids = ids[:, :-1]
        if device == "cpu":
            with torch.no_grad():
                h = teacher.hidden(ids).flatten(0, 1)
            q = lambda part: torch.softmax(teacher.logits(h[part]), -1)
            return training.TiedLoss.apply(model.hidden(ids).flatten(0, 1), model.embed.weight, q)
        with torch.no_grad():
            q = torch.softmax(fast_teacher(ids), -1)
        return F.cross_entropy(fast(ids).flatten(0, 1), q.flatten(0, 1))

    training.Run(a, model, data, device, cast, state).run(loss_of)


if __name__ == "__main__":
    main()
