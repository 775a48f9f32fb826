"""A page in headless Chromium, driven through the pipe of its debugging protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


class Page:
    """An open page: ``evaluate`` runs JavaScript; ``problems`` are console errors, exceptions."""

    def __init__(self, sending: IO[bytes], receiving: IO[bytes]) -> None:
        self._out, self._in = sending, receiving
        self._rest, self._number, self._session = b"", 0, ""
        self.problems: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol; its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            reply = self._read()
            if reply.get("id") == self._number:
                assert "error" not in reply, reply
                return reply["result"]
            self._note(reply)

    def open(self, file: Path) -> None:
        """Load a file and wait for it."""
        self.call("Page.navigate", url=file.as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def wait(self, condition: str) -> None:
        """Wait until a condition is true."""
        self.evaluate(
            "new Promise(done => {const look = () => "
            f"({condition}) ? done(true) : setTimeout(look, 20); look()}})"
        )

    def evaluate(self, code: str) -> Any:
        """The value of an expression, or of its promise."""
        reply = self.call(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in reply, reply["exceptionDetails"]
        return reply["result"].get("value")

    def resize(self, width: int, height: int, scale: float = 1.0) -> None:
        """Set the size of the window in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )

    def screenshot(self, file: Path, **clip: float) -> None:
        """Write a PNG of the page, or of a part of it (x, y, width, height)."""
        options: dict[str, Any] = {"captureBeyondViewport": True}
        if clip:
            options["clip"] = {**clip, "scale": 1}
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", **options)["data"]))

    def _read(self) -> Any:
        while b"\0" not in self._rest:
            chunk = self._in.read(1 << 16)
            assert chunk, "chromium has exited"
            self._rest += chunk
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event: Any) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"]))
        if method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(str(params["entry"]))
        if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.problems.append(str(params["args"]))
        if method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("file:", "data:", "about:")):
                self.problems.append(f"a request to {url}")


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A new page; the test is skipped where there is no Chromium.

    Args:
        profile: an empty folder for the browser's files.
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed")
    to_browser, from_us = os.pipe()
    to_us, from_browser = os.pipe()
    connect = (  # the browser reads its descriptor 3 and writes 4
        "import fcntl, os, sys;"
        "read, write = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]);"
        "os.dup2(read, 3); os.dup2(write, 4); os.execv(sys.argv[3], sys.argv[3:])"
    )
    command = [program, *OPTIONS, f"--user-data-dir={profile}"]
    with subprocess.Popen(
        [sys.executable, "-c", connect, str(to_browser), str(from_browser), *command],
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(to_browser)
        os.close(from_browser)
        with os.fdopen(from_us, "wb", 0) as sending, os.fdopen(to_us, "rb", 0) as receiving:
            try:
                yield Page(sending, receiving)
            finally:
                process.terminate()
