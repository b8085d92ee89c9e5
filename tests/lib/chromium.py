# SPDX-License-Identifier: MIT
"""A headless Chromium, driven through its debugging pipe (the DevTools protocol; nothing listens on the network)."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

# CHROMIUM names the program (scripts/test sets it); else what it is called by Debian, Ubuntu, and Google's own packages.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions"]


class Chromium:
    """`with Chromium() as c:` starts one browser with one page; leaving ends it and all its processes."""

    def __init__(self, width: int = 1240, height: int = 900, deadline_s: float = 60) -> None:
        program = os.environ.get("CHROMIUM") or next((path for path in map(shutil.which, NAMES) if path), None)
        if not program:
            raise FileNotFoundError("no Chromium: install the package chromium")
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        self.deadline_s = deadline_s
        self.sent = 0
        self.rest = b""
        self.session: str | None = None
        self.events: list[dict[str, Any]] = []
        to_read, self.to_browser = os.pipe()
        self.from_browser, to_write = os.pipe()
        # The browser takes commands on descriptor 3 and answers on 4. A group of its own, so that all of it can be ended.
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "sh", program, *FLAGS, "--remote-debugging-pipe",
             f"--window-size={width},{height}", f"--user-data-dir={self.profile}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(to_read, to_write), start_new_session=True,
            # What it leaves there when it is killed goes with its profile.
            env={**os.environ, "TMPDIR": self.profile},
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)

    def __enter__(self) -> Chromium:
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self.call("Page.enable")
            self.call("Runtime.enable")
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        for fd in (self.to_browser, self.from_browser):
            os.close(fd)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + self.deadline_s
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.from_browser], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(self.from_browser, 1 << 20) if ready else b""
            if not piece:
                raise TimeoutError("chromium: no answer" if not ready else "chromium: it ended")
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self.sent += 1
        message: dict[str, Any] = {"id": self.sent, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.sent:
                if "error" in answer:
                    raise RuntimeError(f"chromium: {method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url: str | Path) -> float:
        """Opens a file or URL, and returns the seconds until it is loaded and drawn."""
        begun = time.monotonic()
        self.events.clear()
        self.call("Page.navigate", url=url.resolve().as_uri() if isinstance(url, Path) else url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.receive())
        # Two frames later all of it was painted once.
        self.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))")
        return time.monotonic() - begun

    def js(self, expression: str) -> Any:
        """The value of an expression in the page; a promise is waited for, an exception is raised here."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"chromium: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def key(self, key: str, modifiers: int = 0, text: str = "") -> None:
        """Presses a key: `key` as in KeyboardEvent.key; modifiers 1 Alt, 2 Ctrl, 4 Meta, 8 Shift."""
        common: dict[str, Any] = {"key": key, "modifiers": modifiers}
        if len(key) == 1:
            common |= {"windowsVirtualKeyCode": ord(key.upper()), "code": "Key" + key.upper()}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def mouse(self, kind: str, x: float, y: float) -> None:
        """`kind`: mouseMoved, or click."""
        if kind == "click":
            for event in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=1)
        else:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y)

    def errors(self) -> list[str]:
        """What scripts of the page threw since it was opened."""
        self.js("0")
        thrown = [e["params"]["exceptionDetails"] for e in self.events if e.get("method") == "Runtime.exceptionThrown"]
        return [d.get("exception", {}).get("description", d["text"]) for d in thrown]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
