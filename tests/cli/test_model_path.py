#!/usr/bin/env python3
"""Where a MODEL operand is looked for."""
import json
import os
import pathlib
import shutil
import unittest

from cli import Case, LINN, MODELS, linn

NO_MODELS = pathlib.Path(os.environ["CLI_NO_MODELS"])


class ModelPath(Case):
    def path(self, *words, **options):
        return json.loads(self.done("inspect", "--json", *words, **options).stdout)["path"]

    def test_family_in_the_sources(self):
        for name in "river", "brook", "rill":
            self.assertEqual(self.path(name, cwd=self.folder), str(MODELS / f"{name}.gguf"))

    def test_a_file_of_that_name_comes_first(self):
        shutil.copy(MODELS / "rill.gguf", self.folder / "river")
        self.assertEqual(self.path("river", cwd=self.folder), "river")

    def test_a_folder_of_that_name_does_not_count(self):
        (self.folder / "river").mkdir()
        self.assertEqual(self.path("river", cwd=self.folder), str(MODELS / "river.gguf"))

    def test_beside_the_program(self):
        """A prefix that was moved as a whole."""
        for sub in "bin", "share/linn/models":
            (self.folder / sub).mkdir(parents=True)
        program = self.folder / "bin" / "linn"
        shutil.copy(LINN, program)
        shutil.copy(MODELS / "rill.gguf", self.folder / "share/linn/models/river.gguf")
        found = pathlib.Path(self.path("river", program=program))
        self.assertEqual(found.resolve(), (self.folder / "share/linn/models/river.gguf").resolve())
        self.assertEqual(self.path("brook", program=program), str(MODELS / "brook.gguf"))

    def test_nowhere(self):
        self.failed(["river"], "river: a model of the default family, but not found", "tried ./river, ",
                    f"{NO_MODELS.parent}/../share/linn/models/river.gguf, ", "/nonexistent/a/river.gguf",
                    "/nonexistent/b/river.gguf", program=NO_MODELS, cwd=self.folder)

    def test_other_words_are_paths(self):
        for word in "x", "models/river", "River.gguf", "":
            self.assertEqual(linn(word, program=NO_MODELS, cwd=self.folder).stdout, word + "\n")

    def test_slips(self):
        self.failed(["rivr"], "rivr: no such file; is it 'river'", program=NO_MODELS, cwd=self.folder)
        self.file("rivr")
        self.assertEqual(linn("rivr", program=NO_MODELS, cwd=self.folder).stdout, "rivr\n")


if __name__ == "__main__":
    unittest.main()
