# SPDX-License-Identifier: MIT
"""What a call of each wrapped method means. `begin(args, kwargs)` returns what `end(it, result, raised)` is given, or
None where there is nothing to end. args[0] is the method's self. Both may raise: the wrappers see to that.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, ClassVar

from .backlog import BACKLOG, Batch, argument
from .metrics import METRICS, adder, observer
from .stage import CURRENT, IDLE, Call, Stage


def utf8(text: Any) -> int:
    if not isinstance(text, str):
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class Fetch(Stage):
    """One call is one document. The generator that gives them logs what it could not get and goes on."""

    name = "fetch"
    counts_at_begin = False  # the call that finds the end is none

    def done(self, call: Call, result: Any) -> tuple[int, int, str | None]:
        METRICS.documents.labels("fetched").inc()
        return 1, utf8(getattr(result, "content", None)), None


class Swallowed:
    """The loader words every exception it logs and goes on after with one function; in the fetch stage that is the only
    trace of a document or a source that failed."""

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call, error = CURRENT.get(), args[0] if args else None
        if call is not None and call.stage == "fetch" and isinstance(error, BaseException):
            METRICS.calls.labels("fetch").inc()
            METRICS.errors.labels("fetch", type(error).__name__).inc()


class Convert(Stage):
    name = "convert"

    def done(self, call: Call, result: Any) -> tuple[int, int, str | None]:
        failed = call.error or ("ConversionFailed" if getattr(result, "conversion_failed", False) else None)
        return int(failed is None), utf8(getattr(result, "content", result)), failed


class Chunk(Stage):
    """Runs in a thread of the chunk pool, which knows nothing of the task that asked for it."""

    name = "chunk"
    busy = 1

    def asked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        document = argument(args, kwargs, 1, "document")
        BACKLOG.chunking_begins(document)
        return document

    def done(self, call: Call, result: Any) -> tuple[int, int, str | None]:
        return len(result), sum(utf8(chunk.content) for chunk in result), None


class ChunkOuter:
    """The task of a document: it waits for a chunk thread, and takes what that made, or gives up."""

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        document = argument(args, kwargs, 1, "document")
        BACKLOG.thread_wanted(document)
        return document

    def end(self, document: Any, result: Any, raised: BaseException | None) -> None:
        BACKLOG.chunking_begins(document)  # or never will
        if raised is None and result:
            METRICS.documents.labels("chunked").inc()
            METRICS.chunks.labels("chunked").inc(len(result))
            BACKLOG.move(len(result), 0)
        elif isinstance(raised, Exception):
            METRICS.documents.labels("chunk_failed").inc()
            if isinstance(raised, TimeoutError):  # the thread goes on, and does not know that it is too late
                METRICS.errors.labels("chunk", type(raised).__name__).inc()


class Embed(Stage):
    """A batch of chunks: its rate-limit waits, its requests, and the worker's garbage collection."""

    name = "embed"

    def asked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return argument(args, kwargs, 1, "chunks") or None

    def done(self, call: Call, result: Any) -> tuple[int, int, str | None]:
        good = sum(1 for _, vector in result if vector is not None)
        size = sum(utf8(chunk.content) for chunk, vector in result if vector is not None)
        return good, size, None if good == len(call.asked) else "EmptyEmbedding" if result else "Shutdown"

    def end(self, call: Call, result: Any, raised: BaseException | None) -> None:
        good = sum(1 for _, vector in result if vector is not None) if raised is None else 0
        METRICS.chunks.labels("embedded").inc(good)
        METRICS.chunks.labels("embed_failed").inc(len(call.asked) - good)
        BACKLOG.move(-len(call.asked), good)
        super().end(call, result, raised)


class EmbedRequest:
    """A request as the loader sees it: the SDK's own retries are inside."""

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        IDLE.change(busy=1)
        return True

    def end(self, call: bool, result: Any, raised: BaseException | None) -> None:
        IDLE.change(busy=-1)


