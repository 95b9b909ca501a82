#!/usr/bin/env python3
"""linn serve in a rough world: keys, limits, clients that leave or stall, and being told to stop."""
import contextlib
import json
import signal
import socket
import unittest

from cli import Case, linn
from serving import Server, http_post, is_closed, is_open

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
# A text that goes on to the end of the context, for longer than it takes to do something to it.
LONG = {"prompt": "Once upon a time", "max_tokens": 1000, "seed": 1, "logit_bias": {"8191": -100}}
FIRST = ("river", "--cascade", "off")


def is_up(server):
    """It takes connections."""
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", server.port)) == 0


def first_bytes(response):
    return response.read1(64)


class Keys(Case):
    def setUp(self):
        super().setUp()
        self.path = self.file("keys", b"# who may\nfirst-key Ada\n\n  second-key\t\n")

    def status(self, server, key=None, path="/v1/models"):
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        return server.get(path, **headers)[0]

    def test_who_may(self):
        log = self.folder / "log"
        with Server("rill", "--api-key", "third-key", "--api-key-file", self.path, "--access-log", log) as server:
            for key in ("first-key", "second-key", "third-key"):
                self.assertEqual(self.status(server, key), 200)
            for key in (None, "", "first-ke", "first-key2", "Ada", "x" * 256, "x" * 257, "x" * 5000, "first-key Ada"):
                self.assertEqual(self.status(server, key), 401, key)
            status, headers, body = server.post(COMPLETIONS, LONG)
            self.assertEqual((status, body["error"]["code"], headers["WWW-Authenticate"]), (401, "invalid_api_key", "Bearer"))
            self.assertEqual(server.get("/v1/models", Authorization="Basic first-key")[0], 401)
            for path in ("/metrics", "/v1/models/rill"):
                self.assertEqual(self.status(server, path=path), 401)
            for path in ("/", "/health"):
                self.assertEqual(self.status(server, path=path), 200)
        users = [json.loads(line)["user"] for line in log.read_text().splitlines()]
        self.assertEqual(users[:4], ["Ada", "key 3", "key 1", ""])
        self.assertNotIn("first-key", log.read_text())

    def test_reload(self):
        log = self.folder / "log"
        with Server("rill", "--api-key-file", self.path, "--access-log", log) as server:
            self.assertEqual(self.status(server, "first-key"), 200)
            self.path.write_text("new-key\n")
            log.rename(self.folder / "old")
            server.signal(signal.SIGHUP)
            while self.status(server, "new-key") != 200:
                pass
            self.assertEqual(self.status(server, "first-key"), 401)
            self.path.write_text("\n")
            server.signal(signal.SIGHUP)
            while len(server.said) < 2:
                self.assertEqual(self.status(server, "new-key"), 200)
            server.signal()
            self.assertEqual(server.end()[0], 0)
        self.assertIn("reloaded: 1 API keys", server.said[0])
        self.assertIn("no API key", server.said[1])
        self.assertIn("old keys stay", server.said[1])
        self.assertTrue(log.read_text() and (self.folder / "old").read_text())


class Origins(Case):
    PAGE = "https://page.example"

    def test_without_cors(self):
        with Server("rill") as server:
            own = f"http://127.0.0.1:{server.port}"
            self.assertEqual(server.get("/v1/models", Origin=own)[0], 200)
            status, headers, body = server.get("/v1/models", Origin=self.PAGE)
            self.assertEqual((status, body["error"]["code"]), (403, "origin_not_allowed"))
            self.assertNotIn("Access-Control-Allow-Origin", headers)
            self.assertEqual(server.request("OPTIONS", CHAT, Origin=self.PAGE)[0], 403)
            # A name that was made to point here.
            for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example", "", "[::2]"):
                self.assertEqual(server.get("/health", Host=host)[0], 403, host)
            for host in ("localhost", f"LOCALHOST:{server.port}", "127.9.9.9", "[::1]:80"):
                self.assertEqual(server.get("/health", Host=host)[0], 200, host)

    def test_with_cors(self):
        with Server("rill", "--cors", self.PAGE, "--api-key", "k") as server:
            status, headers, _ = server.request("OPTIONS", CHAT, Origin=self.PAGE,
                                                Access_Control_Request_Headers="authorization,content-type")
            self.assertEqual((status, headers["Access-Control-Allow-Origin"], headers["Vary"]), (204, self.PAGE, "Origin"))
            self.assertEqual(headers["Access-Control-Allow-Headers"], "authorization,content-type")
            status, headers, _ = server.get("/v1/models", Origin=self.PAGE, Authorization="Bearer k")
            self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (200, self.PAGE))
            self.assertEqual(server.get("/v1/models", Origin="https://other.example", Authorization="Bearer k")[0], 403)
            self.assertEqual(server.get("/health", Host="anything.example")[0], 200)


