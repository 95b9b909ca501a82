#!/usr/bin/env python3
"""The house rules that a machine can check: headers compile alone, only linn_ is exported,
there are no global variables, and what is installed can be used.

meson passes what it knows about the build in HOUSE_* variables.
"""
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["HOUSE_SOURCE"])
PUBLIC = sorted((SOURCE / "include").glob("*.h"))
OF_PROGRAM = {"linn_serve.h"}  # of the program's own library, which is not installed
BUILD = pathlib.Path(os.environ["HOUSE_BUILD"])
CC = os.environ["HOUSE_CC"].split()
SHARED = os.environ["HOUSE_SHARED_LIB"]
STATIC = os.environ["HOUSE_STATIC_LIB"]
VERSION = os.environ["HOUSE_VERSION"]
SANITIZE = os.environ["HOUSE_SANITIZE"]  # "none", or what -fsanitize takes

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wstrict-prototypes", "-Wmissing-prototypes"]
# Headers of kernels for one instruction set need its flags.
SET_FLAGS = {"avx2": ["-mavx2", "-mfma", "-mf16c"], "avx512": ["-march=x86-64-v4"], "neon": []}
# Symbols that sanitizers add.
INSTRUMENTATION = re.compile(r"^(__odr_asan|__asan|__ubsan|__sanitizer|__start___|__stop___)")


