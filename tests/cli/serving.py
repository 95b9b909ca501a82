"""A running `linn serve` for tests, and a client of it that hides nothing.

    with Server("river", "--slots", "2") as server:
        status, headers, body = server.post("/v1/completions", {"prompt": "A"})
        for event in server.stream("/v1/completions", {"prompt": "A"}): ...
"""
import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

from cli import LINN, TIMEOUT

# Tests may be stopped for long: no limit of time matters to them but those they set themselves.
PATIENT = ("--header-time", "3600", "--body-time", "3600", "--idle-time", "3600", "--send-time", "3600",
           "--grace", "3600")


class Server:
    def __init__(self, *words, port=0, threads=1):
        self.process = subprocess.Popen(
            [LINN, "serve", *map(os.fspath, words[:1]), *PATIENT, "--port", str(port), "-t", str(threads),
             *map(str, words[1:])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said, self.ended = [], False
        line = self.process.stderr.readline()
        found = re.search(r" at http://127\.0\.0\.1:(\d+),", line)
        if not found:
            raise AssertionError(line + self.process.communicate()[1])
        self.port = int(found[1])
        self.reader = threading.Thread(target=self.read_notes)
        self.reader.start()

    def read_notes(self):
        for line in self.process.stderr:
            self.said.append(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.ended:
            self.process.kill()
            self.end()

    def end(self):
        """(exit status, standard output) once it has ended."""
        self.ended = True
        output = self.process.stdout.read()
        status = self.process.wait(TIMEOUT)
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return status, output

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)

    def socket(self, data=b"", **options):
        """A plain connection that has sent the bytes."""
        s = socket.socket()
        for name, value in options.items():
            s.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        s.settimeout(TIMEOUT)
        s.connect(("127.0.0.1", self.port))
        s.sendall(data)
        return s

    def request(self, method, path, body=None, **headers):
        """(status, headers, body): the body as a value where it is JSON."""
        connection = self.connect()
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.headers.get("Content-Type") == "application/json" and data:
            data = json.loads(data)
        return response.status, response.headers, data

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def post(self, path, value, **headers):
        body = value if isinstance(value, (bytes, str)) else json.dumps(value)
        return self.request("POST", path, body, Content_Type="application/json", **headers)

    def open_stream(self, path, value):
        """(connection, response) of a stream whose first event may be read."""
        connection = self.connect()
        connection.request("POST", path, json.dumps({**value, "stream": True}))
        return connection, connection.getresponse()

    def stream(self, path, value):
        """The events of a stream; checks its form."""
        connection, response = self.open_stream(path, value)
        with contextlib.closing(connection):
            assert response.status == 200, response.read()
            assert response.headers["Content-Type"].startswith("text/event-stream")
            parts = response.read().decode().split("\n\n")
        assert parts[-2:] == ["data: [DONE]", ""], parts[-3:]
        return [json.loads(part.removeprefix("data: ")) for part in parts[:-2]]

    def metric(self, name):
        text = self.get("/metrics")[2].decode()
        return sum(float(v) for v in re.findall(rf"(?m)^linn_{name}(?:{{.*}})? ([0-9.e+-]+)$", text))

    def wait_for(self, name, value):
        """Until a metric has a value, however long that takes."""
        until = time.monotonic() + TIMEOUT
        while self.metric(name) != value:
            assert time.monotonic() < until, (name, self.metric(name), value)
            time.sleep(0.02)


def http_post(path, value, extra=""):
    """A request as bytes."""
    body = json.dumps(value)
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{extra}\r\n{body}".encode()


def is_closed(s):
    """Waits until the other side closes, reading what comes."""
    try:
        while s.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def is_open(s):
    return not select.select([s], [], [], 0)[0]
