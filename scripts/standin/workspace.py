# SPDX-License-Identifier: MIT
"""Writes a workspace of the loader that needs no network: config.yaml and .env, for the stand-ins and a corpus.

usage: workspace.py DIR --corpus DIR --qdrant-url URL --embeddings-url URL [--collection NAME] [--batch-size N]
                    [--min-request-interval S] [--chunk-size N] [--chunk-overlap N] [--max-chunk-workers N]
                    [--max-embed-workers N] [--max-upsert-workers N] [--upsert-batch-size N] [--queue-size N]

Semantic analysis, file conversion, sparse vectors and the tokenizer are off: each would load a model from the network.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from urllib.parse import quote

CONCURRENCY = ("max_chunk_workers", "max_embed_workers", "max_upsert_workers", "upsert_batch_size", "queue_size")
VECTOR_SIZE = 384


def config(args: argparse.Namespace) -> dict[str, object]:
    name = args.collection
    given = {key: value for key in CONCURRENCY if (value := getattr(args, key)) is not None}
    return {
        "global": {
            "qdrant": {"url": args.qdrant_url, "collection_name": name},
            "llm": {
                "provider": "openai_compat",
                "base_url": args.embeddings_url.rstrip("/").removesuffix("/v1") + "/v1",
                "api_key": "${LLM_API_KEY}",
                "models": {"embeddings": "stand-in", "chat": "none"},
                "tokenizer": "none",
                "embeddings": {"vector_size": VECTOR_SIZE},
                "sparse": {"enabled": False},
            },
            "embedding": {
                "batch_size": args.batch_size,
                "tokenizer": "none",
                "min_request_interval": args.min_request_interval,
                "vector_size": VECTOR_SIZE,
            },
            "chunking": {
                "chunk_size": args.chunk_size,
                "chunk_overlap": args.chunk_overlap,
                "enable_semantic_analysis": False,
            },
            "semantic_analysis": {"spacy_model": "en_core_web_md"},
            **({"concurrency": given} if given else {}),
        },
        "projects": {
            name: {
                "project_id": name,
                "display_name": name,
                "description": "files of the machine's own packages",
                "sources": {
                    "localfile": {
                        "docs": {
                            "source_type": "localfile",
                            "source": "docs",
                            # The loader decodes the path of this URL.
                            "base_url": "file://" + quote(str(args.corpus.resolve())),
                            "include_paths": ["*"],
                            "file_types": ["*.md", "*.rst", "*.txt", "*.py", "*.html"],
                            "max_file_size": 1048576,
                            "enable_file_conversion": False,
                        }
                    }
                },
            }
        },
    }


def yaml(value: object, indent: int = 0) -> str:
    """Mappings in block style; all else as JSON, which YAML reads as it is, whatever a text holds."""
    if not isinstance(value, dict):
        return f" {json.dumps(value)}\n"
    pad = "  " * indent
    lines = [f"{pad}{key if key.isidentifier() else json.dumps(key)}:{yaml(v, indent + 1)}" for key, v in value.items()]
    return ("\n" if indent else "") + "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="workspace", description="A workspace of the loader for the stand-ins.")
    parser.add_argument("dir", type=Path)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="files to ingest")
    parser.add_argument("--qdrant-url", required=True, metavar="URL")
    parser.add_argument("--embeddings-url", required=True, metavar="URL", help="with or without /v1")
    parser.add_argument("--collection", default="profiling", help="and project (default profiling)")
    parser.add_argument("--batch-size", type=int, default=100, metavar="N", help="texts per batch (default 100)")
    parser.add_argument("--min-request-interval", type=float, default=0.5, metavar="S", help="default 0.5")
    parser.add_argument("--chunk-size", type=int, default=1500, metavar="N", help="characters (default 1500)")
    parser.add_argument("--chunk-overlap", type=int, default=200, metavar="N", help="characters (default 200)")
    for key in CONCURRENCY:
        parser.add_argument("--" + key.replace("_", "-"), type=int, metavar="N", help="default: the loader's own")
    args = parser.parse_args()
    if set("#?") & set(str(args.corpus.resolve())):
        parser.error(f"--corpus: the loader takes all files of a path with # or ? for one document: {args.corpus}")
    args.dir.mkdir(parents=True, exist_ok=True)
    (args.dir / "config.yaml").write_text(yaml(config(args)), encoding="utf-8")
    (args.dir / ".env").write_text("LLM_API_KEY=stand-in\n", encoding="utf-8")


if __name__ == "__main__":
    main()
