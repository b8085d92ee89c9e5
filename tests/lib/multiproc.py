# SPDX-License-Identifier: MIT
"""Metrics folders for the tests: made by the real prometheus_client, made by hand, and held against the real collector.

    multiproc.py real DIR [PROCESSES]   several processes write every type and mode
    multiproc.py raw FILE KIND          a file by hand; KIND is a function below, or json entries on standard input
    multiproc.py equal DIR PAGE         is every series of the official collector on the page, and none but these?
    multiproc.py strict PAGE            does the strict OpenMetrics parser take the page?
    multiproc.py text PAGE              does the parser of the text format take the page?
"""

from __future__ import annotations

import glob
import json
import math
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Entry = tuple[bytes, float, float]


def key(family: str, sample: str, labels: dict[str, str] | None = None, text: str = "help") -> bytes:
    return json.dumps([family, sample, labels or {}, text], sort_keys=True).encode()


def entry(name: bytes, value: float, time: float = 0.0) -> bytes:
    padded = name + b" " * (8 - (len(name) + 4) % 8)
    return struct.pack(f"i{len(padded)}sdd", len(name), padded, value, time)


def db(*entries: bytes, used: int | None = None, size: int = 1 << 16) -> bytes:
    body = b"".join(entries)
    return struct.pack("ii", 8 + len(body) if used is None else used, 0) + body + b"\0" * (size - 8 - len(body))


GOOD = entry(key("good", "good_total"), 7.0)
BEHIND = entry(key("behind", "behind_total"), 3.0)


def with_length(length: int) -> bytes:
    """An entry whose length field is wrong, between two good ones."""
    wrong = struct.pack("i", length) + entry(key("wrong", "wrong_total"), 1.0)[4:]
    return db(GOOD, wrong, BEHIND)


def cut(bytes_kept: int) -> bytes:
    """A file cut off in its second entry."""
    whole = db(GOOD, BEHIND)
    return whole[: 8 + len(GOOD) + bytes_kept]


def one(name: bytes, value: float = 1.0) -> bytes:
    """An entry that may be bad, between two good ones."""
    return db(GOOD, entry(name, value), BEHIND)


def bucket(le: object) -> bytes:
    return key("h", "h_bucket", {"le": le})  # type: ignore[dict-item]


