#!/usr/bin/env python3
"""Runs the tests of a build folder and counts their cases.

  run-tests.py BUILD [OPTION OF meson test]...

meson counts programs; a program holds many cases. This runs `meson test`, reads the cases
from what each program printed (cmocka, or Python's unittest), and prints as its last line

  N passed, N failed, N skipped

The exit status is 0 only when nothing failed, whichever of the two noticed. A program that
fails without a failed case (a crash, a leak found at exit, a timeout) counts as one failure,
one that prints no cases as one case.
"""
import json
import pathlib
import re
import subprocess
import sys
from collections import Counter

CMOCKA = re.compile(r"^\[ *(RUN|OK|FAILED|ERROR|SKIPPED) *\] (?:.*: )?(\S+)", re.M)
OUTCOME = {"OK": "passed", "FAILED": "failed", "ERROR": "failed", "SKIPPED": "skipped"}
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in ", re.M)
UNITTEST_NOT = re.compile(r"\b(failures|errors|skipped|unexpected successes)=(\d+)")


def count_cmocka(out):
    """Each RUN line opens a case, the next line with an outcome closes it. The lists that
    cmocka prints at the end repeat outcomes of closed cases."""
    cases, open_case = Counter(), False
    for word, _ in CMOCKA.findall(out):
        if word == "RUN":
            cases["failed"] += open_case  # the case before never ended
            open_case = True
        elif open_case:
            cases[OUTCOME[word]] += 1
            open_case = False
    cases["failed"] += open_case
    return cases


def count_unittest(err):
    cases = Counter()
    for ran in UNITTEST_RAN.finditer(err):
        tail = err[ran.end():].lstrip().split("\n\n", 2)
        verdict = next((p for p in tail if p.startswith(("OK", "FAILED"))), "FAILED")
        bad = Counter({k: int(n) for k, n in UNITTEST_NOT.findall(verdict)})
        skipped = bad.pop("skipped", 0)
        failed = sum(bad.values())
        # errors of a class or module are not among the tests that ran
        cases.update(failed=failed, skipped=skipped, passed=max(0, int(ran[1]) - failed - skipped))
    return cases


def count(test):
    """Cases of one program of meson's test log."""
    cases = count_cmocka(test.get("stdout", "")) + count_unittest(test.get("stderr", ""))
    result = test["result"]
    if result == "SKIP" and not cases:
        print(f"{test['name']}: {test.get('stdout', '').strip() or 'skipped'}")
    if result in ("SKIP", "EXPECTEDFAIL"):
        return cases or Counter(skipped=1)
    if result != "OK":
        return cases if cases["failed"] else cases + Counter(failed=1)
    if cases["failed"]:
        print(f"{test['name']}: has failed cases but exit status 0", file=sys.stderr)
    return cases or Counter(passed=1)


def main():
    build, options = pathlib.Path(sys.argv[1]), sys.argv[2:]
    log = build / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    # Machines may be slow and shared, and nothing here depends on time.
    command = ["meson", "test", "-C", str(build), "--no-rebuild", "--print-errorlogs",
               "--timeout-multiplier", "10", *options]
    status = subprocess.run(command, stdin=subprocess.DEVNULL).returncode
    total = Counter(failed=0, skipped=0, passed=0)
    if log.exists():
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            total.update(count(json.loads(line)))
    if status and not total["failed"]:
        total["failed"] = 1  # meson itself failed
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    sys.exit(1 if total["failed"] else 0)


if __name__ == "__main__":
    main()
