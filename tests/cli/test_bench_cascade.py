#!/usr/bin/env python3
"""linn bench cascade, on a few short texts: what is counted, compared and said."""
import base64
import html.parser
import json
import os
import re
import shutil
import unittest
import xml.etree.ElementTree

from cli import SHARED, SOURCE, Case, linn

PROMPTS = SOURCE / "bench/prompts/prompts.jsonl"
SMALL = ["bench", "cascade", "river", "-n", "12", "--rounds", "1", "-t", "1"]


class Page(html.parser.HTMLParser):
    """Pictures, and a check that tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.pictures, self.words = [], [], ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.pictures.append(dict(attrs))
        elif tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


class Cascade(Case):
    def bench(self, *words, **options):
        return json.loads(self.done(*SMALL, "--json", *words, **options).stdout)

    def test_json(self):
        said = self.bench("--prompts", PROMPTS, "--limit", "4", "--k", "3", "--k-matrix", "2 2 2; 0 1 2; 0 0 2",
                          "--temp", "0,0.7", "--ngram", "river")
        self.assertEqual((said["prompts"], said["broken_lines"], said["tokens"], said["rounds"]), (4, 0, 12, 1))
        names = ["plain", "Max-Gram, k = 3", "brook, k = 3", "rill, k = 3", "paper, two drafters", "paper, one drafter",
                 "K 2 2 2; 0 1 2; 0 0 2", "auto"]
        for temperature in 0, 0.7:
            sides = {s["name"]: s for s in said["sides"] if s["temperature"] == temperature}
            self.assertEqual(set(sides), set(names))
            for name, side in sides.items():
                with self.subTest(name=name, temperature=temperature):
                    self.check_side(side, sides["plain"])
        self.assertEqual([w["name"] for w in said["widths"]], ["river", "brook", "rill"])
        for w in said["widths"]:
            self.assertGreater(w["ms"]["32"], 0)
        self.assertEqual(len(said["swi_ms_over_best_spec"]), 2)

    def test_search(self):
        """Half of the prompts are for the search, the rest for what it is compared on."""
        said = self.bench("--prompts", PROMPTS, "--limit", "5", "-d", "rill", "--search", "--methods", "auto", "-n", "4")
        self.assertEqual(said["prompts"], 3)
        for temperature in 0, 0.7:
            plain, best, auto = [s for s in said["sides"] if s["temperature"] == temperature]
            self.assertEqual((plain["name"], auto["name"]), ("plain", "auto"))
            self.assertRegex(best["name"], r"^best K \d+ \d+; 0 \d+$")
            self.assertTrue(best["figures"][0]["same_text"])
            self.assertEqual(len(best["prompts"]), 3)
        self.assertEqual([r["temperature"] for r in said["auto_over_best_fixed"]], [0, 0.7])
        table = self.done(*SMALL, "--prompts", PROMPTS, "--limit", "4", "-d", "rill", "--search", "--methods", "auto", "-n",
                          "4", "--temp", "0").stdout
        self.assertIn("2 prompts, after a search on 2 others", table)
        self.assertRegex(table, r"speed of auto over the best fixed cascade \(best K .*\): \d")
        self.misused([*SMALL, "--prompts", PROMPTS, "--limit", "1", "--search"], "one prompt cannot be split")

    def check_side(self, side, plain):
        every, *kinds = side["figures"]
        self.assertEqual([f["kind"] for f in kinds], ["story", "maths", "textbook", "copy"])
        self.assertEqual(sum(f["prompts"] + f["short"] for f in kinds), 4)
        self.assertTrue(all(f["same_text"] for f in side["figures"]))
        levels, n = side["levels"], [p for p, q in zip(side["prompts"], plain["prompts"]) if q[0] >= 8]
        self.assertEqual([p[0] for p in side["prompts"]], [p[0] for p in plain["prompts"]])
        self.assertAlmostEqual(every["tokens_per_pass"]["value"], sum(p[0] for p in n) / sum(p[2] for p in n), delta=1e-3)
        if len(n) == len(side["prompts"]):
            cost = sum(x["passes"] * x["parameters"] for x in levels) / levels[0]["parameters"]
            self.assertAlmostEqual(every["swi_ms"]["value"], sum(p[0] for p in n) / cost, delta=1e-3)
            self.assertEqual(levels[0]["passes"], sum(p[2] for p in n))
        for figure in "gain", "tokens_per_pass", "swi_ms", "swi_pw":
            f = every[figure]
            self.assertLessEqual(f["low"], f["value"] * 1.001)
            self.assertGreaterEqual(f["high"], f["value"] * 0.999)
        if side["name"] != "plain":
            drafted = sum(sum(x["drafted"]) for x in levels)
            self.assertEqual(drafted, levels[0]["reviewed"])
            if drafted > 0:  # auto may find that nothing pays
                self.assertAlmostEqual(every["accepted"], levels[0]["approved"] / drafted, delta=1e-5)

    def test_best_k(self):
        said = self.bench("--prompts", PROMPTS, "--limit", "2", "--methods", "spec", "-d", "rill", "--temp", "0",
                          "--by", "swi")
        names = [s["name"] for s in said["sides"]]
        self.assertEqual(names[0], "plain")
        self.assertRegex(names[1], r"^rill, k = (1|2|3|4|5|6|8|10|12|16)$")
        self.assertEqual(len(names), 2)

    def test_table(self):
        said = self.done(*SMALL, "--prompts", PROMPTS, "--limit", "8", "--k", "2", "--temp", "0", "--methods",
                         "spec,auto,paper").stdout
        self.assertRegex(said, r"(?m)^8 prompts, 12 tokens each at most, 1 rounds, 1 threads, \w+$")
        self.assertRegex(said, r"(?m)^plain .* 1\.00 \(1\.00-1\.00\) +1\.00 +- +1\.00 \(1\.00-1\.00\)")
        self.assertRegex(said, r"(?m)^auto +\d+ ")
        self.assertRegex(said, r"(?m)^SWI \(MS\) of the best cascade \(.*\) over the best .* \(.*\): \d\.\d\d")
        self.assertNotIn("OTHER TEXT", said)
        self.assertNotIn("Max-Gram", said)

    def test_prompts(self):
        """All the forms, lines that are none, prompts longer than the context, several files."""
        lines = [{"prompt": "Once upon a time", "kind": "a"}, {"question": "What is 2 and 2?"},
                 {"turns": ["The heron", "and more"], "category": "b"}, {"task_id": 1}, {"prompt": "word " * 400, "kind": "a"}]
        one = self.file("one.jsonl", "\n".join(map(json.dumps, lines)).encode() + b"\n{broken\n\n")
        two = self.file("two.jsonl", b'{"prompt": "One day"}\n')
        done = self.linn_all("--prompts", one, "--prompts", two, "--ctx", "64")
        said = json.loads(done.stdout)
        self.assertEqual((said["prompts"], said["broken_lines"], said["cut"]), (5, 2, 1))
        self.assertEqual([f["kind"] for f in said["sides"][0]["figures"]], ["all", "a", "one", "b", "two"])
        self.assertRegex(done.stderr, r"line 4: .*skipped\n.*line 6: .*skipped\n")

    def linn_all(self, *words):
        done = linn(*SMALL, "--json", "--temp", "0", "--methods", "spec", "--k", "2", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    @unittest.skipUnless((SHARED / "prompts").is_dir(), "there is no ../shared/prompts")
    def test_shared_prompts(self):
        for name in "gsm8k_test", "spec_bench", "human_eval":
            with self.subTest(name=name):
                path = SHARED / "prompts" / f"{name}.jsonl"
                said = json.loads(self.linn_all("--prompts", path, "--limit", "2").stdout)
                self.assertEqual((said["prompts"], said["broken_lines"]), (2, 0))

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_report(self):
        path = self.folder / "out.html"
        prompts = self.file("<p>.jsonl", PROMPTS.read_bytes().replace(b'"story"', b'"<b>&\'tale"'))
        self.done(*SMALL, "--prompts", prompts, "--limit", "8", "--k", "2", "--report", path)
        text = path.read_text()
        self.assertNotIn("http", re.sub(r'src="data:[^"]*"', "", text))
        page = Page(text)
        self.assertIn("Temperature 0.7", page.words)
        captions = [x["alt"] for x in page.pictures]
        for word in "width curve", "by kind of prompt", "Time for a token", "Acceptance by the target":
            self.assertTrue(any(word in c for c in captions), word)
        words = ""
        for picture in page.pictures:
            kind, data = picture["src"].split(",")
            self.assertEqual(kind, "data:image/svg+xml;base64")
            words += "".join(xml.etree.ElementTree.fromstring(base64.b64decode(data)).itertext())
        for word in "tokens in a pass", "position in the draft", "milliseconds for a token", "<b>&'tale", "brook", "paper":
            self.assertIn(word, words)

    def test_no_gnuplot(self):
        self.failed([*SMALL, "--prompts", PROMPTS, "--limit", "1", "--methods", "plain", "--report", self.folder / "x"],
                    "--report: gnuplot", env={**os.environ, "PATH": str(self.folder)})

    def test_misuse(self):
        self.misused(SMALL, "no prompts")
        with_prompts = [*SMALL, "--prompts", PROMPTS, "--limit", "1"]
        self.misused([*with_prompts, "--methods", "spec,none"], "'none'")
        self.misused([*with_prompts, "--temp", ""], "--temp")
        self.misused([*with_prompts, "--temp", "0,-1"], "--temp -1")
        self.misused([*with_prompts, "--temp", "0,1,2,3,4"], "1 to 4")
        self.misused([*with_prompts, "--k-matrix", "1"], "K 1:")
        self.misused([*with_prompts, "--ctx", "12"], "no room for a prompt")
        self.failed([*with_prompts, "-d", "none.gguf"], "none.gguf")
        self.failed([*SMALL, "--prompts", self.folder / "none"], "none")
        self.failed([*SMALL, "--prompts", self.file("empty")], "no prompts")


if __name__ == "__main__":
    unittest.main()
