# SPDX-License-Identifier: MIT
"""What procrun costs around a command that does nothing: CPU time of the whole, against timeout(1), which forks once too."""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import bench

PROCRUN = bench.BIN / "procrun"
TRUE = shutil.which("true") or "/bin/true"
RUNS = 20


def many(*argv: str | Path) -> float:
    """CPU seconds of one run, as the mean of a few: one takes about as long as the grain of the clock."""
    return statistics.fmean(bench.cpu(argv) for _ in range(RUNS))


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "run.tsv"
        ratio, ours, peer = bench.paired(
            lambda: many(PROCRUN, "--result", result, "--", TRUE), lambda: many("timeout", "60", TRUE)
        )
    _, plain, _ = bench.paired(lambda: many(TRUE), lambda: many(TRUE))
    print(
        f"procrun {ours * 1e3:.2f} ms, timeout {peer * 1e3:.2f} ms, the command alone {plain * 1e3:.2f} ms of CPU: "
        f"procrun adds {(ours - plain) * 1e3:.2f} ms",
        file=sys.stderr,
    )
    bench.row("procrun_true", ratio, "of_timeout_cpu", "<= 2.5")


if __name__ == "__main__":
    main()
