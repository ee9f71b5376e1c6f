"""A real Chromium for tests of the page, driven over the WebDriver protocol, which is plain JSON.

`chromedriver` is the one thing that is needed beside the browser. Screens are measured and coloured
as a test asks: a phone, a laptop, a reader who prefers the dark.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from embedded import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = ("chromium", "chromedriver")
# Seconds; a page is there in one on a free machine.
PATIENCE = 60
LAPTOP = (1280, 900)
PHONE = (390, 844)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # by which WebDriver names an element


def missing_programs() -> list[str]:
    """What of a browser this machine lacks."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


class Browser:
    """One browser with one window, asked for what a person would do and see."""

    def __init__(self, driver: str, session_id: str) -> None:
        """`driver`: where chromedriver listens."""
        self._address = f"{driver}/session/{session_id}"

    def open(self, address: str) -> None:
        """Go to an address, and forget what the page before it said to the console."""
        self.read_complaints()
        # Another fragment alone would load nothing.
        self._tell("POST", "/url", url="about:blank")
        self._tell("POST", "/url", url=address)

    def open_view(self, page: str, view: str) -> None:
        """Go to a view of the page "Dynamics sync", and wait until it stands."""
        self.open(f"{page}#{view}")
        self.wait_for("#view[data-view][aria-busy=false]")

    def run(self, script: str, *given: Any) -> Any:
        """What a function body of JavaScript returns in the page."""
        return self._tell("POST", "/execute/sync", script=script, args=list(given))

    def text(self, selector: str) -> str:
        """What a person reads there, once it is there."""
        self.wait_for(selector)
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def count(self, selector: str) -> int:
        """How many elements there are now."""
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def wait_for(self, selector: str, text: str = "") -> None:
        """Wait until an element is there that shows the text."""
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".some(each => each.innerText.includes(arguments[1]))"
        )
        self.wait_until(script, selector, text)

    def wait_until(self, script: str, *given: Any) -> None:
        """Wait until a function body of JavaScript returns what is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.run(script, *given):
            if time.monotonic() > deadline:
                shown = self.run("return document.body.innerText")
                raise AssertionError(f"not within {PATIENCE} s: {given or script}; shown: {shown}")
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Click where a person would."""
        self._tell("POST", f"/element/{self._find(selector)}/click")

    def write(self, selector: str, text: str) -> None:
        """Type into a field, in place of what it holds."""
        element = self._find(selector)
        self._tell("POST", f"/element/{element}/clear")
        self._tell("POST", f"/element/{element}/value", text=text)

    def press(self, *keys: str) -> None:
        """Press keys one after another, wherever the focus is."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._tell("POST", "/actions", actions=[{"type": "key", "id": "k", "actions": strokes}])

    def enter_frame(self, selector: str) -> None:
        """Look into a frame of the page."""
        self._tell("POST", "/frame", id={_ELEMENT: self._find(selector)})

    def addresses(self) -> list[str]:
        """Of all windows; the first one is in front again afterwards, and the others are closed."""
        first, *others = self._tell("GET", "/window/handles")
        found = [str(self._tell("GET", "/url"))]
        for window in others:
            self._tell("POST", "/window", handle=window)
            found.append(str(self._tell("GET", "/url")))
            self._tell("DELETE", "/window")
        self._tell("POST", "/window", handle=first)
        return found

    def read_complaints(self) -> list[str]:
        """What browser and scripts complained about since this was asked last."""
        entries = self._tell("POST", "/se/log", type="browser")
        return [entry["message"] for entry in entries if entry["level"] in {"SEVERE", "WARNING"}]

    def give_cookie(self, name: str, value: str) -> None:
        """Log in, or out with a value that is none, at the site that is shown."""
        self._tell("POST", "/cookie", cookie={"name": name, "value": value, "path": "/"})

    def forget_cookies(self) -> None:
        """Log out."""
        self._tell("DELETE", "/cookie")

    def look(self, size: tuple[int, int] = LAPTOP, *, dark: bool = False) -> None:
        """Be a screen of this width and height, of a reader who prefers it dark or light."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        metrics["mobile"] = width < height
        self._ask_chromium("Emulation.setDeviceMetricsOverride", metrics)
        wish = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask_chromium("Emulation.setEmulatedMedia", {"features": [wish]})

    def save_picture(self, path: Path, *, whole: bool = False) -> None:
        """Write what is on the screen as PNG; `whole`: also what one would have to scroll to."""
        options = {"captureBeyondViewport": True}
        if whole:
            size = self._ask_chromium("Page.getLayoutMetrics", {})["cssContentSize"]
            options["clip"] = size | {"scale": 1}
        picture = self._ask_chromium("Page.captureScreenshot", options)["data"]
        path.write_bytes(base64.b64decode(picture))

    def _find(self, selector: str) -> str:
        self.wait_for(selector)
        found = self._tell("POST", "/element", using="css selector", value=selector)
        return str(found[_ELEMENT])

    def _ask_chromium(self, command: str, params: dict[str, Any]) -> Any:
        return self._tell("POST", "/goog/cdp/execute", cmd=command, params=params)

    def _tell(self, method: str, path: str, **body: Any) -> Any:
        content = body if method == "POST" else None
        answer = requests.request(method, self._address + path, json=content, timeout=PATIENCE * 2)
        value = answer.json()["value"]
        assert answer.ok, value
        return value


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A Chromium without a window; it and what it wrote are gone afterwards."""
    (port,) = free_ports(1)
    driver = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        process = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, cwd=profile
        )
        try:
            session = _new_session(driver, profile)
            try:
                yield Browser(driver, session)
            finally:
                requests.delete(f"{driver}/session/{session}", timeout=PATIENCE)
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def _new_session(driver: str, profile: str) -> str:
    arguments = [
        "--headless=new",
        "--no-sandbox",  # root has none, and what is shown is ours
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
    ]
    options = {"binary": shutil.which("chromium"), "args": arguments}
    wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    # Until it listens.
    with requests.Session() as session:
        session.mount(driver, HTTPAdapter(max_retries=Retry(connect=12, backoff_factor=0.1)))
        answer = session.post(
            f"{driver}/session",
            json={"capabilities": {"alwaysMatch": wanted}},
            timeout=PATIENCE * 2,
        )
    value = answer.json()["value"]
    assert answer.ok, value
    return str(value["sessionId"])
