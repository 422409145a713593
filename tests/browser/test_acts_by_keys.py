"""Every action of the dashboard by keys alone, to what is stored then; no key loses its place.
Needs a Chromium; without one it is skipped, and counted so.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.browser.acts import holdings, limits, watching
from tests.browser.keyboard import Act, Keyboard
from tests.browser.visit import NEEDS_BROWSER, Visit, endanger, sitting
from tests.chaos.conftest import ROOT
from tests.fakes.webhook import FakeWebhook, Received, Reply

pytestmark = NEEDS_BROWSER

ACTS = (*limits.ACTS, *holdings.ACTS, *watching.ACTS)
SECRET = "a-secret-of-the-test-only"


def _refuses_once() -> Callable[[Received], Reply]:
    """Takes everything, but for the first two tries of what says that it wants to be refused."""
    refused: list[str] = []

    def answer(received: Received) -> Reply:
        if watching.REFUSED_TWICE.encode() in received.raw and len(refused) < 2:
            refused.append(received.key)
            return Reply(status=400)
        return Reply()

    return answer


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Visit]:
    """One system for all of it, with a position in danger and a webhook."""
    folder = Path(tempfile.mkdtemp(prefix="sonic-browser-"))
    folder.chmod(0o711)
    try:
        async with FakeWebhook(_refuses_once()) as webhook:
            settings = {"WEBHOOK_URL": webhook.url, "WEBHOOK_SECRET": SECRET}
            async with sitting(folder, settings) as made:
                await endanger(made)
                yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_by_keys_alone(servers: Visit, act: Act) -> None:
    servers.page.problems.clear()
    keys = Keyboard(servers)
    await act(keys)
    await keys.keeps_its_place()
    assert servers.page.problems == []


async def _token(home: Path, *words: str) -> str:
    """`sonic token ...` of this system."""
    made = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli.main", "token", *words),
        env=os.environ
        | {"SONIC_HOME": str(home), "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'stubs'}"},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await made.communicate()
    assert made.returncode == 0
    return told.decode()


async def test_signing_in_and_out_by_keys_alone(servers: Visit) -> None:
    """The last: from the first token on everybody is asked who they are."""
    home = servers.running.home
    # What is open would be sent to sign in by itself.
    await servers.page.show("about:blank")
    told = await _token(home, "create", "ann", "--scope", "read", "--json")
    token = str(json.loads(told)["token"])
    keys = Keyboard(servers)
    page = servers.page
    await page.show(str(servers.web.base_url).rstrip("/") + "/rules")
    # The field has the focus by itself.
    await page.until("document.activeElement?.id === 'token'")
    await page.type(token)
    await page.key("Enter")
    await page.until("location.pathname === '/rules' && !!document.querySelector('#rules')")
    await keys.press("Sign out ann", "header")
    await page.until("location.pathname === '/sign-in'")
    await _token(home, "revoke", "ann")
