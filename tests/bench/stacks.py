# SPDX-License-Identifier: MIT
"""Collapsed stacks for benchmarks: made up, always the same, and shaped like a recording of a large program.

A program of 2,000 functions, each calling a few others, most often the first of them; a stack is one walk through it.
100,000 stacks are 53 MB: 35 frames deep on average, 15 bytes a frame, about 580,000 nodes when they are merged.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import peers

FUNCTIONS = 2_000
RECIPE = 6  # another number makes the files anew
WORDS = "read parse node load merge tree visit send find key emit text split field apply match scan hash copy init".split()


def program(rng: random.Random) -> tuple[list[str], list[list[int]]]:
    """Names of the functions, and for each the ones that it calls."""
    names = []
    for i in range(FUNCTIONS):
        word, other = rng.choice(WORDS), rng.choice(WORDS)
        names.append(f"{word}_{other}_{i:x}" if i % 3 else f"{word}::{other}{i:x}")
    calls = [[rng.randrange(FUNCTIONS) for _ in range(1 + int(rng.expovariate(0.35)))] for _ in range(FUNCTIONS)]
    return names, calls


def walks(count: int, seed: int) -> dict[str, int]:
    """`count` different stacks and their weights."""
    names, calls = program(random.Random(1))
    rng = random.Random(seed)
    stacks: dict[str, int] = {}
    while len(stacks) < count:
        depth = int(rng.gauss(35, 6))
        at, path = 0, ["python3", names[0]]
        for _ in range(max(depth, 3)):
            callees = calls[at]
            # The first callee is the usual one.
            at = callees[min(int(rng.expovariate(1.85)), len(callees) - 1)]
            path.append(names[at])
        stack = ";".join(path)
        stacks[stack] = stacks.get(stack, 0) + int(rng.paretovariate(1.2))
    return stacks


def changed(stacks: dict[str, int], seed: int) -> dict[str, int]:
    """The same program after a change: a tenth of the stacks gone, half of the weights others, some stacks new."""
    rng = random.Random(seed)
    out = {s: w if rng.random() < 0.5 else max(1, int(w * rng.uniform(0.5, 2))) for s, w in stacks.items() if rng.random() > 0.1}
    for stack, weight in walks(len(stacks) - len(out), seed).items():
        out[stack] = out.get(stack, 0) + weight
    return out


def write(path: Path, stacks: dict[str, int], ordered: bool) -> None:
    lines = [f"{stack} {weight}\n" for stack, weight in stacks.items()]
    if ordered:
        lines.sort()
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text("".join(lines))
    part.rename(path)


def folder() -> Path:
    """A folder with {1k,10k,100k}.{sorted,mixed}, and those after a change as {…}.changed: made once."""
    out = peers.cache() / "bench" / f"stacks-{RECIPE}"
    out.mkdir(parents=True, exist_ok=True)
    for name, count in (("1k", 1_000), ("10k", 10_000), ("100k", 100_000)):
        if (out / f"{name}.mixed.changed").exists():
            continue
        before = walks(count, 7)
        after = changed(before, 8)
        for kind in ("sorted", "mixed"):
            write(out / f"{name}.{kind}", before, kind == "sorted")
            write(out / f"{name}.{kind}.changed", after, kind == "sorted")
    return out
