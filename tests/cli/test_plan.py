#!/usr/bin/env python3
"""linn plan. The figures themselves are tested in tests/cascade/test_plan.c."""
import json
import os
import shutil
import unittest
import xml.etree.ElementTree

from cli import Case, SOURCE

THREE = ["--alpha", "0.8 0.6 0.4; 0.7 0.45; 0.5", "--cost", "0.2 0.05", "--maxgram"]


class Plan(Case):
    def plan_json(self, *words):
        return json.loads(self.done("plan", *words, "--json").stdout)

    def test_two_models(self):
        """The closed form of speculative decoding, at its best k."""
        said = self.plan_json("--alpha", "0.8", "--cost", "0.05")
        plain, two = said["cascades"]
        self.assertEqual((plain["speed"], plain["k_matrix"]), (1, [[0]]))
        forms = {k: (1 - 0.8 ** (k + 1)) / (0.2 * (k * 0.05 + 1)) for k in range(1, 17)}
        best = max(forms, key=forms.get)
        self.assertEqual(two["k_matrix"], [[best]])
        self.assertAlmostEqual(two["speed"], forms[best], delta=1e-9)
        self.assertEqual([x.get("pays") for x in said["levels"]], [None, True])

    def test_shapes(self):
        said = self.plan_json(*THREE, "--k-matrix", "5 14 10; 0 1 10; 0 0 10", "--simulate", "20000")
        shapes = [c["shape"] for c in said["cascades"]]
        self.assertEqual(shapes, ["plain", "two", "two", "two", "vertical", "horizontal", "combined", "given"])
        for c in said["cascades"]:
            with self.subTest(shape=c["shape"], name=c["name"]):
                self.assertLessEqual(abs(c["speed"] - c["drawn"]["speed"]), 5 * c["drawn"]["error"])
        self.assertEqual(said["cascades"][-1]["k_matrix"], [[5, 14, 10], [0, 1, 10], [0, 0, 10]])
        speeds = [c["speed"] for c in said["cascades"]]
        self.assertEqual(said["fastest"], 6)
        self.assertEqual(max(speeds), speeds[6])
        self.assertEqual([x["name"] for x in said["levels"]], ["target", "drafter 1", "drafter 2", "Max-Gram"])

    def test_table(self):
        said = self.done("plan", *THREE, "--simulate", "1000").stdout
        self.assertRegex(said, r"(?m)^plain decoding +1\.00x +1\.000 \+-0\.000 +1\.00 *$")
        self.assertRegex(said, r"(?m)^combined +2\.61x .* 3\.83   \d+ \d+ \d+; 0 ")
        self.assertRegex(said, r"(?m)^  Max-Gram +1\.1\dx   pays \(2\.\d\dx without it\)$")
        self.assertRegex(said, r'fastest: --k-matrix "[\d ;]+" --block \d+\n\Z')

    def test_nothing_pays(self):
        said = self.done("plan", "--alpha", "0.1", "--cost", "0.9").stdout
        self.assertIn("does not pay", said)
        self.assertIn("fastest: plain decoding", said)

    def figures(self, **changes):
        o = {"levels": [{"name": "big", "cost": {"1": 10, "4": 12, "2": 11}}, {"name": "small", "cost": 1},
                        {"name": "Max-Gram", "statistical": True, "hit": 0.5}],
             "acceptance": [[0.8, 0.5], [0.6]], **changes}
        return self.file("figures.json", json.dumps({k: v for k, v in o.items() if v is not None}).encode())

    def test_figures(self):
        said = self.plan_json("--figures", self.figures(about="an example"), "--k-matrix", "2 0; 0 0")
        # 2 tokens of `small`: a pass of 3 rows costs 11.5
        expected = (1 + 0.8 + 0.64) / (11.5 + 2) * 10
        self.assertAlmostEqual(said["cascades"][-1]["speed"], expected, delta=1e-9)
        self.assertEqual([x["name"] for x in said["levels"]], ["big", "small", "Max-Gram"])

    def test_figures_of_the_documentation(self):
        for path in sorted(SOURCE.glob("docs/*.json")):
            with self.subTest(path=path.name):
                self.done("plan", "--figures", path)

    def test_bad_figures(self):
        big, small = {"name": "big", "cost": 10}, {"name": "small", "cost": 1}
        for said, changes in (
                ("levels", {"levels": None}), ("levels", {"levels": []}), ("levels", {"levels": [big] * 9}),
                ("unknown key 'more'", {"more": 1}), ("acceptance", {"acceptance": None}),
                ("acceptance: row 1 must have 2", {"acceptance": [[0.5], [0.5]]}),
                ("acceptance: row 2 must have 1", {"acceptance": [[0.5, 0.5], ["x"]]}),
                ("level 2: name", {"levels": [big, {"cost": 1}, small]}),
                ("level 2: cost", {"levels": [big, {"name": "x"}, small]}),
                ("level 2: cost: rows", {"levels": [big, {"name": "x", "cost": {"0": 1}}, small]}),
                ("level 2: unknown key 'x'", {"levels": [big, {**small, "x": 1}, small]}),
                ("level 1: statistical", {"levels": [{**big, "statistical": True}, small, small]}),
                ("level 3: hit", {"levels": [big, small, {**small, "hit": 0.5}]}),
                ("level 2: cost 0 of a pass: must be above 0", {"levels": [big, {"name": "x", "cost": 0}, small]}),
                ("acceptance 1.5 of level 2 by level 1", {"acceptance": [[1.5, 0.5], [0.5]]})):
            with self.subTest(said=said, changes=changes):
                self.failed(["plan", "--figures", self.figures(**changes)], said)
        self.failed(["plan", "--figures", self.file("f", b"{\"levels\": [}")], "line 1, column")
        self.failed(["plan", "--figures", self.file("f", b"")], "line 1")
        self.failed(["plan", "--figures", self.folder / "none"], "No such file")

    def test_learned(self):
        env = {**os.environ, "XDG_CACHE_HOME": str(self.folder)}
        model = ["river", "-d", "rill", "-t", "1"]
        self.failed(["plan", *model], "nothing was learned", "linn tune", env=env)
        for n in "12":
            self.done("run", *model, "-p", "Once upon a time", "-n", "60", "--temp", "0", "--seed", n, env=env)
        said = json.loads(self.done("plan", *model, "--temp", "0", "--json", env=env).stdout)
        self.assertEqual([x["name"] for x in said["levels"]], ["river", "rill", "Max-Gram"])
        self.assertEqual([c["shape"] for c in said["cascades"]],
                         ["plain", "two", "two", "vertical", "horizontal", "combined"])
        self.assertEqual(said["cascades"][0]["tokens"], 1)
        self.assertGreater(said["cascades"][0]["cost"], 0)
        self.assertGreaterEqual(said["cascades"][-1]["speed"], 1)

    def test_misuse(self):
        self.misused(["plan"], "--alpha")
        self.misused(["plan", "river", "--alpha", "0.5"], "river and --alpha")
        self.misused(["plan", "river", "--figures", "x"], "river and --figures")
        self.failed(["plan", "nowhere.gguf"], "nowhere.gguf")
        self.misused(["plan", "--alpha", "x"], "'x' in row 1")
        self.misused(["plan", "--alpha", "", "--cost", ""], "--alpha: there are no numbers")
        self.misused(["plan", "--alpha", "0.5 0.5", "--cost", "1 1"], "--alpha: 1 rows")
        self.misused(["plan", "--alpha", "0.5 0.5; 0.5 0.5", "--cost", "1 1"], "--alpha: row 2 has 2")
        self.misused(["plan", "--alpha", "0.5", "--cost", "1 1"], "--cost")
        self.misused(["plan", "--alpha", " ".join(["0.5"] * 7), "--cost", "1"], "at most 6")
        self.misused(["plan", "--alpha", "0.5", "--cost", "1", "--k-matrix", "1 1; 0 1"], "must have 1")
        self.misused(["plan", "--alpha", "0.5", "--cost", "1", "--k-matrix", "1.5"], "whole number")
        self.misused(["plan", "--alpha", "0.5", "--cost", "1", "--figures", "x"], "--figures")
        self.misused(["plan", "--alpha", "0.5", "--cost", "1", "--most", "33"], "--most 33")
        self.failed(["plan", "--alpha", "1.5", "--cost", "1"], "acceptance 1.5")

    def test_full_disk(self):
        self.full_disk("plan", *THREE)

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_plot(self):
        picture = self.folder / "plan.svg"
        self.done("plan", *THREE, "--plot", picture)
        root = xml.etree.ElementTree.parse(picture).getroot()
        self.assertTrue(root.tag.endswith("svg"))
        words = "".join(root.itertext())
        for word in "drafter 2", "Max-Gram", "vertical", "horizontal", "combined", "tokens drafted", "expected speed":
            self.assertIn(word, words)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["plan.svg"])
        self.failed(["plan", *THREE, "--plot", self.folder / "none/plan.svg"], "cannot write", "No such file")
        strange = self.figures(levels=[{"name": "a'b\\c\n", "cost": 2}, {"name": "'; system('x", "cost": 1},
                                       {"name": "_{x}", "cost": 1}])
        self.done("plan", "--figures", strange, "--plot", picture)
        self.assertIn("_{x}", picture.read_text())

    def test_no_gnuplot(self):
        env = {**os.environ, "PATH": str(self.folder)}
        self.failed(["plan", *THREE, "--plot", self.folder / "x.svg"], "--plot: gnuplot", "gnuplot-nox", env=env)
        self.assertEqual(list(self.folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
