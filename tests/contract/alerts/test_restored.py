"""After a restore from an old backup nobody is rung for the past, and what still stands is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from services.cli.backup.past import OLD, Past, leave_to_the_past
from tests.contract.alerts.conftest import Servers
from tests.contract.alerts.test_digests import HIGH_MARK, SAFE, held, pushed_until
from tests.contract.alerts.test_stale_ends import nothing_waits
from tests.fakes.databases import Databases
from tests.fakes.webhook import OK, FakeWebhook, Reply

NOW = datetime.now(UTC)


@pytest.fixture
async def hook() -> AsyncIterator[FakeWebhook]:
    async with FakeWebhook() as made:
        yield made


async def _start(servers: Servers, hook: FakeWebhook) -> None:
    await servers.start_xcom(webhook_url=hook.url, webhook_secret="s" * 32)
    await servers.start_alerts()


async def _restored(
    servers: Servers, databases: Databases, hook: FakeWebhook, age: timedelta
) -> Past:
    """As after a restore: both stand still, and begin anew with a channel that works."""
    for name in ("alerts", "xcom"):
        await servers.stop(name)
    past = await leave_to_the_past(databases.admin_url, NOW - age, NOW)
    hook.answer = lambda _received: OK
    hook.received.clear()
    await _start(servers, hook)
    return past


async def _two_untold(servers: Servers, hook: FakeWebhook) -> list[str]:
    """Both HIGH, and neither arrived."""
    await servers.start_positions()
    await _start(servers, hook)
    ids = await held(servers, SAFE, SAFE)
    await servers.evaluate()
    hook.answer = lambda _received: Reply(503)
    for id in ids:
        await servers.mark(id, HIGH_MARK)
    await servers.evaluate()
    await servers.messages()
    await servers.until(lambda: _tried(hook))
    return ids


async def _tried(hook: FakeWebhook) -> bool:
    return bool(hook.received)


def _subjects(hook: FakeWebhook) -> list[str]:
    return [one.body["subject"] for one in hook.received]


async def test_what_waited_in_an_old_backup_is_told_to_nobody_and_what_stands_is_told_anew(
    not_started: Servers, databases: Databases, hook: FakeWebhook
) -> None:
    servers = not_started
    stands, over = await _two_untold(servers, hook)
    past = await _restored(servers, databases, hook, OLD)
    assert past.counts.keys() == {"HIGH"} and past.counts["HIGH"] >= 2
    request = xcom_pb.ListMessagesRequest()
    before = list((await servers.xcom.ListMessages(request)).messages)
    assert await nothing_waits(servers)
    assert {one.state for message in before for one in message.deliveries} == {
        xcom_pb.DELIVERY_STATE_CANCELLED
    }
    # Down only after two observations: until the second one nobody is told that it stands.
    for _ in range(2):
        await servers.mark(over, SAFE)
        await servers.mark(stands, HIGH_MARK)
        await servers.evaluate()
    await servers.messages()
    await pushed_until(servers, lambda: nothing_waits(servers))
    told = _subjects(hook)
    assert told and all(one.startswith("HIGH") for one in told), told
    about = {one.body["facts"].get("position_id") for one in hook.received}
    assert about == {stands}
    # Nobody's contact is next either.
    for _ in range(5):
        servers.clock.advance(600)
        assert await nothing_waits(servers)


async def test_what_waited_in_a_young_backup_goes_out(
    not_started: Servers, databases: Databases, hook: FakeWebhook
) -> None:
    servers = not_started
    await _two_untold(servers, hook)
    past = await _restored(servers, databases, hook, OLD - timedelta(minutes=1))
    assert (past.counts, past.change_count) == ({}, 0)
    await pushed_until(servers, lambda: nothing_waits(servers), step_seconds=3)
    assert all(one.startswith("HIGH") for one in _subjects(hook)) and hook.received
