# SPDX-License-Identifier: MIT
"""Documents out of the documentation strings of a module, as Markdown, reStructuredText, HTML or plain text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from inspect import cleandoc

# A name that is defined, or a string in three quotation marks on a line of its own. A parser would be surer, and take
# ten times as long for thousands of modules.
TOKEN = re.compile(r'^[ \t]*(?:(?:async[ ]+)?def|class)[ ]+(\w+)|^[ \t]*[rRuU]{0,2}"""(.*?)"""', re.M | re.S)
UNDERLINED = re.compile(r"^(\S[^\n]*)\n([-=~^*]{3,})[ ]*$", re.M)

Section = tuple[str, str]  # name, text


def sections(module: str, source: str) -> Iterator[Section]:
    """Each documented name of a module, the module itself first."""
    name: str | None = module
    for found in TOKEN.finditer(source):
        if found[1]:
            name = found[1]
        elif name:
            text = cleandoc(found[2])
            if len(text) > 60:
                yield name, text
            name = None


def documents(parts: Iterator[Section], size: int, most: int) -> Iterator[list[Section]]:
    """Up to `most` documents of at least `size` characters each."""
    document: list[Section] = []
    have = 0
    for part in parts:
        document.append(part)
        have += len(part[1])
        if have >= size:
            yield document
            most -= 1
            if not most:
                return
            document, have = [], 0


def blocks(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each block: heading, code, list or paragraph. Code with empty lines in it is one block."""
    out: list[tuple[str, str]] = []
    for kind, block in split_blocks(text):
        if kind == "code" and out and out[-1][0] == "code":
            out[-1] = (kind, f"{out[-1][1]}\n\n{block}")
        else:
            out.append((kind, block))
    return out


def split_blocks(text: str) -> Iterator[tuple[str, str]]:
    text = UNDERLINED.sub(r"\n\0\1\n", text)
    for block in re.split(r"\n\s*\n", text):
        if not block.strip():
            continue
        if block.lstrip("\n").startswith("\0"):
            heading, _, rest = block.lstrip("\n")[1:].partition("\n")
            yield "heading", heading
            if rest.strip():
                yield from split_blocks(rest)
        elif block.lstrip().startswith(">>>") or all(line.startswith("    ") for line in block.splitlines()):
            yield "code", cleandoc("\n" + block)
        elif re.match(r"\s*[-*][ ]", block):
            yield "list", block.strip()
        else:
            yield "paragraph", block.strip("\n")


def as_markdown(title: str, document: list[Section]) -> str:
    out = [f"# {title}"]
    for name, text in document:
        out.append(f"## `{name}`")
        for kind, block in blocks(text):
            out.append({"heading": f"### {block}", "code": f"```python\n{block}\n```"}.get(kind, block))
    return "\n\n".join(out) + "\n"


def as_rst(title: str, document: list[Section]) -> str:
    out = [underlined(title, "=")]
    for name, text in document:
        out.append(underlined(name, "-"))
        out.extend(underlined(block, "~") if kind == "heading" else block for kind, block in blocks(text))
    return "\n\n".join(out) + "\n"


def underlined(text: str, mark: str) -> str:
    return f"{text}\n{mark * len(text)}"


def as_text(title: str, document: list[Section]) -> str:
    return "\n\n".join([title.upper(), *(f"{name}\n\n{text}" for name, text in document)]) + "\n"


def as_html(title: str, document: list[Section]) -> str:
    out = []
    for name, text in document:
        out.append(f'<section id="{html.escape(name)}">\n<h2>{html.escape(name)}</h2>')
        for kind, block in blocks(text):
            escaped = html.escape(block, quote=False)
            if kind == "heading":
                out.append(f"<h3>{escaped}</h3>")
            elif kind == "code":
                out.append(f"<pre><code>{escaped}</code></pre>")
            elif kind == "list":
                items = re.split(r"^\s*[-*][ ]", escaped, flags=re.M)
                listed = "\n".join(f"<li>{' '.join(item.split())}</li>" for item in items if item.strip())
                out.append(f"<ul>\n{listed}\n</ul>")
            else:
                out.append(f"<p>{escaped}</p>")
        out.append("</section>")
    head = f'<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n</head>'
    body = "\n".join([f"<h1>{html.escape(title)}</h1>", *out])
    return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n<body>\n{body}\n</body>\n</html>\n'
