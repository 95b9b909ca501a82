#!/usr/bin/env python3
"""linn serve: what it answers, over real connections."""
import json
import signal
import unittest

from cli import MODELS, Case, linn
from serving import Server

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
RIVER = MODELS / "river.gguf"
ONCE = "Once upon a time"


def said(*words):
    """The text of linn run."""
    result = linn("run", RIVER, "-t", "1", "--cascade", "off", *words)
    assert result.returncode == 0, result.stderr
    return result.stdout


class Serving(Case):
    """All tests of a class share a server."""
    words = ("river",)

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.words)

    @classmethod
    def tearDownClass(cls):
        cls.server.signal()
        status, _ = cls.server.end()
        assert status == 0, (status, cls.server.said)
        assert not cls.server.said, cls.server.said

    def answer(self, path, **value):
        status, _, body = self.server.post(path, value)
        self.assertEqual(status, 200, body)
        return body

    def complete(self, **value):
        return self.answer(COMPLETIONS, **{"prompt": ONCE, "seed": 3, "max_tokens": 24, **value})

    def chat(self, **value):
        return self.answer(CHAT, **{"messages": [{"role": "user", "content": ONCE}], "seed": 3,
                                    "max_tokens": 24, **value})

    def refused(self, status, path, value, *parts, code=None, param=None, **headers):
        got, _, body = self.server.post(path, value, **headers)
        self.assertEqual(got, status, body)
        error = body["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertEqual((error["type"], error["code"]), ("invalid_request_error", code))
        if param:
            self.assertEqual(error["param"], param)
        for part in parts:
            self.assertIn(part, error["message"])
        self.assertLess(len(error["message"]), 512)


class Texts(Serving):
    def test_are_those_of_linn_run(self):
        for words, value in (
                (("--seed", "3", "-n", "40"), {"seed": 3, "max_tokens": 40}),
                (("--temp", "0", "-n", "30"), {"temperature": 0, "max_tokens": 30}),
                (("--temp", "1.5", "--top-k", "9", "--top-p", "0.7", "--min-p", "0", "--seed", "8", "-n", "30"),
                 {"temperature": 1.5, "top_k": 9, "top_p": 0.7, "min_p": 0, "seed": 8, "max_tokens": 30}),
                (("--presence-penalty", "1", "--frequency-penalty", "0.5", "--repeat-penalty", "1.3", "--seed",
                  "1", "-n", "30"),
                 {"presence_penalty": 1, "frequency_penalty": 0.5, "repeat_penalty": 1.3, "seed": 1,
                  "max_tokens": 30}),
                (("--stop", "the", "--stop", "and", "--seed", "5", "-n", "60"),
                 {"stop": ["the", "and"], "seed": 5, "max_tokens": 60})):
            want = said("-p", ONCE, *words)
            with self.subTest(value=value):
                self.assertEqual(self.complete(**value)["choices"][0]["text"], want)
                self.assertEqual(self.complete(**value, linn={"cascade": "off"})["choices"][0]["text"], want)
                self.assertEqual(self.chat(**value)["choices"][0]["message"]["content"], want)
                events = self.server.stream(CHAT, {"messages": [{"role": "user", "content": ONCE}], **value})
                self.assertEqual("".join(e["choices"][0]["delta"].get("content", "") for e in events), want)
                events = self.server.stream(COMPLETIONS, {"prompt": ONCE, **value})
                self.assertEqual("".join(e["choices"][0]["text"] for e in events), want)

    def test_whole_completion(self):
        body = self.complete()
        self.assertEqual((body["object"], body["model"]), ("text_completion", "river"))
        self.assertRegex(body["id"], r"\Acmpl-[0-9a-f]{24}\Z")
        self.assertRegex(body["system_fingerprint"], r"\Afp_[0-9a-f]{12}_n\d+\Z")
        choice = body["choices"][0]
        self.assertEqual((choice["index"], choice["finish_reason"], choice["logprobs"]), (0, "length", None))
        self.assertEqual(body["usage"], {"prompt_tokens": 5, "completion_tokens": 24, "total_tokens": 29,
                                         "prompt_tokens_details": body["usage"]["prompt_tokens_details"]})
        own = body["linn"]
        self.assertEqual(own["seed"], 3)
        stats = own["choices"][0]
        self.assertEqual((stats["finish"], stats["tokens"]), ("length", 24))
        self.assertEqual([level["name"] for level in stats["levels"]], ["river", "brook", "rill", "Max-Gram"])
        self.assertEqual(sum(level["tokens"] for level in stats["levels"]), 24)

    def test_whole_chat(self):
        body = self.chat(max_completion_tokens=7)
        self.assertEqual(body["object"], "chat.completion")
        self.assertEqual(body["usage"]["completion_tokens"], 7)
        self.assertEqual(body["choices"][0]["message"]["role"], "assistant")

    def test_chat_has_no_limit_and_completions_have_16(self):
        self.assertEqual(self.answer(COMPLETIONS, prompt=ONCE, seed=3)["usage"]["completion_tokens"], 16)
        value = {"messages": [{"role": "user", "content": ONCE}], "seed": 3}
        self.assertGreater(self.answer(CHAT, **value)["usage"]["completion_tokens"], 100)

    def test_contents_in_parts_and_several_messages(self):
        parts = [{"type": "text", "text": "Once upon"}, {"type": "text", "text": " a time"}]
        self.assertEqual(self.chat(messages=[{"role": "user", "content": parts}])["choices"][0]["message"],
                         self.chat()["choices"][0]["message"])
        messages = [{"role": "developer", "content": "A"}, {"role": "user", "content": "B"},
                    {"role": "assistant", "content": None}, {"role": "user", "content": "C"}]
        self.assertEqual(self.chat(messages=messages)["choices"][0]["message"]["content"],
                         said("-p", "A\n\nB\n\n\n\nC", "--seed", "3", "-n", "24"))

    def test_several_choices(self):
        body = self.complete(n=3)
        texts = [c["text"] for c in body["choices"]]
        self.assertEqual([c["index"] for c in body["choices"]], [0, 1, 2])
        self.assertEqual(len(set(texts)), 3)
        self.assertEqual(texts[0], self.complete()["choices"][0]["text"])
        self.assertEqual(texts, [c["text"] for c in self.complete(n=3)["choices"]])
        self.assertEqual((body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]), (5, 72))
        streamed = ["", "", ""]
        for event in self.server.stream(COMPLETIONS, {"prompt": ONCE, "seed": 3, "max_tokens": 24, "n": 3}):
            streamed[event["choices"][0]["index"]] += event["choices"][0]["text"]
        self.assertEqual(streamed, texts)

    def test_several_prompts(self):
        ids = self.answer("/tokenize", content=ONCE)["tokens"]
        body = self.complete(prompt=[ONCE, "The river"], n=2)
        self.assertEqual([c["index"] for c in body["choices"]], [0, 1, 2, 3])
        self.assertEqual(body["choices"][2]["text"], said("-p", "The river", "--seed", "3", "-n", "24"))
        by_ids = self.complete(prompt=[[8191, *ids], ids])
        self.assertEqual(len(by_ids["choices"]), 2)
        self.assertEqual(by_ids["usage"]["prompt_tokens"], 2 * len(ids) + 1)

    def test_echo(self):
        text = self.complete()["choices"][0]["text"]
        self.assertEqual(self.complete(echo=True)["choices"][0]["text"], ONCE + text)
        ids = self.answer("/tokenize", content=ONCE, add_special=True)["tokens"]
        self.assertEqual(self.complete(prompt=ids, echo=True)["choices"][0]["text"], ONCE + text)
        events = self.server.stream(COMPLETIONS, {"prompt": ONCE, "seed": 3, "max_tokens": 24, "echo": True})
        self.assertEqual("".join(e["choices"][0]["text"] for e in events), ONCE + text)

    def test_logit_bias(self):
        ids = self.answer("/tokenize", content=" and")["tokens"]
        self.assertEqual(len(ids), 1)
        text = self.complete(logit_bias={str(ids[0]): 100}, max_tokens=5)["choices"][0]["text"]
        self.assertEqual(text, " and" * 5)

    def test_a_seed_is_made_up_and_told(self):
        body = self.answer(COMPLETIONS, prompt=ONCE, max_tokens=10)
        again = self.complete(seed=body["linn"]["seed"], max_tokens=10)
        self.assertEqual(again["choices"][0]["text"], body["choices"][0]["text"])

    def test_end_of_text(self):
        body = self.complete(logit_bias={"8191": 100})
        self.assertEqual((body["choices"][0]["text"], body["choices"][0]["finish_reason"]), ("", "stop"))
        self.assertEqual(body["linn"]["choices"][0]["finish"], "end")

    def test_no_tokens_at_all(self):
        body = self.complete(max_tokens=0)
        self.assertEqual((body["choices"][0]["text"], body["choices"][0]["finish_reason"]), ("", "length"))

    def test_nulls_are_as_absent(self):
        names = ("n", "stop", "temperature", "top_p", "logprobs", "logit_bias", "stream", "stream_options", "linn",
                 "presence_penalty", "response_format", "model", "user", "best_of", "suffix", "echo")
        self.assertEqual(self.complete(**dict.fromkeys(names))["choices"], self.complete()["choices"])

    def test_unknown_members_are_ignored(self):
        self.assertEqual(self.complete(whatever={"x": [1]}, store=True)["choices"], self.complete()["choices"])

    def test_deadline(self):
        """Doubled until it comes after the first tokens and before the last, wherever that is on this machine."""
        value = {"prompt": ONCE, "seed": 3, "max_tokens": 900, "n": 8}
        for deadline in (5 << i for i in range(12)):
            status, _, body = self.server.post(COMPLETIONS, {**value, "linn": {"deadline_ms": deadline}})
            if status == 200:
                break
            self.assertEqual((status, body["error"]["code"]), (504, "deadline_exceeded"))
        self.assertIn("deadline", [stats["finish"] for stats in body["linn"]["choices"]])
        for choice, stats in zip(body["choices"], body["linn"]["choices"], strict=True):
            self.assertIn(stats["finish"], ("deadline", "length", "end"))
            self.assertEqual(choice["finish_reason"], "stop" if stats["finish"] == "end" else "length")
            whole = said("-p", ONCE, "--seed", "3", "-n", "900") if choice["index"] == 0 else None
            self.assertTrue(whole is None or whole.startswith(choice["text"]))


