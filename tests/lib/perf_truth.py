# SPDX-License-Identifier: MIT
"""A program whose time in C is known: alpha() sorts, compresses and collects garbage, beta() asks SQLite and writes JSON.

    perf_truth.py SECONDS

Prints "ready", works for so long, and prints `function<TAB>CPU seconds` of what its functions took by the clock of its
thread. Both sort: the same C code beneath two callers.
"""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import sys
import time
import zlib
from collections.abc import Callable

BYTES = bytes(range(256)) * 1600
NUMBERS = [i * 7919 % 100003 for i in range(40000)]
GARBAGE = [[i] for i in range(100000)]
DOCUMENT = {f"key {i}": [i, str(i)] for i in range(6000)}
ROWS = sqlite3.connect(":memory:")

took: dict[str, float] = {}


def timed(name: str, work: Callable[[], None]) -> None:
    began = time.thread_time()
    work()
    took[name] = took.get(name, 0.0) + time.thread_time() - began


def a_sorts() -> None:
    sorted(NUMBERS)


def a_compresses() -> None:
    zlib.compress(BYTES, 6)


def a_collects() -> None:
    gc.collect()


def b_asks() -> None:
    # Few rows, often: that of SQLite's time little goes into filling the table, beneath another function.
    for _ in range(10):
        ROWS.execute("select sum(x * x) from t where x % 7 < 3").fetchall()


def b_writes() -> None:
    json.dumps(DOCUMENT)


def b_sorts() -> None:
    sorted(NUMBERS)


def alpha() -> None:
    timed("a_sorts", a_sorts)
    timed("a_compresses", a_compresses)
    timed("a_collects", a_collects)


def beta() -> None:
    timed("b_asks", b_asks)
    timed("b_writes", b_writes)
    timed("b_sorts", b_sorts)
    timed("b_sorts", b_sorts)


def main() -> None:
    ROWS.execute("create table t(x)")
    ROWS.executemany("insert into t values (?)", ((i,) for i in range(6000)))
    print("ready", flush=True)
    end = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        alpha()
        beta()
    for name, seconds in took.items():
        print(f"{name}\t{seconds:.6f}")
    sys.stdout.flush()
    # Without the interpreter's own end, which collects garbage in no function.
    os._exit(0)


if __name__ == "__main__":
    main()
