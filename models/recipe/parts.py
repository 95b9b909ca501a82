#!/usr/bin/env python3
"""Cuts files into parts of a limited size and joins them again, for ways that take only small ones.

  parts.py cut FILE... --out DIR [--mib 16]     writes DIR/NAME.000, ... and DIR/SHA256SUMS
  parts.py join DIR --out DIR                   writes the files again and checks them
"""
import argparse
import hashlib
import pathlib


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cut(files, out, size):
    out.mkdir(parents=True, exist_ok=True)
    sums = []
    for path in map(pathlib.Path, files):
        data = path.read_bytes()
        sums.append(f"{sha256(path)}  {path.name}\n")
        for old in out.glob(f"{path.name}.[0-9][0-9][0-9]"):
            old.unlink()
        for i in range(max(1, -(-len(data) // size))):
            (out / f"{path.name}.{i:03}").write_bytes(data[i * size:(i + 1) * size])
    (out / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")


def join(folder, out):
    out.mkdir(parents=True, exist_ok=True)
    for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split()
        parts = sorted(folder.glob(f"{name}.[0-9][0-9][0-9]"))
        new = out / f"{name}.new"
        new.write_bytes(b"".join(part.read_bytes() for part in parts))
        if sha256(new) != digest:
            new.unlink()
            raise SystemExit(f"{folder / name}: a part of it is missing or damaged")
        new.replace(out / name)
        print(out / name)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command", choices=("cut", "join"))
    p.add_argument("files", nargs="+", metavar="FILE", help="files to cut, or the folder to join")
    p.add_argument("--out", required=True, type=pathlib.Path)
    p.add_argument("--mib", type=int, default=16, help="largest part (default: %(default)s)")
    a = p.parse_args()
    if a.command == "cut":
        cut(a.files, a.out, a.mib << 20)
    elif len(a.files) == 1:
        join(pathlib.Path(a.files[0]), a.out)
    else:
        p.error("join takes one folder")


if __name__ == "__main__":
    main()
