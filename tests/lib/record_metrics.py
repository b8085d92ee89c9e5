# SPDX-License-Identifier: MIT
"""Reads an exporter's /metrics every two seconds until it is gone, and prints the samples with their times, as
`promtool tsdb create-blocks-from openmetrics` takes them (after a last line `# EOF`).

usage: record_metrics.py URL [LABEL=VALUE]…      labels that a scrape would add
"""

from __future__ import annotations

import re
import sys
import time
import urllib.error
import urllib.request

EVERY = 2.0  # seconds


def main() -> None:
    url, labels = sys.argv[1], ",".join(f'{k}="{v}"' for k, v in (a.split("=", 1) for a in sys.argv[2:]))
    due = time.time()
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return
        now = time.time()
        for line in text.splitlines():
            if match := re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line):
                all_labels = ",".join(filter(None, (match[2], labels)))
                print(f"{match[1]}{{{all_labels}}} {match[3]} {now:.3f}")
        print(f"up{{{labels}}} 1 {now:.3f}")
        due += EVERY
        time.sleep(max(0.0, due - time.time()))


if __name__ == "__main__":
    main()