class RateLimit:
    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
        METRICS.rate_limit_waiting.inc()
        IDLE.change(waiting=1)
        return perf_counter()

    def end(self, start: float, result: Any, raised: BaseException | None) -> None:
        METRICS.rate_limit_waiting.dec()
        METRICS.rate_limit_seconds.inc(perf_counter() - start)
        IDLE.change(waiting=-1)


class Upsert(Stage):
    """A batch of points. The worker keeps what the client raises and returns (points, failed, documents, texts)."""

    name = "upsert"
    busy = 1

    def asked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return argument(args, kwargs, 1, "batch") or None

    def done(self, call: Call, result: Any) -> tuple[int, int, str | None]:
        good, bad = result[0], result[1]
        return (
            good,
            sum(utf8(chunk.content) for chunk, _ in call.asked) if good else 0,
            (call.error or "UpsertFailed") if bad else None,
        )

    def end(self, call: Call, result: Any, raised: BaseException | None) -> None:
        good = result[0] if raised is None else 0
        METRICS.chunks.labels("upserted").inc(good)
        METRICS.chunks.labels("upsert_failed").inc(len(call.asked) - good)
        BACKLOG.move(0, -len(call.asked))
        super().end(call, result, raised)


class UpsertPoints(Stage):
    """The client's part of an upsert; a call of its own where something else than the worker asks for it."""

    name = "upsert"
    busy = 1

    def asked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return argument(args, kwargs, 1, "points") or None

    def done(self, call: Call, result: Any) -> tuple[int, int, str | None]:
        return len(call.asked), 0, None


class State(Stage):
    name = "state"
    busy = 1

    def done(self, call: Call, result: Any) -> tuple[int, int, str | None]:
        errors = [error for _, _, error in result if error is not None]
        return len(result) - len(errors), 0, type(errors[0]).__name__ if errors else None


class StageRequests:
    """What is counted of a stage's requests."""

    def __init__(self, stage: str) -> None:
        m = METRICS
        self.stage = stage
        self.statuses: dict[str, Callable[[float], None]] = {}
        self.in_flight, self.seconds = adder(m.requests_in_flight.labels(stage)), observer(m.request_seconds.labels(stage))
        self.sent, self.received = adder(m.request_bytes.labels(stage)), adder(m.response_bytes.labels(stage))

    def ended(self, status: str) -> None:
        if status not in self.statuses:
            self.statuses[status] = adder(METRICS.requests.labels(self.stage, status))
        self.statuses[status](1)


class Request:
    """An HTTP request on the wire, of whichever stage asked for it. httpx.Client.send, requests' HTTPAdapter.send."""

    stages: ClassVar[dict[str, StageRequests]] = {}

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[StageRequests, Any, float]:
        call = CURRENT.get()
        stage = call.stage if call else "other"
        of = self.stages.get(stage) or self.stages.setdefault(stage, StageRequests(stage))
        of.in_flight(1)
        return of, argument(args, kwargs, 1, "request"), perf_counter()

    def end(self, call: tuple[StageRequests, Any, float], result: Any, raised: BaseException | None) -> None:
        of, request, start = call
        of.in_flight(-1)
        of.seconds(perf_counter() - start)
        of.ended(str(result.status_code) if raised is None else type(raised).__name__)
        of.sent(int(request.headers.get("content-length") or 0))
        if raised is None:
            size = getattr(result, "num_bytes_downloaded", None)
            of.received(int(result.headers.get("content-length") or 0) if size is None else size)


WATCHES: dict[str, Any] = {
    "fetch": Fetch, "swallowed": Swallowed, "convert": Convert, "batch": Batch, "chunk": Chunk, "chunk_outer": ChunkOuter,
    "embed": Embed, "embed_request": EmbedRequest, "rate_limit": RateLimit, "upsert": Upsert, "upsert_points": UpsertPoints,
    "state": State, "request": Request,
}  # fmt: skip


def make(name: str) -> Any:
    return WATCHES[name]()


def take(name: str, found: Any) -> None:
    """An object of the loader that the shim sets: its queue gauges."""
    if not callable(getattr(found, "set", None)):
        raise TypeError("not a gauge")
    BACKLOG.loaders[{"chunk_queue_size": 0, "embed_queue_size": 1}[name]] = found
