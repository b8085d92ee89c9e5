# SPDX-License-Identifier: MIT
"""Qdrant for a machine that has none: the REST endpoints that the loader and a look by qdrant-client need, on the real
engine (qdrant-edge-py) in this process, on disk.

usage: qdrant.py [--dir DIR] [--port N] [--parent PID] [--ready-file FILE] [--counts-file FILE] [--fault JSON]

Prints {"name": …, "url": …, "port": …, "pid": …} when it is ready. Dense vectors without a name only; what it does not
have is answered with an error that says so. GET /_standin/counts tells what was asked and what the engine holds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import qdrant_edge as edge

from control import add_options, fail, leave_in_order, serve
from filters import filter_of, point_id
from service import Refused, Service

VERSION = "1.20.0"  # qdrant-client warns when the server's is not near its own
NO_SPARSE = "the stand-in has one dense vector without a name only: set global.llm.sparse.enabled to false"
FORBIDDEN_IN_NAME = set('<>:"/\\|?*\0\x1f')


class Collection:
    """One shard of the engine in a folder of its own, with the parameters that the engine does not tell."""

    def __init__(self, folder: Path, vectors: dict[str, Any] | None = None) -> None:
        self.folder = folder
        if vectors is None:
            about = json.loads((folder / "about.json").read_text())
            self.name, self.vectors = about["name"], about["vectors"]
            self.shard = edge.EdgeShard.load(str(folder / "shard"))
        else:
            self.name, self.vectors = vectors.pop("name"), vectors
            params = edge.EdgeVectorParams(size=vectors["size"], distance=getattr(edge.Distance, vectors["distance"]))
            folder.mkdir(parents=True)
            # Without worker threads: they would compete with the loader for the processors.
            config = edge.EdgeConfig(vectors=params, max_search_threads=1)
            (folder / "shard").mkdir()
            self.shard = edge.EdgeShard.create(str(folder / "shard"), config)
            (folder / "about.json").write_text(json.dumps({"name": self.name, "vectors": vectors}))

    def info(self) -> dict[str, Any]:
        info = self.shard.info()
        return {
            "status": "green",
            "optimizer_status": "ok",
            "indexed_vectors_count": info.indexed_vectors_count,
            "points_count": info.points_count,
            "segments_count": info.segments_count,
            "config": {
                "params": {
                    "vectors": self.vectors,
                    "shard_number": 1,
                    "replication_factor": 1,
                    "write_consistency_factor": 1,
                    "on_disk_payload": True,
                },
                "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
                "optimizer_config": {
                    "deleted_threshold": 0.2,
                    "vacuum_min_vector_number": 1000,
                    "default_segment_number": 0,
                    "flush_interval_sec": 5,
                },
                "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
            },
            "payload_schema": {
                key: {"data_type": repr(value.data_type).rpartition(".")[2].lower(), "points": value.points}
                for key, value in info.payload_schema.items()
            },
        }


class Qdrant(Service):
    name = "qdrant"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.collections: dict[str, Collection] = {}
        self.engine = threading.Lock()
        self.operations = 0
        for about in sorted(folder.glob("collection-*/about.json")):
            collection = Collection(about.parent)
            self.collections[collection.name] = collection
        one = "/collections/{c}"
        self.route("GET", "/", lambda *_: {"title": "qdrant - vector search engine", "version": VERSION, "commit": ""})
        self.route("GET", "/collections", lambda *_: {"collections": [{"name": name} for name in self.collections]})
        self.route("GET", one, lambda at, _: self.at(at).info())
        self.route("GET", one + "/exists", lambda at, _: {"exists": at["c"] in self.collections})
        self.route("PUT", one, self.create)
        self.route("DELETE", one, self.drop)
        self.route("PUT", one + "/index", self.index)
        self.route("PUT", one + "/points", self.upsert)
        self.route("POST", one + "/points", self.retrieve)
        self.route("POST", one + "/points/delete", self.delete)
        self.route("POST", one + "/points/count", self.count)
        self.route("POST", one + "/points/scroll", self.scroll)
        self.route("POST", one + "/points/query", self.query)

    def at(self, at: dict[str, str]) -> Collection:
        if found := self.collections.get(at["c"]):
            return found
        raise Refused(404, f"Not found: Collection `{at['c']}` doesn't exist!")

    def counts_more(self) -> dict[str, Any]:
        with self.engine:
            held = {name: c.shard.count(edge.CountRequest(exact=True)) for name, c in self.collections.items()}
        return {"points": sum(held.values()), "collections": held}

    def wrap(self, result: Any, seconds: float) -> Any:
        # The root alone has no envelope.
        if isinstance(result, dict) and "title" in result:
            return result
        return {"result": result, "status": "ok", "time": round(seconds, 9)}

    def error(self, status: int, text: str) -> Any:
        return {"result": None, "status": {"error": text}, "time": 0.0}

    def apply(self, collection: Collection, operation: edge.UpdateOperation) -> dict[str, Any]:
        with self.engine:
            collection.shard.update(operation)
            self.operations += 1
            return {"operation_id": self.operations, "status": "completed"}

    # ---- collections ----

    def create(self, at: dict[str, str], body: dict[str, Any]) -> bool:
        name, vectors = at["c"], body.get("vectors") or {}
        if body.get("sparse_vectors") or "size" not in vectors:
            raise Refused(400, NO_SPARSE)
        if FORBIDDEN_IN_NAME & set(name) or len(name) > 255:
            raise Refused(422, f"not a name for a collection: {name}")
        if vectors["distance"] not in ("Cosine", "Euclid", "Dot", "Manhattan"):
            raise Refused(400, f"no such distance: {vectors['distance']}")
        with self.engine:
            if name in self.collections:
                raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
            folder = self.folder / f"collection-{quote(name, safe='')}"
            kept = {"size": vectors["size"], "distance": vectors["distance"]}
            self.collections[name] = Collection(folder, {"name": name, **kept})
        return True

    def drop(self, at: dict[str, str], _: Any) -> bool:
        with self.engine:
            if collection := self.collections.pop(at["c"], None):
                collection.shard.close()
                shutil.rmtree(collection.folder)
        return collection is not None

    def index(self, at: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        schema = body["field_schema"]
        kind = schema["type"] if isinstance(schema, dict) else schema
        schema = getattr(edge.PayloadSchemaType, kind.capitalize(), None)
        if schema is None:
            raise Refused(400, f"no such field type: {kind}")
        return self.apply(self.at(at), edge.UpdateOperation.create_field_index(body["field_name"], schema))

    # ---- points ----

    def upsert(self, at: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        collection = self.at(at)
        if batch := body.get("batch"):
            payloads = batch.get("payloads") or [None] * len(batch["ids"])
            points = list(zip(batch["ids"], batch["vectors"], payloads, strict=True))
        else:
            points = [(p["id"], p["vector"], p.get("payload")) for p in body["points"]]
        size = collection.vectors["size"]
        for _, vector, _ in points:
            if not isinstance(vector, list):
                raise Refused(400, NO_SPARSE)
            if len(vector) != size:
                raise Refused(400, f"Wrong input: Vector dimension error: expected dim: {size}, got {len(vector)}")
        made = [edge.Point(point_id(i), vector, payload) for i, vector, payload in points]
        done = self.apply(collection, edge.UpdateOperation.upsert_points(made))
        self.receive(points_received=len(points))
        return done

    def delete(self, at: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if "points" in body:
            operation = edge.UpdateOperation.delete_points([point_id(i) for i in body["points"]])
        else:
            operation = edge.UpdateOperation.delete_points_by_filter(filter_of(body["filter"]) or edge.Filter())
        return self.apply(self.at(at), operation)

    def count(self, at: dict[str, str], body: dict[str, Any]) -> dict[str, int]:
        asked = edge.CountRequest(exact=body.get("exact", True), filter=filter_of(body.get("filter")))
        with self.engine:
            return {"count": self.at(at).shard.count(asked)}

    def retrieve(self, at: dict[str, str], body: dict[str, Any]) -> list[dict[str, Any]]:
        ids = [point_id(i) for i in body["ids"]]
        with self.engine:
            found = self.at(at).shard.retrieve(ids, with_payload(body, True), body.get("with_vector", False))
        return [record(point) for point in found]

    def scroll(self, at: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        asked = edge.ScrollRequest(
            offset=point_id(body.get("offset")),
            limit=body.get("limit") or 10,
            filter=filter_of(body.get("filter")),
            with_payload=with_payload(body, True),
            with_vector=body.get("with_vector", False),
        )
        with self.engine:
            found, following = self.at(at).shard.scroll(asked)
        return {"points": [record(point) for point in found], "next_page_offset": json_id(following)}

    def query(self, at: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        vector = body.get("query")
        if isinstance(vector, dict):
            vector = vector.get("nearest")
        if not isinstance(vector, list) or body.get("using") or body.get("prefetch"):
            raise Refused(400, f"the stand-in queries by one vector only; {NO_SPARSE}")
        asked = edge.QueryRequest(
            limit=body.get("limit") or 10,
            offset=body.get("offset") or 0,
            query=edge.Query.Nearest(vector),
            filter=filter_of(body.get("filter")),
            score_threshold=body.get("score_threshold"),
            with_payload=with_payload(body, False),
            with_vector=body.get("with_vector", False),
        )
        with self.engine:
            found = self.at(at).shard.query(asked)
        return {"points": [{**record(point), "version": point.version, "score": point.score} for point in found]}

    def close(self) -> None:
        # A request that is still at work must not hold the end; the engine's log is on disk then anyway.
        if self.engine.acquire(timeout=0.5):
            for collection in self.collections.values():
                collection.shard.close()


def with_payload(body: dict[str, Any], default: bool) -> Any:
    asked = body.get("with_payload", default)
    if isinstance(asked, dict):
        if "include" in asked:
            return edge.PayloadSelector.Include(asked["include"])
        return edge.PayloadSelector.Exclude(asked["exclude"])
    return default if asked is None else asked


def json_id(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else str(value)


def record(point: Any) -> dict[str, Any]:
    return {"id": json_id(point.id), "payload": point.payload, "vector": point.vector}


def main() -> None:
    parser = argparse.ArgumentParser(prog="qdrant", description="A Qdrant REST endpoint on loopback.")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="the engine's data; without it, gone at the end")
    add_options(parser)
    args = parser.parse_args()
    leave_in_order()
    folder: Path = args.dir or Path(tempfile.mkdtemp(prefix="qdrant-standin-"))

    def remove() -> None:
        if folder != args.dir:
            shutil.rmtree(folder, ignore_errors=True)

    try:
        try:
            service = Qdrant(folder)
        except Exception as error:  # of the engine: a folder of another version, a full disk
            fail("qdrant", f"{folder}: {error}")

        def close() -> None:
            service.close()
            remove()

        serve(args, service, close)
    finally:
        remove()


if __name__ == "__main__":
    main()
