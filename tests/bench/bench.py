# SPDX-License-Identifier: MIT
"""What every benchmark of a helper shares: paired CPU times, and the rows of results/bench/helpers.tsv.

A benchmark is `tests/bench/NAME.py`, run by `make bench-helpers` with the tools environment's Python. It prints rows
with `row()`; everything else goes to stderr. CPU time is user + system of the command and all that it waited for
(wait4), so other load on the machine only adds noise; a pair runs A B, then B A, and so on, and the ratio is the
median of the ratios of the pairs. A time that has a bar is taken while the CPU is at its full speed (`at_full_speed()`): it is
the machine's as much as the program's. A ratio minds a slow CPU less, since both are slow.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("BIN", ROOT / "build" / "bin"))
ROUNDS = int(os.environ.get("ROUNDS") or 7)
# Where the benchmarks of one run tell each other how fast the CPU was at best.
SPEED = os.environ.get("BENCH_SPEED")
FULL_SPEED = 1.15  # times the fastest that was seen

T = TypeVar("T")


def cpu(argv: Sequence[str | os.PathLike[str]], stdin: Path | None = None, ok: tuple[int, ...] = (0,)) -> float:
    """CPU seconds of one run of a command, its output thrown away. A status that is not in `ok` ends the benchmark."""
    with open(stdin or os.devnull, "rb") as source:
        child = subprocess.Popen(list(argv), stdin=source, stdout=subprocess.DEVNULL)
        _, wait_status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(wait_status)
    if child.returncode not in ok:
        sys.exit(f"bench: {argv[0]}: exit status {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def paired(ours: Callable[[], float], peer: Callable[[], float], rounds: int = ROUNDS) -> tuple[float, float, float]:
    """Medians of (ratio of each pair, ours, peer), after one pair that is not counted."""
    ours(), peer()
    pairs: list[tuple[float, float]] = []
    for i in range(rounds):
        if i % 2 == 0:
            a = ours()
            b = peer()
        else:
            b = peer()
            a = ours()
        pairs.append((a, b))
    return (
        statistics.median(a / b for a, b in pairs),
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
    )


@contextlib.contextmanager
def on_one_cpu(*pids: int) -> Iterator[None]:
    """This process, what it starts, and all threads of those share a CPU meanwhile."""
    before = os.sched_getaffinity(0)
    one = {max(before)}
    for pid in pids:
        for tid in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(tid), one)
    os.sched_setaffinity(0, one)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def fixed_work() -> float:
    """CPU seconds of always the same instructions, some milliseconds of them."""
    start, n = time.thread_time(), 100_000
    while n:
        n -= 1
    return time.thread_time() - start


def fastest_seen(now: float) -> float:
    """The fastest fixed_work() of this run of benchmarks."""
    global fastest
    fastest = min(fastest, now)
    if SPEED:
        with contextlib.suppress(OSError, ValueError):
            fastest = min(fastest, float(Path(SPEED).read_text()))
        Path(SPEED).write_text(f"{fastest}\n")
    return fastest


fastest = float("inf")


def at_full_speed(measure: Callable[[], T], rounds: int = ROUNDS, patience: float = 240) -> list[T]:
    """What `rounds` rounds gave that were made while the CPU was at its full speed: the others are not counted.

    Who shares the hardware can halve the speed of a CPU for seconds and minutes, without a sign in its CPU times. So each
    round is between two runs of the same instructions, and counts when both took at most 1.15 of the least that was seen:
    whether it counts does not depend on what it gave. When too few do in `patience` seconds, those are taken whose
    instructions took least.
    """
    done: list[tuple[float, T]] = []
    end = time.monotonic() + patience
    full = 0
    while full < rounds and (time.monotonic() < end or len(done) < rounds):
        before = fixed_work()
        result = measure()
        after = fixed_work()
        done.append((max(before, after), result))
        least = fastest_seen(min(before, after))
        full = sum(took <= FULL_SPEED * least for took, _ in done)
    if len(done) > rounds:
        print(f"the CPU was at its full speed in {full} of {len(done)} rounds", file=sys.stderr)
    return [result for _, result in sorted(done, key=lambda d: d[0])[:rounds]]


def build(program: Path, source: str, *more: str | os.PathLike[str]) -> None:
    """Compiles a C program of this folder."""
    helpers = ROOT / "helpers"
    command: list[str | os.PathLike[str]] = ["cc", "-std=c11", "-O2", "-D_GNU_SOURCE", f"-I{helpers}/lib"]
    subprocess.run([*command, f"-I{helpers}/procsample", "-o", program, Path(__file__).parent / source, *more], check=True)


def turn_us(command: Sequence[str | os.PathLike[str]], few: int = 300, many: int = 2300) -> float:
    """CPU µs of one turn of a command that makes as many as its argument "N" says: starting up is not in it."""
    short, long = (cpu([str(n) if part == "N" else part for part in command]) for n in (few, many))
    return (long - short) / (many - few) * 1e6


# Counts what it does with its CPU time, in turns of as many seconds as it is told.
WORK = """
import sys, time
def step(n):
    return sum(i * i for i in range(n))
print("ready", flush=True)
for line in sys.stdin:
    end, count, cpu = time.monotonic() + float(line), 0, time.thread_time()
    while time.monotonic() < end:
        step(500)
        count += 1
    print((time.thread_time() - cpu) / count, flush=True)
"""


def cost_of_being_sampled(python: str, sampler: Callable[[int], list[str | os.PathLike[str]]], turns: int = 400) -> float:
    """CPU time of a process per unit of its work, sampled to not sampled: the median of pairs of turns of 50 ms, between which
    the sampler of that pid is stopped and goes on. The speed of a machine changes from second to second by more than a
    sampler takes; turns so short that follow each other have the same."""
    ratios: list[float] = []
    with subprocess.Popen([python, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as target:
        assert target.stdin and target.stdout
        into, out = target.stdin, target.stdout
        out.readline()
        with subprocess.Popen(sampler(target.pid)) as beside:

            def turn(sampled: bool) -> float:
                beside.send_signal(signal.SIGCONT if sampled else signal.SIGSTOP)
                into.write("0.05\n")
                return float(out.readline())

            time.sleep(0.5)
            for i in range(turns):
                pair = {sampled: turn(sampled) for sampled in ((True, False) if i % 2 else (False, True))}
                ratios.append(pair[True] / pair[False])
            beside.send_signal(signal.SIGCONT)
            if beside.poll() is not None:
                sys.exit(f"bench: the sampler ended with status {beside.returncode}")
            beside.terminate()
        target.kill()
    return statistics.median(ratios)


def row(figure: str, value: float, unit: str, bar: str) -> None:
    """Prints `figure value unit bar verdict`. `bar` is "<= 0.15" or ">= 25"; the verdict is `ok` or `short`."""
    relation, limit = bar.split()
    good = {"<=": value <= float(limit), ">=": value >= float(limit)}[relation]
    print(f"{figure}\t{value:.4g}\t{unit}\t{bar}\t{'ok' if good else 'short'}", flush=True)


def told(figure: str, value: float, unit: str) -> None:
    """Prints a row of a figure that has no bar: it is the machine's as much as the program's."""
    print(f"{figure}\t{value:.4g}\t{unit}\t-\t-", flush=True)
