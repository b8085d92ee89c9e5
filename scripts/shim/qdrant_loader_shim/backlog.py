# SPDX-License-Identifier: MIT
"""What lies between the stages, and the batch of documents that it belongs to."""

from __future__ import annotations

import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from .metrics import METRICS


def argument(args: tuple[Any, ...], kwargs: dict[str, Any], index: int, name: str) -> Any:
    return args[index] if len(args) > index else kwargs[name]


class Backlog:
    """What lies between the stages. Counted per batch of documents, so that what a batch drops (a timeout, a shutdown)
    does not stay in the gauges after it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.between = [0, 0]  # chunked and not embedded, embedded and not upserted
        self.to_chunk: set[int] = set()  # id() of the batch's documents whose chunking has not begun
        self.for_thread: set[int] = set()  # of those, the ones that have asked for a chunk thread
        self.peak = [0, 0]
        self.gauges = [METRICS.backlog.labels("chunk_embed"), METRICS.backlog.labels("embed_upsert")]
        self.peak_gauges = [METRICS.backlog_peak.labels("chunk_embed"), METRICS.backlog_peak.labels("embed_upsert")]
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
                    if self.between[i] > self.peak[i]:
                        self.peak[i] = self.between[i]
                        self.peak_gauges[i].set(self.peak[i])
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
        with suppress(ValueError):  # closed by other code than it ran in
            SHARE.reset(token)
        with BACKLOG.lock:
            BACKLOG.to_chunk -= ids
            BACKLOG.for_thread -= ids
            BACKLOG.show_documents()
        if raised is None:
            METRICS.documents.labels("succeeded").inc(len(result.successfully_processed_documents))
            METRICS.documents.labels("failed").inc(len(result.failed_document_ids))
