# SPDX-License-Identifier: MIT
"""stackdiff against inferno-diff-folded on two files of 100,000 stacks, sorted as all folders write them, and unsorted."""

from __future__ import annotations

import sys

import bench
import peers
import stacks


def main() -> None:
    peer = peers.inferno() / "inferno-diff-folded"
    files = stacks.folder()
    # Unsorted files have to be sorted here, which the peer does not do.
    for figure, kind, flags in (
        ("stackdiff_100k", "sorted", []),
        ("stackdiff_100k_normalize", "sorted", ["--normalize"]),
        ("stackdiff_100k_unsorted", "mixed", []),
    ):
        args = [*flags, files / f"100k.{kind}", files / f"100k.{kind}.changed"]
        ratio, ours, theirs = bench.paired(lambda: bench.cpu([bench.BIN / "stackdiff", *args]), lambda: bench.cpu([peer, *args]))
        print(f"{figure}: {1e3 * ours:.0f} ms, inferno {1e3 * theirs:.0f} ms", file=sys.stderr)
        bench.row(figure, ratio, "ratio", "<= 0.6")


if __name__ == "__main__":
    main()
