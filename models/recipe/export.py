#!/usr/bin/env python3
"""Writes the best weights of a checkpoint as GGUF v3, architecture llama.

  export.py --checkpoint river.pt --tokenizer DATA/tokenizer.json --out river.gguf --name river
"""
import argparse
import json
import pathlib

import gguf
import model as llama
from text import KINDS

SOURCES = [
    "https://standardebooks.org (public domain books, CC0 1.0)",
    "https://openstax.org (textbooks by OpenStax, Rice University, CC BY 4.0)",
    "https://github.com/openai/grade-school-math (GSM8K training questions, MIT)",
]


def metadata(c, tokenizer, best, a):
    vocab = tokenizer["model"]["vocab"]
    tokens = sorted(vocab, key=vocab.get)
    special = {t["id"] for t in tokenizer["added_tokens"]}
    end = max(special)
    g, n, s, b, f = gguf.STRING, gguf.U32, gguf.STRING, gguf.BOOL, gguf.F32
    return [
        ("general.architecture", g, "llama"),
        ("general.name", g, a.name),
        ("general.author", g, "the linn project"),
        ("general.license", g, a.license),
        ("general.description", g, a.description),
        ("general.datasets", g, SOURCES),
        ("general.file_type", n, 7),  # mostly Q8_0
        ("general.quantization_version", n, 2),
        ("general.alignment", n, gguf.ALIGN),
        ("linn.training.tokens", gguf.U64, best["tokens"]),
        ("linn.training.steps", n, best["step"]),
        *((f"linn.held_out_loss.{kind}", f, best["loss"][kind]) for kind in KINDS),
        ("llama.vocab_size", n, c.vocab),
        ("llama.context_length", n, c.ctx),
        ("llama.embedding_length", n, c.d),
        ("llama.block_count", n, c.layers),
        ("llama.feed_forward_length", n, c.ffn),
        ("llama.attention.head_count", n, c.heads),
        ("llama.attention.head_count_kv", n, c.kv_heads),
        ("llama.attention.key_length", n, c.head_dim),
        ("llama.attention.value_length", n, c.head_dim),
        ("llama.attention.layer_norm_rms_epsilon", f, c.eps),
        ("llama.rope.dimension_count", n, c.head_dim),
        ("llama.rope.freq_base", f, c.theta),
        ("tokenizer.ggml.model", s, "gpt2"),
        ("tokenizer.ggml.pre", s, "qwen2"),
        ("tokenizer.ggml.tokens", s, tokens),
        ("tokenizer.ggml.token_type", gguf.I32, [3 if i in special else 1 for i in range(len(tokens))]),
        ("tokenizer.ggml.merges", s, tokenizer["model"]["merges"]),
        ("tokenizer.ggml.eos_token_id", n, end),
        ("tokenizer.ggml.bos_token_id", n, end),
        ("tokenizer.ggml.padding_token_id", n, end),
        ("tokenizer.ggml.add_bos_token", b, False),
    ]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--tokenizer", required=True, type=pathlib.Path)
    p.add_argument("--out", required=True)
    p.add_argument("--name", required=True)
    p.add_argument("--license", default="cc-by-4.0")
    p.add_argument("--description", default="A small model of English prose, textbooks and school maths, "
                   "trained from scratch to demonstrate cascades of drafters. Not an assistant.")
    a = p.parse_args()
    model, state = llama.load(a.checkpoint)
    best = state["best"]
    if best is None:
        raise SystemExit(f"{a.checkpoint}: not evaluated yet; let the training go on")
    model.load_state_dict(best["model"])
    tokenizer = json.loads(a.tokenizer.read_text(encoding="utf-8"))
    if len(tokenizer["model"]["vocab"]) != model.c.vocab:
        raise SystemExit(f"{a.tokenizer}: does not have the model's {model.c.vocab} tokens")
    tensors = [(name, p.detach().float().numpy()) for name, p in model.named_tensors()]
    size = gguf.write(a.out, metadata(model.c, tokenizer, best, a), tensors)
    print(f"{a.out}: {model.size() / 1e6:.3f} M parameters, {size} bytes, step {best['step']}")


if __name__ == "__main__":
    main()
