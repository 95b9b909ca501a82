"""Runs `linn logits`, and measures how far two sets of logits are apart."""
import array
import math
import os
import subprocess
from dataclasses import dataclass

LINN = os.environ["REF_LINN"]


def linn_logits(model, ids, *options):
    """Rows of logits."""
    words = [LINN, "logits", str(model), "--ids", ",".join(map(str, ids)), *options]
    done = subprocess.run(words, capture_output=True, check=False, timeout=300)
    if done.returncode:
        raise AssertionError(f"{' '.join(words)}\n{done.stderr.decode()}")
    flat = array.array("f", done.stdout)
    width = len(flat) // len(ids)
    return [flat[i:i + width] for i in range(0, len(flat), width)]


@dataclass
class Distance:
    """Of b from a; max and rms over the standard deviation of a."""
    max: float
    rms: float
    kl: float  # mean over rows, nats


def log_softmax(row):
    top = max(row)
    total = top + math.log(sum(math.exp(x - top) for x in row))
    return [x - total for x in row]


def distance(a, b):
    if [len(r) for r in a] != [len(r) for r in b]:
        raise AssertionError("not of the same shape")
    flat = [x for row in a for x in row]
    mean = sum(flat) / len(flat)
    std = math.sqrt(sum((x - mean) ** 2 for x in flat) / len(flat))
    differences = [y - x for row_a, row_b in zip(a, b) for x, y in zip(row_a, row_b)]
    if not all(map(math.isfinite, differences)):
        raise AssertionError("not finite")
    kl = 0
    for row_a, row_b in zip(a, b):
        p, q = log_softmax(row_a), log_softmax(row_b)
        kl += sum(math.exp(x) * (x - y) for x, y in zip(p, q))
    return Distance(max(map(abs, differences)) / std,
                    math.sqrt(sum(d * d for d in differences) / len(differences)) / std, kl / len(a))
