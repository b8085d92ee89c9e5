# SPDX-License-Identifier: MIT
"""What pysample costs: CPU per sample by the number of tasks, against py-spy, and what the target loses.

pysample_us_per_sample_N_tasks  at 1000 Hz, tasks at rest, their edges included; less what waking alone costs a program at
                                that rate, which is measured with it: on a virtual machine, after an idle millisecond,
                                it is as much as a sample. With it, and for other tasks: to stderr.

The target runs on LOADER_ENV_PYTHON (else python3.12); py-spy lies beside the Python that runs this.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import BIN, ROUNDS, at_full_speed, build, cost_of_being_sampled, row, turn_us

PYTHON = os.environ.get("LOADER_ENV_PYTHON") or shutil.which("python3.12") or ""
PYSAMPLE = BIN / "pysample"
RATE = 1000
KINDS = {"still": "at rest", "busy": "each waking 20 times a second", "awake": "read in full every time"}
SHORT, LONG = 1.0, 4.0

# A chain of six frames in each task. `still`: all wait for long. `busy`: each wakes 20 times a second. `awake`: still,
# but for one that wakes so often that hardly any snapshot can be reused: what a full reading costs.
TARGET = """
import asyncio, sys
async def a(): await b()
async def b(): await c()
async def c(): await d()
async def d():
    while kind == "busy": await asyncio.sleep(0.05)
    await asyncio.sleep(3600)
async def tick():
    while kind == "awake": await asyncio.sleep(0.0005)
async def main():
    ticking = asyncio.create_task(tick())
    print("ready", flush=True)
    await asyncio.gather(*(a() for _ in range(count)))
count, kind = int(sys.argv[1]), sys.argv[2]
asyncio.run(main())
"""


class Target:
    def __init__(self, program: str, *args: str) -> None:
        self.process = subprocess.Popen(
            [PYTHON, "-c", program, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.process.stdout is not None and self.process.stdin is not None
        self.out, self.into = self.process.stdout, self.process.stdin
        self.out.readline()
        time.sleep(0.3)  # the tasks come to rest

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def cpu_of(argv: list[str | os.PathLike[str]]) -> float:
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"bench: {argv[0]}: exit status {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def sampled(pid: int, seconds: float, folder: Path) -> tuple[float, int]:
    """CPU seconds of pysample, and its samples."""
    summary = folder / "summary"
    cpu = cpu_of(
        [PYSAMPLE, "--rate", str(RATE), "--duration", f"{seconds}s", "--output-dir", folder, "--summary", summary, str(pid)]
    )
    values = dict(line.split("\t") for line in summary.read_text().splitlines())
    return cpu, int(values["samples"])


def per_sample(count: int, kind: str, folder: Path) -> tuple[float, float]:
    """Microseconds of CPU a sample without waking and with it, by the difference of a long and a short run: without what
    attaching costs."""
    with Target(TARGET, str(count), kind) as target:

        def one() -> tuple[float, float]:
            short, few = sampled(target.process.pid, SHORT, folder)
            long, many = sampled(target.process.pid, LONG, folder)
            waking = turn_us([folder / "floor", "0", "N", str(RATE), folder / "nothing"])
            gross = 1e6 * (long - short) / (many - few)
            return gross - waking, gross

        rounds = at_full_speed(one, max(3, ROUNDS // 2), patience=45)
    result = statistics.median(net for net, _ in rounds), statistics.median(gross for _, gross in rounds)
    print(f"{count} tasks, {KINDS[kind]}: {result[0]:.1f} us, {result[1]:.1f} us with waking", file=sys.stderr)
    return result


def against_py_spy(folder: Path) -> tuple[float, float, float]:
    pyspy = Path(sys.executable).with_name("py-spy")
    ratios: list[float] = []
    ours_all: list[float] = []
    theirs_all: list[float] = []
    with Target(TARGET, "50", "busy") as target:
        pid = target.process.pid
        for i in range(ROUNDS):
            peer: list[str | os.PathLike[str]] = [
                pyspy, "record", "--nonblocking", "-r", str(RATE), "-d", "4", "-f", "raw", "-o", folder / "spy", "-p", str(pid)
            ]  # fmt: skip
            if i % 2:
                theirs = cpu_of(peer)
                ours, _ = sampled(pid, 4.0, folder)
            else:
                ours, _ = sampled(pid, 4.0, folder)
                theirs = cpu_of(peer)
            ratios.append(ours / theirs)
            ours_all.append(ours)
            theirs_all.append(theirs)
    return statistics.median(ratios), statistics.median(ours_all), statistics.median(theirs_all)


def main() -> None:
    if not PYTHON:
        sys.exit("bench: no Python 3.12 to sample: set LOADER_ENV_PYTHON")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder / "floor", "floor.c")
        for count, bar in ((10, 25), (100, 70), (1000, 800)):
            row(f"pysample_us_per_sample_{count}_tasks", per_sample(count, "still", folder)[0], "us", f"<= {bar}")
        for count in (10, 100, 1000):
            per_sample(count, "busy", folder)
            per_sample(count, "awake", folder)
        ratio, ours, theirs = against_py_spy(folder)
        print(f"50 busy tasks, 4 s at 1000 Hz: {ours:.3f} s against py-spy's {theirs:.3f} s", file=sys.stderr)
        row("pysample_cpu_to_py_spy", ratio, "ratio", "<= 0.4")
        loss = cost_of_being_sampled(PYTHON, lambda pid: [PYSAMPLE, "--rate", "100", "--output-dir", folder, str(pid)])
        row("pysample_target_cpu_per_work", loss, "ratio", "<= 1.02")


if __name__ == "__main__":
    main()
