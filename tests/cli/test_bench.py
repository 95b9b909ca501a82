#!/usr/bin/env python3
"""linn bench."""
import json
import unittest

from cli import Case


class Memory(Case):
    def test_json(self):
        said = json.loads(self.done("bench", "memory", "--size", "2", "--rounds", "3", "-t", "2", "--json").stdout)
        self.assertEqual((said["bytes"], said["rounds"], said["threads"]), (2 << 20, 3, 2))
        self.assertGreater(said["bytes_per_second"], 1e6)

    def test_line(self):
        said = self.done("bench", "memory", "--size", "1", "--rounds", "1", "-t", "1").stdout
        self.assertRegex(said, r"^[0-9.]+ GB/s from 1 MiB, 1 thread, best of 1 rounds\n$")

    def test_misuse(self):
        self.misused(["bench", "memory", "--size", "0"])
        self.misused(["bench", "memory", "--rounds", "-1"])
        self.misused(["bench", "memory", "extra"])
        self.misused(["bench", "speedy"])


if __name__ == "__main__":
    unittest.main()
