"""What train.py and distill.py share: data, schedule, evaluation, log and checkpoints.

On a GPU: bfloat16 autocast, compiled models, fused AdamW. On a CPU: float32, and a loss that
never holds all logits. Data depend on (seed, step) only, so a stopped run that is called again
goes on with what it would have seen.
"""
import contextlib
import csv
import ctypes
import inspect
import math
import os
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F

import model as llama
from text import KINDS


def add_arguments(p):
    p.add_argument("--data", required=True, help="folder of KIND.train.bin and KIND.valid.bin")
    p.add_argument("--out", required=True, type=pathlib.Path,
                   help="checkpoint (.pt); a run goes on from it; the log has the same name with .csv")
    p.add_argument("--steps", type=int, default=0, help="length of the run, repeatable")
    p.add_argument("--minutes", type=float, default=0, help="or its time; the schedule follows the clock")
    p.add_argument("--batch-tokens", type=int, default=4096, help="tokens a step (default: %(default)s)")
    p.add_argument("--context", type=int, default=256, help="of most of the run (default: %(default)s)")
    p.add_argument("--long-context", type=int, default=1024, help="of its last part (default: %(default)s)")
    p.add_argument("--long-share", type=float, default=0.1, help="that part (default: %(default)s)")
    p.add_argument("--lr", type=float, default=3e-3, help="highest learning rate (default: %(default)s)")
    p.add_argument("--warmup", type=float, default=0.02, help="part of the run (default: %(default)s)")
    p.add_argument("--decay", type=float, default=0.1, help="weight decay of matrices (default: %(default)s)")
    p.add_argument("--clip", type=float, default=1.0, help="norm of gradients (default: %(default)s)")
    p.add_argument("--math-weight", type=float, default=4.0,
                   help="maths is seen this much more often than its size says (default: %(default)s)")
    p.add_argument("--evaluations", type=int, default=20, help="over the run (default: %(default)s)")
    p.add_argument("--patience", type=int, default=0,
                   help="stop after so many evaluations without a better held-out loss (default: never)")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=os.cpu_count())


def setup(a):
    """(device, autocast for the forward pass)"""
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
        return "cuda", torch.autocast("cuda", torch.bfloat16)
    with contextlib.suppress(OSError, AttributeError):
        # glibc: keep freed memory (M_MMAP_MAX, M_TRIM_THRESHOLD): page faults cost a quarter of a step
        ctypes.CDLL(None).mallopt(-4, 0)
        ctypes.CDLL(None).mallopt(-1, 2 ** 31 - 1)
    return "cpu", contextlib.nullcontext()


def compiled(model, device):
    return torch.compile(model) if device == "cuda" and hasattr(torch, "compile") else model


class TiedLoss(torch.autograd.Function):
    """The mean loss of softmax(h E^T) on a CPU, in chunks of rows that stay in the cache.

    h [n, d], E [vocab, d]. The target is n ids (cross-entropy), or a function from a slice of rows
    to a distribution q [rows, vocab] (cross-entropy to q: KL(q || p) and the entropy of q). The
    gradients (p - q) E / n and (p - q)^T h / n are made on the way, so that nothing of size
    n x vocab is ever held.
    """

    @staticmethod
    def forward(ctx, h, E, target, rows=512):
        n = h.shape[0]
        dh, dE, total = torch.empty_like(h), torch.zeros_like(E), 0.0
        buffer = torch.empty(min(rows, n), E.shape[0])
        for i in range(0, n, rows):
            part = slice(i, min(n, i + rows))
            x, t = h[part], target(part) if callable(target) else target[part]
            p = torch.mm(x, E.t(), out=buffer[:len(x)])
            p.sub_(p.amax(-1, keepdim=True))
            gold = p.gather(1, t[:, None])[:, 0] if t.dim() == 1 else (p * t).sum(-1)
            s = p.exp_().sum(-1)
            total += (s.log() - gold).sum().item()
            p.mul_((1 / s)[:, None])
            if t.dim() == 1:
                p.scatter_add_(1, t[:, None], torch.full((len(x), 1), -1.0))
            else:
                p.sub_(t)
            torch.mm(p, E, out=dh[part])
            dE.addmm_(p.t(), x)
        ctx.save_for_backward(dh, dE)
        ctx.n = n
        return torch.tensor(total / n)

    @staticmethod
    def backward(ctx, g):
        dh, dE = ctx.saved_tensors
        return dh * (g / ctx.n), dE * (g / ctx.n), None, None