RAW: dict[str, Callable[[], bytes]] = {
    "good": lambda: db(GOOD),
    "good-twice": lambda: db(GOOD, BEHIND),
    "empty": lambda: b"",
    "three-bytes": lambda: b"\x10\0\0",
    "zeros": lambda: b"\0" * (1 << 16),
    "used-4": lambda: db(GOOD, used=4),
    "used-negative": lambda: db(GOOD, used=-8),
    "used-max": lambda: db(GOOD, used=2**31 - 1),
    "used-above-size": lambda: db(GOOD, used=(1 << 16) + 64),
    "cut-in-length": lambda: cut(2),
    "cut-in-key": lambda: cut(20),
    "cut-in-value": lambda: cut(len(BEHIND) - 10),
    "cut-in-padding": lambda: db(GOOD, BEHIND, used=8 + len(GOOD) + len(BEHIND) - 4),
    "length-negative": lambda: with_length(-1),
    "length-zero": lambda: with_length(0),
    "length-backwards": lambda: with_length(-28),
    "length-huge": lambda: with_length(1 << 30),
    "length-past-end": lambda: with_length(500),
    "not-utf8": lambda: one(b'["x\xff", "x\xff_total", {}, ""]'),
    "not-json": lambda: one(b'["x", "x_total", {]'),
    "three-items": lambda: one(b'["x", "x_total", {}]'),
    "five-items": lambda: one(b'["x", "x_total", {}, "", ""]'),
    "labels-list": lambda: one(b'["x", "x_total", ["a"], ""]'),
    "number-label": lambda: one(b'["x", "x_total", {"a": 1}, ""]'),
    "null-help": lambda: one(b'["x", "x_total", {}, null]'),
    "empty-name": lambda: one(b'["", "_total", {}, ""]'),
    "empty-label": lambda: one(b'["x", "x_total", {"": "v"}, ""]'),
    "name-label": lambda: one(b'["x", "x_total", {"__name__": "y"}, ""]'),
    "alike-labels": lambda: one(b'["x", "x_total", {"a b": "1", "a c": "1", "a_b": "2"}, ""]'),
    "surrogate": lambda: one(b'["x", "x_total", {"a": "<\\ud800>"}, "h\\udfff"]'),
    "pair": lambda: one(b'["x", "x_total", {"a": "\\ud83d\\ude00\\u00e9\\u0000\\"\\\\\\n"}, "h"]'),
    "bad-name": lambda: one(b'["m m", "m m_total", {"l-l": "v"}, "h"]'),
    "foreign-sample": lambda: one(b'["x", "other", {}, "h"]'),
    "nan": lambda: one(key("x", "x_total"), math.nan),
    "inf": lambda: one(key("x", "x_total"), math.inf),
    "minus-inf": lambda: one(key("x", "x_total"), -math.inf),
    "negative": lambda: one(key("x", "x_total"), -1.0),
    "le-abc": lambda: db(entry(bucket("abc"), 1), entry(bucket("+Inf"), 2), entry(key("h", "h_sum"), 5)),
    "le-nan": lambda: db(entry(bucket("NaN"), 1), entry(bucket("+Inf"), 2), entry(key("h", "h_sum"), 5)),
    "le-number": lambda: db(entry(bucket(1.0), 1), entry(bucket("+Inf"), 2), entry(key("h", "h_sum"), 5)),
    "no-inf": lambda: db(entry(key("h", "h_sum"), 5), entry(bucket("1.0"), 1), entry(bucket("2.5"), 2)),
    "sum-only": lambda: db(entry(key("h", "h_sum"), 5)),
    "duplicate": lambda: db(GOOD, GOOD, BEHIND),
    "gauge-new": lambda: db(entry(key("g", "g"), 0.0, 0.0)),
    "gauge": lambda: db(entry(key("g", "g", {"pid": "own"}), 4.0, 1000.5)),
    "loaders-gauges": lambda: db(
        entry(key("qdrant_chunk_queue_size", "qdrant_chunk_queue_size"), 5.0),
        entry(key("qdrant_memory_usage_percent", "qdrant_memory_usage_percent"), 60.0),
        entry(key("other", "other"), 4.0),
    ),
    "ours": lambda: db(
        *(
            entry(key(name, name), 3.0)
            for name in ("qdrant_loader_up", "qdrant_loader_run_exit_code", "qdrant_loader_process_threads", "loader_exporter_x")
        ),
        entry(key("qdrant_loader_upper", "qdrant_loader_upper"), 3.0),
    ),
    "peak": lambda: db(entry(key("qdrant_loader_backlog_chunks_peak", "qdrant_loader_backlog_chunks_peak"), 7.0)),
    "good-as-gauge": lambda: db(entry(key("good", "good"), 4.0)),
    "summary-clash": lambda: db(entry(key("good_total", "good_total_count"), 1), entry(key("good_total", "good_total_sum"), 2)),
    "10000-series": lambda: big(10000),
    "60000-series": lambda: big(60000),
}


def big(n: int) -> bytes:
    body = b"".join(entry(key("big", "big_total", {"i": f"series {i}"}), i + 0.5) for i in range(n))
    return struct.pack("ii", 8 + len(body), 0) + body


def raw(path: str, kind: str) -> None:
    Path(path).write_bytes(RAW[kind]())


