"""After a restore from an old backup nobody is rung for the past, and what still stands is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from services.cli.backup.past import OLD, Past, leave_to_the_past
from tests.contract.alerts.conftest import Servers
from tests.contract.alerts.test_digests import CLOSED, HIGH_MARK, SAFE, held, pushed_until
from tests.contract.alerts.test_stale_ends import nothing_waits
from tests.fakes.databases import Databases
from tests.fakes.webhook import OK, FakeWebhook, Reply

NOW = datetime.now(UTC)
# Missing from one complete answer of its venue.
STALE = 2


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


async def _untold(servers: Servers, hook: FakeWebhook, count: int) -> list[str]:
    """All HIGH, and none arrived."""
    await servers.start_positions()
    await _start(servers, hook)
    ids = await held(servers, *[SAFE] * count)
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


@pytest.mark.slow
async def test_what_waited_in_an_old_backup_is_told_to_nobody_and_what_stands_is_told_anew(
    not_started: Servers, databases: Databases, hook: FakeWebhook
) -> None:
    servers = not_started
    stands, over = await _untold(servers, hook, 2)
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
    await _untold(servers, hook, 2)
    past = await _restored(servers, databases, hook, OLD - timedelta(minutes=1))
    assert (past.counts, past.change_count) == ({}, 0)
    await pushed_until(servers, lambda: nothing_waits(servers), step_seconds=3)
    assert all(one.startswith("HIGH") for one in _subjects(hook)) and hook.received


async def _venue_says(servers: Servers, id: str, status: int) -> None:
    """Of a position between two looks; then all is judged."""
    owner = await asyncpg.connect(servers.databases.owner_url("positions"))
    await owner.execute("update position set status = $1 where id = $2", status, id)
    await owner.execute("update service_state set membership_epoch = membership_epoch + 1")
    await owner.close()
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
    await servers.evaluate()


async def _told_of(servers: Servers) -> list[str]:
    """The positions of all messages, each as often as it was told."""
    return [one.facts.get("position_id", "") for one in await servers.messages()]


@pytest.mark.slow
async def test_a_position_that_its_venue_no_longer_states_is_not_told_by_figures_of_the_backup(
    not_started: Servers, databases: Databases, hook: FakeWebhook
) -> None:
    servers = not_started
    stands, gone = await _untold(servers, hook, 2)
    owner = await asyncpg.connect(databases.owner_url("alerts"))
    # A hold that ran out meanwhile tells nothing either.
    await owner.execute(
        "update alert set held_status = 3, held_level = 4, held_until_micros = 1 where level = 4"
    )
    await owner.close()
    await _restored(servers, databases, hook, OLD)
    before = len(await _told_of(servers))
    await servers.mark(stands, HIGH_MARK)
    for status in (STALE, STALE, CLOSED):
        await _venue_says(servers, gone, status)
        servers.clock.advance(60)
    assert (await _told_of(servers))[before:] == [stands]
    # The first after the wait still tells nothing: where cycles are rare it is the second of all.
    servers.clock.advance(600)
    await _venue_says(servers, gone, CLOSED)
    assert (await _told_of(servers))[before:] == [stands]
    # Nobody can say for so long: it is not kept back for ever.
    await _venue_says(servers, gone, STALE)
    assert (await _told_of(servers))[before:] == [stands, gone]


async def test_deaths_and_advice_of_an_old_backup_are_not_told_as_of_now(
    not_started: Servers, databases: Databases, hook: FakeWebhook
) -> None:
    servers = not_started
    await servers.start_positions()
    await _start(servers, hook)
    death = pb.RaiseDeathRequest(incident="service:price", summary="price does not answer")
    id = (await servers.alerts.RaiseDeath(death)).id
    await servers.reports.ReportDecision(
        pb.ReportDecisionRequest(
            request_id="withdrawals-decision-1",
            asset="djed",
            may_withdraw=True,
            depegged=True,
            summary="djed: decision=1",
            peg_summary="djed is off its peg",
        )
    )
    assert len(await servers.messages()) == 3
    owner = await asyncpg.connect(databases.owner_url("cyclone"))
    await owner.execute(
        "insert into incident (name, bad_count, open, id, summary, notified_by, resolving)"
        " values ('service:price', 2, true, 'cyc-1', 'does not answer', 'ALERTS', false)"
    )
    await _restored(servers, databases, hook, OLD)
    assert await owner.fetchval("select count(*) from incident") == 0
    await owner.close()
    await servers.evaluate()
    servers.clock.advance(601)
    await servers.evaluate()
    assert len(await servers.messages()) == 3
    assert (await servers.alerts.GetAlert(pb.GetAlertRequest(id=id))).level == pb.LEVEL_NORMAL
    # It stands still: it is raised anew.
    await servers.alerts.RaiseDeath(death)
    *_, last = await servers.messages()
    assert last.level == xcom_pb.LEVEL_HIGH
    assert last.subject.endswith("HIGH: price does not answer")
