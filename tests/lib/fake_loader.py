# SPDX-License-Identifier: MIT
"""Writes a package that has the names which the shim wraps, and does next to nothing behind them.

usage: fake_loader.py DIR [WITHOUT…]      WITHOUT: names that are left out, as in a version of the loader without them
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

MODULES = {
    "core/monitoring/prometheus_metrics.py": """
        from prometheus_client import Gauge
        CHUNK_QUEUE_SIZE = Gauge("qdrant_chunk_queue_size", "-")
        EMBED_QUEUE_SIZE = Gauge("qdrant_embed_queue_size", "-")
        """,
    "core/pipeline/source_processor.py": """
        from qdrant_loader.utils.sensitive import sanitize_exception_message
        class SourceProcessor:
            async def stream_source_documents(self, documents):
                "Gives documents; one that is an exception is logged and left out."
                for document in documents:
                    try:
                        if isinstance(document, BaseException):
                            raise document
                        CALLS.append(("sent", (yield document)))
                    except Exception as error:
                        sanitize_exception_message(error)
        CALLS = []
        """,
    "core/pipeline/document_pipeline.py": """
        class Result:
            def __init__(self, good, bad):
                self.successfully_processed_documents, self.failed_document_ids = good, bad
        class DocumentPipeline:
            async def process_batch(self, batch, work=None):
                if work is not None:
                    await work
                return Result({d.id for d in batch}, set())
        """,
    "core/pipeline/workers/chunking_worker.py": """
        import asyncio
        class ChunkingWorker:
            def __init__(self, service):
                self.service = service
            async def process(self, document, timeout=None):
                work = asyncio.get_running_loop().run_in_executor(None, self.service.chunk_document, document)
                return await asyncio.wait_for(work, timeout)
        """,
    "core/chunking/chunking_service.py": """
        class ChunkingService:
            def chunk_document(self, document):
                return document.chunk()
        """,
    "core/pipeline/workers/embedding_worker.py": """
        class EmbeddingWorker:
            def __init__(self, service):
                self.service = service
            async def process(self, chunks):
                return await self.service.get_embeddings(chunks)
        """,
    "core/embedding/embedding_service.py": """
        class EmbeddingService:
            waits = 0
            async def _apply_rate_limit(self):
                import asyncio
                await asyncio.sleep(self.waits)
            async def _execute_embedding_request(self, chunks):
                return [(chunk, None if chunk.content == "bad" else [1.0]) for chunk in chunks]
            async def get_embeddings(self, chunks):
                await self._apply_rate_limit()
                return await self._execute_embedding_request(chunks)
        """,
    "core/pipeline/workers/upsert_worker.py": """
        class UpsertWorker:
            def __init__(self, manager):
                self.manager = manager
            async def process(self, batch):
                try:
                    await self.manager.upsert_points(batch)
                except Exception as error:
                    return 0, len(batch), set(), [str(error)]
                return len(batch), 0, set(), []
        """,
    "core/qdrant_manager.py": """
        class QdrantManager:
            raises = None
            async def upsert_points(self, points):
                if self.raises:
                    raise self.raises
        """,
    "core/state/state_manager.py": """
        class StateManager:
            async def update_document_states_batch(self, documents):
                return [(d, d, None) for d in documents]
        """,
    "core/conversion/service.py": """
        class ConversionService:
            def __init__(self, converter):
                self.converter = converter
            def convert(self, path):
                try:
                    return self.converter.convert_file(path)
                except ValueError:
                    return "fallback"
        """,
    "core/file_conversion/file_converter.py": """
        class FileConverter:
            def convert_file(self, path):
                if "bad" in path:
                    raise ValueError(path)
                return "text"
        """,
    "utils/sensitive.py": """
        def sanitize_exception_message(error):
            return str(error)
        """,
}


def main() -> None:
    folder, without = Path(sys.argv[1]) / "qdrant_loader", sys.argv[2:]
    for name, text in MODULES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for parent in [path.parent, *path.parent.parents]:
            if folder not in [parent, *parent.parents]:
                break
            (parent / "__init__.py").touch()
        lines = text.splitlines()[1:]
        indent = len(lines[0]) - len(lines[0].lstrip())
        text = "\n".join(line[indent:] for line in lines)
        for gone in without:
            text = re.sub(rf"\b{gone}\b", f"{gone}_renamed", text)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
