# SPDX-License-Identifier: MIT
"""HTTP for the stand-ins: routes, JSON in and out, what was asked counted, and failures on request.

Under /_standin/, not counted themselves:
  GET  /_standin/counts   what was asked so far
  POST /_standin/fault    {"route": "points", "after": 20, "every": 4, "times": 3, "delay_ms": 50, "status": 500}
  POST /_standin/reset    counts to zero, no faults

A fault hits the requests of its route (the label in the counts, or the end of its path; none: all) after the first
`after`, each `every`-th, `times` times at most. It waits `delay_ms`, then drops the connection without an answer
("drop": true), or answers with `status`; with neither, the request is only late.
"""

from __future__ import annotations

import re
import socket
import socketserver
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from http.client import responses
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

import orjson  # a batch of vectors is a megabyte of JSON: a seventh of the json module's time

HOST = "127.0.0.1"
LARGEST_BODY = 256 << 20  # bytes; a batch of 10,000 points is about 90 MiB
Answer = tuple[int, Any]
Handler = Callable[[dict[str, str], Any], Any]


class Refused(Exception):
    """Ends a request with an HTTP status and a text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Fault:
    route: str = ""
    status: int = 0
    every: int = 1
    after: int = 0
    times: int = sys.maxsize
    delay_ms: float = 0
    drop: bool = False
    seen: int = 0

    def due(self) -> bool:
        """Counts a request, and tells whether it is one to hit."""
        self.seen += 1
        return self.times > 0 and self.seen > self.after and (self.seen - self.after) % self.every == 0


class Service:
    """A stand-in fills in `name`, `routes`, `counts_more` and how an answer and an error look."""

    name = ""

    def __init__(self) -> None:
        self.routes: list[tuple[str, re.Pattern[str], str, Handler]] = []
        self.lock = threading.Lock()  # of the counts and faults
        self.reset()

    def route(self, method: str, path: str, handler: Handler) -> None:
        """`{c}` in a path stands for one segment."""
        pattern = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))
        self.routes.append((method, pattern, f"{method} {path}", handler))

    def reset(self) -> None:
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.faults_done = 0

    def receive(self, **amounts: int) -> None:
        with self.lock:
            self.received.update(amounts)

    def counts_more(self) -> dict[str, Any]:
        return {}

    def counts(self) -> dict[str, Any]:
        more = self.counts_more()
        with self.lock:
            return {
                "name": self.name,
                "requests": self.requests.total(),
                "by_route": dict(sorted(self.requests.items())),
                "by_status": dict(sorted(self.statuses.items())),
                "faults": self.faults_done,
                **self.received,
                **more,
                "cpu_s": round(time.process_time(), 3),
            }

    def add_fault(self, asked: Any) -> None:
        known = {f.name: type(f.default) for f in fields(Fault) if f.name != "seen"}
        if not isinstance(asked, dict) or not asked:
            raise ValueError("a fault is a JSON object")
        for key, value in asked.items():
            if key not in known:
                raise ValueError(f"no such field: {key} (of {', '.join(known)})")
            allowed: Any = (int, float) if known[key] is float else known[key]
            if not isinstance(value, allowed) or (known[key] is not bool and isinstance(value, bool)):
                raise ValueError(f"{key}: not {known[key].__name__}: {value!r}")
        fault = Fault(**asked)
        if fault.every < 1 or fault.after < 0 or fault.delay_ms < 0:
            raise ValueError("every >= 1, after >= 0 and delay_ms >= 0")
        if fault.status and not 400 <= fault.status <= 599:
            raise ValueError(f"status: not from 400 to 599: {fault.status}")
        if not any(self.matches(fault.route, label) for _, _, label, _ in self.routes):
            raise ValueError(f"no such route: {fault.route} (of {', '.join(label for _, _, label, _ in self.routes)})")
        with self.lock:
            self.faults.append(fault)

    @staticmethod
    def matches(route: str, label: str) -> bool:
        return not route or label == route or label.endswith("/" + route)

    def fault_of(self, label: str) -> Fault | None:
        """The first fault that is due; the others that concern the request only count it."""
        with self.lock:
            due = [f for f in self.faults if self.matches(f.route, label) and f.due()]
            if not due:
                return None
            due[0].times -= 1
            self.faults_done += 1
            return due[0]

    def wrap(self, result: Any, seconds: float) -> Any:
        return result

    def error(self, status: int, text: str) -> Any:
        return {"error": {"message": text, "type": str(status)}}

    def answer(self, method: str, path: str, body: bytes) -> Answer | None:
        """Status and JSON value; None to drop the connection."""
        start = time.perf_counter()
        if path.startswith("/_standin/"):
            return self.admin(method, path.removeprefix("/_standin/"), body)
        for its_method, pattern, label, handler in self.routes:
            if method == its_method and (match := pattern.fullmatch(path)):
                break
        else:
            with self.lock:
                self.requests[f"{method} (unknown)"] += 1
            return self.done(404, self.error(404, f"the stand-in has no {method} {path}"))
        with self.lock:
            self.requests[label] += 1
        if fault := self.fault_of(label):
            time.sleep(fault.delay_ms / 1000)
            if fault.drop:
                return self.done(None, None)
            if fault.status:
                return self.done(fault.status, self.error(fault.status, "fault asked for by /_standin/fault"))
        try:
            at = {key: unquote(value) for key, value in match.groupdict().items()}
            result = handler(at, orjson.loads(body) if body else {})
        except Refused as refused:
            return self.done(refused.status, self.error(refused.status, str(refused)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return self.done(400, self.error(400, f"{type(error).__name__}: {error}"))
        except Exception as error:  # the engine's own: the request fails, not the service
            print(f"{self.name}: {label}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return self.done(500, self.error(500, f"{type(error).__name__}: {error}"))
        return self.done(200, self.wrap(result, time.perf_counter() - start))

    def done(self, status: int | None, value: Any) -> Answer | None:
        with self.lock:
            self.statuses[str(status or "dropped")] += 1
        return None if status is None else (status, value)

    def admin(self, method: str, name: str, body: bytes) -> Answer:
        try:
            if (method, name) == ("GET", "counts"):
                return 200, self.counts()
            if (method, name) == ("POST", "fault"):
                self.add_fault(orjson.loads(body))
                return 200, {"ok": True}
            if (method, name) == ("POST", "reset"):
                with self.lock:
                    self.reset()
                return 200, {"ok": True}
        except ValueError as error:
            return 400, {"error": str(error)}
        return 404, {"error": "of GET counts, POST fault, POST reset"}


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True  # past connections that wait for their end do not make a port taken
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__((HOST, port), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that went away is no news.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def listen(service: Service, port: int) -> Server:
    """A server on loopback; OSError where the port is taken. HTTP/1.1 with kept connections, no Nagle delay."""

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_request(self) -> None:
            length = self.headers.get("Content-Length", "0")
            known = length.isascii() and length.isdigit() and "Transfer-Encoding" not in self.headers
            if not known or int(length) > LARGEST_BODY:
                self.close_connection = True
                answer: Answer | None = (411, service.error(411, f"Content-Length up to {LARGEST_BODY} is needed"))
            else:
                body = self.rfile.read(int(length))
                answer = service.answer(self.command, self.path.partition("?")[0], body)
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, value = answer
            data = orjson.dumps(value)
            close = "connection: close\r\n" if self.close_connection else ""
            head = (
                f"HTTP/1.1 {status} {responses.get(status, 'Fault')}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(data)}\r\n{close}\r\n"
            )
            # One write: a head and a body of their own would be two segments.
            self.wfile.write(head.encode() + data)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_request

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Server(port, Request)
