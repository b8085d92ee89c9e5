# SPDX-License-Identifier: MIT
"""Prints what prometheus_client's own collector reads in $PROMETHEUS_MULTIPROC_DIR, in the text format; with names of
series as arguments only their values, one a line, n/a for what is not there."""

from __future__ import annotations

import sys

from prometheus_client import CollectorRegistry, generate_latest, multiprocess

registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
text = generate_latest(registry).decode()
if len(sys.argv) == 1:
    print(text, end="")
values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
for name in sys.argv[1:]:
    print(f"{float(values[name]):g}" if name in values else "n/a")