class Streams(Serving):
    def test_usage(self):
        value = {"messages": [{"role": "user", "content": ONCE}], "max_tokens": 6,
                 "stream_options": {"include_usage": True}}
        events = self.server.stream(CHAT, value)
        self.assertEqual(len({e["id"] for e in events}), 1)
        self.assertTrue(all(e["object"] == "chat.completion.chunk" for e in events))
        self.assertEqual(events[0]["choices"][0]["delta"], {"role": "assistant", "content": "", "refusal": None})
        self.assertTrue(all(e["usage"] is None for e in events[:-1]))
        self.assertEqual(events[-1]["choices"], [])
        self.assertEqual(events[-1]["usage"]["completion_tokens"], 6)
        self.assertEqual([e["choices"][0]["finish_reason"] for e in events[:-1]], [None] * (len(events) - 2) + ["length"])
        events = self.server.stream(CHAT, {**value, "stream_options": {"include_usage": False}})
        self.assertFalse(any("usage" in e for e in events))

    def drafted_levels(self, seed):
        """Of a text that repeats itself. One may have no drafts, if passes are dear beside other work; but what is not
        used is tried now and then, so not all of them."""
        value = {"prompt": "“It is the wind,” said the boy. “It is the wind,” said the", "seed": seed, "max_tokens": 300,
                 "temperature": 0, "linn": {"levels": True}}
        tokens = self.answer(COMPLETIONS, **value)["choices"][0]["linn"]["tokens"]
        return {t["level"] for t in tokens} - {0}

    def test_levels(self):
        value = {"prompt": ONCE, "seed": 3, "max_tokens": 120, "linn": {"levels": True}}
        events = self.server.stream(COMPLETIONS, value)
        tokens = [t for e in events for t in e["choices"][0].get("linn", {}).get("tokens", [])]
        self.assertEqual("".join(t["text"] for t in tokens), said("-p", ONCE, "--seed", "3", "-n", "120"))
        stats = events[-1]["linn"]["choices"][0]
        for i, level in enumerate(stats["levels"]):
            self.assertEqual(sum(t["level"] == i and t["id"] >= 0 for t in tokens), level["tokens"])
        self.assertLess(max(t["level"] for t in tokens), len(stats["levels"]))
        self.assertTrue(any(self.drafted_levels(seed) for seed in range(40)))
        plain = self.server.stream(COMPLETIONS, {**value, "linn": {"levels": True, "cascade": "off"}})
        self.assertEqual({t["level"] for e in plain for t in e["choices"][0].get("linn", {}).get("tokens", [])}, {0})
        whole = self.complete(max_tokens=120, linn={"levels": True})
        self.assertEqual([t["id"] for t in whole["choices"][0]["linn"]["tokens"]], [t["id"] for t in tokens])

    def test_logprobs_of_chat(self):
        value = {"messages": [{"role": "user", "content": ONCE}], "seed": 3, "max_tokens": 10, "temperature": 0,
                 "logprobs": True, "top_logprobs": 3}
        events = self.server.stream(CHAT, value)
        streamed = [p for e in events if (l := e["choices"][0]["logprobs"]) for p in l["content"]]
        whole = self.answer(CHAT, **value)["choices"][0]
        self.assertEqual(whole["logprobs"]["content"], streamed)
        self.assertEqual(len(streamed), 10)
        self.assertEqual("".join(p["token"] for p in streamed), whole["message"]["content"])
        for p in streamed:
            self.assertEqual(bytes(p["bytes"]).decode(), p["token"])
            self.assertEqual(len(p["top_logprobs"]), 3)
            self.assertEqual(p["top_logprobs"][0]["token"], p["token"])  # temperature 0
            self.assertLessEqual(p["logprob"], 0)
        self.assertEqual(self.chat(logprobs=True)["choices"][0]["logprobs"]["content"][0]["top_logprobs"], [])

    def test_logprobs_of_completions(self):
        choice = self.complete(logprobs=2, max_tokens=10)["choices"][0]
        lists = choice["logprobs"]
        self.assertEqual("".join(lists["tokens"]), choice["text"])
        self.assertEqual([len(v) for v in lists.values()], [10] * 4)
        self.assertEqual([len(top) for top in lists["top_logprobs"]], [2] * 10)
        at = 0
        for token, offset in zip(lists["tokens"], lists["text_offset"], strict=True):
            self.assertEqual(offset, at)
            at += len(token)


