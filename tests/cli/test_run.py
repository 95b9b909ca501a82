#!/usr/bin/env python3
"""linn run: text, its ends, what it reports, and everything that can be wrong with it."""
import json
import random
import re
import resource
import signal
import subprocess
import unittest

from cli import LINN, MODELS, SHARED, Case

RIVER, BROOK, RILL = (MODELS / f"{name}.gguf" for name in ("river", "brook", "rill"))
ONCE = ("-p", "Once upon a time", "-t", "1")  # threads in step are slow on a busy machine
GOLDEN = SHARED / "golden/dev"
STORIES = GOLDEN / "stories260K.gguf"


class Text(Case):
    def run_json(self, *words, **options):
        return json.loads(self.done("run", *words, "--json", **options).stdout)

    def test_is_the_same_by_all_ways(self):
        """Plain, by name, from a file, from stdin, as JSON and as ids: one text."""
        words = ("-n", "40", "--seed", "3")
        text = self.done("run", RIVER, *ONCE, *words).stdout
        self.assertGreater(len(text), 40)
        path = self.file("prompt.txt", b"Once upon a time\n")
        self.assertEqual(self.done("run", "river", "-f", path, "-t", "2", *words).stdout, text)
        self.assertEqual(self.done("run", RIVER, "-t", "1", *words, input="Once upon a time").stdout, text)
        whole = self.run_json(RIVER, *ONCE, *words)
        self.assertEqual((whole["text"], whole["finish"], whole["seed"]), (text, "length", 3))
        ids = self.done("run", RIVER, *ONCE, *words, "--ids").stdout
        self.assertEqual(ids, ",".join(map(str, whole["ids"])) + "\n")
        colored = self.done_with_stderr("run", RIVER, "-d", BROOK, "--cascade", "K", *ONCE, *words, "--color")
        self.assertEqual(re.sub(r"\x1b\[\d+m", "", colored.stdout), text)
        self.assertRegex(colored.stdout, r"\x1b\[36m")
        self.assertRegex(re.sub(r"\x1b\[\d+m", "", colored.stderr), r"proposed by:  river \d+  brook \d+  Max-Gram \d+\n")

    def done_with_stderr(self, *words):
        result = subprocess.run([LINN, *map(str, words)], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def test_no_cascade_changes_it(self):
        words = (RIVER, *ONCE, "-n", "60", "--seed", "8")
        want = self.run_json(*words, "--cascade", "off")["ids"]
        for more in (["--cascade", "maxgram"], ["--cascade", "maxgram", "--k", "7"], ["--no-maxgram"],
                     ["-d", BROOK], ["-d", BROOK, "--cascade", "spec", "--k", "16"], ["-d", BROOK, "-d", RILL], ["-d", BROOK, "-d", RILL, "--cascade", "K"],
                     ["-d", BROOK, "-d", RILL, "--k-matrix", "5 14 10; 0 1 10; 0 0 10", "--lenience", "3"],
                     ["-d", BROOK, "--k-matrix", "13,10;0,10", "--lenience", "3", "--lenience-rule", "paper"],
                     ["-d", RILL, "-t", "1", "--block", "2"], ["-t", "3"]):
            with self.subTest(more=more):
                self.assertEqual(self.run_json(*words, *more)["ids"], want)

    def test_rejection_has_its_own_text(self):
        words = (RIVER, *ONCE, "-n", "30", "--seed", "8", "-d", BROOK, "--verify", "rejection",
                 "--cascade", "spec")  # the text depends on what is drafted, and auto reads the clock
        first = self.run_json(*words)
        self.assertEqual(first["ids"], self.run_json(*words)["ids"])
        self.assertEqual(len(first["ids"]), 30)
        greedy = (RIVER, *ONCE, "-n", "30", "--temp", "0", "-d", BROOK)
        self.assertEqual(self.run_json(*greedy)["ids"], self.run_json(*greedy, "--verify", "rejection")["ids"])

    def test_stats_add_up(self):
        whole = self.run_json(RIVER, "-d", BROOK, "-d", RILL, "--cascade", "K", *ONCE, "-n", "80", "--seed", "4")
        stats = whole["stats"]
        self.assertEqual(stats["tokens"], len(whole["ids"]))
        self.assertEqual([level["name"] for level in stats["levels"]], ["river", "brook", "rill", "Max-Gram"])
        self.assertEqual(sum(level["tokens"] for level in stats["levels"]), stats["tokens"])
        drafted = sum(sum(level["drafted"]) for level in stats["levels"])
        self.assertEqual(stats["levels"][0]["reviewed"], drafted)
        for level in stats["levels"]:
            for asked, given in zip(level["drafted"], level["accepted"], strict=True):
                self.assertLessEqual(given, asked)
            self.assertLessEqual(level["approved"], level["reviewed"])
            self.assertLessEqual(level["passes"], level["rows"])
        self.assertGreater(stats["swi_ms"], 0)
        self.assertGreater(stats["wall_ms"], 0)

    def test_table(self):
        result = self.done_with_stderr("run", RIVER, "-d", BROOK, "--cascade", "K", *ONCE, "-n", "30", "--seed", "4",
                                       "--stats")
        for part in ("river", "brook", "Max-Gram", "seed 4", "30 tokens", "accepted, by position", "SWI"):
            self.assertIn(part, result.stderr)

    def test_seeds(self):
        """A random seed is shown and gives the same text again."""
        words = (RIVER, *ONCE, "-n", "30")
        first, second = self.run_json(*words), self.run_json(*words)
        self.assertNotEqual(first["seed"], second["seed"])
        self.assertEqual(self.run_json(*words, "--seed", str(first["seed"]))["ids"], first["ids"])

    def test_stop_strings(self):
        words = (RIVER, *ONCE, "-n", "60", "--seed", "3")
        text = self.done("run", *words).stdout
        for stop in (text[20:25], text[33:60], text[0]):
            for more in ([], ["-d", BROOK, "-d", RILL], ["--ids", "--no-maxgram"]):
                with self.subTest(stop=stop, more=more):
                    whole = self.run_json(*words, "--stop", "never said", "--stop", stop,
                                          *[w for w in more if w != "--ids"])
                    self.assertEqual((whole["finish"], whole["text"]), ("stop", text[:text.index(stop)]))

    def test_context(self):
        whole = self.run_json(RIVER, *ONCE, "--ctx", "20", "-d", BROOK)
        self.assertEqual((whole["finish"], len(whole["ids"])), ("context", 20 - whole["stats"]["prompt_tokens"]))
        self.assertEqual(self.run_json(RIVER, *ONCE, "-n", "0")["text"], "")

    def test_long_prompt(self):
        """Read in several passes; drafters too."""
        prompt = " ".join(random.Random(1).choices(["the", "sea", "was", "calm", "and", "then", "it"], k=300))
        words = (RIVER, "-t", "1", "-p", prompt, "-n", "20", "--temp", "0")
        self.assertEqual(self.run_json(*words)["ids"], self.run_json(*words, "-d", BROOK, "-d", RILL)["ids"])

    @unittest.skipUnless(STORIES.exists(), "needs the conformance data")
    def test_recorded_stories(self):
        for record in json.loads((GOLDEN / "stories260K.greedy.json").read_text()):
            n = len(record["ids"]) - record["n_prompt"]
            for more in ([], ["-d", STORIES], ["--kv", "f32"]):
                with self.subTest(prompt=record["prompt"], more=more):
                    words = (STORIES, "-t", "1", "-p", record["prompt"], "--temp", "0", "-n", str(257 - record["n_prompt"]))
                    whole = self.run_json(*words, *more)
                    self.assertEqual(whole["ids"][:n], record["ids"][record["n_prompt"]:])
                    # run.c prints a newline at the end, and stops at a begin token without a word
                    self.assertEqual(record["prompt"] + whole["text"] + "\n", record["text"])
                    self.assertEqual(whole["finish"], "end" if record["ended_with_bos"] else "length")


class Interrupted(Case):
    def interrupt(self, *words):
        """Ctrl-C once text has begun to come. stdout, stderr."""
        # Not buffered: communicate() would lose what came with the first byte.
        with subprocess.Popen([LINN, "run", *map(str, words)], bufsize=0, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            first = b"" if "--json" in words else process.stdout.read(1)
            if not first:
                self.wait_for_work(process.pid)
            process.send_signal(signal.SIGINT)
            rest, said = process.communicate(timeout=120)
            self.assertEqual((process.returncode, said), (130, b""))
            return (first + rest).decode()

    @staticmethod
    def wait_for_work(pid):
        """Until the program watches for SIGINT."""
        while True:
            with open(f"/proc/{pid}/status", encoding="ascii") as status:
                caught = int(re.search(r"SigCgt:\s*(\w+)", status.read())[1], 16)
            if caught >> (signal.SIGINT - 1) & 1:
                return

    def test_text_so_far_stands(self):
        text = self.interrupt(RIVER, *ONCE, "--ctx", "200000", "--seed", "1")
        want = self.done("run", RIVER, *ONCE, "-n", "20", "--seed", "1").stdout
        self.assertTrue(text.startswith(want[:len(text)]) and text)

    def test_json(self):
        whole = json.loads(self.interrupt(RIVER, "-d", BROOK, *ONCE, "--ctx", "200000", "--json"))
        self.assertEqual(whole["finish"], "cancelled")


class Refused(Case):
    def test_prompts(self):
        self.failed(["run", RIVER, "-f", self.file("a", b"ab\xff cd")], "prompt", "not UTF-8 at byte 2")
        self.failed(["run", RIVER, "-f", self.folder / "none"], "none", "No such file")
        self.failed(["run", RIVER, "-f", self.folder], "Is a directory")
        self.failed(["run", RIVER, "-p", ""], "prompt is empty")
        self.failed(["run", RIVER, "-p", "word " * 500, "--ctx", "100"], "prompt has 502 tokens", "context 100")
        self.misused(["run", RIVER, "-p", "a", "-f", "b"], "-p and -f")
        self.failed(["run", RIVER, "-p", "a", "--chat"], "chat template")

    def test_numbers(self):
        for option, value in (("-n", "-1"), ("-n", "1e3"), ("--temp", "nan"), ("--temp", "-1"), ("--top-p", "2"),
                              ("--top-p", "0"), ("--min-p", "1"), ("--top-k", "-1"), ("--repeat-penalty", "0"),
                              ("--seed", "-1"), ("--lenience", "0.99"), ("--lenience", "nan"), ("--k", "0"),
                              ("--k", "256"), ("-t", "0"), ("--ctx", "0"), ("--kv", "f8"), ("--cascade", "on"),
                              ("--presence-penalty", "inf"), ("--block", "0"), ("--verify", "no")):
            with self.subTest(option=option, value=value):
                self.misused(["run", RIVER, *ONCE, option, value], option, value)

    def test_matrices(self):
        drafters = ["-d", BROOK, "-d", RILL]
        for matrix, said in (("1 2; 0 3", "2 rows: with 2 drafters and Max-Gram it must have 3"),
                             ("1 2 3; 0 1", "row 2 has 2 numbers"), ("1 2; 0 1 2", "row 2 has 3 numbers, row 1 has 2"),
                             ("1 2 3; 0 1 2", "must be square"), ("-1 1 1; 0 1 1; 0 0 1", "'-1' in row 1"),
                             ("1 1 1; 0 1 99999; 0 0 1", "'99999' in row 2"), ("1 1 1; 0 1 x; 0 0 1", "'x' in row 2"),
                             ("0 0 0; 0 0 0; 0 0 0", "all zeros"), ("1 1 1; 1 1 1; 0 0 1", "below the diagonal"),
                             ("200 200 1; 0 1 1; 0 0 1", "at most 255"), ("", "0 rows"), (";;", "0 rows"),
                             ("1 1 1 1 1 1 1 1 1", "more than 8")):
            with self.subTest(matrix=matrix):
                self.misused(["run", RIVER, *ONCE, *drafters, "--k-matrix", matrix], said)
        self.misused(["run", RIVER, *ONCE, "--cascade", "off", "--k-matrix", "1"], "--k-matrix")

    def test_drafters(self):
        self.misused(["run", RIVER, *ONCE, "--cascade", "spec"], "needs a drafter")
        self.misused(["run", RIVER, *ONCE, *["-d", RILL] * 6], "6 drafters")
        self.failed(["run", RIVER, *ONCE, "-d", "none.gguf"], "none.gguf")
        broken = self.file("broken.gguf", RILL.read_bytes()[:100000])
        self.failed(["run", RIVER, *ONCE, "-d", broken], "broken.gguf")
        if STORIES.exists():
            self.failed(["run", RIVER, *ONCE, "-d", STORIES], "stories260K: another tokenizer", "token 0")

    def test_larger_drafter_is_a_warning(self):
        result = self.ends(0, ["run", RILL, "-d", RIVER, *ONCE, "-n", "10", "--seed", "1"], "river", "larger than rill")
        self.assertEqual(result.stdout, self.done("run", RILL, *ONCE, "-n", "10", "--seed", "1").stdout)

    def test_outputs(self):
        self.full_disk("run", RIVER, *ONCE)
        self.full_disk("run", RIVER, *ONCE, "--json", "-n", "5")
        self.closed_pipe("run", RIVER, *ONCE)
        for pair in (["--json", "--color"], ["--json", "--ids"], ["--color", "--ids"]):
            self.misused(["run", RIVER, *ONCE, *pair], pair[0], pair[1])

    def test_no_memory_for_the_cache(self):
        if b"asan" in subprocess.run(["nm", LINN], capture_output=True, check=False).stdout:
            self.skipTest("the address sanitizer takes all addresses there are")
        limit = 600 << 20
        self.failed(["run", RIVER, *ONCE, "--ctx", "10000000"], "no memory for the KV cache",
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))


if __name__ == "__main__":
    unittest.main()
