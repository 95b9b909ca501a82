#!/usr/bin/env python3
"""Draws the held-out loss of a training log (needs gnuplot).

  curve.py river.csv --out loss.svg
"""
import argparse
import pathlib
import subprocess

SCRIPT = """
set terminal svg size 800,440 font "sans-serif,13" background "#ffffff"
set output "{out}"
set datafile separator ","
set title "{title}: loss on held-out text"
set xlabel "million tokens trained on"
set ylabel "nats a token"
set grid ytics lc rgb "#dddddd"
set border 3
set xtics nomirror
set ytics nomirror
set key top right
plot "{log}" skip 1 using ($2/1e6):7 with lines lw 2 lc rgb "#1b6ca8" title "books", \\
     "{log}" skip 1 using ($2/1e6):8 with lines lw 2 lc rgb "#c25b12" title "textbooks", \\
     "{log}" skip 1 using ($2/1e6):9 with lines lw 2 lc rgb "#3b8a3b" title "maths", \\
     "{log}" skip 1 using ($2/1e6):5 with lines dt 3 lc rgb "#888888" title "training text"
"""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("log", type=pathlib.Path)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    script = SCRIPT.format(out=a.out, log=a.log, title=a.log.stem)
    try:
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    except FileNotFoundError:
        raise SystemExit("gnuplot: not found; apt-get install gnuplot-nox") from None


if __name__ == "__main__":
    main()
