#!/usr/bin/env python3
"""What --cascade auto keeps of a run: where, when it is used, and files that are no good."""
import os
import pathlib
import subprocess
import unittest

from cli import LINN, MODELS, Case

RUN = [LINN, "run", MODELS / "rill.gguf", "-p", "Once upon a time", "-n", "20", "--seed", "1"]


class Profile(Case):
    def run_in(self, cache, *more, home="/nonexistent"):
        environment = {k: v for k, v in os.environ.items() if k not in ("XDG_CACHE_HOME", "HOME")}
        if cache:
            environment["XDG_CACHE_HOME"] = str(cache)
        if home:
            environment["HOME"] = str(home)
        done = subprocess.run([*map(str, RUN), *more], capture_output=True, text=True, check=False, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def profiles(self, cache):
        return sorted((pathlib.Path(cache) / "linn").glob("*"))

    def test_kept_and_used(self):
        first = self.run_in(self.folder)
        self.assertEqual(first.stderr, "")
        (path,) = self.profiles(self.folder)
        self.assertRegex(path.name, r"^[0-9a-f]{16}\.profile$")
        before = path.read_bytes()
        again = self.run_in(self.folder)
        self.assertEqual((again.stdout, again.stderr), (first.stdout, ""))
        self.assertNotEqual(path.read_bytes(), before)
        self.run_in(self.folder, "-t", "1")
        self.assertEqual(len(self.profiles(self.folder)), 2)  # other threads, other costs

    def test_without(self):
        for more in (["--no-profile"], ["--cascade", "off"], ["--cascade", "maxgram"]):
            self.run_in(self.folder, *more)
        self.assertEqual(self.run_in(None, home=None).stderr, "")
        self.assertEqual(self.profiles(self.folder), [])

    def test_home(self):
        self.run_in(None, home=self.folder)
        self.assertEqual(len(self.profiles(self.folder / ".cache")), 1)

    def test_bad_files_are_replaced(self):
        text = self.run_in(self.folder).stdout
        (path,) = self.profiles(self.folder)
        good = path.read_bytes()
        changes = {
            "not a profile": b"GGUF" + good[4:],
            "another version": good[:8] + b"\x63" + good[9:],
            "cut short": good[:-1],
            "damaged": good[:200] + b"\x77" + good[201:],
            "not a profile of linn": b"",
        }
        for reason, content in changes.items():
            with self.subTest(reason=reason):
                path.write_bytes(content)
                done = self.run_in(self.folder)
                self.assertEqual(done.stdout, text)
                self.assertEqual(done.stderr.count("\n"), 1)
                self.assertIn(reason, done.stderr)
                self.assertEqual(self.run_in(self.folder).stderr, "")  # it was replaced

    def test_of_other_models(self):
        self.run_in(self.folder)
        (path,) = self.profiles(self.folder)
        self.run_in(self.folder, "--lenience", "2")
        (other,) = [p for p in self.profiles(self.folder) if p != path]
        path.write_bytes(other.read_bytes())
        self.assertIn("of other models or settings", self.run_in(self.folder).stderr)

    def test_cannot_be_kept(self):
        (self.folder / "linn").write_text("a file")
        done = self.run_in(self.folder)
        self.assertIn("what auto learned is not kept", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
