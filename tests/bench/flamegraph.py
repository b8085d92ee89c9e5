# SPDX-License-Identifier: MIT
"""flamegraph against inferno-flamegraph: CPU at 1,000, 10,000 and 100,000 stacks, size of the picture, time to open it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
import peers
import stacks

sys.path.insert(0, str(bench.ROOT / "tests" / "lib"))
from chromium import Chromium  # noqa: E402

OURS = bench.BIN / "flamegraph"
# Small runs are measured together: one alone is of a few ms.
RUNS = {"1k": 20, "10k": 5, "100k": 1}


def cpu(figure: str, peer: Path, file: Path, runs: int) -> None:
    ratio, ours, theirs = bench.paired(
        lambda: sum(bench.cpu([OURS, file]) for _ in range(runs)), lambda: sum(bench.cpu([peer, file]) for _ in range(runs))
    )
    print(f"{figure}: {1e3 * ours / runs:.1f} ms, inferno {1e3 * theirs / runs:.1f} ms", file=sys.stderr)
    bench.row(figure, ratio, "ratio", "<= 0.5")


def draw(program: Path, file: Path, out: Path) -> int:
    """Bytes of the picture that a program draws with its defaults."""
    with out.open("wb") as f:
        subprocess.run([program, file], stdout=f, stderr=subprocess.DEVNULL, check=True)
    return out.stat().st_size


def opened(picture: Path, rounds: int = 5) -> tuple[float, float]:
    """Medians: seconds from the request until the picture is loaded and painted, and the same for an empty page."""
    blank = picture.with_name("blank.html")
    blank.write_text("<!doctype html>")
    with Chromium() as browser:
        browser.open(blank)
        times = [(browser.open(picture), browser.open(blank)) for _ in range(rounds)]
    return statistics.median(t for t, _ in times), statistics.median(t for _, t in times)


def used(picture: Path, rounds: int = 5) -> tuple[float, float]:
    """Medians: seconds from a click on a wide frame until the zoom is painted, and from a search until its hits are."""
    painted = "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));"
    click = "dispatchEvent(new MouseEvent('click', {bubbles: true}));"
    with Chromium() as browser:
        browser.open(picture)
        # The widest frame below those that are as wide as everything.
        browser.js(
            "const all = [...document.querySelectorAll('.f rect')].map(r => [r.getBoundingClientRect().width, r]);"
            "const most = Math.max(...all.map(a => a[0]));"
            "window.wide = all.filter(a => a[0] < 0.9 * most).sort((a, b) => b[0] - a[0])[0][1]; 0"
        )
        zooms, searches = [], []
        for _ in range(rounds):
            zooms.append(browser.js(f"(async () => {{ const t = performance.now(); wide.{click} {painted} return performance.now() - t; }})()"))
            assert "at=" in browser.js("location.hash"), "no zoom"
            browser.js(f"(async () => {{ document.querySelector('.panel button').{click} {painted} }})()")
            browser.key("f", modifiers=2)
            begun = time.monotonic()
            browser.type("parse")
            browser.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))")
            searches.append(time.monotonic() - begun)
            assert "find=parse" in browser.js("location.hash"), "no search"
            browser.key("Escape")
    return statistics.median(zooms) / 1e3, statistics.median(searches)


def main() -> None:
    peer = peers.inferno() / "inferno-flamegraph"
    files = stacks.folder()
    for name, runs in RUNS.items():
        cpu(f"flamegraph_{name}", peer, files / f"{name}.sorted", runs)
    cpu("flamegraph_100k_unsorted", peer, files / "100k.mixed", 1)
    with tempfile.TemporaryDirectory() as folder:
        out, other = Path(folder) / "ours.svg", Path(folder) / "peer.svg"
        for name in RUNS:
            ours, theirs = draw(OURS, files / f"{name}.sorted", out), draw(peer, files / f"{name}.sorted", other)
            print(f"size at {name}: {ours} bytes, inferno {theirs}", file=sys.stderr)
            bench.row(f"flamegraph_svg_size_{name}", ours / theirs, "ratio", "<= 1")
        seconds, blank = opened(out)
        print(f"opened in {seconds:.2f} s, an empty page in {blank:.2f} s, inferno's in {opened(other)[0]:.2f} s", file=sys.stderr)
        bench.row("flamegraph_open_100k", seconds, "s", "<= 3")
        zoom, search = used(out)
        print(f"at 100k: zoomed in {zoom:.3f} s, searched in {search:.3f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
