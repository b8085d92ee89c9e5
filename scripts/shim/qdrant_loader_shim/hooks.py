# SPDX-License-Identifier: MIT
"""Wraps the loader's methods when their modules are imported. Light: nothing of it costs a Python without the loader.

The names are the loader's private ones (seen in 1.0.4). One that is not there is reported and not counted; the loader
runs on. Whatever fails in here is counted in qdrant_loader_shim_errors_total and goes no further.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # what typing calls so, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

# Module, name in it, and the name of its watch in watches.py.
CORE = "qdrant_loader.core."
REQUIRED = (
    (CORE + "monitoring.prometheus_metrics", "CHUNK_QUEUE_SIZE", "chunk_queue_size"),
    (CORE + "monitoring.prometheus_metrics", "EMBED_QUEUE_SIZE", "embed_queue_size"),
    (CORE + "pipeline.source_processor", "SourceProcessor.stream_source_documents", "fetch"),
    (CORE + "pipeline.document_pipeline", "DocumentPipeline.process_batch", "batch"),
    (CORE + "pipeline.workers.chunking_worker", "ChunkingWorker.process", "chunk_outer"),
    (CORE + "chunking.chunking_service", "ChunkingService.chunk_document", "chunk"),
    (CORE + "pipeline.workers.embedding_worker", "EmbeddingWorker.process", "embed"),
    (CORE + "embedding.embedding_service", "EmbeddingService._apply_rate_limit", "rate_limit"),
    (CORE + "embedding.embedding_service", "EmbeddingService._execute_embedding_request", "embed_request"),
    (CORE + "pipeline.workers.upsert_worker", "UpsertWorker.process", "upsert"),
    (CORE + "qdrant_manager", "QdrantManager.upsert_points", "upsert_points"),
    (CORE + "state.state_manager", "StateManager.update_document_states_batch", "state"),
    ("qdrant_loader.utils.sensitive", "sanitize_exception_message", "swallowed"),
)
# Imported only when a workspace needs them: that they never come is no miss.
OPTIONAL = (
    (CORE + "conversion.service", "ConversionService.convert", "convert"),
    (CORE + "file_conversion.file_converter", "FileConverter.convert_file", "convert"),
    ("httpx", "Client.send", "request"),
    ("httpx", "AsyncClient.send", "request"),
    ("httpx2", "Client.send", "request"),
    ("httpx2", "AsyncClient.send", "request"),
    ("requests.adapters", "HTTPAdapter.send", "request"),
)
TARGETS: dict[str, list[tuple[str, str]]] = {}
for _module, _name, _watch in REQUIRED + OPTIONAL:
    TARGETS.setdefault(_module, []).append((_name, _watch))

placed: set[str] = set()
missing: dict[str, str] = {}  # hook → why
waiting: dict[str, ModuleType] = {}  # HTTP clients that were imported before the loader
off: str | None = None  # why nothing is counted
watches: Any = None


def say(text: str) -> None:
    try:
        sys.stderr.write(f"qdrant-loader shim: {text}\n")
    except Exception:
        pass


def install() -> None:
    sys.meta_path.insert(0, Finder())
    for name in TARGETS:
        if name in sys.modules:
            on_import(sys.modules[name])


class Finder:
    """Finds nothing itself: it asks the finders behind it, and adds a step to what their loaders do."""

    def __init__(self) -> None:
        self.asking: set[str] = set()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in TARGETS or name in self.asking:
            return None
        self.asking.add(name)
        try:
            for finder in list(sys.meta_path):
                find = None if finder is self else getattr(finder, "find_spec", None)
                if find is not None and (spec := find(name, path, target)) is not None:
                    extend(spec)
                    return spec  # type: ignore[no-any-return]
        finally:
            self.asking.discard(name)
        return None


def extend(spec: Any) -> None:
    """The loader object stays the one it is, for those who ask it for sources."""
    run = getattr(spec.loader, "exec_module", None)
    if run is None:
        return

    def exec_module(module: ModuleType) -> None:
        run(module)
        on_import(module)

    try:
        spec.loader.exec_module = exec_module
    except AttributeError:
        say(f"{spec.name}: a loader that takes no hook; its figures are missing")


def on_import(module: ModuleType) -> None:
    """Never raises. The metrics are made when the first module of the loader comes; until then HTTP clients wait."""
    try:
        if watches is None and off is None:
            if not module.__name__.startswith("qdrant_loader."):
                waiting[module.__name__] = module
                return
            start()
            for earlier in waiting.values():
                place(earlier)
        if watches is not None:
            place(module)
    except Exception as error:
        failed(error)


def start() -> None:
    """Turns the shim on, or says why not."""
    global off, watches
    if not (os.environ.get("PROMETHEUS_MULTIPROC_DIR") or os.environ.get("prometheus_multiproc_dir")):
        off = "PROMETHEUS_MULTIPROC_DIR is not set"
    else:
        try:
            from . import watches as module

            watches = module
        except Exception as error:  # no prometheus_client there, or a folder that cannot be written
            off = f"{type(error).__name__}: {error}"
    if off is not None:
        say(f"off, nothing is counted: {off}")


def failed(error: BaseException) -> None:
    try:
        watches.METRICS.shim_errors.labels(type(error).__name__).inc()
    except Exception:
        pass


def place(module: ModuleType) -> None:
    from inspect import getattr_static
    from types import FunctionType

    for name, watch in TARGETS[module.__name__]:
        hook = f"{module.__name__}.{name}"
        owner: Any = module
        *classes, last = name.split(".")
        try:
            for part in classes:
                owner = getattr(owner, part)
            found = getattr_static(owner, last)
            if isinstance(found, FunctionType):
                setattr(owner, last, wrap(found, watches.make(watch)))
            else:
                watches.take(watch, found)  # not a method: an object that the watches set
        except (AttributeError, TypeError) as error:
            missing[hook] = "not there" if isinstance(error, AttributeError) else str(error)
            say(f"not placed: {name} of {module.__name__}: {missing[hook]}; its figures are missing")
        else:
            placed.add(hook)
            missing.pop(hook, None)
    watches.METRICS.show_hooks(len(placed), missing)


def look_for_misses() -> None:
    """When the pipeline runs, all modules that it needs are there: what was not placed by now never will be."""
    late = {hook: name for module, name, _ in REQUIRED if (hook := f"{module}.{name}") not in placed and hook not in missing}
    if late:
        missing.update(dict.fromkeys(late, "not imported"))
        watches.METRICS.show_hooks(len(placed), missing)
        say(f"not placed: {', '.join(late.values())}: not imported when the pipeline began; their figures are missing")


def wrap(method: Callable[..., Any], watch: Any) -> Callable[..., Any]:
    """The same kind of callable, that calls the method once and shows the watch each call's begin and end."""
    from functools import wraps
    from inspect import isasyncgenfunction, iscoroutinefunction

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return watch.begin(args, kwargs)
        except Exception as error:
            failed(error)
            return None

    def end(call: Any, result: Any, raised: BaseException | None) -> None:
        if call is not None:
            try:
                watch.end(call, result, raised)
            except Exception as error:
                failed(error)

    if isasyncgenfunction(method):

        @wraps(method)
        async def each(*args: Any, **kwargs: Any) -> Any:
            """One call of the watch per item. What is sent and thrown in goes through."""
            items = method(*args, **kwargs)
            step = items.__anext__
            value: tuple[Any, ...] = ()
            try:
                while True:
                    call = begin(args, kwargs)
                    try:
                        item = await step(*value)
                    except BaseException as raised:
                        end(call, None, raised)
                        if isinstance(raised, StopAsyncIteration):
                            return
                        raise
                    end(call, item, None)
                    try:
                        sent = yield item
                        step, value = (items.__anext__, ()) if sent is None else (items.asend, (sent,))
                    except GeneratorExit:
                        raise
                    except BaseException as thrown:
                        step, value = items.athrow, (thrown,)
            finally:
                await items.aclose()

        return each

    if iscoroutinefunction(method):

        @wraps(method)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            call = begin(args, kwargs)
            try:
                result = await method(*args, **kwargs)
            except BaseException as raised:
                end(call, None, raised)
                raise
            end(call, result, None)
            return result

        return awaited

    @wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        try:
            result = method(*args, **kwargs)
        except BaseException as raised:
            end(call, None, raised)
            raise
        end(call, result, None)
        return result

    return called