class Others(Serving):
    def test_models(self):
        status, _, body = self.server.get("/v1/models")
        self.assertEqual((status, body["object"], len(body["data"])), (200, "list", 1))
        model = body["data"][0]
        self.assertEqual((model["id"], model["object"]), ("river", "model"))
        self.assertEqual(model["linn"]["context"], 1024)
        self.assertEqual([level["name"] for level in model["linn"]["levels"]], ["river", "brook", "rill", "Max-Gram"])
        self.assertEqual(self.server.get("/v1/models/river")[2], model)
        status, _, body = self.server.get("/v1/models/gpt-4")
        self.assertEqual((status, body["error"]["code"]), (404, "model_not_found"))

    def test_health(self):
        self.assertEqual(self.server.get("/health")[::2], (200, {"status": "ok"}))

    def test_metrics(self):
        before = self.server.metric("tokens_total")
        self.complete(max_tokens=20)
        self.assertEqual(self.server.metric("tokens_total"), before + 20)
        status, headers, body = self.server.get("/metrics")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        for line in body.decode().splitlines():
            self.assertRegex(line, r'\A(# (HELP|TYPE) linn_\w+ .+|linn_\w+({(\w+="[^"]*",?)+})? [0-9.e+-]+)\Z')
        for name in ("http_requests_total", "pass_rows_bucket", "level_accepted_total", "kv_pages_used",
                     "first_token_seconds_count", "between_tokens_seconds_sum"):
            self.assertIn(f"linn_{name}", body.decode())

    def test_tokens_and_back(self):
        for text in ("", ONCE, "Größe 漢字 🙂 \0 x", "<|endoftext|>"):
            body = self.answer("/tokenize", content=text)
            self.assertEqual(body["count"], len(body["tokens"]))
            self.assertEqual(self.answer("/detokenize", tokens=body["tokens"]), {"content": text})
        self.assertEqual(self.answer("/tokenize", content="A<|endoftext|>", add_special=True)["tokens"], [65, 8191])
        for path, value, part in (("/tokenize", {}, "content"), ("/tokenize", {"content": 1}, "content"),
                                  ("/tokenize", {"content": "", "add_special": 1}, "add_special"),
                                  ("/detokenize", {"tokens": "1"}, "array"), ("/detokenize", {"tokens": [8192]}, "8191"),
                                  ("/detokenize", {"tokens": [-1]}, "range"), ("/detokenize", {"tokens": [1.5]}, "fraction")):
            with self.subTest(value=value):
                self.refused(400, path, value, part)

    def test_page(self):
        status, headers, body = self.server.get("/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn("default-src 'self'", headers["Content-Security-Policy"])
        self.assertIn(b"<!doctype html>", body)
        self.assertEqual(self.server.get("/", If_None_Match=headers["ETag"])[0], 304)
        self.assertEqual(self.server.get("/?x=1")[0], 200)
        status, headers, body = self.server.request("HEAD", "/")
        self.assertEqual((status, body), (200, b""))

    def test_urls_and_methods(self):
        for method, path, status, allow in (("GET", "/nothing", 404, None), ("POST", "/v1/models", 405, "GET, HEAD"),
                                            ("GET", CHAT, 405, "POST"), ("DELETE", CHAT, 405, "POST"),
                                            ("OPTIONS", CHAT, 405, "POST"), ("GET", "/../etc/passwd", 404, None)):
            with self.subTest(path=path, method=method):
                got, headers, body = self.server.request(method, path)
                self.assertEqual((got, body["error"]["type"]), (status, "invalid_request_error"))
                if allow and method != "OPTIONS":
                    self.assertEqual(headers["Allow"], allow)


class Refusals(Serving):
    def test_broken_json(self):
        for body in (b"", b"{", b"[]", b"1", b"{'a': 1}", b'{"prompt": "\xff"}', b'{"prompt": "\\ud800"}',
                     b'{"prompt": "\\udc00\\ud800"}', b'{"n": 1e999}', b'{"seed": 99999999999999999999}',
                     b"[" * 100000, b'{"a":' * 100000, b'{"prompt": "x"} y', b"\x00", b'{"a\\u0000b": 1}'):
            with self.subTest(body=body[:30]):
                self.refused(400, COMPLETIONS, body, "JSON")

    def test_wrong_members(self):
        good = {"prompt": ONCE, "max_tokens": 1}
        for name, values in {
                "prompt": [None, 1, {}, [], [[]], [""] * 129, ["a", 1], [1, "a"], [1.5], [-1], [2**40], True],
                "max_tokens": [-1, 1.5, "1", 2**31, [], True], "n": [0, -1, 129, "2", 1e300],
                "temperature": [-0.1, 2.1, "1", [], True], "top_p": [0, 1.1, -1], "min_p": [1, -0.1],
                "top_k": [-1, 0.5], "seed": [-1, 0.5, "1", 1e300], "presence_penalty": [-2.1, 3],
                "frequency_penalty": ["x", 3], "repeat_penalty": [0, -1, 1e9],
                "stop": [1, {}, [1], [""], ["x"] * 17, "", "a\0b"], "logprobs": [-1, 21, True, "1"],
                "logit_bias": [[], 1, {"x": 1}, {"-1": 1}, {"1": "x"}, {"1": 101}, {"1": None, "1e3": 1}],
                "stream": ["yes", 1], "echo": [1], "best_of": [2, 0], "suffix": ["x"], "model": [1, {}],
                "linn": [1, {"levels": 1}, {"cascade": "spec"}, {"cascade": 1}, {"deadline_ms": 0}],
                "tools": [[{}]], "response_format": [{"type": "json_object"}, {"type": "json_schema"}, {}, "text"],
                "stream_options": [{"include_usage": True}]}.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    self.refused(400, COMPLETIONS, {**good, name: value}, name)
        self.refused(400, COMPLETIONS, {"prompt": ONCE, "logit_bias": {"99999": 1}}, "99999")
        self.refused(400, COMPLETIONS, {"prompt": ["a"] * 100, "n": 2}, "128", param="n")
        self.refused(400, COMPLETIONS, {"prompt": "a", "n": 100}, "72", param="n")
        self.refused(400, COMPLETIONS, {**good, "stream": True, "stream_options": {"include_usage": 1}}, "include_usage")
        self.refused(400, COMPLETIONS, {**good, "echo": True, "logprobs": 1}, "echo")
        self.refused(400, COMPLETIONS, {**good, "response_format": {"type": "json_object"}}, "no grammars",
                     param="response_format")

    def test_wrong_messages(self):
        for messages in (None, 1, {}, [], [1], [{}], [{"role": "user"}], [{"content": "x"}], [{"role": 1, "content": "x"}],
                         [{"role": "tool", "content": "x"}], [{"role": "user", "content": 1}],
                         [{"role": "user", "content": "a\0b"}], [{"role": "user", "content": [{"type": "image_url"}]}],
                         [{"role": "user", "content": ["x"]}], [{"role": "user", "content": [{"type": "text"}]}],
                         [{"role": "user", "content": [{"type": "text", "text": 1}]}]):
            with self.subTest(messages=messages):
                self.refused(400, CHAT, {"messages": messages}, "messages")
        self.refused(400, CHAT, {"messages": [{"role": "user", "content": "x"}], "top_logprobs": 2}, "logprobs")
        self.refused(400, CHAT, {"messages": [{"role": "user", "content": "x"}], "logprobs": 2}, "boolean")

    def test_model(self):
        self.refused(404, COMPLETIONS, {"model": "gpt-4", "prompt": "x"}, "gpt-4", "river", code="model_not_found",
                     param="model")
        self.complete(model="river")

    def test_long_prompt(self):
        self.refused(400, COMPLETIONS, {"prompt": "word " * 3000}, "1024", "tokens",
                     code="context_length_exceeded", param="prompt")
        self.refused(400, COMPLETIONS, {"prompt": [1] * 1024}, "1024", "1023", code="context_length_exceeded")
        self.refused(400, COMPLETIONS, {"prompt": [8192]}, "8192")
        self.refused(400, CHAT, {"messages": [{"role": "user", "content": "word " * 3000}]}, "1024",
                     code="context_length_exceeded", param="messages")

    def test_huge_body(self):
        self.refused(413, COMPLETIONS, b"x" * (5 << 20), "4194304")
        connection = self.server.connect()
        connection.request("POST", COMPLETIONS, (b"x" * 65536 for _ in range(80)), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        self.assertEqual(connection.getresponse().status, 413)
        connection.close()

    def test_context_ends(self):
        body = self.complete(prompt=[1] * 1020, max_tokens=50)
        self.assertEqual(body["choices"][0]["finish_reason"], "length")
        self.assertLess(body["usage"]["completion_tokens"], 6)


class Command(Case):
    def test_help(self):
        text = self.done("serve", "--help").stdout
        for part in ("OpenAI", "--api-key-file", "SIGHUP", "127.0.0.1", "--kv-memory", "curl"):
            self.assertIn(part, text)

    def test_what_cannot_be(self):
        self.failed(["serve", "nowhere.gguf"], "nowhere.gguf")
        self.failed(["serve", "river", "--host", "256.1.1.1"], "256.1.1.1")
        self.failed(["serve", "river", "--api-key-file", self.folder / "none"], "none")
        self.failed(["serve", "river", "--api-key-file", self.file("empty", b"# nothing\n")], "no API key")
        self.failed(["serve", "river", "--api-key", ""], "API key")
        self.failed(["serve", "river", "--access-log", self.folder / "no/such"], "access log")
        self.misused(["serve", "river", "--port", "65536"], "65535")
        with Server("rill") as server:
            self.failed(["serve", "rill", "--port", str(server.port)], "in use")
            server.signal(signal.SIGINT)
            self.assertEqual(server.end()[0], 0)

    def test_ctrl_c_at_once(self):
        with Server("rill", "--access-log", "-") as server:
            server.get("/health")
            server.signal(signal.SIGINT)
            status, output = server.end()
        self.assertEqual(status, 0)
        line = json.loads(output)
        self.assertEqual((line["path"], line["status"], line["method"]), ("/health", 200, "GET"))


if __name__ == "__main__":
    unittest.main()
