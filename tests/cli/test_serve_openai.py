#!/usr/bin/env python3
"""linn serve and the official JavaScript client, the npm package openai.

The package comes into the build folder (CLI_NPM) when it is not there; the checks themselves are in
openai_client.js.
"""
import os
import pathlib
import shutil
import subprocess
import unittest

from cli import SOURCE, TIMEOUT
from serving import Server

PACKAGE = "openai@7.57.0"
NPM = pathlib.Path(os.environ["CLI_NPM"])


def install():
    """The folder that holds the package, or a skipped test."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"no {program}")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 20:
        raise unittest.SkipTest(f"node {version}: {PACKAGE} wants 20 or later")
    modules = NPM / "node_modules"
    if not (modules / "openai").exists():
        NPM.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["npm", "install", "--prefix", NPM, "--ignore-scripts", "--no-audit", "--no-fund", PACKAGE],
                              capture_output=True, text=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise unittest.SkipTest(f"npm cannot get {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    return modules


class OpenAI(unittest.TestCase):
    def test_official_client(self):
        modules = install()
        with Server("river", "--api-key", "secret", "--slots", "2", "--queue", "4") as server:
            done = subprocess.run(["node", SOURCE / "tests/cli/openai_client.js", modules, f"http://127.0.0.1:{server.port}/v1",
                                   "secret", "river"], capture_output=True, text=True, timeout=TIMEOUT, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertGreater(len(lines), 8)
        for line in lines:
            with self.subTest(line.split(":")[0]):
                self.assertTrue(line.startswith("ok "), line)


if __name__ == "__main__":
    unittest.main()
