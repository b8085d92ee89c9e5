# SPDX-License-Identifier: MIT
"""A real browser for the tests: headless Chromium, spoken to over its debugging pipe.

    browser.py URL OUT.png [--size 1200x900] [--wait JS] [--do JS]…

Opens the page, waits until the expression of --wait is true, evaluates each --do and prints its value as JSON, one a
line, and takes a picture. Exit 1 when the page threw an error or the wait ran out. Protocol: Chrome DevTools, messages
ended by NUL on file descriptors 3 and 4.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from typing import Any

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe"
).split()


class Browser:
    def __init__(self, size: str) -> None:
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self.out = os.pipe()
        self.inp, theirs_out = os.pipe()

        def descriptors() -> None:
            a, b = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(a, 3), os.dup2(b, 4)

        self.process = subprocess.Popen(
            ["chromium", *FLAGS, f"--user-data-dir={self.profile.name}", f"--window-size={size.replace('x', ',')}"],
            preexec_fn=descriptors, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in), os.close(theirs_out)
        self.pending = b""
        self.last = 0
        self.errors: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self.last += 1
        message: dict[str, Any] = {"id": self.last, "method": method, "params": params}
        if session := getattr(self, "session", None):
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            answer = self.receive(deadline)
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
        raise RuntimeError(f"{method}: no answer")

    def receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self.pending:
            if not select.select([self.inp], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise RuntimeError("the browser does not answer")
            if not (part := os.read(self.inp, 1 << 20)):
                raise RuntimeError("the browser ended")
            self.pending += part
        text, self.pending = self.pending.split(b"\0", 1)
        message = json.loads(text)
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        return message

    def value(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def open(self, url: str, wait: str, seconds: float = 60) -> bool:
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.value(f"document.readyState == 'complete' && location.href != 'about:blank' && !!({wait})"):
                return True
            time.sleep(0.05)
        return False

    def picture(self, path: str) -> None:
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.profile.cleanup()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("png")
    parser.add_argument("--size", default="1200x900")
    parser.add_argument("--wait", default="true", metavar="JS")
    parser.add_argument("--do", action="append", default=[], metavar="JS")
    args = parser.parse_args()
    browser = Browser(args.size)
    try:
        ready = browser.open(args.url, args.wait)
        for expression in args.do:
            print(json.dumps(browser.value(expression)), flush=True)
        browser.picture(args.png)
        for error in browser.errors:
            print(f"browser: {args.url}: {error}", file=sys.stderr)
        if not ready:
            print(f"browser: {args.url}: not true in time: {args.wait}", file=sys.stderr)
        return 0 if ready and not browser.errors else 1
    finally:
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
