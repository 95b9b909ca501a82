"""The training text and its split: what is trained on and what is held out.

A folder of text holds books.txt, textbooks.txt and math.txt, or the same with .xz.
Documents end with <|endoftext|>; chapters of a book are apart by a blank line.
README.md names the public sources. Held out, and seen by nothing that trains:

  books      three whole books
  textbooks  every 25th chapter of each
  math       every 25th question

so that no held-out passage has a neighbour in the training text.
"""
import lzma
import pathlib

END = "<|endoftext|>"
KINDS = ("books", "textbooks", "math")
HELD_BOOKS = (10, 43, 47)  # of 78: The Lost World, Peter and Wendy, Emma
EVERY = 25  # of chapters and questions


def read_documents(folder, kind):
    path = pathlib.Path(folder) / f"{kind}.txt"
    if path.exists():
        text = path.read_text(encoding="utf-8")
    elif path.with_suffix(".txt.xz").exists():
        with lzma.open(path.with_suffix(".txt.xz"), "rt", encoding="utf-8") as f:
            text = f.read()
    else:
        raise SystemExit(f"{path}: not found, nor with .xz; README.md says where the text comes from")
    documents = [d.strip("\n") for d in text.split(END) if d.strip()]
    if not documents:
        raise SystemExit(f"{path}: no text")
    return documents


def is_held(i):
    return i % EVERY == EVERY // 2


def split(kind, documents):
    """(training documents, held-out documents)"""
    if kind == "math":
        return ([d for i, d in enumerate(documents) if not is_held(i)],
                [d for i, d in enumerate(documents) if is_held(i)])
    if kind == "books":
        return ([d for i, d in enumerate(documents) if i not in HELD_BOOKS],
                [documents[i] for i in HELD_BOOKS if i < len(documents)])
    training, held = [], []
    for document in documents:
        chapters = document.split("\n\n")
        training.append("\n\n".join(c for i, c in enumerate(chapters) if not is_held(i)))
        held += [c for i, c in enumerate(chapters) if is_held(i)]
    return training, held


def load(folder, kind, share=1.0):
    """The split of a kind; a share below 1 keeps the first part of every document, for a trial run."""
    parts = split(kind, read_documents(folder, kind))
    if share < 1:
        parts = [d[:max(2000, int(share * len(d)))] for d in parts[0]], [d[:20000] for d in parts[1]]
        if kind == "math":
            parts = [p[:max(50, int(share * len(p)))] for p in parts]
    return parts