class Data:
    """Random windows of the training text, fixed windows of the held-out text.

    With a sampled share, that part of the windows comes from sampled.train.bin (sample.py).
    """

    def __init__(self, folder, math_weight, sampled_share=0.0):
        self.folder = pathlib.Path(folder)
        self.kinds = [*KINDS] + ["sampled"] * (sampled_share > 0)
        self.training = [self.read(k, "train") for k in self.kinds]
        size = np.array([len(b) * (math_weight if k == "math" else 1.0)
                         for k, b in zip(KINDS, self.training)])
        self.share = (1 - sampled_share) * size / size.sum()
        if sampled_share > 0:
            self.share = np.append(self.share, sampled_share)
        self.held = {k: self.read(k, "valid") for k in KINDS}

    def read(self, kind, part):
        path = self.folder / f"{kind}.{part}.bin"
        if not path.exists():
            raise SystemExit(f"{path}: not found; tokenizer.py encode makes it (sampled: sample.py)")
        return np.memmap(path, np.uint16, "r")

    def batch(self, seed, step, rows, context):
        """ids [rows, context + 1]"""
        rng = np.random.default_rng((seed, step))
        out = np.empty((rows, context + 1), np.int64)
        for r, k in enumerate(rng.choice(len(self.kinds), rows, p=self.share)):
            ids = self.training[k]
            i = rng.integers(0, len(ids) - context)
            out[r] = ids[i:i + context + 1]
        return torch.from_numpy(out)

    def valid(self, kind, rows, context):
        ids = self.held[kind]
        starts = np.linspace(0, len(ids) - context - 1, rows).astype(np.int64)
        return torch.from_numpy(np.stack([ids[i:i + context + 1] for i in starts]).astype(np.int64))


