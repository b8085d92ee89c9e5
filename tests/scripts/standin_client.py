# SPDX-License-Identifier: MIT
"""What qdrant-client and the openai SDK, the loader's own clients, get from the stand-ins. Run by standin.bats with the
loader environment's Python: `standin_client.py NAME URL`. An assertion that fails ends it with status 1."""

import math
import sys
import uuid
import warnings

warnings.simplefilter("error")  # the client warns of a server whose version is not near its own


def refused(status: int, call, *args, **kwargs) -> str:
    from qdrant_client.http.exceptions import UnexpectedResponse

    try:
        call(*args, **kwargs)
    except UnexpectedResponse as error:
        assert error.status_code == status, error
        return str(error)
    raise AssertionError(f"{call.__name__} was not refused")


def qdrant(url: str) -> None:
    from qdrant_client import QdrantClient
    from qdrant_client import models as m

    client = QdrantClient(url=url, timeout=20)
    size = 8
    params = m.VectorParams(size=size, distance=m.Distance.COSINE)
    assert client.get_collections().collections == []
    assert not client.collection_exists("demo")
    assert client.create_collection("demo", vectors_config=params) is True
    assert "already exists" in refused(409, client.create_collection, "demo", vectors_config=params)
    assert [c.name for c in client.get_collections().collections] == ["demo"] and client.collection_exists("demo")

    for field, schema in (("document_id", {"type": "keyword"}), ("is_converted", "bool"), ("n", "integer")):
        done = client.create_payload_index("demo", field_name=field, field_schema=schema)
        assert done.status == m.UpdateStatus.COMPLETED
    info = client.get_collection("demo")
    assert info.status == m.CollectionStatus.GREEN and info.config.params.vectors == params
    kinds = {key: value.data_type.value for key, value in info.payload_schema.items()}
    assert kinds == {"document_id": "keyword", "is_converted": "bool", "n": "integer"}, kinds

    ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, str(i))) for i in range(30)]
    vectors = [[math.cos(i * j) for j in range(size)] for i in range(30)]
    other = {"text": 'ä\n"', "deep": {"list": [1, None, True]}}
    payloads = [{"document_id": f"d{i % 3}", "n": i, **other} for i in range(30)]
    points = [m.PointStruct(id=ids[i], vector=vectors[i], payload=payloads[i]) for i in range(30)]
    assert client.upsert("demo", points=points[:20]).status == m.UpdateStatus.COMPLETED
    client.upsert("demo", points=m.Batch(ids=ids[20:], vectors=vectors[20:], payloads=payloads[20:]))
    client.upsert("demo", points=points[:5])
    client.upsert("demo", points=[m.PointStruct(id=7, vector=vectors[7])])
    assert client.count("demo").count == 31 and client.get_collection("demo").points_count == 31

    of_d1 = m.Filter(must=[m.FieldCondition(key="document_id", match=m.MatchValue(value="d1"))])
    either = m.Filter(must=[m.FieldCondition(key="document_id", match=m.MatchAny(any=["d0", "d1"]))])
    small = m.Filter(must=[m.FieldCondition(key="n", range=m.Range(gte=3, lt=10))], must_not=[of_d1])
    assert client.count("demo", count_filter=of_d1).count == 10
    assert client.count("demo", count_filter=either).count == 20
    assert client.count("demo", count_filter=small).count == 5
    assert client.count("demo", count_filter=m.Filter(should=[m.HasIdCondition(has_id=[7, ids[0]])])).count == 2
    geo = m.FieldCondition(key="x", geo_radius=m.GeoRadius(center=m.GeoPoint(lon=0, lat=0), radius=1))
    refused(400, client.count, "demo", count_filter=m.Filter(must=[geo]))

    best = client.query_points("demo", query=vectors[4], limit=3, with_payload=True).points
    assert best[0].id == ids[4] and abs(best[0].score - 1) < 1e-5 and best[0].payload == payloads[4]
    assert best[0].score >= best[1].score >= best[2].score and best[0].vector is None
    found = client.query_points("demo", query=vectors[4], query_filter=of_d1, limit=50, with_vectors=True).points
    assert {p.payload["document_id"] for p in found} == {"d1"} and len(found[0].vector) == size
    seen, offset = [], None
    while True:
        page, offset = client.scroll("demo", limit=7, offset=offset, with_payload=["n"])
        assert all(set(p.payload) <= {"n"} for p in page)
        seen += [p.id for p in page]
        if offset is None:
            break
    assert sorted(map(str, seen)) == sorted(map(str, [*ids, 7]))
    assert [p.id for p in client.retrieve("demo", ids=[ids[3], 7])] == [ids[3], 7]

    client.delete("demo", points_selector=[7, ids[0]])
    client.delete("demo", points_selector=of_d1)
    assert client.count("demo").count == 19

    hybrid = {"vectors_config": {"dense": params}, "sparse_vectors_config": {"sparse": m.SparseVectorParams()}}
    assert "global.llm.sparse.enabled" in refused(400, client.create_collection, "s", **hybrid)
    named = m.PointStruct(id=1, vector={"dense": vectors[0]})
    assert "global.llm.sparse.enabled" in refused(400, client.upsert, "demo", points=[named])
    short = m.PointStruct(id=1, vector=vectors[0][:7])
    assert "expected dim: 8, got 7" in refused(400, client.upsert, "demo", points=[short])
    assert "Collection `other` doesn" in refused(404, client.get_collection, "other")
    refused(404, client.upsert, "other", points=points)
    assert client.delete_collection("demo") is True and client.get_collections().collections == []


def openai(url: str) -> None:
    from base64 import b64decode
    from struct import unpack

    import httpx
    from openai import BadRequestError, OpenAI

    client = OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == ["hash"]
    texts = ["the cat sat on the mat", "the cat lay on the mat", "numbers, engines: Ärger", "  x  "]
    packed = client.embeddings.create(model="any", input=texts)
    plain = client.embeddings.create(model="any", input=texts, encoding_format="float")
    vectors = [item.embedding for item in packed.data]
    assert vectors == [item.embedding for item in plain.data]
    assert [item.index for item in packed.data] == [0, 1, 2, 3]
    assert packed.model == "any" and packed.usage.total_tokens > 0
    raw = httpx.post(url + "/v1/embeddings", json={"input": texts[0], "encoding_format": "base64"}).json()
    assert list(unpack("<384f", b64decode(raw["data"][0]["embedding"]))) == vectors[0]
    for vector in vectors:
        assert len(vector) == 384 and abs(sum(v * v for v in vector) - 1) < 1e-5 and all(vector)
    near, far = (sum(map(float.__mul__, vectors[0], vectors[i])) for i in (1, 2))
    assert near > 0.6 and far < 0.2, (near, far)
    assert client.embeddings.create(model="any", input=texts[0]).data[0].embedding == vectors[0]
    for wrong in ([], "", ["a", ""], [1]):
        assert httpx.post(url + "/v1/embeddings", json={"input": wrong}).status_code == 400, wrong
    try:
        client.embeddings.create(model="any", input="a", dimensions=256)
    except BadRequestError as error:
        assert "384" in str(error)
    else:
        raise AssertionError("256 dimensions were not refused")


if __name__ == "__main__":
    {"qdrant": qdrant, "openai": openai}[sys.argv[1]](sys.argv[2])
    print("as expected")
