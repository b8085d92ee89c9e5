# SPDX-License-Identifier: MIT
"""A page in a real browser, from the command line.

    browser.py URL OUT.png [--size 1200x900] [--wait JS] [--do JS]…

Opens the page, waits until the expression of --wait is true, evaluates each --do and prints its value as JSON, one a
line, and takes a picture. Exit 1 when the page threw an error or the wait ran out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from chromium import Chromium


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("png", type=Path)
    parser.add_argument("--size", default="1200x900")
    parser.add_argument("--wait", default="true", metavar="JS")
    parser.add_argument("--do", action="append", default=[], metavar="JS")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    with Chromium(width, height) as browser:
        browser.open(args.url)
        deadline = time.monotonic() + 60
        while not (ready := bool(browser.js(args.wait))) and time.monotonic() < deadline:
            time.sleep(0.05)
        for expression in args.do:
            print(json.dumps(browser.js(expression)), flush=True)
        browser.screenshot(args.png)
        errors = browser.errors() + ([] if ready else [f"not true in time: {args.wait}"])
    for error in errors:
        print(f"browser: {args.url}: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
