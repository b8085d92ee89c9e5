# SPDX-License-Identifier: MIT
"""A program whose times are known, under cProfile: cprofile_truth.py one|threads PROFILE.

Prints alpha's own seconds by cProfile, its seconds by its thread's clock, and the calls of tick (300 were made). The second
thread's `held` returns in the middle of alpha, always: where the threads share a stack, that takes alpha's time. cProfile
counts CPU time here, so that a busy machine adds nothing.
"""

import cProfile
import sys
import threading
import time

go, back = threading.Event(), threading.Event()
spent = 0.0


def tick() -> None:
    pass


def held() -> None:
    go.wait()


def second() -> None:
    held()
    back.set()


def alpha(n: int) -> None:
    global spent
    begin = time.thread_time()
    for i in range(n):
        for _ in range(20000):
            pass
        tick()
        if i == n // 2:
            go.set()
            back.wait()
    spent = time.thread_time() - begin


profile = cProfile.Profile(time.process_time)
if sys.argv[1] == "one":
    back.set()
profile.enable()
if sys.argv[1] == "threads":
    thread = threading.Thread(target=second)
    thread.start()
alpha(300)
if sys.argv[1] == "threads":
    thread.join()
profile.disable()
profile.dump_stats(sys.argv[2])
profile.create_stats()
found = {f[2]: s for f, s in profile.stats.items()}  # type: ignore[attr-defined]
print(f"{found['alpha'][2]:.3f} {spent:.3f} {found['tick'][1]}")
