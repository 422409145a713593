"""The page behind a link: reading it changes nothing, a button does, once, and it shows no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from services.gateway import server as gateway
from tests.contract.gateway.conftest import client, config
from tests.contract.xcom.conftest import Xcom
from tests.contract.xcom.test_escalating import linked
from tests.fakes.mail import FakeMailServer

ACKNOWLEDGE = {"action": "acknowledge"}


@pytest.fixture
async def link(
    xcom: Xcom, mail: FakeMailServer
) -> AsyncIterator[tuple[httpx.AsyncClient, pb.Message, str]]:
    """A client of a gateway, a message that was sent, and the path of its link."""
    message, token = await linked(xcom, mail)
    front = gateway.build(config({"xcom": xcom.app.address}), xcom.clock)
    async with front as app, client(app) as web:
        yield web, message, f"/link/{token}"


async def _kept(xcom: Xcom, message: pb.Message) -> pb.Message:
    found: pb.Message = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    return found


async def test_opening_a_link_shows_what_it_is_about_and_changes_nothing(
    xcom: Xcom, link: tuple[httpx.AsyncClient, pb.Message, str]
) -> None:
    web, message, path = link
    xcom.clock.advance(180)
    # A scanner, a preview, a person: as often as they like, with whatever they add.
    for method, address in (("GET", path), ("HEAD", path), ("GET", f"{path}?action=acknowledge")):
        seen = await web.request(method, address, headers={"Accept": "text/html"})
        assert seen.status_code == 200
    assert "HIGH" in seen.text
    assert message.subject in seen.text
    assert "3 minutes ago" in seen.text
    # Neither what else the message says nor who else hears it.
    assert message.body.splitlines()[-1] not in seen.text
    assert "@" not in seen.text.partition("</style>")[2]
    assert "<script" not in seen.text
    assert "script-src" not in seen.headers["content-security-policy"]
    assert seen.headers["content-security-policy"].startswith("default-src 'none'")
    assert seen.headers["cache-control"] == "no-store"
    assert seen.headers["x-content-type-options"] == "nosniff"
    kept = await _kept(xcom, message)
    assert not kept.HasField("acknowledged_time")
    assert kept.HasField("escalation_due_time")


async def test_the_button_acknowledges_once(
    xcom: Xcom, link: tuple[httpx.AsyncClient, pb.Message, str]
) -> None:
    web, message, path = link
    own = {"Origin": str(web.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    done = await web.post(path, data=ACKNOWLEDGE, headers=own)
    assert done.status_code == 200, done.text
    assert "Acknowledged" in done.text
    kept = await _kept(xcom, message)
    assert kept.acknowledged_by == "link"
    again = await web.post(path, data=ACKNOWLEDGE)
    assert (again.status_code, "used before" in again.text) == (410, True)
    assert "used before" in (await web.get(path)).text


async def test_snoozing_puts_the_escalation_off(
    xcom: Xcom, link: tuple[httpx.AsyncClient, pb.Message, str]
) -> None:
    web, message, path = link
    assert "Snoozed" in (await web.post(path, data={"action": "snooze"})).text
    kept = await _kept(xcom, message)
    assert kept.HasField("snoozed_until_time")
    assert not kept.HasField("acknowledged_time")


@pytest.mark.parametrize(
    "body", ["", "action=delete", "action=", "acknowledge", "x" * 5_000, "action=%00"]
)
async def test_a_post_that_asks_for_nothing_changes_nothing(
    xcom: Xcom, link: tuple[httpx.AsyncClient, pb.Message, str], body: str
) -> None:
    web, message, path = link
    answer = await web.post(path, content=body)
    assert (answer.status_code, "Nothing was changed" in answer.text) == (400, True)
    assert not (await _kept(xcom, message)).HasField("acknowledged_time")


async def test_a_page_elsewhere_cannot_press_the_button(
    xcom: Xcom, link: tuple[httpx.AsyncClient, pb.Message, str]
) -> None:
    web, message, path = link
    answer = await web.post(path, data=ACKNOWLEDGE, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert not (await _kept(xcom, message)).HasField("acknowledged_time")


async def test_an_old_a_wrong_and_a_cut_link_are_said_in_words(
    xcom: Xcom, link: tuple[httpx.AsyncClient, pb.Message, str]
) -> None:
    web, message, path = link
    for wrong in (path[:-1], "/link/nobody-made-this"):
        answer = await web.get(wrong)
        assert (answer.status_code, "not known" in answer.text) == (404, True)
        assert message.subject not in answer.text
    xcom.clock.advance(timedelta(days=2).total_seconds())
    for answer in (await web.get(path), await web.post(path, data=ACKNOWLEDGE)):
        assert (answer.status_code, "too old" in answer.text) == (410, True)
    metrics = (await web.get("/metrics")).text
    assert 'route="/link/{token}"' in metrics
    assert path not in metrics


async def test_a_strangers_words_are_shown_as_words(xcom: Xcom, mail: FakeMailServer) -> None:
    _, token = await linked(xcom, mail, subject="<script>alert(1)</script>\"'&")
    front = gateway.build(config({"xcom": xcom.app.address}), xcom.clock)
    async with front as app, client(app) as web:
        page = (await web.get(f"/link/{token}")).text
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
