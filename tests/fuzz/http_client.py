# SPDX-License-Identifier: MIT
"""Random bytes, and HTTP put together wrongly, for loader_exporter on loopback: http_client.py PORT SECONDS [SEED]

Prints how many connections it made. What is tested is that the exporter lives and answers after it.
"""

from __future__ import annotations

import random
import socket
import sys
import time

PARTS = [
    b"GET ", b"HEAD ", b"POST /metrics HTTP/1.0\r\n", b"PUT ", b"/metrics", b"/", b"/-/ready", b"/%00%2e%2e", b"?" * 50, b"*",
    b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/9.9\r\n", b" ", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b"\xff",
    b"Host: x\r\n", b"Connection: keep-alive\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n",
    b"Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=1e999,,;=;\r\n", b"Accept: " + b"a;" * 300 + b"\r\n",
    b"Accept-Encoding: gzip;q=0.1,*;q=nan,,\r\n", b"Authorization: Basic YWxpY2U6c2VjcmV0\r\n", b"Authorization: Basic =\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n", b"12345",
    b"Transfer-Encoding: chunked\r\n", b"5\r\nabcde\r\n", b"0\r\n\r\n", b"ffffffffffffffffff\r\n", b"X: " + b"y" * 9000 + b"\r\n", b" folded\r\n",
    b"X-Prometheus-Scrape-Timeout-Seconds: 1\r\n", b"Cookie: a=b; c\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]  # fmt: skip


def request(r: random.Random) -> bytes:
    kind = r.randrange(4)
    if kind == 0:
        return r.randbytes(r.randrange(300))
    if kind == 1:
        return b"".join(r.choice(PARTS) for _ in range(r.randrange(1, 20)))
    # A good request with things between, and bits turned over.
    data = bytearray(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"".join(r.choices(PARTS, k=r.randrange(5))) + b"\r\n")
    for _ in range(r.randrange(4)):
        data[r.randrange(len(data))] ^= 1 << r.randrange(8)
    return bytes(data) * r.randrange(1, 4)


def main() -> None:
    port, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
    r = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    n = 0
    while time.monotonic() < end:
        s = socket.create_connection(("127.0.0.1", port), timeout=5)
        s.settimeout(0.01)
        try:
            data = request(r)
            cut = r.randrange(len(data) + 1)
            for part in (data[:cut], data[cut:]):
                s.sendall(part)
            if r.randrange(3):
                s.shutdown(socket.SHUT_WR)
            for _ in range(r.randrange(3)):
                s.recv(1 << r.randrange(1, 16))
        except OSError:
            pass
        s.close()
        n += 1
    print(f"{n} connections")


if __name__ == "__main__":
    main()
