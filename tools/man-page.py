#!/usr/bin/env python3
"""Makes the manual page: its frame, and of each command what --help says.

  man-page.py LINN man/linn.1.in linn.1

In the frame @COMMANDS@ on a line stands for the commands, @VERSION@ for what `linn --version` says
first.
"""
import pathlib
import re
import subprocess
import sys

OPTION = re.compile(r"^  (?:-(?P<letter>\w), |    )--(?P<name>[\w-]+)(?: (?P<argument>\S.*?))?(?:  +(?P<text>.*))?$")
ENTRY = re.compile(r"^  (?P<name>[\w-]+)  +(?P<text>.*)$")


class Help:
    """What --help of a command prints, taken apart."""

    def __init__(self, linn, words):
        out = subprocess.run([linn, *words, "--help"], check=True, capture_output=True, text=True).stdout
        self.words = words
        usage, *rest = out.split("\n\n")
        self.usage = usage.removeprefix("Usage: ")
        self.paragraphs, self.groups, self.commands, self.examples = [], [], [], ""
        for i, part in enumerate(rest):
            head, _, body = part.partition("\n")
            if head == "Commands:":
                self.commands = [(m["name"], m["text"]) for m in map(ENTRY.match, body.splitlines()) if m]
            elif head in ("Examples:", "Example:"):
                self.examples = "\n\n".join([body, *rest[i + 1:]]).rstrip("\n")
                break
            elif head.endswith(":") and body.startswith("  "):
                self.groups.append((head, list(options(body))))
            else:
                self.paragraphs.append(" ".join(part.split()))

    def options(self):
        return [option for _, group in self.groups for option in group]


def options(body):
    """(letter, name, argument, text) of each entry; its text may go on in lines set further in."""
    entry = None
    for line in body.splitlines():
        m = OPTION.match(line)
        if m:
            if entry:
                yield tuple(entry)
            entry = [m["letter"], m["name"], m["argument"], m["text"] or ""]
        elif entry:
            entry[3] = f"{entry[3]} {line.strip()}".strip()
    if entry:
        yield tuple(entry)


def all_commands(linn, words=()):
    """Help of every command that does something, in the order of `linn --help`."""
    h = Help(linn, words)
    if words and not h.commands:
        yield h
    for name, _ in h.commands:
        yield from all_commands(linn, (*words, name))


def troff(s):
    s = s.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", "\\&", s, flags=re.M)


def page_of(h):
    lines = [f".SS {troff(h.usage)}"]
    for i, paragraph in enumerate(h.paragraphs):
        lines += [".PP"] * (i > 0) + [troff(paragraph)]
    for head, group in h.groups:
        group = [o for o in group if o[1] != "help"]
        if not group:
            continue
        if head != "Options:":
            lines += [".PP", f"\\fI{troff(head)}\\fR"]
        for letter, name, argument, text in group:
            title = (f"\\fB\\-{letter}\\fR, " if letter else "") + f"\\fB\\-\\-{troff(name)}\\fR"
            title += f" \\fI{troff(argument)}\\fR" if argument else ""
            lines += [".TP", title, troff(text)]
    if h.examples:
        examples = "\n".join(line.removeprefix("  ") for line in h.examples.splitlines())
        lines += [".PP", ".EX", troff(examples), ".EE"]
    return "\n".join(lines) + "\n"


def main():
    linn, frame, out = sys.argv[1:]
    version = subprocess.run([linn, "--version"], check=True, capture_output=True, text=True).stdout
    page = pathlib.Path(frame).read_text(encoding="utf-8")
    page = page.replace("@VERSION@", " ".join(version.split()[:2]))
    page = page.replace("@COMMANDS@\n", "".join(map(page_of, all_commands(linn))))
    pathlib.Path(out).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
