#!/usr/bin/env python3
"""linn beside ik_llama.cpp or llama.cpp on the same file: the tables of docs/performance.md.

  compare.py FOLDER MODEL.gguf [--linn PROGRAM] [--cpu avx2|avx512] [--build FOLDER] [-t THREADS]
             [--rounds N] [--context N] [--kv f16|q8_0] [--no-repack]

FOLDER is a built copy of github.com/ikawrakow/ik_llama.cpp:

  cmake -B build -DGGML_NATIVE=ON && cmake --build build --target llama

  cmake -B build-avx2 -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON && cmake --build build-avx2 --target llama

the second for `--cpu avx2 --build build-avx2`; or a folder with llama.cpp as the npm package node-llama-cpp ships it,
built for each kind of processor:

  npm init -y && npm install --ignore-scripts node-llama-cpp

The two take turns, a process each; both load, read 512 tokens, and time passes of 1 to 32 tokens after the context.
Printed are medians over the rounds, minima in brackets, and the ratio of the medians (linn over the peer). ik_llama.cpp
repacks its weights at load; --no-repack maps the file instead. llama.cpp decides by itself.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
WIDTHS = (1, 2, 4, 8, 16, 32)


def build_ik(ik, folder, out):
    libraries = [next(ik.glob(f"{folder}/**/lib{name}.so")) for name in ("llama", "ggml")]
    subprocess.run(["c++", "-O2", "-std=c++17", HERE / "ik_time.cpp", "-I", ik / "include", "-I", ik / "ggml/include",
                    *libraries, *(f"-Wl,-rpath,{library.parent}" for library in libraries), "-o", out], check=True)


def peer(command, a):
    done = subprocess.run([*command, a.model, str(a.threads), str(a.context), a.kv, str(int(not a.no_repack)), "3",
                           *map(str, WIDTHS)], check=True, capture_output=True, text=True)
    return dict(map(str.split, done.stdout.splitlines()))


def linn(a):
    environment = {**os.environ, **({"LINN_CPU": a.cpu} if a.cpu else {})}

    def bench(what, *options):
        done = subprocess.run([a.linn, "bench", what, a.model, "-t", str(a.threads), "--kv", a.kv, "--rounds", "3", "--json",
                               *options], env=environment, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)
    speed = bench("speed", "--prompt", "512", "--contexts", "64")
    width = bench("width", "--context", str(a.context), "--widths", ",".join(map(str, WIDTHS)))
    times = {"load": speed["load_ms"]["median"], "prompt512": speed["prompt"]["ms"]["median"]}
    times.update((f"pass{w['tokens']}", w["ms"]["median"]) for w in width["widths"])
    return times


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("model")
    p.add_argument("--linn", default=HERE.parents[1] / "build-release/src/cli/linn")
    p.add_argument("--cpu", help="instruction set of linn (default: the best)")
    p.add_argument("--build", default="build", help="folder in FOLDER to which ik_llama.cpp was built")
    p.add_argument("-t", "--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--context", type=int, default=128)
    p.add_argument("--kv", choices=("f16", "q8_0"), default="f16")
    p.add_argument("--no-repack", action="store_true")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if (a.folder / "node_modules/node-llama-cpp").exists():
            name, command = "llama.cpp", ["node", HERE / "llama_time.mjs", a.folder]
        else:
            name, command = "ik_llama.cpp", [pathlib.Path(scratch) / "ik_time"]
            build_ik(a.folder, a.build, command[0])
        rounds = []
        for i in range(a.rounds + 1):  # the first brings the file into memory, and does not count
            print(f"round {i} of {a.rounds}", file=sys.stderr)
            rounds.append((linn(a), peer(command, a)))
    print(f"{'':10}{'linn, ms':>20}{name + ', ms':>20}{'ratio':>8}")
    for row in rounds[0][0]:
        sides = [[float(r[side][row]) for r in rounds[1:]] for side in (0, 1)]
        medians = [statistics.median(times) for times in sides]
        cells = "".join(f"{f'{m:.2f} ({min(times):.2f})':>20}" for m, times in zip(medians, sides))
        print(f"{row:10}{cells}{medians[0] / medians[1]:8.2f}")


if __name__ == "__main__":
    main()
