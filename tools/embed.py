#!/usr/bin/env python3
"""Writes a C file that holds files: embed.py OUT.c FILE... (the table of src/serve/page.h).

index.html is "/", every other file "/NAME".
"""
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}


def main():
    out, *files = sys.argv[1:]
    arrays, rows = [], []
    for i, name in enumerate(sorted(files)):
        path = pathlib.Path(name)
        data = path.read_bytes()
        url = "/" if path.name == "index.html" else "/" + path.name
        numbers = ",".join(map(str, data)) or "0"
        arrays.append(f"static const unsigned char file_{i}[] = {{{numbers}}};")
        tag = hashlib.sha256(data).hexdigest()[:16]
        rows.append(f'    {{"{url}", "{TYPES[path.suffix]}", "\\"{tag}\\"", file_{i}, {len(data)}}},')
    text = ['/* Made by tools/embed.py. */', '#include "serve/page.h"', "", *arrays, "",
            "const linn_page_file linn_page_files[] = {", *rows, "    {0},", "};", ""]
    pathlib.Path(out).write_text("\n".join(text))


if __name__ == "__main__":
    main()