class Crowds(Case):
    def test_full_queue(self):
        with Server(*FIRST, "--slots", "1", "--queue", "1") as server, contextlib.ExitStack() as stack:
            busy, response = server.open_stream(COMPLETIONS, LONG)
            stack.callback(busy.close)
            first_bytes(response)
            waiting = server.socket(http_post(COMPLETIONS, LONG))
            stack.callback(waiting.close)
            server.wait_for("texts_queued", 1)
            status, headers, body = server.post(COMPLETIONS, LONG)
            self.assertEqual((status, body["error"]["type"], body["error"]["code"]),
                             (429, "rate_limit_error", "rate_limit_exceeded"))
            self.assertGreater(int(headers["Retry-After"]), 0)
            self.assertGreater(int(headers["Retry-After-Ms"]), 0)
            # Of three texts two do not fit: none of them is written.
            status, _, body = server.post(COMPLETIONS, {**LONG, "n": 2})
            self.assertEqual(status, 429)
            self.assertEqual(server.post(COMPLETIONS, {**LONG, "n": 3})[0], 400)
            busy.close()
            waiting.close()
            server.wait_for("texts_active", 0)
            self.assertEqual(server.metric("texts_failed_total"), 0)

    def test_one_users_share(self):
        with Server(*FIRST, "--per-key", "2", "--api-key", "a", "--api-key", "b") as server:
            def post(key, n):
                return server.post(COMPLETIONS, {**LONG, "max_tokens": 1, "n": n}, Authorization=f"Bearer {key}")
            self.assertEqual(post("a", 2)[0], 200)
            status, headers, body = post("a", 3)
            self.assertEqual((status, body["error"]["code"]), (429, "rate_limit_exceeded"))
            self.assertIn("Retry-After", headers)
            text = http_post(COMPLETIONS, {**LONG, "stream": True}, "Authorization: Bearer a\r\n")
            with server.socket(text) as s:
                s.recv(1)
                self.assertEqual(post("a", 2)[0], 429)
                self.assertEqual(post("b", 2)[0], 200)


