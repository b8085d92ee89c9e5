# SPDX-License-Identifier: MIT
"""What a scrape of one loader costs: loader_exporter beside prometheus_client's MultiProcessCollector, and the loader.

Both serve the loader's own eight metrics over HTTP while a process counts into them; one client asks both for pages in
turns. Cost is the CPU time of the serving process per page. The client and both servers share one CPU: on two, every
page would wake an idle one, which on a virtual machine costs more than the page.

exporter_us_per_scrape  back to back over a connection that stays open, as Prometheus keeps it. The process tree in /proc
                        is read ten times a second at the most, so that most of these pages show a reading of up to
                        100 ms before.
exporter_vs_collector   back to back, by a client that keeps its connection where the server lets it, as Prometheus does:
                        the collector's server closes after each page. loader_exporter reads more for it: /proc, and
                        its own cost. At full speed as the time is, of the same rounds: in slow phases of a shared CPU
                        the same programs gave 19, where 27 to 39 was measured else.

Without a bar, since they are the machine's as much as the program's:

exporter_us_new_connection  the same over a connection of its own for each page
exporter_us_at_10_hz        a page at ten a second, which is nearer to what a scrape costs in use: for each, everything is
                            read anew, and the caches are as cold as they are after a tenth of a second. In it is a tenth
                            of the look that the exporter takes at the loader each second
exporter_us_at_10_hz_empty  an answer without a metric (/-/healthy) at ten a second: what of it is that look, waking up and HTTP
exporter_us_idle_per_s      that look: CPU time of a second in which nobody asks

What of that is the machine's is told by a loop that answers the same client with as many bytes, after bare reads of the six
files that every page needs, and does nothing else (http_floor.c):

http_floor_us               back to back
http_floor_us_without_proc  the same without the three files of /proc, which loader_exporter reads ten times a second at most
http_floor_us_at_10_hz      at ten a second: the same instructions, after the CPU was idle or had others' work in its caches
http_floor_us_at_10_hz_empty  without the reads, and with an answer of 8 bytes

The efficiency of a loader is the work it does per CPU second while it is scraped ten times a second, against none: pure
Python on one thread, in turns of half a second of its CPU time.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import BIN, ROUNDS, at_full_speed, build, on_one_cpu, paired, row, told

PYTHON = os.environ["LOADER_ENV_PYTHON"]
PAGES, COLLECTOR_PAGES, HZ = 2000, 200, 10

# Has the threads and the metrics of a loader, and counts fifty times a second.
LOADER = """
import threading, time
import qdrant_loader.core.monitoring.prometheus_metrics as m
for _ in range(19):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print(flush=True)
while True:
    m.INGESTED_DOCUMENTS.inc()
    for h in (m.CHUNKING_DURATION, m.EMBEDDING_DURATION, m.UPSERT_DURATION):
        h.observe(time.process_time() % 1)
    time.sleep(0.02)
"""

COLLECTOR = """
import sys
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
registry = CollectorRegistry()
MultiProcessCollector(registry)
server, thread = start_http_server(0, "127.0.0.1", registry)
print(server.server_port, flush=True)
thread.join()
"""

# Work that never leaves the process, with metrics as a loader has them. For each line on standard input: the rounds of
# it in half a second of CPU time, per second of it.
SPIN = """
import sys, time
import prometheus_client
done, took = prometheus_client.Counter("done", "Rounds"), prometheus_client.Histogram("took_seconds", "Time")
for line in sys.stdin:
    rounds, start = 0, time.process_time()
    while (used := time.process_time() - start) < 0.5:
        sum(range(2000))
        rounds += 1
        if rounds % 500 == 0:
            done.inc()
            took.observe(used)
    print(rounds / used, flush=True)
"""


class Client:
    """Asks for pages and reads them; keeps no more than it must, to leave the caches to the server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.buffer = bytearray(1 << 20)
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port))

    def page(self, path: bytes = b"/metrics") -> bytes:
        self.socket.sendall(b"GET %b HTTP/1.1\r\nHost: bench\r\n\r\n" % path)
        n, whole, view = 0, 1 << 20, memoryview(self.buffer)
        while n < whole:
            got = self.socket.recv_into(view[n:])
            if got == 0:
                break
            n += got
            head = self.buffer.find(b"\r\n\r\n", 0, n)
            at = self.buffer.find(b"Content-Length: ", 0, n)
            if head >= 0 and at >= 0:
                whole = head + 4 + int(self.buffer[at + 16 : self.buffer.find(b"\r", at)])
        if n < whole:
            sys.exit("bench: the server closed the connection")
        return bytes(view[:n])

    def new_page(self) -> bytes:
        """Over a connection of its own, which the server closes."""
        self.socket.close()
        self.open()
        self.socket.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        parts = []
        while part := self.socket.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)


