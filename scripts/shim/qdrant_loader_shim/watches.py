# SPDX-License-Identifier: MIT
"""What a call of each wrapped method means. `begin(args, kwargs)` returns what `end(it, result, raised)` is given, or
None where there is nothing to end. args[0] is the method's self. Both may raise: the wrappers see to that.

A call inside a call of the same stage (a converter inside the conversion service, the Qdrant client's upsert inside the
worker's) is a part of that call: where it raises and the outer one does not, the outer one counts as its error.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar, Token
from time import perf_counter
from typing import Any

from . import hooks
from .metrics import Metrics

METRICS = Metrics()


def argument(args: tuple[Any, ...], kwargs: dict[str, Any], index: int, name: str) -> Any:
    return args[index] if len(args) > index else kwargs[name]


def utf8(text: Any) -> int:
    if not isinstance(text, str):
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class Idle:
    """Wall time in which the rate limit was all that the pipeline waited for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = self.busy = 0
        self.since = 0.0

    def change(self, waiting: int = 0, busy: int = 0) -> None:
        with self.lock:
            now = perf_counter()
            if self.waiting > 0 and self.busy == 0:
                METRICS.rate_limit_idle.inc(now - self.since)
            self.since = now
            self.waiting += waiting
            self.busy += busy


IDLE = Idle()


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
        self.calls, self.successes = m.calls.labels(self.name), m.successes.labels(self.name)
        self.items, self.bytes = m.items.labels(self.name), m.bytes.labels(self.name)
        self.in_flight, self.seconds = m.in_flight.labels(self.name), m.seconds.labels(self.name)

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
                self.calls.inc()
            self.in_flight.inc()
            if self.busy:
                IDLE.change(busy=1)
        call.token = CURRENT.set(call)
        return call

    def end(self, call: Call, result: Any, raised: BaseException | None) -> None:
        if call.token is not None:
            CURRENT.reset(call.token)
        if call.outer is not None and call.outer.stage == self.name:
            call.outer.error = call.error if raised is None else type(raised).__name__
            return
        self.in_flight.dec()
        if self.busy:
            IDLE.change(busy=-1)
        if isinstance(raised, StopAsyncIteration):
            return  # the end of a generator is no call that failed
        if not self.counts_at_begin:
            self.calls.inc()
        self.seconds.observe(perf_counter() - call.start)
        items = size = 0
        error = None if raised is None else type(raised).__name__
        if raised is None:
            items, size, error = self.done(call, result)
        self.items.inc(items)
        self.bytes.inc(size)
        if error is None:
            self.successes.inc()
        else:
            METRICS.errors.labels(self.name, error).inc()


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
        return good, sum(utf8(chunk.content) for chunk, _ in call.asked) if good else 0, (call.error or "UpsertFailed") if bad else None

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


class Request:
    """An HTTP request on the wire, of whichever stage asked for it. httpx.Client.send, requests' HTTPAdapter.send."""

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Any, float]:
        call = CURRENT.get()
        stage = call.stage if call else "other"
        METRICS.requests_in_flight.labels(stage).inc()
        return stage, argument(args, kwargs, 1, "request"), perf_counter()

    def end(self, call: tuple[str, Any, float], result: Any, raised: BaseException | None) -> None:
        stage, request, start = call
        METRICS.requests_in_flight.labels(stage).dec()
        METRICS.request_seconds.labels(stage).observe(perf_counter() - start)
        status = str(result.status_code) if raised is None else type(raised).__name__
        METRICS.requests.labels(stage, status).inc()
        METRICS.request_bytes.labels(stage).inc(int(request.headers.get("content-length") or 0))
        if raised is None:
            size = getattr(result, "num_bytes_downloaded", None)
            METRICS.response_bytes.labels(stage).inc(int(result.headers.get("content-length") or 0) if size is None else size)


class Backlog:
    """What lies between the stages. Counted per batch of documents, so that what a batch drops (a timeout, a shutdown)
    does not stay in the gauges after it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.between = [0, 0]  # chunked and not embedded, embedded and not upserted
        self.to_chunk: set[int] = set()  # id() of the batch's documents whose chunking has not begun
        self.for_thread: set[int] = set()  # of those, the ones that have asked for a chunk thread
        self.gauges = [METRICS.backlog.labels("chunk_embed"), METRICS.backlog.labels("embed_upsert")]
        self.loaders: list[Any] = [None, None]  # the loader's own gauges, which it defines and never sets
        self.document_gauges = [METRICS.backlog_documents.labels("batch"), METRICS.backlog_documents.labels("chunk_thread")]

    def move(self, to_embed: int, to_upsert: int) -> None:
        share = SHARE.get()
        with self.lock:
            for i, amount in enumerate((to_embed, to_upsert)):
                if amount:
                    self.between[i] += amount
                    if share is not None:
                        share[i] += amount
                    self.gauges[i].set(self.between[i])
                    if self.loaders[i] is not None:
                        self.loaders[i].set(self.between[i])

    def thread_wanted(self, document: Any) -> None:
        with self.lock:
            self.for_thread.add(id(document))
            self.show_documents()

    def chunking_begins(self, document: Any) -> None:
        with self.lock:
            self.to_chunk.discard(id(document))
            self.for_thread.discard(id(document))
            self.show_documents()

    def show_documents(self) -> None:
        self.document_gauges[0].set(len(self.to_chunk))
        self.document_gauges[1].set(len(self.for_thread))


BACKLOG = Backlog()
# What the batch of the running task has in the backlog.
SHARE: ContextVar[list[int] | None] = ContextVar("qdrant_loader_shim_share", default=None)


class Batch:
    """A batch of documents through the whole pipeline, and what became of them."""

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ids = {id(document) for document in argument(args, kwargs, 1, "batch")}
        with BACKLOG.lock:
            BACKLOG.to_chunk |= ids
            BACKLOG.show_documents()
        share = [0, 0]
        return ids, share, SHARE.set(share)

    def end(self, call: Any, result: Any, raised: BaseException | None) -> None:
        ids, share, token = call
        BACKLOG.move(-share[0], -share[1])
        SHARE.reset(token)
        with BACKLOG.lock:
            BACKLOG.to_chunk -= ids
            BACKLOG.for_thread -= ids
            BACKLOG.show_documents()
        if raised is None:
            METRICS.documents.labels("succeeded").inc(len(result.successfully_processed_documents))
            METRICS.documents.labels("failed").inc(len(result.failed_document_ids))


begun = False


def first_call() -> None:
    global begun
    if not begun:
        begun = True
        hooks.look_for_misses()


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