class Clients(Case):
    """Those that go away, stall, or send what they like."""

    def test_leaving_a_stream(self):
        with Server(*FIRST) as server:
            for _ in range(3):
                connection, response = server.open_stream(COMPLETIONS, LONG)
                first_bytes(response)
                response.close()
                connection.close()
            server.wait_for("texts_cancelled_total", 3)
            server.wait_for("http_aborted_total", 3)
            self.assertEqual(server.metric("texts_active"), 0)

    def test_leaving_a_whole_answer(self):
        with Server(*FIRST) as server:
            sockets = [server.socket(http_post(COMPLETIONS, {**LONG, "n": n})) for n in (1, 2, 4)]
            server.wait_for("texts_active", 7)
            for s in sockets:
                s.close()
            server.wait_for("texts_active", 0)
            server.wait_for("texts_cancelled_total", 7)

    def test_leaving_the_queue(self):
        with Server(*FIRST, "--slots", "1") as server:
            first = server.socket(http_post(COMPLETIONS, LONG))
            server.wait_for("texts_active", 1)
            second = server.socket(http_post(COMPLETIONS, LONG))
            server.wait_for("texts_queued", 1)
            second.close()
            server.wait_for("texts_queued", 0)
            first.close()
            server.wait_for("texts_active", 0)

    def test_leaving_at_any_byte(self):
        request = http_post(COMPLETIONS, {**LONG, "max_tokens": 2, "stream": True})
        with Server("rill") as server:
            for n in range(0, len(request) + 1, 3):
                server.socket(request[:n]).close()
            self.assertEqual(server.post(COMPLETIONS, {**LONG, "max_tokens": 2})[0], 200)
            server.wait_for("texts_active", 0)

    def test_slow_senders(self):
        request = http_post(COMPLETIONS, {**LONG, "max_tokens": 1})
        head = request.index(b"\r\n\r\n") + 4
        with Server("rill", "--header-time", "0.3", "--body-time", "0.3", "--idle-time", "0.3") as server:
            for sent in (b"", b"GET", request[:head - 2], request[:head], request[:-1]):
                with server.socket(sent) as s:
                    self.assertTrue(is_closed(s), sent)
            # A byte now and then does not help.
            with server.socket() as s, contextlib.suppress(ConnectionError):
                for byte in b"GET / HTTP/1.1\r\nX: " + b"y" * 10000:
                    s.sendall(bytes([byte]))
                    if not is_open(s):
                        break
                self.assertTrue(is_closed(s))
            self.assertGreaterEqual(server.metric("http_connections_cut_total"), 6)

    def test_many_slow_senders_keep_nobody_out(self):
        with Server("rill", "--max-connections", "40", "--header-time", "0.2") as server:
            sockets = [server.socket(b"GET / HTTP/1.1\r\n") for _ in range(120)]
            self.assertEqual(server.get("/health")[0], 200)
            for s in sockets:
                s.close()

    def test_a_client_that_stops_reading(self):
        value = {**LONG, "stream": True, "n": 8, "logprobs": 20}
        with Server(*FIRST, "--send-time", "0.5") as server:
            with server.socket(http_post(COMPLETIONS, value), SO_RCVBUF=4096) as s:
                s.recv(1)
                server.wait_for("http_aborted_total", 1)
                self.assertEqual(server.metric("texts_active"), 0)
            # A whole answer, too, of more than the system keeps.
            token = server.post("/tokenize", {"content": " something"})[2]["tokens"]
            self.assertEqual(len(token), 1)
            with server.socket(http_post("/detokenize", {"tokens": token * 600000}), SO_RCVBUF=4096):
                server.wait_for("http_aborted_total", 2)

    def test_thousand_connections(self):
        with Server("rill") as server:
            sockets = [server.socket() for _ in range(800)]
            self.assertEqual(server.get("/health")[0], 200)
            for s in sockets[::2]:
                s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for s in sockets[::2]:
                self.assertTrue(s.recv(4096).startswith(b"HTTP/1.1 200"))
            for s in sockets:
                s.close()
            self.assertEqual(server.get("/health")[0], 200)

    def test_one_connection_for_many_requests(self):
        with Server("rill") as server, contextlib.closing(server.connect()) as connection:
            for _ in range(5):
                for path, value in ((COMPLETIONS, {**LONG, "max_tokens": 3}), (COMPLETIONS, b"{"),
                                    (CHAT, {"messages": [{"role": "user", "content": "A"}], "max_tokens": 2, "stream": True})):
                    body = value if isinstance(value, bytes) else json.dumps(value)
                    connection.request("POST", path, body)
                    response = connection.getresponse()
                    response.read()
                    self.assertEqual(response.status, 400 if value == b"{" else 200)
            self.assertEqual(server.metric("http_connections_total"), 2)

    def test_broken_http(self):
        with Server("rill", "--header-time", "0.5") as server:
            for sent in (b"\0\1\2\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                         b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                         b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                         b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                         b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20000 + b"\r\n"):
                with self.subTest(sent=sent[:30]), contextlib.suppress(ConnectionError), server.socket(sent) as s:
                    self.assertNotIn(b" 200 ", s.recv(100))
            self.assertEqual(server.get("/health")[0], 200)

    def test_expectations(self):
        with Server("rill", "--max-body", "1000") as server:
            head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: "
            with server.socket(f"{head}2000\r\n\r\n".encode()) as s:
                self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 413"))
            with server.socket(f"{head}2\r\n\r\n".encode()) as s:
                self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 100"))

    def test_old_http(self):
        body = json.dumps({**LONG, "max_tokens": 2, "stream": True})
        with Server("rill") as server:
            with server.socket(f"POST {COMPLETIONS} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()) as s:
                said = b""
                while piece := s.recv(65536):
                    said += piece
            self.assertTrue(said.endswith(b"data: [DONE]\n\n"), said[-100:])
            self.assertNotIn(b"chunked", said)


class Ends(Case):
    def test_what_runs_may_finish(self):
        want = linn("run", "river", "-p", LONG["prompt"], "--seed", "1", "-n", "300", "--cascade", "off").stdout
        with Server(*FIRST) as server:
            connection, response = server.open_stream(COMPLETIONS, {**LONG, "max_tokens": 300, "logit_bias": {}})
            first = response.read1(1)
            other = server.socket(http_post(COMPLETIONS, {**LONG, "max_tokens": 300}))
            server.wait_for("texts_submitted_total", 2)  # both may be over already
            idle = server.socket()
            server.signal()
            events = (first + response.read()).decode().split("\n\n")
            self.assertEqual(events[-2:], ["data: [DONE]", ""])
            text = "".join(json.loads(e[6:])["choices"][0]["text"] for e in events[:-2])
            self.assertEqual(text, want)
            self.assertTrue(other.recv(100).startswith(b"HTTP/1.1 200"))
            self.assertEqual(server.end()[0], 0)
            self.assertTrue(is_closed(idle))
            for s in (connection, other, idle):
                s.close()

    def test_new_requests_are_refused_meanwhile(self):
        with Server(*FIRST, "--slots", "1") as server, contextlib.closing(server.connect()) as kept:
            kept.request("GET", "/health")
            kept.getresponse().read()
            connection, response = server.open_stream(COMPLETIONS, LONG)
            first_bytes(response)
            server.signal()
            status = 200
            while status == 200:  # until the signal has arrived
                kept.request("GET", "/health")
                answer = kept.getresponse()
                status = answer.status
                body = json.loads(answer.read())
            self.assertEqual((status, body["status"]), (503, "stopping"))
            self.assertEqual(answer.headers["Connection"].lower(), "close")
            with self.assertRaises(ConnectionError):
                server.get("/health")
            response.close()
            connection.close()
            self.assertEqual(server.end()[0], 0)

    def cut(self, server):
        for stream in (True, False):
            value = {**LONG, "stream": stream, "n": 4}
            yield server.socket(http_post(COMPLETIONS, value))

    def test_a_second_signal_cuts(self):
        with Server(*FIRST) as server:
            stream, whole = self.cut(server)
            server.wait_for("texts_active", 8)
            server.signal()
            while is_up(server):
                pass
            server.signal(signal.SIGINT)
            got = [b"", b""]
            for i, s in enumerate((stream, whole)):
                while piece := s.recv(65536):
                    got[i] += piece
                s.close()
            self.assertEqual(server.end()[0], 0)
        self.assertIn(b"data: [DONE]", got[0])
        body = json.loads(got[1].partition(b"\r\n\r\n")[2])
        self.assertEqual({c["finish"] for c in body["linn"]["choices"]}, {"cancelled"})

    def test_the_deadline_cuts(self):
        with Server(*FIRST, "--grace", "0") as server:
            stream, whole = self.cut(server)
            server.wait_for("texts_active", 8)
            server.signal()
            self.assertTrue(is_closed(stream) and is_closed(whole))
            self.assertEqual(server.end()[0], 0)
            stream.close()
            whole.close()

    def test_killed_and_back_at_once(self):
        with Server(*FIRST) as server:
            port = server.port
            sockets = [server.socket(http_post(COMPLETIONS, {**LONG, "stream": i % 2 == 0})) for i in range(12)]
            server.wait_for("texts_active", 8)
            server.signal(signal.SIGKILL)
            self.assertEqual(server.end()[0], -signal.SIGKILL)
        with Server(*FIRST, port=port) as server:
            self.assertEqual(server.post(COMPLETIONS, {**LONG, "max_tokens": 3})[0], 200)
            for s in sockets:
                self.assertTrue(is_closed(s))
                s.close()


if __name__ == "__main__":
    unittest.main()
