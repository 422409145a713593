"""The whole system as a person starts it, a client of its gateway and a browser before it."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.chromium import Browser, found, started
from tests.chaos.conftest import Up, up
from tests.fakes.webhook import FakeWebhook, Reply

MARKUP = "<img src=x onerror=document.title='broken'>"
WALLET = "<b onclick=alert(1)>wallet</b>"
PAST = "past-liquidation"
NEEDS_BROWSER = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        found() is None, reason="no Chromium on this machine: the dashboard is not tested"
    ),
]
# Nothing that can be seen still waits for its first answer.
LOADED = (
    "document.readyState === 'complete' && document.querySelector('.panel') !== null"
    " && [...document.querySelectorAll('.loading')].every(one => !one.offsetParent)"
)
# On a busy machine.
_START_SECONDS = 240.0
# What a chooser of files would give, without one; once, and every other click stays a click.
_GIVE_FILE = """(() => {
    const click = HTMLInputElement.prototype.click;
    HTMLInputElement.prototype.click = function () {
        if (this.type !== 'file') return click.call(this);
        HTMLInputElement.prototype.click = click;
        const given = new DataTransfer();
        given.items.add(new File([%s], %s));
        this.files = given.files;
        this.dispatchEvent(new Event('change'));
    };
})()"""


@dataclass
class Visit:
    """What a test says to them."""

    running: Up
    web: httpx.AsyncClient
    page: Browser

    async def get(self, path: str) -> Any:
        answer = await self.web.get(path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    async def post(self, path: str, body: object) -> Any:
        answer = await self.web.post(path, json=body)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json() if answer.headers["content-type"] == "application/json" else None

    async def address(self, path: str) -> str:
        """A path of services.gateway.pages of something that is there."""
        newest = (await self.get("/v1/cycles"))["cycles"][0]["id"]
        return path.replace("/positions/{id}", f"/positions/{PAST}").replace("{id}", newest)

    async def show(self, path: str, width: int = 1400, height: int = 1000) -> Browser:
        await self.page.show(f"{self.web.base_url}".rstrip("/") + path, width, height)
        await self.page.until(LOADED)
        return self.page

    async def text(self, selector: str) -> str:
        return str(await self.page.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def says(self, selector: str, words: str) -> None:
        """Waits until what the selector finds says these words."""
        place = f"document.querySelector({json.dumps(selector)})"
        await self.page.until(f"!!{place}?.innerText.includes({json.dumps(words)})")

    async def click(self, selector: str, words: str = "") -> None:
        """Presses what the selector finds and says these words."""
        find = (
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            f".find(one => one.textContent.includes({json.dumps(words)}))"
        )
        await self.page.until(f"{find} && !{find}.disabled && !{find}.ariaDisabled")
        await self.page.run(f"{find}.click()")

    async def put(self, selector: str, value: str) -> None:
        """Fills an input, as typing does."""
        control = f"document.querySelector({json.dumps(selector)})"
        await self.page.until(f"!!{control}")
        await self.page.run(
            f"{control}.value = {json.dumps(value)};"
            f"{control}.dispatchEvent(new Event('input', {{bubbles: true}}));"
            f"{control}.dispatchEvent(new Event('change', {{bubbles: true}}))"
        )

    async def write(self, field: str, value: str) -> None:
        """Fills a field of the open form."""
        await self.put(f"[data-field={field}] :is(input, select, textarea)", value)

    async def closed(self) -> None:
        """Waits until no dialog is open."""
        await self.page.until("document.querySelector('dialog') === null")

    async def give_file(self, name: str, content: str) -> None:
        """The next file that is asked for."""
        await self.page.run(_GIVE_FILE % (json.dumps(content), json.dumps(name)))


@asynccontextmanager
async def sitting(home: Path, settings: Mapping[str, str]) -> AsyncIterator[Visit]:
    """The demo, judged once, without a schedule."""
    path = found()
    assert path is not None
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(up(home, settings, start_seconds=_START_SECONDS))
        (line,) = [line for line in running.lines if "dashboard" in line]
        at = re.search(r"http://[\w.:]+", line)
        assert at is not None
        web = await stack.enter_async_context(httpx.AsyncClient(base_url=at[0], timeout=60))
        visit = Visit(running, web, await stack.enter_async_context(started(path)))
        await visit.post("/v1/cycles:run", {})
        yield visit


async def endanger(visit: Visit) -> None:
    """A position of somebody's own that is past liquidation, judged; its texts are markup."""
    await visit.post("/v1/wallets", {"name": WALLET, "chain": "CHAIN_MANUAL"})
    position = {
        "id": PAST,
        "wallet": WALLET,
        "venue": "manual",
        "asset": "SOL",
        "side": "SIDE_LONG",
        "entry_price_usd": 200,
        "liquidation_price_usd": 185,
        "mark_price_usd": 180,
        "size_usd": 2000,
        "collateral_usd": 250,
        "note": MARKUP,
    }
    await visit.post("/v1/positions", position)
    await visit.post("/v1/cycles:run", {})


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Visit]:
    """One system for tests that only look, with a position in danger."""
    folder = Path(tempfile.mkdtemp(prefix="sonic-browser-"))
    folder.chmod(0o711)
    try:
        async with sitting(folder, {}) as made:
            await endanger(made)
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def refusing() -> AsyncIterator[FakeWebhook]:
    """A webhook that refuses everything."""
    async with FakeWebhook(lambda _: Reply(status=400)) as webhook:
        yield webhook


@pytest.fixture
async def visit(home: Path, refusing: FakeWebhook) -> AsyncIterator[Visit]:
    settings = {"WEBHOOK_URL": refusing.url, "WEBHOOK_SECRET": "a-secret-of-the-test-only"}
    async with sitting(home, settings) as made:
        yield made
