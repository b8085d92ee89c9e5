# SPDX-License-Identifier: MIT
"""A process that uses what it is told to, to be measured by the tests of procsample.

Reads one command a line from standard input, and answers each with one line when it has done it. At the end of its
input it kills its children and ends.

    spin S          computes for S seconds of CPU time    -> user and system seconds of getrusage, CPU clock
    map MIB / unmap touches MIB of new memory / gives it back
    open N M        opens N files and M sockets
    switch N        blocks and wakes N times
    write N         writes N bytes to a temporary file that has no name
    child S         forks a child that computes for S seconds and rests for two, and waits for it -> its user and system seconds
    thread-fork     forks a child from a second thread    -> its pid; it lives until the end
    orphan          forks a child that forks one          -> both pids; the first one ends on `disown`
    disown
    exec            replaces itself by the same program
"""

from __future__ import annotations

import mmap
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time

kept: list[object] = []
children: list[int] = []
area: mmap.mmap | None = None


def usage(who: int) -> str:
    used = resource.getrusage(who)
    return f"{used.ru_utime:.6f} {used.ru_stime:.6f}"


def spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def wait_for_end() -> None:
    signal.pause()
    os._exit(0)


def child(seconds: float) -> str:
    if (pid := os.fork()) == 0:
        spin(seconds)
        time.sleep(2)
        os._exit(0)
    _, _, used = os.wait4(pid, 0)
    return f"{used.ru_utime:.6f} {used.ru_stime:.6f}"


def thread_fork() -> str:
    pids: list[int] = []

    def fork() -> None:
        if (pid := os.fork()) == 0:
            wait_for_end()
        pids.append(pid)
        forked.set()
        threading.Event().wait()  # the thread stays: its children are listed with it

    forked = threading.Event()
    threading.Thread(target=fork, daemon=True).start()
    forked.wait()
    children.extend(pids)
    return str(pids[0])


def orphan() -> str:
    out, back = os.pipe()
    if (pid := os.fork()) == 0:
        if (grandchild := os.fork()) == 0:
            wait_for_end()
        os.write(back, f"{grandchild}".encode())
        wait_for_end()
    grandchild = int(os.read(out, 32))
    children.extend([pid, grandchild])
    return f"{pid} {grandchild}"


def do(command: str, args: list[str]) -> str:
    global area
    match command:
        case "spin":
            spin(float(args[0]))
            return f"{usage(resource.RUSAGE_SELF)} {time.process_time():.6f}"
        case "map":
            area = mmap.mmap(-1, int(args[0]) << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            for at in range(0, len(area), 4096):
                area[at] = 1
        case "unmap":
            assert area is not None
            area.close()
        case "open":
            kept.extend(open(os.devnull) for _ in range(int(args[0])))
            kept.extend(socket.socket() for _ in range(int(args[1])))
        case "switch":
            for _ in range(int(args[0])):
                time.sleep(0.005)
        case "write":
            with tempfile.TemporaryFile(dir=".") as file:
                file.write(b"x" * int(args[0]))
        case "child":
            return child(float(args[0]))
        case "thread-fork":
            return thread_fork()
        case "orphan":
            return orphan()
        case "disown":
            os.kill(children[0], signal.SIGKILL)
            os.waitpid(children[0], 0)
        case "exec":
            os.execv(sys.executable, [sys.executable, *sys.argv])
        case _:
            sys.exit(f"target: unknown command: {command}")
    return "done"


print("ready", flush=True)
for line in iter(sys.stdin.readline, ""):
    command, *args = line.split()
    print(do(command, args), flush=True)
for pid in children:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
