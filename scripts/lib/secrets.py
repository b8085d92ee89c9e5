# SPDX-License-Identifier: MIT
"""The values of secrets: of variables of the environment, and of settings in .env and YAML files, by their names.

    secrets.py [FILE…]

Prints each value and a NUL, the longest first. A file is read line by line, so that one which no parser takes hides
nothing: KEY=value and `export KEY=value` with quotes and comments as python-dotenv has them; `key: value` anywhere in a
line, block scalars (`key: |`), lists and mappings beneath a key. Where a line can be read in two ways both are printed, and of
each value also what it looks like in JSON, in a URL and in base64. No values: those of fewer than 6 characters, which would
blank out ordinary words (of passwords those of fewer than 3); references (${…}); paths that exist; numbers of tokens and names
of tokenizers. A file that cannot be read has none.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import urllib.parse
from collections.abc import Iterator

# As SECRET_NAME in run.sh. A personal access token is a PAT, which as a part of a word is not.
WORDS = "KEY|TOKEN|SECRET|PASS|PWD|CREDENTIAL|AUTH|DSN|COOKIE|BEARER|WEBHOOK|SALT"
NAME = rf"[\w.-]*(?:{WORDS})[\w.-]*|(?<![\w.-])(?:[\w.-]*[_.-])?PAT(?:[_.-][\w.-]*)?"
PASSWORD = re.compile(r"PASSWORD|PASSWD|PWD|SECRET")
ORDINARY = {"true", "false", "none", "null", "auto", "basic", "yes", "off"}
SETTING = re.compile(rf"""["']?({NAME})["']?[ \t]*[:=][ \t]*("(?:\\.|[^"\\])*"|'(?:''|[^'])*'|.*)""", re.IGNORECASE)
ENTRY = re.compile(r"[\w.-]+[ \t]*:[ \t]+(.*)")
BLOCK = re.compile(r"[|>][-+0-9]*([ \t]+#.*)?$")


def readings(text: str) -> Iterator[str]:
    """What a value may mean."""
    text = text.strip()
    if text[:1] in ('"', "'") and text[-1:] == text[:1] and len(text) > 1:
        yield text[1:-1]
        if text[0] == "'":
            yield text[1:-1].replace("''", "'")
            return
        try:
            yield from str(json.loads(text, strict=False)).splitlines()
        except ValueError:
            pass
        return
    yield text
    plain = re.split(r"[ \t]+#", text)[0]
    yield plain.strip().strip("\"'")
    # In a mapping or list of one line.
    yield re.split(r"[,}\]]", plain)[0].strip().strip("\"'")


def beneath(lines: list[str], at: int) -> Iterator[str]:
    """The lines that stand deeper than line `at`; the items of a list may stand as deep."""
    depth = len(lines[at]) - len(lines[at].lstrip())
    for line in lines[at + 1 :]:
        text = line.strip()
        own = len(line) - len(line.lstrip())
        if text and (own < depth or (own == depth and not text.startswith("- "))):
            return
        if text:
            yield text.removeprefix("- ")


def settings(text: str) -> Iterator[tuple[str, str]]:
    lines = text.splitlines()
    for at, line in enumerate(lines):
        position = 0
        while found := SETTING.search(line, position):
            name, value = found[1], found[2].strip()
            position = found.end(1)
            if BLOCK.match(value) or not value or value.startswith("#"):
                for deeper in beneath(lines, at):
                    entry = ENTRY.fullmatch(deeper)
                    yield from ((name, reading) for reading in (deeper, *readings(entry[1] if entry else deeper)))
            else:
                yield from ((name, reading) for reading in readings(value))


def is_secret(name: str, value: str) -> bool:
    name = name.upper()
    if len(value) < 6 and (len(value) < 3 or not PASSWORD.search(name) or value.lower() in ORDINARY):
        return False
    return not (
        value.startswith("${")
        or "TOKENIZER" in name
        or ("TOKENS" in name and value.isdigit())
        or (value[0] in "/~." and os.path.exists(os.path.expanduser(value)))
    )


def forms(value: str) -> Iterator[str]:
    """What may be printed in its place. Of a short one it is itself alone."""
    yield value
    if len(value) < 6:
        return
    raw = os.fsencode(value)
    yield from (json.dumps(value, ensure_ascii=pure)[1:-1] for pure in (True, False))
    yield from (urllib.parse.quote(raw, safe="/"), urllib.parse.quote(raw, safe=""), urllib.parse.quote_plus(raw))
    yield base64.b64encode(raw).decode().rstrip("=")


def main() -> None:
    found = [(name, value) for name, value in os.environ.items() if re.fullmatch(NAME, name, re.IGNORECASE)]
    for path in sys.argv[1:]:
        try:
            with open(path, errors="surrogateescape") as file:
                found += settings(file.read())
        except OSError:
            pass
    values = {form for name, value in found for line in value.splitlines() if is_secret(name, line) for form in forms(line)}
    for value in sorted(values, key=lambda v: (-len(v), v)):
        sys.stdout.buffer.write(os.fsencode(value) + b"\0")


if __name__ == "__main__":
    main()
