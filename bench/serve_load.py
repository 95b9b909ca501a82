#!/usr/bin/env python3
"""Load on a server: tokens a second, time to the first token, time between tokens.

    bench/serve_load.py PROGRAM MODEL [OPTION OF linn serve]... [-- [--clients 1,4,16]
        [--temperatures 0,0.8] [--rounds 3] [--seconds 2] [--tokens 128] [--json]]

Starts `PROGRAM serve MODEL`, and for each temperature and number of clients lets as many streams run side by side, one
request after the other, with the cascade and without it in turn (the request's field
linn.cascade), so that both sides meet the same machine. Prints a table in Markdown: medians over the
rounds, and percentiles over all that was seen in them.
"""
import argparse
import json
import pathlib
import re
import selectors
import socket
import statistics
import subprocess
import sys
import time

MARK = b"\ndata: {"
PROMPTS = pathlib.Path(__file__).parent / "prompts"


class Client:
    """One stream after the other over one connection; notes when tokens come."""

    def __init__(self, port, requests):
        self.requests = requests
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.firsts, self.gaps, self.tokens = [], [], 0
        self.tail = b""

    def send(self):
        body = json.dumps(next(self.requests)).encode()
        self.socket.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                            + str(len(body)).encode() + b"\r\n\r\n" + body)
        self.sent, self.last, self.tail = time.perf_counter(), None, b""

    def receive(self):
        """Takes what has come; True at the end of the answer."""
        data = self.socket.recv(1 << 16)
        now = time.perf_counter()
        if not data:
            raise ConnectionError("the server has closed the connection")
        text = self.tail + data
        n = text.count(MARK)
        over = b"data: [DONE]" in text
        self.tail = text[max(text.rfind(MARK) + len(MARK), len(text) - 16):] if n else text[-16:]
        n -= b'"finish_reason":"' in text  # the last chunk is no token
        for i in range(n):
            if self.last is None:
                self.firsts.append(now - self.sent)
            else:
                self.gaps.append(now - self.last)
            self.last = now
        self.tokens += max(n, 0)
        return over and text.endswith(b"0\r\n\r\n")


def load_prompts():
    prompts = []
    for path in sorted(PROMPTS.glob("*.txt")):
        prompts.append(path.read_text().strip())
    for path in sorted(PROMPTS.glob("*.jsonl")):
        prompts += [json.loads(line)["prompt"] for line in path.read_text().splitlines()]
    return prompts or ["Once upon a time", "The river is", "In the beginning of the year", "She said that"]


def run_round(port, n_clients, seconds, requests):
    """(tokens a second, times to the first token, times between tokens)"""
    clients = [Client(port, requests) for _ in range(n_clients)]
    selector = selectors.DefaultSelector()
    begin = time.perf_counter()
    for c in clients:
        selector.register(c.socket, selectors.EVENT_READ, c)
        c.send()
    left = n_clients
    while left:
        for key, _ in selector.select():
            if not key.data.receive():
                continue
            if time.perf_counter() - begin < seconds:
                key.data.send()
            else:
                selector.unregister(key.data.socket)
                left -= 1
    took = time.perf_counter() - begin
    for c in clients:
        c.socket.close()
    return (sum(c.tokens for c in clients) / took, [f for c in clients for f in c.firsts],
            [g for c in clients for g in c.gaps])


def make_requests(cascade, temperature, tokens):
    prompts, i = load_prompts(), 0
    while True:
        yield {"prompt": prompts[i % len(prompts)], "seed": i, "max_tokens": tokens, "stream": True,
               "temperature": temperature, "linn": {"cascade": cascade}}
        i += 1


def percentile(values, share):
    values = sorted(values)
    return 1e3 * values[min(len(values) - 1, int(share * len(values)))]


def measure(port, options):
    rows = []
    loads = [(t, n) for t in map(float, options.temperatures.split(",")) for n in map(int, options.clients.split(","))]
    for temperature, n in loads:
        rates, firsts, gaps = ({"auto": [], "off": []} for _ in range(3))
        for i in range(options.rounds):
            for mode in ("auto", "off") if i % 2 == 0 else ("off", "auto"):
                rate, first, gap = run_round(port, n, options.seconds, make_requests(mode, temperature, options.tokens))
                rates[mode].append(rate)
                firsts[mode] += first
                gaps[mode] += gap
        ratios = sorted(a / b for a, b in zip(rates["auto"], rates["off"]))
        row = {"temperature": temperature, "clients": n, "ratio": statistics.median(ratios), "ratios": [ratios[0], ratios[-1]]}
        for mode in ("auto", "off"):
            row[mode] = {"tokens_per_second": statistics.median(rates[mode]),
                         "first_ms": [percentile(firsts[mode], p) for p in (0.5, 0.99)],
                         "between_ms": [percentile(gaps[mode], p) for p in (0.5, 0.99)]}
        rows.append(row)
    return rows


def print_table(rows):
    print("| temperature | clients | cascade | tokens/s | first token, ms: median | p99 | between tokens, ms: median | p99 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        for mode in ("off", "auto"):
            r = row[mode]
            ratio = "" if mode == "off" else f" ({row['ratio']:.2f}x, {row['ratios'][0]:.2f} to {row['ratios'][1]:.2f})"
            print(f"| {row['temperature']:g} | {row['clients']} | {mode} | {r['tokens_per_second']:.0f}{ratio} | {r['first_ms'][0]:.1f} | "
                  f"{r['first_ms'][1]:.1f} | {r['between_ms'][0]:.2f} | {r['between_ms'][1]:.2f} |")


def main():
    words = sys.argv[1:]
    own = words[words.index("--") + 1:] if "--" in words else []
    words = words[:words.index("--")] if "--" in words else words
    if len(words) < 2:
        sys.exit(__doc__)
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--clients", default="1,4,16")
    parser.add_argument("--temperatures", default="0,0.8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(own)
    server = subprocess.Popen([words[0], "serve", *words[1:], "--port", "0"], stderr=subprocess.PIPE, text=True)
    try:
        line = server.stderr.readline()
        found = re.search(r":(\d+),", line)
        if not found:
            sys.exit(line + server.communicate()[1])
        port = int(found[1])
        for t in map(float, options.temperatures.split(",")):  # until rates and costs are learned
            run_round(port, 4, 1, make_requests("auto", t, options.tokens))
        rows = measure(port, options)
    finally:
        server.terminate()
        server.wait()
    print(json.dumps(rows) if options.json else "", end="")
    if not options.json:
        print_table(rows)


if __name__ == "__main__":
    main()