WRITER = r"""
import random, sys
from prometheus_client import Counter, Gauge, Histogram, Summary
n = int(sys.argv[1])
r = random.Random(n)
c = Counter("jobs", "Jobs; a \\ and a\nnew line", ["kind", "weird"])
for kind in ("a", "b", "\u00e9\U0001f600", 'q"\\\n'):
    c.labels(kind, "x").inc(r.random() * 1000)
Counter("plain", "Without labels").inc(n)
Counter("big", "Large").inc(10 ** (n + 4))
h = Histogram("took_seconds", "Times", ["stage"])
for _ in range(200):
    h.labels(r.choice(["chunk", "embed"])).observe(r.expovariate(1))
own = Histogram("size_bytes", "Other buckets in each process", buckets=[0.1 * (n + 1), 1, 1e6, 2.5e7, 1e16])
for v in (0.05, 0.5, 5e5, 1e7, 1e17):
    own.observe(v)
s = Summary("wait_seconds", "Summary", ["stage"])
for stage in (["x", "y"] if n % 2 else ["y", "x"]):
    s.labels(stage).observe(r.random())
for mode in ("all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"):
    g = Gauge("g_" + mode, "Gauge " + mode, ["l"], multiprocess_mode=mode)
    for v in (1e-7, 0.1 + 0.2, 123456.0, 1234567.0, 1e15, 1e16, -5.5, 1 / 3, 5e-324, 1.7976931348623157e308):
        g.labels(str(v)).set(v * (1 if n % 2 else -1) + (n if abs(v) < 1e10 else 0))
    never = Gauge("never_" + mode, "Never set", multiprocess_mode=mode)
    Gauge("special_" + mode, "Special", multiprocess_mode=mode).set([float("nan"), float("inf"), float("-inf"), -0.0][n % 4])
"""


def real(directory: str, processes: int) -> None:
    env = dict(os.environ, PROMETHEUS_MULTIPROC_DIR=directory)
    for n in range(processes):
        subprocess.run([sys.executable, "-c", WRITER, str(n)], env=env, check=True)


Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def official(directory: str) -> tuple[Series, dict[str, tuple[str, str]]]:
    from prometheus_client.multiprocess import MultiProcessCollector

    # In the order of the names: the order of a folder is nobody's, and sums of floats depend on it.
    metrics = MultiProcessCollector.merge(sorted(glob.glob(os.path.join(directory, "*.db"))))
    series: Series = {}
    families = {}
    for m in metrics:
        families[m.name] = (m.type, m.documentation)
        for s in m.samples:
            series[(s.name, tuple(sorted(s.labels.items())))] = s.value
    return series, families


def parsed(page: str) -> tuple[Series, dict[str, tuple[str, str]]]:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
    from prometheus_client.parser import text_string_to_metric_families as text

    content = Path(page).read_bytes().decode()
    parse = openmetrics if content.endswith("# EOF\n") else text
    series: Series = {}
    families = {}
    for m in parse(content):
        families[m.name] = (m.type, m.documentation)
        for s in m.samples:
            if not s.name.endswith("_created"):
                labels = tuple(sorted((k, v) for k, v in s.labels.items()))
                assert (s.name, labels) not in series, f"twice: {s.name} {labels}"
                series[(s.name, labels)] = s.value
    return series, families


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def equal(directory: str, page: str) -> None:
    expected, expected_families = official(directory)
    found, found_families = parsed(page)
    for which in sorted(expected.keys() | found.keys()):
        if which not in found:
            sys.exit(f"missing: {which} {expected[which]!r}")
        if which not in expected:
            sys.exit(f"too many: {which} {found[which]!r}")
        if not same(expected[which], found[which]):
            sys.exit(f"differs: {which} official {expected[which]!r} page {found[which]!r}")
    for name, (kind, text) in expected_families.items():
        if found_families.get(name) != (kind, text):
            sys.exit(f"family {name}: official {(kind, text)} page {found_families.get(name)}")
    print(f"{len(expected)} series, {len(expected_families)} families equal")


def main() -> None:
    what, *args = sys.argv[1:]
    if what == "real":
        real(args[0], int(args[1]) if len(args) > 1 else 4)
    elif what == "raw":
        raw(*args)
    elif what == "equal":
        equal(*args)
    elif what == "strict":
        assert Path(args[0]).read_bytes().endswith(b"# EOF\n")
        parsed(args[0])
    elif what == "text":
        parsed(args[0])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
