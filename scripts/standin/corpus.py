# SPDX-License-Identifier: MIT
"""Makes a corpus of real text files out of the packages of an environment: 40 % Markdown, 20 % reStructuredText, 15 %
HTML, 15 % Python and 10 % plain text.

usage: corpus.py --files N --loader-python PYTHON DIR

It takes what the packages bring (their readmes, licences, sources) and, where that is not enough, their documentation
strings. The choice depends on the packages alone, not on the machine: a corpus is the first files of a larger one.
Prints the manifest: `# key: value` lines, then `path bytes sha256` in tab-separated columns.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from docstrings import as_html, as_markdown, as_rst, as_text, documents, sections

SHARES = {"md": 40, "rst": 20, "html": 15, "py": 15, "txt": 10}  # percent
SMALLEST, LARGEST = 2000, 20_000  # characters of a file
RENDER = {"md": as_markdown, "rst": as_rst, "html": as_html, "txt": as_text}
# What a documented module becomes, by the byte of its hash: about as many of each as the others leave open.
KINDS = ["md"] * 42 + ["rst"] * 26 + ["html"] * 19 + ["txt"] * 13
Found = Iterator[tuple[str, str]]  # name without suffix, text


def rank(path: Path | str) -> bytes:
    return sha256(f"corpus 1:{path}".encode()).digest()


def tidy(text: str) -> str:
    """Without blanks at line ends and runs of empty lines: one chunk of blanks alone would fail a whole ingestion."""
    text = re.sub(r"[ \t\f\v\r]+$", "", text.replace("\r\n", "\n").replace("\f", "\n"), flags=re.M)
    return re.sub(r"\n{4,}", "\n\n\n", text).strip("\n") + "\n"


def prose(text: str) -> bool:
    """Whether it is text, and not a table of numbers or a word list."""
    return sum(map(str.isalpha, text)) > 0.6 * len(text) and text.count(" ") > 0.08 * len(text)


class Source:
    """The files of one environment's packages, in the order of their rank."""

    def __init__(self, site: Path) -> None:
        self.site = site
        by_suffix: dict[str, list[str]] = {"md": [], "rst": [], "txt": [], "py": []}
        self.metadata: list[str] = []
        licences: list[str] = []
        for path in site.rglob("*"):
            name = path.relative_to(site).as_posix()
            suffix = name.rpartition(".")[2].lower()
            if path.name == "METADATA" and path.parent.parent == site:
                self.metadata.append(name)
            elif ".dist-info/" in name and re.match(r"LICEN[CS]E|COPYING|NOTICE", path.name, re.I) and path.is_file():
                licences.append(name)
            elif suffix in by_suffix and ".dist-info/" not in name:
                by_suffix[suffix].append(name)
        self.files = {suffix: sorted(names, key=rank) for suffix, names in by_suffix.items()}
        self.files["txt"] = sorted(licences, key=rank) + self.files["txt"]
        self.metadata.sort(key=rank)

    def read(self, name: str) -> str:
        return (self.site / name).read_text(encoding="utf-8", errors="ignore")

    def own(self, kind: str) -> Found:
        """What the packages bring as it is."""
        wanted = {"md": "text/markdown", "rst": "text/x-rst"}.get(kind)
        for name in self.metadata if wanted else []:
            head, _, body = self.read(name).partition("\n\n")
            if re.search(rf"^Description-Content-Type: {wanted}", head, re.M):
                yield name.partition("-")[0] + ".readme", body
        for name in self.files.get(kind, []):
            if kind != "py" or not re.search(r"(^|/)(tests?|data)/", name):
                yield name.replace(".dist-info/", "/").removesuffix("." + kind).replace("/", "."), self.read(name)

    def documented(self) -> Iterator[tuple[str, str, str]]:
        """(kind, name, text) of the documents made out of modules."""
        for name in self.files["py"]:
            source = self.read(name)
            # Where there is not much to find, it is not looked for.
            if source.count('"""') < 6:
                continue
            number = rank("kind:" + name)
            kind = KINDS[int.from_bytes(number[:2]) % len(KINDS)]
            module = name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            size = 2500 + int.from_bytes(number[2:4]) % 7000
            for i, document in enumerate(documents(sections(module, source), size, 8), 1):
                title = module if i == 1 else f"{module} ({i})"
                yield kind, f"{module}-{i}", RENDER[kind](title, document)


class Corpus:
    def __init__(self, folder: Path, files: int) -> None:
        self.folder = folder
        self.open = {kind: files * share // 100 for kind, share in SHARES.items()}
        self.open["md"] += files - sum(self.open.values())
        self.rows: list[tuple[str, int, str]] = []
        self.seen: set[str] = set()
        for kind in SHARES:
            (folder / kind).mkdir(parents=True, exist_ok=True)

    def add(self, kind: str, name: str, text: str) -> None:
        text = tidy(text)
        if self.open[kind] <= 0 or not SMALLEST <= len(text) <= LARGEST or (kind == "txt" and not prose(text)):
            return
        data = text.encode("utf-8", "ignore")
        digest = sha256(data).hexdigest()
        path = f"{kind}/{name}.{kind}"
        # The same licence lies in many packages, and the loader tells paths apart without regard to case.
        if digest in self.seen or path.lower() in self.seen:
            return
        self.seen |= {digest, path.lower()}
        (self.folder / path).write_bytes(data)
        self.rows.append((path, len(data), digest))
        self.open[kind] -= 1

    def fill(self, source: Source) -> None:
        for kind in SHARES:
            for name, text in source.own(kind):
                if self.open[kind] <= 0:
                    break
                self.add(kind, name, text)
        if any(n > 0 for n in self.open.values()):
            for kind, name, text in source.documented():
                self.add(kind, name, text)
                if not any(n > 0 for n in self.open.values()):
                    break

    def manifest(self) -> str:
        rows = "".join(f"{path}\t{size}\t{digest}\n" for path, size, digest in sorted(self.rows))
        head = f"# files: {len(self.rows)}\n# bytes: {sum(size for _, size, _ in self.rows)}\n"
        return f"{head}# sha256: {sha256(rows.encode()).hexdigest()}\npath\tbytes\tsha256\n{rows}"


def site_packages(python: str) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())


def main() -> None:
    parser = argparse.ArgumentParser(prog="corpus", description="Make a corpus of real text files.")
    parser.add_argument("dir", type=Path, help="where the files go: new or empty")
    parser.add_argument("--files", type=int, default=100, metavar="N", help="how many, 20 to 3000 (default 100)")
    parser.add_argument("--loader-python", required=True, metavar="PYTHON", help="whose packages are taken")
    args = parser.parse_args()
    if not 20 <= args.files <= 3000:
        parser.error(f"--files: not from 20 to 3000: {args.files}")
    if args.dir.exists() and any(args.dir.iterdir()):
        parser.error(f"{args.dir} is not empty")
    corpus = Corpus(args.dir, args.files)
    try:
        corpus.fill(Source(site_packages(args.loader_python)))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"corpus: {error}", file=sys.stderr)
        sys.exit(3)
    if missing := {kind: n for kind, n in corpus.open.items() if n > 0}:
        print(f"corpus: too little text in the packages of {args.loader_python}: {missing} lack", file=sys.stderr)
        sys.exit(3)
    sys.stdout.write(corpus.manifest())


if __name__ == "__main__":
    main()
