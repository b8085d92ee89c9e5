# SPDX-License-Identifier: MIT
"""What the shim costs the loader, in CPU time of whole ingests of 100 files against the stand-ins, without the rate limit.

shim_cpu_share  CPU time spent in the shim's own code as a part of the loader's, in runs in which that code is timed by
                the thread's CPU clock (the clock's own cost is in it); the median of three runs.

Before that, the loader under the shim against the loader alone, in pairs that run at the same time. The loader's own CPU
time spreads by several percent from run to run, so that a few pairs cannot judge one percent: median and quartiles go to
stderr, to show what the share might have missed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import ROOT, ROUNDS, row

LOADER = os.environ["LOADER_ENV_PYTHON"]
STANDIN = ROOT / "scripts" / "standin"
SHIM = ROOT / "scripts" / "shim"

# Stands where the user's own sitecustomize would be: the shim hands over to it.
TIMING = """
import atexit, json, os, sys, threading, time
from qdrant_loader_shim import hooks
spent, inside = [], threading.local()
def timed(function):
    def call(*args):
        if getattr(inside, "yes", False):
            return function(*args)
        inside.yes, start = True, time.thread_time()
        try:
            return function(*args)
        finally:
            spent.append(time.thread_time() - start)
            inside.yes = False
    return call
def start():
    import prometheus_client  # the loader's own import, wherever it comes first
    timed(start_shim)()
    for watch in {*hooks.watches.WATCHES.values(), hooks.watches.Stage}:
        for name in ("begin", "end"):
            if name in vars(watch):
                setattr(watch, name, timed(vars(watch)[name]))
start_shim, hooks.start, hooks.place = hooks.start, start, timed(hooks.place)
atexit.register(lambda: json.dump([sum(spent), len(spent)], open(os.environ["SHIM_BENCH"], "w")))
"""


def start(name: str, folder: Path, *arguments: str) -> str:
    """A stand-in; its URL. It ends with this process."""
    ready = folder / f"{name}.ready"
    command: list[str | Path] = [
        sys.executable,
        STANDIN / f"{name}.py",
        "--parent",
        str(os.getpid()),
        "--ready-file",
        ready,
        *arguments,
    ]
    subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not ready.exists():
        time.sleep(0.05)
    return str(json.loads(ready.read_text())["url"])


class Place:
    """A workspace with stand-ins of its own."""

    def __init__(self, folder: Path, corpus: Path) -> None:
        self.folder = folder
        folder.mkdir()
        urls = start("qdrant", folder), start("embeddings", folder, "--latency-ms", "5")
        command: list[str | Path] = [sys.executable, STANDIN / "workspace.py", folder / "ws", "--corpus", corpus]
        command += ["--qdrant-url", urls[0], "--embeddings-url", urls[1], "--min-request-interval", "0"]
        subprocess.run(command, check=True)

    def ingest(self, shim: bool, **more: str) -> subprocess.Popen[bytes]:
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PROMETHEUS_MULTIPROC_DIR")}
        if shim:
            metrics = tempfile.mkdtemp(dir=self.folder)
            env |= {"PYTHONPATH": str(SHIM), "PROMETHEUS_MULTIPROC_DIR": metrics} | more
        command: list[str | Path] = [
            LOADER,
            "-m",
            "qdrant_loader.cli.cli",
            "ingest",
            "--workspace",
            self.folder / "ws",
            "--force",
        ]
        return subprocess.Popen(command, env=env, cwd=self.folder / "ws", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cpu(child: subprocess.Popen[bytes]) -> float:
    """CPU seconds of a loader, when it has ended."""
    _, wait_status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(wait_status)
    if child.returncode != 0:
        sys.exit(f"shim: the loader ended with exit status {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        corpus: list[str | Path] = [
            sys.executable,
            STANDIN / "corpus.py",
            "--files",
            "100",
            "--loader-python",
            LOADER,
            folder / "corpus",
        ]
        subprocess.run(corpus, check=True, stdout=subprocess.DEVNULL)
        places = [Place(folder / side, folder / "corpus") for side in ("a", "b")]
        (folder / "timing").mkdir()
        (folder / "timing" / "sitecustomize.py").write_text(TIMING)

        ratios = []
        for i in range(ROUNDS + 1):
            here, there = places if i % 2 == 0 else places[::-1]
            pair = here.ingest(shim=True), there.ingest(shim=False)
            with_shim, without = map(cpu, pair)
            if i > 0:  # the first reads all files into memory
                ratios.append(with_shim / without)
                print(f"pair {i}: {with_shim:.2f} s under the shim, {without:.2f} s alone", file=sys.stderr)
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"quartiles of {len(ratios)} pairs: {low:.3f} {middle:.3f} {high:.3f}", file=sys.stderr)

        path = f"{SHIM}:{folder / 'timing'}"
        shares = []
        for _ in range(3):
            total = cpu(places[0].ingest(shim=True, PYTHONPATH=path, SHIM_BENCH=str(folder / "spent")))
            spent, pieces = json.loads((folder / "spent").read_text())
            print(f"{spent:.4f} s of {total:.2f} s in {pieces} pieces of the shim's code", file=sys.stderr)
            shares.append(spent / total)
        row("shim_cpu_share", statistics.median(shares), "ratio", "<= 0.01")


if __name__ == "__main__":
    main()
