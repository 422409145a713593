"""What is over, and of which nobody hears that, is told to nobody whom it has not reached yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from tests.contract.alerts.conftest import MOST, NOBODY, Servers
from tests.contract.alerts.test_digests import MEDIUM_MARK, SAFE, TRAVEL, held
from tests.contract.alerts.test_stale_ends import fail, told_when_mended
from tests.fakes.webhook import FakeWebhook

PROFIT = pb.ALERT_TYPE_PROFIT
NO_PROFIT, MEDIUM_PROFIT, HIGH_PROFIT = 99.0, 103.0, 110.0
Over = Callable[[Servers, str], Awaitable[None]]


async def _gains(servers: Servers, count: int, *others: int) -> list[str]:
    """So many positions whose profit was raised, which waits to be told; `others`: types of other
    alerts that they have.
    """
    await servers.only(PROFIT, *others)
    ids = [await servers.hold(NO_PROFIT) for _ in range(count)]
    await servers.create()
    await servers.evaluate()
    for id in ids:
        await servers.mark(id, HIGH_PROFIT)
    await servers.evaluate()
    assert await servers.messages()
    return ids


async def _handed_over(servers: Servers) -> None:
    """Also what is for the notification service alone."""
    database = await asyncpg.connect(servers.databases.owner_url("alerts"))

    async def is_empty() -> bool:
        servers.clock.advance(1)
        return not await database.fetchval("select count(*) from outbox where sent_time is null")

    await servers.until(is_empty)
    await database.close()


async def _alert(servers: Servers, id: str) -> pb.Alert:
    (alert,) = (await servers.alerts.ListAlerts(pb.ListAlertsRequest(position_id=id))).alerts
    return alert


async def _falls(servers: Servers, *ids: str) -> None:
    """Below every limit of profit, above every limit of danger; as the second reading says."""
    for _ in range(2):
        for id in ids:
            await servers.mark(id, NO_PROFIT)
        await servers.evaluate()


async def _is_deleted(servers: Servers, id: str) -> None:
    alert = await _alert(servers, id)
    await servers.alerts.DeleteAlert(pb.DeleteAlertRequest(id=alert.id))


async def _is_cleared(servers: Servers, _id: str) -> None:
    await servers.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))


async def _is_silenced_and_falls(servers: Servers, id: str) -> None:
    alert = await _alert(servers, id)
    await servers.attention.SilenceAlert(pb.SilenceAlertRequest(id=alert.id, level=pb.LEVEL_HIGH))
    await _falls(servers, id)


@pytest.mark.parametrize("over", [_falls, _is_deleted, _is_cleared, _is_silenced_and_falls])
async def test_a_profit_that_is_over_is_not_told_as_if_it_stood(
    hooked: Servers, hook: FakeWebhook, over: Over
) -> None:
    fail(hook)
    (id,) = await _gains(hooked, 1)
    await over(hooked, id)
    await _handed_over(hooked)
    assert await told_when_mended(hooked, hook) == []


async def test_a_digest_of_profits_that_are_over_is_not_told_as_if_they_stood(
    hooked: Servers, hook: FakeWebhook
) -> None:
    fail(hook)
    ids = await _gains(hooked, MOST + 1)
    await _falls(hooked, *ids)
    await _handed_over(hooked)
    assert await told_when_mended(hooked, hook) == []


@pytest.mark.parametrize("over", [_is_deleted, _is_cleared, _is_silenced_and_falls])
async def test_danger_below_high_that_is_over_is_not_told_as_if_it_stood(
    hooked: Servers, hook: FakeWebhook, over: Over
) -> None:
    (id,) = await held(hooked, SAFE)
    await hooked.evaluate()
    fail(hook)
    await hooked.mark(id, MEDIUM_MARK)
    await hooked.evaluate()
    assert await hooked.messages()
    await over(hooked, id)
    await _handed_over(hooked)
    assert await told_when_mended(hooked, hook) == []


@pytest.mark.parametrize("count", [1, MOST + 1])
async def test_of_a_position_that_closed_no_profit_is_told_that_waited(
    hooked: Servers, hook: FakeWebhook, count: int
) -> None:
    fail(hook)
    ids = await _gains(hooked, count, TRAVEL)
    for id in ids:
        await hooked.lets_go(id)
    await hooked.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
    await _handed_over(hooked)
    assert "HIGH" not in await told_when_mended(hooked, hook)


async def test_a_profit_that_was_over_before_anybody_took_it_is_not_told(
    not_started: Servers,
) -> None:
    servers = not_started
    await servers.start_positions()
    await servers.start_alerts()
    id = await servers.hold(NO_PROFIT)
    await servers.only(PROFIT)
    await servers.create()
    await servers.evaluate()
    await servers.mark(id, HIGH_PROFIT)
    await servers.evaluate()
    await _falls(servers, id)
    async with FakeWebhook() as hook:
        fail(hook)
        await servers.start_xcom(webhook_url=hook.url, webhook_secret="s" * 32)
        await servers.stop("alerts")
        await servers.start_alerts()
        servers.clock.advance(31)
        assert await servers.messages()
        await _handed_over(servers)
        assert await told_when_mended(servers, hook) == []


async def test_a_profit_that_was_over_before_anybody_took_it_is_not_told_after_quiet_hours(
    not_started: Servers, hook: FakeWebhook
) -> None:
    servers = not_started
    await servers.start_positions()
    await servers.start_xcom(webhook_url=hook.url, webhook_secret="s" * 32)
    # Until a quarter past twelve.
    quiet = xcom_pb.QuietHours(start_minute=0, end_minute=735)
    await servers.channels.UpdateChannel(
        xcom_pb.UpdateChannelRequest(
            channel=xcom_pb.Channel(name="webhook", quiet_hours=quiet),
            update_mask=FieldMask(paths=["quiet_hours"]),
        )
    )
    await servers.start_alerts(xcom_address=NOBODY)
    id = await servers.hold(NO_PROFIT)
    await servers.only(PROFIT)
    await servers.create()
    await servers.evaluate()
    await servers.mark(id, MEDIUM_PROFIT)
    await servers.evaluate()
    await _falls(servers, id)
    await servers.stop("alerts")
    await servers.start_alerts()
    servers.clock.advance(31)
    assert await servers.messages()
    await _handed_over(servers)
    assert await told_when_mended(servers, hook) == []
