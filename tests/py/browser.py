"""A headless Chromium, spoken to over a pair of pipes in its DevTools protocol: what a page is once it is laid out."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
from pathlib import Path

TIMEOUT = 120  # seconds for one answer


def find_browser() -> str | None:
    """SV_CHROMIUM, or a Chromium or Chrome on the path."""
    names = (os.environ.get("SV_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


class Browser:
    """One browser with one page. It is ended by ``close``."""

    def __init__(self, program: str, folder: Path):
        requests, self._requests = _high_pipe()
        self._answers, answers = _high_pipe()
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
            "--no-first-run", "--hide-scrollbars", f"--user-data-dir={folder}", "about:blank",
        ]  # fmt: skip
        to_its_ends = f'exec "$0" "$@" 3<&{requests} 4>&{answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", to_its_ends, program, *options], pass_fds=(requests, answers), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(requests)
        os.close(answers)
        self._unread, self._number, self._session = b"", 0, None
        self.events: list[dict] = []  # what the browser told of its own accord
        (page,) = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self._session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        """The result of a method; an error is raised as RuntimeError."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def show(self, path: Path, width: int, height: int, dark: bool = False) -> None:
        """Load a file into a screen of ``width`` x ``height`` CSS pixels."""
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def evaluate(self, expression: str):
        """The value of a JavaScript expression on the page, as JSON has it."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def picture(self, path: Path, top: int = 0, height: int | None = None) -> None:
        """Write a PNG of the page, from ``top`` on."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": top, "width": size["width"], "height": height or size["height"] - top, "scale": 1}
        found = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self.call("Browser.close")
        self._process.wait(TIMEOUT)
        os.close(self._requests)
        os.close(self._answers)

    def _read(self) -> dict:
        while b"\0" not in self._unread:
            if not select.select([self._answers], [], [], TIMEOUT)[0]:
                raise TimeoutError(f"the browser said nothing for {TIMEOUT} s")
            found = os.read(self._answers, 1 << 16)
            if not found:
                raise RuntimeError("the browser has ended")
            self._unread += found
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)


def _high_pipe() -> list[int]:
    """Both ends of a pipe, at numbers that 3 and 4 cannot collide with."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(end)
    return ends
