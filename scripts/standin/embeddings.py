# SPDX-License-Identifier: MIT
"""An OpenAI-compatible embedding service for a machine that has none: POST /v1/embeddings and GET /v1/models.

usage: embeddings.py [--model hash|minilm] [--latency-ms MS] [--latency-per-item-ms MS] [--port N] [--parent PID]
                     [--ready-file FILE] [--counts-file FILE] [--fault JSON]

`hash` costs next to nothing and keeps only what texts that share words need: a small distance. `minilm` is the real
all-MiniLM-L6-v2 (scripts/env/minilm.txt). Prints {"name": …, "url": …, "port": …, "pid": …} when it is ready.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from control import add_options, fail, serve
from service import Refused, Service

SIZE = 384  # dimensions of all-MiniLM-L6-v2, and so of the hash
PACK = struct.Struct(f"<{SIZE}f").pack
Embed = Callable[[list[str]], list[list[float]]]


class Slots(dict[str, int]):
    """word → dimension, kept."""

    def __missing__(self, word: str) -> int:
        slot = self[word] = zlib.crc32(word.encode("utf-8", "surrogatepass")) % SIZE
        return slot


SLOTS = Slots()
# A little of every text's own digest in all dimensions. It makes vectors dense, as real ones are (a mostly empty one
# would be a third as long in JSON, and cost the loader less to send), never zero, and different for different texts.
GRAIN = [(byte - 127.5) / 1000 for byte in range(256)]


def hash_embed(texts: list[str]) -> list[list[float]]:
    vectors = []
    for text in texts:
        vector = [GRAIN[b] for b in hashlib.shake_128(text.encode("utf-8", "surrogatepass")).digest(SIZE)]
        for word in text.lower().split():
            vector[SLOTS[word]] += 1.0
        length = math.sqrt(sum(map(float.__mul__, vector, vector)))
        vectors.append([value / length for value in vector])
    if len(SLOTS) > 1_000_000:
        SLOTS.clear()
    return vectors


class Embeddings(Service):
    name = "embeddings"

    def __init__(self, model: str, embed: Embed, latency: float, latency_per_item: float) -> None:
        super().__init__()
        self.model, self.embed = model, embed
        self.latency, self.latency_per_item = latency, latency_per_item
        self.route("GET", "/v1/models", self.models)
        self.route("POST", "/v1/embeddings", self.embeddings)

    def models(self, *_: Any) -> dict[str, Any]:
        return {"object": "list", "data": [{"id": self.model, "object": "model", "created": 0, "owned_by": "stand-in"}]}

    def embeddings(self, _: Any, body: dict[str, Any]) -> dict[str, Any]:
        start = time.monotonic()
        texts = body.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise Refused(400, "'input' is a text or a list of texts that are not empty")
        if body.get("dimensions") not in (None, SIZE):
            raise Refused(400, f"the stand-in's vectors have {SIZE} dimensions: set vector_size to {SIZE}")
        packed = body.get("encoding_format") == "base64"
        vectors: list[Any] = self.embed(texts)
        # Both forms carry the same float32 values.
        raw = [PACK(*vector) for vector in vectors]
        data = [b64encode(r).decode() if packed else list(struct.unpack(f"<{SIZE}f", r)) for r in raw]
        characters = sum(map(len, texts))
        self.receive(texts=len(texts), characters=characters, base64=int(packed))
        # What computing took is part of the latency, not on top of it.
        due = start + (self.latency + self.latency_per_item * len(texts)) / 1000
        time.sleep(max(0.0, due - time.monotonic()))
        return {
            "object": "list",
            "data": [{"object": "embedding", "index": i, "embedding": value} for i, value in enumerate(data)],
            "model": body.get("model") or self.model,
            "usage": {"prompt_tokens": characters // 4, "total_tokens": characters // 4},
        }


def milliseconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 600_000:
        raise argparse.ArgumentTypeError(f"not from 0 to 600000 ms: {text}")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(prog="embeddings", description="An OpenAI-compatible embedding service.")
    parser.add_argument("--model", choices=["hash", "minilm"], default="hash", help="default hash")
    parser.add_argument("--latency-ms", type=milliseconds, default=20, metavar="MS", help="per request (default 20)")
    parser.add_argument("--latency-per-item-ms", type=milliseconds, default=0, metavar="MS", help="per text")
    add_options(parser)
    args = parser.parse_args()
    embed: Embed = hash_embed
    if args.model == "minilm":
        try:
            from minilm import load
        except ImportError as error:
            fail("embeddings", f"--model minilm: {error}. Install scripts/env/minilm.txt")
        embed = load()
    serve(args, Embeddings(args.model, embed, args.latency_ms, args.latency_per_item_ms), lambda: None)


if __name__ == "__main__":
    main()
