"""A headless Chromium spoken to over a pipe: opens a page, runs a script in it, takes a picture."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# Chromium reads orders from descriptor 3 and answers on 4.
_TAKE_PIPES = (
    "import "
    "os,sys;a,b=map(int,sys.argv[1:3]);os.dup2(a,3);os.dup2(b,4);os.execv(sys.argv[3],sys.argv[3:])"
)
_LIMIT_SECONDS = 60.0
# Code, number, and the text it makes.
_KEYS = {
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Space": ("Space", 32, " "),
    "ArrowDown": ("ArrowDown", 40, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "+": ("NumpadAdd", 107, "+"),
    "0": ("Digit0", 48, "0"),
}


def found() -> str | None:
    """The browser of this machine, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page in one window."""

    def __init__(self, orders: int, answers: asyncio.StreamReader, saved: Path) -> None:
        self._orders = orders
        self._answers = answers
        self._number = 0
        self._session = ""
        # Where it saves files.
        self._saved = saved
        # What the page wrote to its console, and what it threw.
        self.problems: list[str] = []

    async def open(self, address: str, width: int = 1400, height: int = 1000) -> None:
        """A fresh page at this address."""
        target = await self.ask("Target.createTarget", url="about:blank")
        attached = await self.ask(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = str(attached["sessionId"])
        await self.size(width, height)
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.ask(f"{domain}.enable")
        await self.ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(self._saved))
        await self.ask("Page.navigate", url=address)

    async def show(self, address: str, width: int = 1400, height: int = 1000) -> None:
        """Another address in the same page, as typed by a person."""
        if not self._session:
            return await self.open(address, width, height)
        await self.size(width, height)
        await self.run("window.left = true")
        await self.ask("Page.navigate", url=address)
        await self.until("window.left !== true")
        return None

    async def size(self, width: int, height: int, scale: float = 1) -> None:
        """Changes the window; with a `scale` of 2 as one twice as large, at a zoom of 200 %."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    async def run(self, script: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        answer = await self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script: str) -> Any:
        """Waits until the expression is true in the page; its value."""
        end = time.monotonic() + _LIMIT_SECONDS
        while time.monotonic() < end:
            if value := await self.run(script):
                return value
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true: {script}; the page said {self.problems}")

    async def saved(self, name: str) -> str:
        """Waits for the file that the page saved under this name; its text. Taken once."""
        end = time.monotonic() + _LIMIT_SECONDS
        file = self._saved / name
        while time.monotonic() < end:
            if file.exists() and (text := file.read_text("utf-8")):
                file.unlink()
                return text
            await asyncio.sleep(0.05)
        raise AssertionError(f"{name} was never saved; the page said {self.problems}")

    async def offline(self, off: bool) -> None:
        """Takes the network away from the page, or gives it back."""
        await self.ask(
            "Network.emulateNetworkConditions",
            offline=off,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    async def key(self, name: str, *, shift: bool = False) -> None:
        """Presses and lets go of a key."""
        code, number, text = _KEYS[name]
        for kind in ("keyDown", "keyUp"):
            await self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=text if text == " " else name,
                code=code,
                windowsVirtualKeyCode=number,
                modifiers=8 if shift else 0,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    async def type(self, text: str) -> None:
        """Writes into what has the focus."""
        await self.ask("Input.insertText", text=text)

    async def picture(self, path: Path) -> None:
        """The page as a PNG file."""
        answer = await self.ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    async def ask(self, method: str, **settings: Any) -> dict[str, Any]:
        """One order of the DevTools protocol and its answer."""
        self._number += 1
        order: dict[str, Any] = {"id": self._number, "method": method, "params": settings}
        if self._session:
            order["sessionId"] = self._session
        os.write(self._orders, json.dumps(order).encode() + b"\0")
        async with asyncio.timeout(_LIMIT_SECONDS):
            while True:
                text = await self._answers.readuntil(b"\0")
                answer = json.loads(text[:-1])
                if answer.get("id") == self._number:
                    assert "error" not in answer, (method, answer["error"])
                    result: dict[str, Any] = answer["result"]
                    return result
                self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        settings = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(str(settings["exceptionDetails"]))
        if event.get("method") == "Log.entryAdded" and settings["entry"]["level"] == "error":
            self.problems.append(f"{settings['entry']['text']} {settings['entry'].get('url', '')}")


@asynccontextmanager
async def started(path: str) -> AsyncIterator[Browser]:
    """A browser with a profile of its own, gone afterwards."""
    folder = tempfile.mkdtemp(prefix="sonic-browser-")
    saved = Path(folder) / "saved"
    saved.mkdir()
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    command = [path, *_ARGUMENTS, f"--user-data-dir={folder}"]
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKE_PIPES, str(theirs_in), str(theirs_out), *command],
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    answers = asyncio.StreamReader(limit=64 * 1024 * 1024)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(answers), os.fdopen(ours_in, "rb", buffering=0)
    )
    try:
        yield Browser(ours_out, answers, saved)
    finally:
        transport.close()
        os.close(ours_out)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
