#!/usr/bin/env python3
"""Clients of all kinds on one server for as long as you like; nothing may be wrong at the end.

    tests/serve/soak_serve.py PROGRAM [SECONDS] [CLIENTS]        (600 seconds, 32 clients)

The server has fewer slots and far less KV memory than the clients want. Each takes requests of a book
whose texts `PROGRAM run --cascade off` wrote alone; it streams or not, with or without drafts, leaves
in the middle, stalls, or sets a deadline. Every text that ends must be the one in the book, every
text that is cut must be its beginning, and nothing else than 429 may be refused. The server's resident
memory is printed as it goes. Exit status 1 at the first thing that is wrong.
"""
import http.client
import json
import pathlib
import random
import re
import subprocess
import sys
import threading
import time

MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"
WORDS = "the river and a stone in morning light she said that all water comes from hills of old time".split()


class Wrong(Exception):
    pass


def write_book(program, n):
    """Requests with the texts that they must give."""
    book, chance = [], random.Random(1)
    openings = [" ".join(chance.choice(WORDS) for _ in range(k)) for k in (3, 70, 200)]
    for i in range(n):
        prompt = (chance.choice(openings) + " " + " ".join(chance.choice(WORDS) for _ in range(chance.randrange(40)))).strip()
        value = {"prompt": prompt, "seed": i, "max_tokens": chance.choice((1, 20, 60, 200, 400)),
                 "temperature": chance.choice((0, 0.8, 1)), "top_k": chance.choice((0, 40)), "top_p": 0.95, "min_p": 0.05}
        words = ["--seed", i, "-n", value["max_tokens"], "--temp", value["temperature"], "--top-k", value["top_k"]]
        if i % 3 == 0:
            value["stop"] = [" the man", "\n"]
            words += ["--stop", " the man", "--stop", "\n"]
        done = subprocess.run([program, "run", MODELS / "river.gguf", "--cascade", "off", "-p", prompt, *map(str, words)],
                              capture_output=True, check=True, stdin=subprocess.DEVNULL)
        book.append((value, done.stdout.decode()))
    return book


class Soak:
    def __init__(self, port, book, until):
        self.port, self.book, self.until = port, book, until
        self.lock, self.counts, self.wrong = threading.Lock(), {}, []

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def compare(self, got, want, whole, value):
        if got != want if whole else not want.startswith(got):
            raise Wrong(f"{value}\nwanted {want!r}\ngot    {got!r}")

    def read_stream(self, response, chance, want, value):
        """Reads events, perhaps not to the end, perhaps slowly."""
        leave = chance.randrange(60) if chance.random() < 0.3 else None
        text, finish, own = "", None, None
        for i, line in enumerate(response):
            if i == leave:
                self.compare(text, want, False, value)
                return "left"
            if chance.random() < 0.002:
                time.sleep(0.3)
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if event.get("error", {}).get("code") == "deadline_exceeded" and "deadline_ms" in value["linn"]:
                return "504"
            if "error" in event:
                raise Wrong(f"{value}: {event}")
            text += event["choices"][0]["text"]
            finish = event["choices"][0]["finish_reason"] or finish
            own = event.get("linn", own)
        if finish is None:
            raise Wrong(f"{value}: the stream ended without a reason")
        return self.end(text, own["choices"][0]["finish"], want, value)

    def end(self, text, finish, want, value):
        self.compare(text, want, finish not in ("deadline", "cancelled"), value)
        return finish

    def one(self, chance):
        value, want = chance.choice(self.book)
        value = {**value, "stream": chance.random() < 0.6, "linn": {"cascade": chance.choice(("auto", "auto", "off"))}}
        if chance.random() < 0.1:
            value["linn"]["deadline_ms"] = chance.randrange(1, 400)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request("POST", "/v1/completions", json.dumps(value))
            if not value["stream"] and chance.random() < 0.2:
                time.sleep(chance.random() * 0.3)
                return "left"
            response = connection.getresponse()
            if response.status == 200 and value["stream"]:
                return self.read_stream(response, chance, want, value)
            body = json.loads(response.read())
            if response.status == 200:
                own = body["linn"]["choices"][0]
                return self.end(body["choices"][0]["text"], own["finish"], want, value)
            if response.status == 504 and "deadline_ms" in value["linn"]:
                return "504"
            if response.status != 429 or "Retry-After" not in response.headers:
                raise Wrong(f"{value}: {response.status} {body}")
            time.sleep(0.05)
            return "429"
        finally:
            connection.close()

    def client(self, number):
        chance = random.Random(number)
        while time.monotonic() < self.until and not self.wrong:
            try:
                self.count(self.one(chance))
            except Exception as error:  # whatever it is, it is wrong
                self.wrong.append(f"{type(error).__name__}: {error}")


def resident_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def metric(port, name):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return sum(float(v) for v in re.findall(rf"(?m)^linn_{name}(?:{{.*}})? ([0-9.e+-]+)$", text))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program, seconds, n_clients = sys.argv[1], float((sys.argv + [0, 600])[2] or 600), int((sys.argv + [0, 0, 32])[3] or 32)
    book = write_book(program, 48)
    server = subprocess.Popen([program, "serve", "river", "--port", "0", "--slots", "8", "--queue", "12", "--kv-memory", "4",
                               "--chunk", "32"], stderr=subprocess.PIPE, text=True)
    line = server.stderr.readline()
    port = int(re.search(r":(\d+),", line)[1])
    soak = Soak(port, book, time.monotonic() + seconds)
    clients = [threading.Thread(target=soak.client, args=(i,)) for i in range(n_clients)]
    for c in clients:
        c.start()
    memory, last = [], time.monotonic()
    while any(c.is_alive() for c in clients) and server.poll() is None:
        time.sleep(1)
        if time.monotonic() - last >= seconds / 20:
            last = time.monotonic()
            memory.append(resident_kib(server.pid))
            print(f"{seconds - (soak.until - last):4.0f} s  {memory[-1]} KiB  {dict(sorted(soak.counts.items()))}", flush=True)
    for c in clients:
        c.join()
    preemptions, failed = metric(port, "preemptions_total"), metric(port, "texts_failed_total")
    while metric(port, "texts_active") + metric(port, "texts_queued") > 0:
        time.sleep(0.1)
    server.terminate()
    status = server.wait(60)
    print(f"{sum(soak.counts.values())} requests, {preemptions:.0f} preemptions, {failed:.0f} failed, exit status {status}")
    print(server.stderr.read(), end="")
    for wrong in soak.wrong:
        print(wrong)
    half = len(memory) // 2
    if memory[half:]:
        print(f"memory: {max(memory[:half] or memory)} KiB in the first half, {max(memory[half:])} in the second")
    sys.exit(bool(soak.wrong or status or failed))


if __name__ == "__main__":
    main()