def run(*command, **options):
    """Output of a command; its errors too when it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False,
                          **{"input": "", **options})
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def compiles(compiler, standard, header, *flags):
    """The header alone, twice, as the whole of a translation unit."""
    text = f'#include "{header}"\n#include "{header}"\nextern int not_empty;\n'
    run(*compiler, f"-std={standard}", *WARNINGS[:3], *flags, "-I", SOURCE / "include",
        "-I", SOURCE / "src", "-fsyntax-only", "-", input=text)


def symbols(library, *flags):
    """(letter, name) of the external symbols that a library defines."""
    found = re.findall(r"^[0-9a-f]+ ([A-Za-z]) (\S+)$", run("nm", *flags, "--defined-only", library), re.M)
    return {(kind, name) for kind, name in found if not INSTRUMENTATION.match(name)}


def public_functions():
    headers = "".join(header.read_text() for header in PUBLIC)
    text = re.sub(r"/\*.*?\*/", "", headers, flags=re.S)
    return set(re.findall(r"^LINN_API\b[^;]*?\b(linn_\w+)\(", text, re.M))


class Headers(unittest.TestCase):
    def test_each_compiles_alone(self):
        machine = run(*CC, "-dumpmachine")
        for header in sorted(SOURCE.glob("src/**/*.h")):
            kernel_set = header.parent.name
            if kernel_set in SET_FLAGS and ("x86_64" in machine) == (kernel_set == "neon"):
                continue
            with self.subTest(header=header.name):
                compiles([*CC, "-x", "c"], "gnu17", header, "-D_GNU_SOURCE", *SET_FLAGS.get(kernel_set, []))

    def test_public_header_is_strict_c(self):
        for header, standard in itertools.product(PUBLIC, ("c11", "c17")):
            compiles([*CC, "-x", "c"], standard, header.name, "-pedantic-errors")

    def test_public_header_is_cxx(self):
        cxx = next(filter(shutil.which, ("c++", "g++", "clang++")), None)
        if not cxx:
            self.skipTest("no C++ compiler")
        for header in PUBLIC:
            compiles([cxx, "-x", "c++"], "c++11", header.name, "-pedantic-errors")

    def test_public_header_is_short(self):
        for header in PUBLIC:
            lines = header.read_text().count("\n")
            self.assertLess(lines, 400, f"{header.name} is to be read in one go")


class Symbols(unittest.TestCase):
    def test_shared_library_exports_the_header(self):
        exported = {name for _, name in symbols(SHARED, "-D")}
        self.assertEqual(exported - public_functions(), set(), "exported, not in a public header")

    def test_static_library_has_one_prefix(self):
        strangers = {name for _, name in symbols(STATIC, "-g") if not name.startswith("linn_")}
        self.assertEqual(strangers, set())

    @unittest.skipUnless(SANITIZE == "none", "sanitizers keep variables of their own")
    def test_no_global_variables(self):
        table = run("objdump", "-h", "-w", STATIC)
        self.assertIn(" .text", table)
        sections = re.findall(r"^ +\d+ (\.t?(?:data|bss)\S*) +([0-9a-f]+)", table, re.M)
        used = {name for name, size in sections if int(size, 16)}
        self.assertEqual({n for n in used if not n.startswith(".data.rel.ro")}, set())


class Documents(unittest.TestCase):
    def test_links_lead_somewhere(self):
        for page in [*SOURCE.glob("*.md"), *(p for d in ("docs", "models", "bench") for p in SOURCE.glob(f"{d}/**/*.md"))]:
            for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
                if "://" not in link:
                    with self.subTest(page=page.name, link=link):
                        self.assertTrue((page.parent / link).exists())


class Installed(unittest.TestCase):
    """`meson install` into an empty folder, and programs built against what is there."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.folder.name) / "root"
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", cls.root)
        cls.pc = next(cls.root.glob("**/linn.pc"))
        cls.lib = cls.pc.parents[1]
        cls.env = {**os.environ, "PKG_CONFIG_PATH": str(cls.pc.parent), "LD_LIBRARY_PATH": str(cls.lib),
                   "PKG_CONFIG_SYSROOT_DIR": str(cls.root)}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def pkg_config(self, *options):
        return run("pkg-config", *options, "linn", env=self.env).split()

    def program(self, source, *libraries):
        """Builds and runs a user's program; returns what it prints."""
        out = pathlib.Path(self.folder.name) / "program"
        sanitize = [] if SANITIZE == "none" else [f"-fsanitize={SANITIZE}"]
        run(*CC, *WARNINGS, *sanitize, *self.pkg_config("--cflags"), source, "-o", out, *libraries)
        return run(out, env=self.env, cwd=SOURCE)

    def test_files(self):
        headers = {header.name for header in PUBLIC} - OF_PROGRAM
        for pattern in (*(f"include/{name}" for name in headers), "lib*/**/liblinn.a", "lib*/**/liblinn.so", "bin/linn",
                        "share/linn/models/river.gguf", "share/linn/models/brook.gguf",
                        "share/linn/models/rill.gguf", "share/man/man1/linn.1", "share/bash-completion/completions/linn"):
            with self.subTest(file=pattern):
                self.assertEqual(len(set(self.root.glob(f"**/{pattern}"))), 1)

    def test_shared(self):
        self.assertEqual(self.program(SOURCE / "tests/house/program.c", *self.pkg_config("--libs")), VERSION + "\n")

    def test_static(self):
        libraries = self.pkg_config("--libs", "--static")
        libraries[libraries.index("-llinn")] = "-l:liblinn.a"
        self.assertEqual(self.program(SOURCE / "tests/house/program.c", *libraries), VERSION + "\n")

    def test_example_of_the_readme(self):
        example = re.search(r"```c\n(.*?)```", (SOURCE / "README.md").read_text(), re.S)[1]
        source = SOURCE / "examples/generate.c"
        self.assertEqual(source.read_text(), example)
        self.assertGreater(len(self.program(source, *self.pkg_config("--libs")).split()), 10)

    def test_versions_agree(self):
        self.assertEqual(self.pkg_config("--modversion"), [VERSION])
        said = run(next(self.root.glob("**/bin/linn")), "--version", env=self.env)
        self.assertRegex(said, rf"(?m)^linn {re.escape(VERSION)}\b")
        soname = re.search(r"SONAME +(\S+)", run("objdump", "-p", SHARED))[1]
        self.assertEqual(soname, "liblinn.so." + VERSION.split(".")[0])


if __name__ == "__main__":
    unittest.main()
