# SPDX-License-Identifier: MIT
"""The shim's metrics. All series of the known stages are there from the start, at 0, so that an increase is one.

Gauges of what is under way are `livesum`: a loader that is gone has nothing under way, and its last number must not look
like work. What was placed and missed stays readable after the end: `max`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

STAGES = ("fetch", "convert", "chunk", "embed", "upsert", "state")
# Seconds. The default ones end at 10 s, where a large document or a rate-limited batch begins.
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
DOCUMENTS = ("fetched", "chunked", "chunk_failed", "succeeded", "failed")
CHUNKS = ("chunked", "embedded", "embed_failed", "upserted", "upsert_failed")
PREFIX = "qdrant_loader_"


def quick(metric: Any) -> Any:
    """With children that are looked up once: `labels` takes a lock and makes texts of what it is given, at every event."""
    metric.labels = cache(metric.labels)
    return metric


def adder(child: Any) -> Callable[[float], None]:
    """What adds to a counter or a gauge, without the checks that its own `inc` makes at every event: between two events of
    the shim the loader takes the caches, so that each function less on the way counts. `inc` itself where a client has no
    such value inside."""
    inside = getattr(getattr(child, "_value", None), "inc", None)
    return inside if callable(inside) else child.inc  # type: ignore[no-any-return]


def observer(child: Any) -> Callable[[float], None]:
    """The same of a histogram."""
    try:
        add = child._sum.inc
        bounds, buckets = list(child._upper_bounds), [bucket.inc for bucket in child._buckets]
    except AttributeError:
        return child.observe  # type: ignore[no-any-return]

    def observe(seconds: float) -> None:
        add(seconds)
        buckets[bisect_left(bounds, seconds)](1)

    return observe


def counter(name: str, text: str, *labels: str) -> Any:
    return quick(Counter(PREFIX + name, text, labels))


def gauge(name: str, text: str, *labels: str, mode: Any = "livesum") -> Any:
    return quick(Gauge(PREFIX + name, text, labels, multiprocess_mode=mode))


def histogram(name: str, text: str, *labels: str) -> Any:
    return quick(Histogram(PREFIX + name, text, labels, buckets=BUCKETS))


class Metrics:
    def __init__(self) -> None:
        self.calls = counter("stage_calls_total", "Calls of a stage that were begun.", "stage")
        self.successes = counter("stage_successes_total", "Calls of a stage that did all they were asked for.", "stage")
        self.errors = counter("stage_errors_total", "Calls of a stage that failed, by type of exception.", "stage", "type")
        self.items = counter(
            "stage_items_total", "What a stage has done: documents (fetch, convert, state) or chunks (the others).", "stage"
        )
        self.bytes = counter("stage_bytes_total", "Text that a stage has put out, in bytes of UTF-8.", "stage")
        self.in_flight = gauge("stage_in_flight", "Calls of a stage that are under way.", "stage")
        self.seconds = histogram("stage_duration_seconds", "How long calls of a stage took, waiting included.", "stage")

        self.documents = counter("documents_total", "Documents by what happened to them.", "state")
        self.chunks = counter("chunks_total", "Chunks by what happened to them.", "state")
        self.backlog = gauge("backlog_chunks", "Chunks that one stage has put out and the next has not.", "between")
        self.backlog_peak = gauge("backlog_chunks_peak", "The most chunks that have lain there so far.", "between", mode="max")
        self.backlog_documents = gauge(
            "backlog_documents",
            "Documents whose chunking has not begun: all of the batch, and those that wait for a chunk thread.",
            "waiting_for",
        )

        self.requests = counter(
            "requests_total", "HTTP requests on the wire, retries included, by status or type of exception.", "stage", "status"
        )
        self.requests_in_flight = gauge("requests_in_flight", "HTTP requests that wait for their answer.", "stage")
        self.request_seconds = histogram("request_duration_seconds", "How long HTTP requests took.", "stage")
        self.request_bytes = counter("request_bytes_total", "Bodies of HTTP requests, in bytes.", "stage")
        self.response_bytes = counter("response_bytes_total", "Bodies of HTTP answers as received, in bytes.", "stage")

        self.rate_limit_seconds = counter(
            "rate_limit_wait_seconds_total", "Time that embedding requests waited for min_request_interval, summed over them."
        )
        self.rate_limit_idle = counter(
            "rate_limit_idle_seconds_total",
            "Wall time in which an embedding request waited for min_request_interval and no stage had anything else to do.",
        )
        self.rate_limit_waiting = gauge("rate_limit_waiting", "Embedding requests that wait for min_request_interval.")

        self.shim_errors = counter("shim_errors_total", "Errors inside the shim, which it kept from the loader.", "type")
        self.shim_hooks = gauge(
            "shim_hooks", "Methods of the loader that are counted, and that were not found.", "state", mode="max"
        )
        self.shim_missing = gauge("shim_hook_missing", "1 for each method of the loader that was not found.", "hook", mode="max")
        for stage in STAGES:
            for metric in (self.calls, self.successes, self.items, self.bytes, self.in_flight, self.seconds):
                metric.labels(stage)
        for state in DOCUMENTS:
            self.documents.labels(state)
        for state in CHUNKS:
            self.chunks.labels(state)

    def show_hooks(self, placed: int, missing: dict[str, str]) -> None:
        self.shim_hooks.labels("placed").set(placed)
        self.shim_hooks.labels("missing").set(len(missing))
        for hook in missing:
            self.shim_missing.labels(hook).set(1)


METRICS = Metrics()
