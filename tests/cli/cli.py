"""What the tests of the command line share: running linn, and the form that failures have.

    from cli import Case, MODELS, linn
    class Run(Case):
        def test_x(self):
            self.assertEqual(self.done("run", MODELS / "rill.gguf", "-p", "A").stdout, "...")
            self.failed(["run", "nowhere.gguf"], "nowhere.gguf", "cannot open")
            self.misused(["run", "--temp", "nan"], "--temp")
"""
import os
import pathlib
import pty
import re
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["CLI_SOURCE"])
LINN = os.environ["CLI_LINN"]
MODELS = SOURCE / "models"
SHARED = pathlib.Path(os.environ.get("LINN_SHARED", "/nonexistent"))  # may not be there
TIMEOUT = 300  # seconds; far more than any test takes, for slow machines and sanitizers


def linn(*words, program=LINN, **options):
    """Runs `linn words...`; options as of subprocess.run. Output is text unless text=False."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": TIMEOUT, "text": True,
               **options}
    if options["text"]:
        options = {"encoding": "utf-8", "errors": "surrogateescape", **options}
    if "input" not in options and "stdin" not in options:
        options["stdin"] = subprocess.DEVNULL
    return subprocess.run([program, *map(os.fspath, words)], check=False, **options)


def on_terminal(*words):
    """(status, everything shown) of linn with a terminal as stdin, stdout and stderr."""
    try:
        pid, terminal = pty.fork()
    except OSError as e:  # as in a chroot without /dev/pts
        raise unittest.SkipTest(str(e)) from None
    if pid == 0:
        os.execv(LINN, [LINN, *map(os.fspath, words)])
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # EIO: the other side has gone
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, shown.decode("utf-8", "replace").replace("\r\n", "\n")


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="linn-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)  # of this test alone

    def done(self, *words, **options):
        """It ends well and has nothing to say on stderr."""
        result = linn(*words, **options)
        self.assertEqual((result.returncode, result.stderr), (0, b"" if result.stderr == b"" else ""))
        return result

    def ends(self, status, words, *parts, **options):
        """It ends with the status and one line on stderr, which has all the parts."""
        result = linn(*words, **options)
        said = result.stderr if isinstance(result.stderr, str) else result.stderr.decode()
        self.assertEqual(result.returncode, status, said)
        self.assertRegex(said, r"\Alinn( [a-z ]+)?: [^\n]+\n\Z")
        self.assertIsNone(re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said), "control characters")
        for part in parts:
            self.assertIn(part, said)
        return result

    def failed(self, words, *parts, **options):
        return self.ends(1, words, *parts, **options)

    def misused(self, words, *parts, **options):
        result = self.ends(2, words, *parts, "--help)", **options)
        self.assertFalse(result.stdout)
        return result

    def file(self, name, content=b""):
        """Path of a new file in the test's folder."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    def full_disk(self, *words, **options):
        """stdout cannot be written."""
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "wb") as full:
            self.failed(words, "standard output: No space left on device", stdout=full, **options)

    def closed_pipe(self, *words, **options):
        """Whoever read stdout is gone."""
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb") as pipe:
            self.failed(words, "standard output: Broken pipe", stdout=pipe, **options)