def cpu_of(pid: int) -> float:
    """CPU seconds of a process so far, to the ns: clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def cost(pid: int, page: Callable[[], object], pages: int, pause: float = 0) -> float:
    """CPU seconds of a page, each after that pause."""
    before = cpu_of(pid)
    for _ in range(pages):
        if pause:
            time.sleep(pause)
        page()
    return (cpu_of(pid) - before) / pages


@contextlib.contextmanager
def running(argv: list[str], env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@contextlib.contextmanager
def exporter(*options: str) -> Iterator[tuple[int, int]]:
    """(pid, port)"""
    with running([str(BIN / "loader_exporter"), "--web.listen-address", "127.0.0.1:0", *options]) as child:
        line = child.stderr.readline() if child.stderr else ""
        if "serving http://" not in line:
            sys.exit(f"bench: {line}")
        yield child.pid, int(line.rsplit(":", 1)[1].split("/")[0])


@contextlib.contextmanager
def floor(program: Path, size: int, files: list[str]) -> Iterator[tuple[int, int]]:
    """(pid, port)"""
    with running([str(program), str(size), *files]) as child:
        assert child.stdout
        yield child.pid, int(child.stdout.readline())


def scrape_costs(folder: str, program: Path) -> None:
    env = {"PROMETHEUS_MULTIPROC_DIR": folder}
    with (
        running([PYTHON, "-c", LOADER], env) as loader,
        running([PYTHON, "-c", COLLECTOR], env) as collector,
        exporter("--multiproc-dir", folder, "--pid", str(loader.pid)) as (pid, port),
    ):
        assert loader.stdout and collector.stdout
        loader.stdout.readline()
        ours, theirs = Client(port), Client(int(collector.stdout.readline()))
        for client in (ours.new_page, theirs.new_page, ours.page):
            page = client()
            if b"qdrant_chunking_duration_seconds_bucket" not in page:
                sys.exit("bench: the loader's metrics are not on the page")
            ours.open()
        metrics = [str(f) for f in sorted(Path(folder).iterdir())]
        files = [f"/proc/{loader.pid}/{name}" for name in ("stat", "status", "io")] + metrics
        with (
            floor(program, len(page), files) as (reads_pid, reads_port),
            floor(program, len(page), metrics) as (kept_pid, kept_port),
            floor(program, 8, []) as (empty_pid, empty_port),
            on_one_cpu(pid, collector.pid, reads_pid, kept_pid, empty_pid),
        ):
            reads, kept_reads, empty = Client(reads_port), Client(kept_port), Client(empty_port)
            pairs = at_full_speed(
                lambda: (cost(pid, ours.page, PAGES), cost(collector.pid, theirs.new_page, COLLECTOR_PAGES))
            )
            ratio = statistics.median(peer / own for own, peer in pairs)
            kept, peer = (statistics.median(costs) for costs in zip(*pairs, strict=True))
            floors = at_full_speed(lambda: (cost(reads_pid, reads.page, PAGES), cost(kept_pid, kept_reads.page, PAGES)))
            least, kept_least = (statistics.median(costs) for costs in zip(*floors, strict=True))
            new = statistics.median(cost(pid, ours.new_page, PAGES) for _ in range(ROUNDS))
            ours.open()
            # In turns, so that what else the machine does is in all of them.
            paced = {
                f"exporter_us_at_{HZ}_hz": (pid, ours.page),
                f"exporter_us_at_{HZ}_hz_empty": (pid, lambda: ours.page(b"/-/healthy")),
                f"http_floor_us_at_{HZ}_hz": (reads_pid, reads.page),
                f"http_floor_us_at_{HZ}_hz_empty": (empty_pid, empty.page),
            }
            turns = [{name: cost(*of, 3 * HZ, 1 / HZ) for name, of in paced.items()} for _ in range(3)]
            idle = statistics.median(cost(pid, lambda: None, 1, 3) / 3 for _ in range(3))
    print(f"a page back to back {kept * 1e6:.0f} us, the collector's {peer * 1e6:.0f} us", file=sys.stderr)
    row("exporter_us_per_scrape", kept * 1e6, "us", "<= 35")
    row("exporter_vs_collector", ratio, "x", ">= 25")
    told("exporter_us_new_connection", new * 1e6, "us")
    for name in paced:
        told(name, statistics.median(turn[name] for turn in turns) * 1e6, "us")
    told("exporter_us_idle_per_s", idle * 1e6, "us")
    told("http_floor_us", least * 1e6, "us")
    told("http_floor_us_without_proc", kept_least * 1e6, "us")


def spin(loader: subprocess.Popen[str], client: Client | None) -> float:
    """Rounds per CPU second of half a second of CPU time, scraped all the while or not."""
    assert loader.stdin and loader.stdout
    loader.stdin.write("\n")
    loader.stdin.flush()
    while client and not select.select([loader.stdout], [], [], 1 / HZ)[0]:
        client.page()
    return float(loader.stdout.readline())


def efficiency(folder: str) -> None:
    with (
        running([PYTHON, "-c", SPIN], {"PROMETHEUS_MULTIPROC_DIR": folder}) as loader,
        exporter("--multiproc-dir", folder, "--pid", str(loader.pid)) as (_, port),
    ):
        client = Client(port)
        ratio, _, _ = paired(lambda: spin(loader, client), lambda: spin(loader, None), 6 * ROUNDS)
    row("exporter_loader_efficiency", ratio, "ratio", ">= 0.99")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("scrape", "spin"):
            Path(folder, name).mkdir(mode=0o700)
        build(Path(folder, "http_floor"), "http_floor.c")
        scrape_costs(f"{folder}/scrape", Path(folder, "http_floor"))
        efficiency(f"{folder}/spin")


if __name__ == "__main__":
    main()
