# SPDX-License-Identifier: MIT
"""The peers that benchmarks compare with, installed once into the user's cache folder, at fixed versions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

INFERNO_VERSION = "0.12.8"


def cache() -> Path:
    """The cache folder that all checkouts of this project share."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qdrant-loader-profiling"


def inferno() -> Path:
    """The folder with inferno's programs (inferno-collapse-perf, inferno-diff-folded, inferno-flamegraph)."""
    folder = cache() / "peers" / f"inferno-{INFERNO_VERSION}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Built elsewhere and renamed: an interrupted build never looks like a finished one.
        root = Path(tempfile.mkdtemp(prefix=".inferno-", dir=folder.parent))
        try:
            command = ["cargo", "install", "--quiet", "--locked", "--root", str(root)]
            subprocess.run([*command, "--version", INFERNO_VERSION, "inferno"], check=True, stdout=sys.stderr)
            try:
                root.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another benchmark was faster
                    raise
        finally:
            shutil.rmtree(root, ignore_errors=True)
    return folder / "bin"