@torch.no_grad()
def evaluate(model, data, device, cast, context, tokens=8192):
    """Mean cross-entropy of each kind on held-out windows, in nats a token."""
    loss = {}
    for kind in KINDS:
        windows = data.valid(kind, max(1, tokens // context), context)
        total = 0.0
        for part in windows.to(device).split(max(1, 2048 // context)):
            with cast:
                logits = model(part[:, :-1])
            total += len(part) * F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten()).item()
        loss[kind] = total / len(windows)
    return loss


def optimizer(model, a, device):
    matrices = [p for p in model.parameters() if p.dim() == 2]
    norms = [p for p in model.parameters() if p.dim() < 2]
    fused = device == "cuda" and "fused" in inspect.signature(torch.optim.AdamW).parameters
    return torch.optim.AdamW([{"params": matrices, "weight_decay": a.decay},
                              {"params": norms, "weight_decay": 0.0}],
                             lr=a.lr, betas=(0.9, 0.95), eps=1e-8, **({"fused": True} if fused else {}))


class Run:
    """A training run; train.py and distill.py only bring the loss.

    Progress goes from 0 to 1 with the steps or the clock. The learning rate (warm-up, then a
    cosine to a twentieth) and the context follow it, so a run by the clock ends its schedule in
    time on any machine. The checkpoint holds the state to go on from, and the weights that were
    best on held-out text at the long context or, before that part of the run, at the short one.
    """

    COLUMNS = ("step", "tokens", "minutes", "lr", "train", "context", *KINDS, "tokens_per_s")

    def __init__(self, a, model, data, device, cast, state=None):
        if not (a.steps or a.minutes):
            raise SystemExit("give --steps or --minutes")
        if max(a.context, a.long_context) > model.c.ctx:
            raise SystemExit("--max-ctx is shorter than the contexts trained")
        self.a, self.model, self.data, self.device, self.cast = a, model, data, device, cast
        self.optimizer = optimizer(model, a, device)
        self.step = self.tokens = self.elapsed = self.evaluations = self.worse = 0
        self.best = None
        if state:
            self.optimizer.load_state_dict(state.pop("optimizer"))
            for name, value in state.items():
                setattr(self, name, value)

    def progress(self):
        a = self.a
        return max(self.elapsed / (60 * a.minutes) if a.minutes else 0, self.step / a.steps if a.steps else 0)

    def rate(self, t):
        a = self.a
        if t < a.warmup:
            return a.lr * (t / a.warmup + 1e-3)
        return a.lr * (0.05 + 0.475 * (1 + math.cos(math.pi * min(1, (t - a.warmup) / (1 - a.warmup)))))

    def is_long(self, t):
        return t >= 1 - self.a.long_share

    def checkpoint(self):
        llama.save(self.a.out, self.model, optimizer=self.optimizer.state_dict(), step=self.step,
                   tokens=self.tokens, elapsed=self.elapsed, evaluations=self.evaluations,
                   worse=self.worse, best=self.best)

    def evaluate(self, train_loss, speed):
        context = self.a.long_context if self.is_long(self.progress()) else self.a.context
        self.model.eval()
        loss = evaluate(self.model, self.data, self.device, self.cast, context)
        self.model.train()
        mean = sum(loss.values()) / len(loss)
        if self.best is None or context > self.best["context"] or mean < self.best["mean"]:
            weights = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            self.best = {"mean": mean, "loss": loss, "context": context, "step": self.step,
                         "tokens": self.tokens, "model": weights}
            self.worse = 0
        else:
            self.worse += 1
        row = [self.step, self.tokens, f"{self.elapsed / 60:.2f}", f"{self.rate(self.progress()):.2e}",
               f"{train_loss:.4f}", context, *(f"{loss[k]:.4f}" for k in KINDS), f"{speed:.0f}"]
        path = self.a.out.with_suffix(".csv")
        first = self.evaluations == 0
        with open(path, "w" if first else "a", newline="", encoding="utf-8") as f:
            csv.writer(f).writerows([self.COLUMNS, row] if first else [row])
        self.evaluations += 1
        print(" ".join(f"{name}={x}" for name, x in zip(self.COLUMNS, row)), flush=True)

    def one_step(self, loss_of):
        a, t = self.a, self.progress()
        context = a.long_context if self.is_long(t) else a.context
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(t)
        ids = self.data.batch(a.seed, self.step, max(1, a.batch_tokens // context), context).to(self.device)
        with self.cast:
            loss = loss_of(ids)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), a.clip)
        self.optimizer.step()
        self.step += 1
        self.tokens += ids.shape[0] * context
        return loss.item()

    def finished(self):
        return self.progress() >= 1 or (self.a.patience and self.worse >= self.a.patience)

    def run(self, loss_of):
        """loss_of(ids [rows, context + 1]) is the scalar to make small."""
        if self.finished():
            print(f"{self.a.out}: finished before, at step {self.step}")
            return
        begin, before = time.time(), self.elapsed
        since, tokens, mean = begin, self.tokens, None
        while not self.finished():
            loss = self.one_step(loss_of)
            mean = loss if mean is None else 0.98 * mean + 0.02 * loss
            self.elapsed = before + time.time() - begin
            if self.progress() >= min(1, (self.evaluations + 1) / self.a.evaluations):
                speed = (self.tokens - tokens) / (time.time() - since)
                self.evaluate(mean, speed)
                self.checkpoint()
                since, tokens = time.time(), self.tokens
