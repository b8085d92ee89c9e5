# SPDX-License-Identifier: MIT
"""Bad clients, and an honest one among them.

    slow_clients.py PORT KIND COUNT SECONDS

KIND: trickle (one byte of a header a second), silent (nothing), second (a whole request, then trickle), reader (asks
for 40 pages and reads none), many (new connections all the time). The honest client asks for a page every half second,
over a new connection each time. Prints `honest OK/ASKED slowest MS dropped N/COUNT`; exits 1 when an honest request failed.
"""

from __future__ import annotations

import http.client
import selectors
import socket
import sys
import time

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"


def connect(port: int) -> socket.socket:
    s = socket.socket()
    # A small window, so that a client which does not read is a slow one soon.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    s.setblocking(False)
    return s


def honest(port: int) -> float:
    """Seconds that a page took; infinite when it failed."""
    start = time.monotonic()
    try:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        c.request("GET", "/metrics")
        answer = c.getresponse()
        good = answer.status == 200 and len(answer.read()) > 0
        c.close()
    except OSError as e:
        print(f"honest: {e!r}", file=sys.stderr)
        return float("inf")
    return time.monotonic() - start if good else float("inf")


def main() -> None:
    port, kind, count, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    bad = [connect(port) for _ in range(count)]
    alive = set(bad)
    sel = selectors.DefaultSelector()
    for s in bad:
        if kind in ("second", "reader"):
            s.setblocking(True)
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * (40 if kind == "reader" else 1))
            s.setblocking(False)
        if kind != "reader":
            sel.register(s, selectors.EVENT_READ)
    took: list[float] = []
    begin = time.monotonic()
    position = 0
    while time.monotonic() - begin < seconds:
        took.append(honest(port))
        if kind == "many":
            for s in [connect(port) for _ in range(count)]:
                alive.add(s)
        elif kind in ("trickle", "second") and len(took) % 2 == 0:
            for s in list(alive):
                try:
                    s.send(REQUEST[position % len(REQUEST) :][:1])
                except BlockingIOError:
                    pass
                except OSError:
                    alive.discard(s)
            position += 1
        for k, _ in sel.select(0):
            s = k.fileobj
            assert isinstance(s, socket.socket)
            try:
                gone = s.recv(65536) == b""
            except OSError:
                gone = True
            if gone:
                sel.unregister(s)
                alive.discard(s)
        time.sleep(max(0.0, begin + 0.5 * len(took) - time.monotonic()))
    for s in list(alive) if kind == "reader" else []:
        # What was sent before the end is read; then the connection is found closed, or open.
        s.settimeout(1)
        try:
            while s.recv(1 << 20):
                pass
            alive.discard(s)
        except TimeoutError:
            pass
        except OSError:
            alive.discard(s)
    good = [t for t in took if t < 1]
    print(f"honest {len(good)}/{len(took)} slowest {max(took) * 1000:.0f} dropped {count - len(alive & set(bad))}/{count}")
    sys.exit(len(good) < len(took))


if __name__ == "__main__":
    main()
