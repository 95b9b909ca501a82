#!/usr/bin/env python3
"""tools/run-tests.py counts what cmocka and unittest print, and never loses a failure."""
import importlib.util
import pathlib
import unittest

path = pathlib.Path(__file__).parents[2] / "tools" / "run-tests.py"
spec = importlib.util.spec_from_file_location("run_tests", path)
run_tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run_tests)

CMOCKA = """\
[==========] Running 3 test(s).
[ RUN      ] a
[  SKIPPED ] a
[ RUN      ] b
{}
[ RUN      ] c
[       OK ] c
[==========] 3 test(s) run.
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] a
"""


def counted(result="OK", stdout="", stderr=""):
    cases = run_tests.count({"name": "t", "result": result, "stdout": stdout, "stderr": stderr})
    return cases["passed"], cases["failed"], cases["skipped"]


class Counting(unittest.TestCase):
    def test_cmocka(self):
        self.assertEqual(counted("OK", CMOCKA.format("[       OK ] b")), (2, 0, 1))
        self.assertEqual(counted("FAIL", CMOCKA.format("[  FAILED  ] b")), (1, 1, 1))

    def test_newer_cmocka_names_the_group(self):
        out = "[==========] g: Running 1 test(s).\n[ RUN      ] a\n[       OK ] a\n" \
              "[==========] g: 1 test(s) run.\n[  PASSED  ] 1 test(s).\n"
        self.assertEqual(counted("OK", out), (1, 0, 0))

    def test_crash_in_a_case(self):
        out = "[==========] Running 2 test(s).\n[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n"
        self.assertEqual(counted("FAIL", out), (1, 1, 0))

    def test_failure_outside_the_cases(self):
        out = "[ RUN      ] a\n[       OK ] a\n"
        for result in ("FAIL", "ERROR", "TIMEOUT"):
            self.assertEqual(counted(result, out), (1, 1, 0))

    def test_failed_case_with_status_0(self):
        self.assertEqual(counted("OK", "[ RUN      ] a\n[  FAILED  ] a\n"), (0, 1, 0))

    def test_unittest(self):
        ran = "test_a (t.T) ... ok\n\n-----\nRan 5 tests in 0.1s\n\n"
        self.assertEqual(counted("OK", stderr=ran + "OK\n"), (5, 0, 0))
        self.assertEqual(counted("OK", stderr=ran + "OK (skipped=2)\n"), (3, 0, 2))
        self.assertEqual(counted("FAIL", stderr=ran + "FAILED (failures=1, errors=1, skipped=1)\n"),
                         (2, 2, 1))

    def test_no_cases(self):
        self.assertEqual(counted("OK"), (1, 0, 0))
        self.assertEqual(counted("FAIL"), (0, 1, 0))
        self.assertEqual(counted("SKIP"), (0, 0, 1))


if __name__ == "__main__":
    unittest.main()
