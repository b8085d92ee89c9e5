# SPDX-License-Identifier: MIT
"""A stage of the pipeline: its calls, and the code that belongs to one.

A call inside a call of the same stage (a converter inside the conversion service, the Qdrant client's upsert inside the
worker's) is a part of that call: where it raises and the outer one does not, the outer one counts as its error.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar, Token
from time import perf_counter
from typing import Any

from . import hooks
from .metrics import METRICS, adder, observer


class Idle:
    """Wall time in which the rate limit was all that the pipeline waited for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = self.busy = 0
        self.since = 0.0
        self.idle = adder(METRICS.rate_limit_idle)

    def change(self, waiting: int = 0, busy: int = 0) -> None:
        with self.lock:
            now = perf_counter()
            if self.waiting > 0 and self.busy == 0:
                self.idle(now - self.since)
            self.since = now
            self.waiting += waiting
            self.busy += busy


IDLE = Idle()


begun = False


def first_call() -> None:
    global begun
    if not begun:
        begun = True
        hooks.look_for_misses()


class Call:
    """A call of a stage that is under way. `error`: the type of what a part of it raised."""

    __slots__ = ("asked", "error", "outer", "stage", "start", "token")

    def __init__(self, stage: str, asked: Any, outer: Call | None) -> None:
        self.stage, self.asked, self.outer = stage, asked, outer
        self.error: str | None = None
        self.token: Token[Call | None] | None = None
        self.start = perf_counter()


# The stage that the running code belongs to. A thread started by asyncio.to_thread inherits it.
CURRENT: ContextVar[Call | None] = ContextVar("qdrant_loader_shim_call", default=None)


class Stage:
    """Counts calls. A stage fills in what it works on, and what a result is worth."""

    name = ""
    busy = 0  # 1: what it does keeps the rate limit from being all that is waited for
    counts_at_begin = True

    def __init__(self) -> None:
        m = METRICS
        self.calls, self.successes = adder(m.calls.labels(self.name)), adder(m.successes.labels(self.name))
        self.items, self.bytes = adder(m.items.labels(self.name)), adder(m.bytes.labels(self.name))
        self.in_flight, self.seconds = adder(m.in_flight.labels(self.name)), observer(m.seconds.labels(self.name))

    def asked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the call works on; None: this call is no work and is not counted."""
        return args

    def done(self, call: Call, result: Any) -> tuple[int, int, str | None]:
        """Items, bytes of text, and the type of error when the result says that it failed."""
        return 0, 0, None

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        asked = self.asked(args, kwargs)
        if asked is None:
            return None
        outer = CURRENT.get()
        call = Call(self.name, asked, outer)
        if outer is None or outer.stage != self.name:
            first_call()
            if self.counts_at_begin:
                self.calls(1)
            self.in_flight(1)
            if self.busy:
                IDLE.change(busy=1)
        call.token = CURRENT.set(call)
        return call

    def end(self, call: Call, result: Any, raised: BaseException | None) -> None:
        if call.token is not None:
            try:
                CURRENT.reset(call.token)
            except ValueError:  # a coroutine that is thrown away may be closed by other code than it ran in
                pass
        if call.outer is not None and call.outer.stage == self.name:
            call.outer.error = call.error if raised is None else type(raised).__name__
            return
        self.in_flight(-1)
        if self.busy:
            IDLE.change(busy=-1)
        if isinstance(raised, StopAsyncIteration):
            return  # the end of a generator is no call that failed
        if not self.counts_at_begin:
            self.calls(1)
        self.seconds(perf_counter() - call.start)
        items = size = 0
        error = None if raised is None else type(raised).__name__
        if raised is None:
            items, size, error = self.done(call, result)
        if items:
            self.items(items)
        if size:
            self.bytes(size)
        if error is None:
            self.successes(1)
        else:
            METRICS.errors.labels(self.name, error).inc()
