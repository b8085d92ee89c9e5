# SPDX-License-Identifier: MIT
"""The life of a stand-in: options, one loopback port, the ready line, the counts file, and its end.

A stand-in ends on SIGTERM or SIGINT and with the process named by --parent, however that one ends. Exit status: 0 ended
as asked, 2 usage, 3 could not start (a taken port, an engine that fails).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from service import HOST, Service, listen

TICK = 1.0  # seconds between two writes of the counts file
PR_SET_PDEATHSIG = 1  # linux/prctl.h
ENDED_BY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=port, default=0, help="TCP port on 127.0.0.1 (default 0: a free one)")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process ends, however it ends")
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="write the ready line there too")
    parser.add_argument("--counts-file", type=Path, metavar="FILE", help="write the counts there every second")
    parser.add_argument("--fault", action="append", default=[], metavar="JSON", help="as POST /_standin/fault")


def port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"not a port from 0 to 65535: {text}")
    return number


def fail(name: str, what: str) -> NoReturn:
    print(f"{name}: {what}", file=sys.stderr)
    sys.exit(3)


def leave_in_order() -> None:
    """Until serve() looks after them, the signals that end a stand-in unwind it, so that `finally` is run."""
    for number in ENDED_BY:
        signal.signal(number, lambda *_: sys.exit(0))


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old text or the new, never half of one."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)


class Parent:
    """The process to end with. A pidfd tells of its end at once. Where the kernel refuses one, the kernel is asked to
    signal us instead; that alone would not do, since it fires when the *thread* that started us ends."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.fd: int | None = None
        is_ours = os.getppid() == pid
        try:
            self.fd = os.pidfd_open(pid)
        except ProcessLookupError:
            pass
        except OSError:
            if is_ours:
                ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        # Asked again, since it may have ended between the two calls, and its PID be another's now.
        self.lost = is_ours and os.getppid() != pid

    def gone(self) -> bool:
        if self.fd is not None:
            return self.lost or bool(select.select([self.fd], [], [], 0)[0])
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return True
        return self.lost or stat.rpartition(")")[2].split()[0] in "ZX"


def serve(args: argparse.Namespace, service: Service, close: Callable[[], None]) -> NoReturn:
    """Serves until it is told to end, or its parent has ended. Does not return."""
    wake, stop = os.pipe()
    os.set_blocking(stop, False)
    signal.set_wakeup_fd(stop)
    for number in ENDED_BY:
        signal.signal(number, lambda *_: None)
    parent = Parent(args.parent) if args.parent else None
    try:
        for text in args.fault:
            service.add_fault(json.loads(text))
    except ValueError as error:
        print(f"{service.name}: --fault: {error}", file=sys.stderr)
        sys.exit(2)
    try:
        server = listen(service, args.port)
    except OSError as error:
        fail(
            service.name,
            f"port {args.port} on {HOST}: {error.strerror}. Leave --port out to get a free one, or end what has it",
        )
    threading.Thread(target=server.serve_forever, daemon=True).start()

    at = server.server_address[1]
    ready = {"name": service.name, "url": f"http://{HOST}:{at}", "port": at, "pid": os.getpid()}
    line = json.dumps(ready) + "\n"
    if args.ready_file:
        write_atomically(args.ready_file, line)
    with contextlib.suppress(OSError):  # whoever started it may not read what it prints
        sys.stdout.write(line)
        sys.stdout.flush()

    watched = [wake] if parent is None or parent.fd is None else [wake, parent.fd]
    written = ""
    while not (parent and parent.gone()):
        written = write_counts(args.counts_file, service, written)
        if wake in select.select(watched, [], [], TICK)[0]:
            break
    server.socket.close()
    write_counts(args.counts_file, service, "")
    close()
    # Requests that are still open must not hold it: their threads end here with it.
    os._exit(0)


def write_counts(path: Path | None, service: Service, written: str) -> str:
    """Writes the counts where they changed since `written`. A full disk must not end the service."""
    if path is None:
        return written
    counts: dict[str, Any] = service.counts()
    if (seen := json.dumps({**counts, "cpu_s": 0})) != written:
        try:
            write_atomically(path, json.dumps(counts, indent=1) + "\n")
        except OSError as error:
            print(f"{service.name}: {path}: {error.strerror}", file=sys.stderr)
    return seen
