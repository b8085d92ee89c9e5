# SPDX-License-Identifier: MIT
"""pidfind against `pgrep -f`: CPU time of one look at 600 processes, and how soon --wait tells of a new loader.

The 600 are shells with command lines of 500 bytes, started by this benchmark, and one program of the loader's shape.
Latency is from just before execve in the child to the moment when this process has read pidfind's line, at normal priority.
On a busy machine half of it is waiting for a CPU: the latency at real-time priority, where that is permitted, is printed beside it,
and that of a program which prints the pid of the kernel's event and looks at nothing (exec_floor.c), in turns with pidfind.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench

SHAPE = bench.ROOT / "tests" / "fixtures" / "loader-shape"
PIDFIND = bench.BIN / "pidfind"
LOADER = [sys.executable, "-m", "qdrant_loader.cli", "ingest"]
ENVIRONMENT = dict(os.environ, PYTHONPATH=str(SHAPE), SHAPE_NO_FILES="1")
STARTS = 40


def processes() -> int:
    return sum(name.isdigit() for name in os.listdir("/proc"))


def fill(up_to: int, until_closed: int) -> list[subprocess.Popen[bytes]]:
    """Shells that wait for the end of a pipe, so that they end with this benchmark whatever happens."""
    command = ["sh", "-c", "read _", "x" * 480]
    return [subprocess.Popen(command, stdin=until_closed) for _ in range(up_to - processes())]


def scan(figure: str | None) -> None:
    ratio, ours, peer = bench.paired(
        lambda: bench.cpu([PIDFIND, "--all"]),
        lambda: bench.cpu(["pgrep", "-f", "qdrant.loader"], ok=(0, 1)),
        rounds=3 * bench.ROUNDS,
    )
    print(
        f"{processes()} processes: pidfind {ours * 1e3:.2f} ms, pgrep -f {peer * 1e3:.2f} ms of CPU, "
        f"ratio {ratio:.3f}",
        file=sys.stderr,
    )
    if figure:
        bench.row(figure, ratio, "of_pgrep_cpu", "<= 0.4")


def finding(options: list[str]) -> list[str]:
    return [str(PIDFIND), "--tree", str(os.getpid()), "--wait", "20s", *options]


def one_start(command: list[str], clock: mmap.mmap) -> float:
    """Milliseconds from execve to the line; the finder waits already, and the phase of its polling is random."""
    finder = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert finder.stdout
    time.sleep(0.05 + random.random() / 50)
    child = os.fork()
    if child == 0:
        clock[:8] = struct.pack("=q", time.monotonic_ns())
        os.execve(LOADER[0], LOADER, ENVIRONMENT)
    line = finder.stdout.readline()
    found = time.monotonic_ns()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    finder.wait()
    if int(line.split()[0]) != child:
        sys.exit(f"bench: {command[0]} found {line!r}, not {child}")
    return (found - struct.unpack("=q", clock[:8])[0]) / 1e6


def real_time(on: bool) -> str:
    """Sets the scheduling policy of this process, which those it starts inherit; returns its name."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR if on else os.SCHED_OTHER, os.sched_param(1 if on else 0))
    except PermissionError:
        return "normal"
    return "real-time" if on else "normal"


def latencies(what: str, commands: list[list[str]], on: bool) -> list[float]:
    """The median of STARTS starts of each command, in turns, in ms."""
    priority = real_time(on)
    clock = mmap.mmap(-1, 8)
    try:
        turns = bench.at_full_speed(lambda: [one_start(command, clock) for command in commands], STARTS, patience=30)
    finally:
        real_time(False)
    medians = []
    for command, times in zip(commands, map(sorted, zip(*turns, strict=True)), strict=True):
        medians.append(statistics.median(times))
        print(
            f"{what} at {priority} priority, {os.path.basename(command[0])}: median {medians[-1]:.3f} ms, "
            f"p90 {times[STARTS * 9 // 10]:.3f} ms, worst {times[-1]:.3f} ms of {STARTS} starts "
            f"among {processes()} processes, load {os.getloadavg()[0]:.1f}",
            file=sys.stderr,
        )
    return medians


def wait(figure: str, options: list[str], floor: Path | None) -> None:
    """Where the kernel gives no events, there is no floor to measure."""
    latencies(figure, [finding(options)], True)
    ours, *least = latencies(figure, [finding(options), *([[str(floor), str(os.getpid())]] if floor else [])], False)
    bench.row(figure, ours, "ms", "<= 2")
    for value in least:
        bench.told(figure.replace("pidfind", "exec_floor"), value, "ms")


def events_floor(program: Path) -> Path | None:
    """Built; None where the kernel gives this user no events: it then ends at once, with status 3."""
    bench.build(program, "exec_floor.c", bench.BIN.parent / "libhelpers.a")
    asking = subprocess.Popen([program, str(os.getpid())], stdout=subprocess.DEVNULL)
    try:
        asking.wait(0.5)
        return None
    except subprocess.TimeoutExpired:
        asking.kill()
        asking.wait()
        return program


def main(where: str) -> None:
    os.chdir(where)
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, False)
    loader = subprocess.Popen(LOADER, env=ENVIRONMENT, stdin=read_end)
    scan(None)
    others = fill(600, read_end)
    try:
        scan("pidfind_scan_600")
        loader.kill()
        loader.wait()
        floor = events_floor(Path(where, "exec_floor"))
        wait("pidfind_wait_ms", [], floor)
        wait("pidfind_wait_poll_ms", ["--poll"], floor)
    finally:
        os.close(write_end)
        loader.kill()
        for process in [loader, *others]:
            process.wait()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(directory)
