"""Many changes of one commit are one message; each of them stays in the ledger, and is
acknowledged, ended and listed as if it had been told alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from shared.errors import NotFound
from tests.contract.alerts.conftest import MOST, Servers

TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
SAFE, MEDIUM_MARK, HIGH_MARK = 101.0, 92.0, 89.0
ACTIVE, CLOSED = 1, 3


@pytest.fixture
async def servers(not_started: Servers) -> Servers:
    await not_started.start_positions()
    await not_started.start_xcom()
    await not_started.start_alerts(alerts_burst_count=MOST)
    return not_started


async def held(servers: Servers, *marks: float) -> list[str]:
    """Positions of these marks, with alerts; nothing judged yet."""
    await servers.only(TRAVEL)
    ids = [await servers.hold(mark) for mark in marks]
    await servers.create()
    return ids


async def crash(servers: Servers, *marks: float, cycle_id: str = "") -> list[str]:
    """All of these marks are seen by one evaluation."""
    ids = await held(servers, *marks)
    await servers.evaluate(cycle_id, epoch=1 if cycle_id else 0)
    return ids


async def recover(servers: Servers, *ids: str) -> None:
    """Back at NORMAL, as the second fresh reading says."""
    for _ in range(2):
        for id in ids:
            await servers.mark(id, SAFE)
        await servers.evaluate()


async def pushed_until(
    servers: Servers, done: Callable[[], Awaitable[bool]], step_seconds: float = 0.5
) -> None:
    """Push the clock until it is so: a loop may be at work when it is pushed, and sleep then."""
    async with asyncio.timeout(30):
        while not await done():
            servers.clock.advance(step_seconds)
            await asyncio.sleep(0.05)


async def digest(servers: Servers) -> xcom_pb.Message:
    (message,) = await servers.messages()
    return message


async def alerts(servers: Servers) -> list[pb.Alert]:
    return list((await servers.alerts.ListAlerts(pb.ListAlertsRequest())).alerts)


async def test_a_burst_is_one_message_that_names_the_worst_and_counts_the_rest(
    servers: Servers,
) -> None:
    await crash(servers, HIGH_MARK, 88.0, 82.0, 87.0, 86.0)
    message = await digest(servers)
    assert message.level == xcom_pb.LEVEL_HIGH
    assert message.subject == (
        "HIGH: 5 alerts: SOL long (manual) 2.439 % to liquidation;"
        " SOL long (manual) 6.9767 % to liquidation; SOL long (manual) 8.046 % to liquidation;"
        " and 2 more"
    )
    lines = message.body.splitlines()
    assert lines[2] == "5 alerts at once (5 HIGH), the worst first:"
    assert lines[3] == (
        "- HIGH: SOL long travel -90 % (manual). Distance to liquidation: 2.439 % (2 USD)"
    )
    assert len([line for line in lines if line.startswith("- ")]) == 5
    id = message.facts["digest_id"]
    assert lines[-1] == f"All: sonic ledger list --digest {id}, GET /v1/ledger?digest_id={id}"
    assert message.facts["change_count"] == "5"
    assert message.facts["liquidation_distance_percent"] == "2.4390243902439024"
    assert json.loads(message.facts["worst"])["short_phrases"][0] == (
        "SOL long 2.439 % to liquidation"
    )
    assert (message.incident_key, message.source) == (id, "alerts")
    assert message.HasField("escalation_due_time")
    told = [alert.digest_id for alert in await alerts(servers) if alert.level == pb.LEVEL_HIGH]
    assert told and set(told) == {id}


async def test_as_many_as_the_setting_are_told_one_by_one(servers: Servers) -> None:
    await crash(servers, *[HIGH_MARK] * MOST)
    assert len(await servers.messages()) == MOST
    assert {alert.digest_id for alert in await alerts(servers)} == {""}
    assert not [one for one in await servers.entries() if one.reason == "DIGEST"]


async def test_high_and_quieter_ones_are_told_apart(servers: Servers) -> None:
    await crash(servers, *[HIGH_MARK] * 4, *[MEDIUM_MARK] * 4)
    high, medium = await servers.messages()
    assert [one.subject[:17] for one in (high, medium)] == [
        "HIGH: 4 alerts: S",
        "MEDIUM: 4 alerts:",
    ]
    assert not medium.HasField("escalation_due_time")


async def test_alerts_with_channels_of_their_own_are_a_digest_of_their_own(
    servers: Servers,
) -> None:
    ids = await held(servers, *[SAFE] * 9)
    await servers.evaluate()
    for id in ids[:4]:
        alert = await servers.alert(TRAVEL, id)
        request = pb.UpdateAlertRequest(alert=pb.Alert(id=alert.id, channels=["log"]))
        request.update_mask.paths.append("channels")
        await servers.alerts.UpdateAlert(request)
    for id in ids:
        await servers.mark(id, HIGH_MARK)
    await servers.evaluate()
    messages = await servers.messages()
    told = {one.facts["change_count"]: one.channels_reason for one in messages}
    assert told == {"4": "EXPLICIT", "5": "FALLBACK_ALL_CONFIGURED"}


async def test_every_transition_of_a_burst_is_in_the_ledger_and_listed_by_cycle_and_digest(
    servers: Servers,
) -> None:
    await crash(servers, *[HIGH_MARK] * 5, cycle_id="c-1")
    message = await digest(servers)
    rows = [one for one in await servers.entries() if one.cycle_id == "c-1"]
    assert [one.reason for one in rows] == ["RAISED"] * 5 + ["DIGEST"]
    assert rows[-1].alert_id == message.facts["digest_id"]
    listed: list[pb.LedgerEntry] = []
    request = pb.ListLedgerRequest(digest_id=message.facts["digest_id"], page_size=2)
    while True:
        page = await servers.ledger.ListLedger(request)
        listed += page.entries
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert listed == list(reversed(rows[:-1]))
    one = pb.ListLedgerRequest(digest_id=request.digest_id, alert_id=rows[1].alert_id)
    assert list((await servers.ledger.ListLedger(one)).entries) == [rows[1]]
    assert (await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact
    with pytest.raises(NotFound) as caught:
        await servers.ledger.ListLedger(pb.ListLedgerRequest(digest_id="digest-1"))
    assert caught.value.reason == "DIGEST_NOT_FOUND"


@pytest.mark.parametrize(
    ("snooze", "status", "reason"),
    [
        (None, pb.ALERT_STATUS_ACKNOWLEDGED, "ACKNOWLEDGED"),
        (timedelta(minutes=15), pb.ALERT_STATUS_SILENCED, "SILENCED"),
    ],
)
async def test_what_is_said_of_a_digest_is_said_of_all_of_it(
    servers: Servers, snooze: timedelta | None, status: int, reason: str
) -> None:
    await crash(servers, *[HIGH_MARK] * 4)
    message = await digest(servers)
    await servers.escalation.AckMessage(
        xcom_pb.AckMessageRequest(id=message.id, by="ann", snooze=snooze)
    )

    async def held_by_all() -> bool:
        return {one.status for one in await alerts(servers)} == {status}

    await pushed_until(servers, held_by_all)
    rows = (await servers.entries())[-4:]
    assert {(one.reason, one.actor) for one in rows} == {(reason, "ann")}
    assert len(await servers.messages()) == 1


@pytest.mark.slow
async def test_who_acknowledges_a_digest_acknowledges_what_was_told_of_its_alerts_before(
    servers: Servers,
) -> None:
    ids = await held(servers, *[SAFE] * 4)
    await servers.evaluate()
    for id in ids:
        await servers.at(id, HIGH_MARK)
    alone = await servers.messages()
    for _ in range(2):
        for id in ids:
            await servers.mark(id, MEDIUM_MARK)
        await servers.evaluate()
    servers.clock.advance(300)
    for id in ids:
        await servers.mark(id, HIGH_MARK)
    await servers.evaluate()
    *_, again = await servers.messages()
    assert again.subject.startswith("HIGH: 4 alerts")
    assert not alone[0].acknowledged_by
    await servers.escalation.AckMessage(xcom_pb.AckMessageRequest(id=again.id, by="ann"))
    for one in alone:
        await pushed_until(servers, lambda one=one: _is_known_by(servers, one.id, "ann"))


async def _is_known_by(servers: Servers, id: str, actor: str) -> bool:
    shown = await servers.xcom.GetMessage(xcom_pb.GetMessageRequest(id=id))
    return shown.acknowledged_by == actor


async def test_a_digest_is_acknowledged_by_its_id_too_and_xcom_hears_of_it(
    servers: Servers,
) -> None:
    await crash(servers, *[HIGH_MARK] * 4)
    message = await digest(servers)
    id = message.facts["digest_id"]
    shown = await servers.attention.AcknowledgeAlert(pb.AcknowledgeAlertRequest(id=id, actor="bob"))
    assert shown.status == pb.ALERT_STATUS_ACKNOWLEDGED
    assert {one.status for one in await alerts(servers)} == {pb.ALERT_STATUS_ACKNOWLEDGED}
    await pushed_until(servers, lambda: is_quiet(servers, message.id))
    with pytest.raises(NotFound):
        await servers.attention.AcknowledgeAlert(pb.AcknowledgeAlertRequest(id="digest-9999"))


async def is_quiet(servers: Servers, id: str) -> bool:
    shown = await servers.xcom.GetMessage(xcom_pb.GetMessageRequest(id=id))
    return not shown.HasField("escalation_due_time")


async def test_a_digest_of_which_every_alert_is_acknowledged_escalates_no_more(
    servers: Servers,
) -> None:
    await crash(servers, *[HIGH_MARK] * 4)
    message = await digest(servers)
    *most, last = await alerts(servers)
    for one in most:
        await servers.attention.AcknowledgeAlert(pb.AcknowledgeAlertRequest(id=one.id))
    await servers.flush()
    assert not await is_quiet(servers, message.id)
    await servers.attention.AcknowledgeAlert(pb.AcknowledgeAlertRequest(id=last.id))
    await pushed_until(servers, lambda: is_quiet(servers, message.id))


async def test_when_all_of_a_digest_ends_at_once_that_is_one_message_to_those_who_heard(
    servers: Servers,
) -> None:
    ids = await crash(servers, *[HIGH_MARK] * 4)
    await digest(servers)
    await recover(servers, *ids)
    begun, ended = await servers.messages()
    assert ended.subject.startswith("RESOLVED: 4 alerts: SOL long travel 5 % (manual)")
    assert (ended.level, ended.ends_incident) == (xcom_pb.LEVEL_LOW, True)
    assert (ended.incident_key, ended.channels_reason) == (begun.incident_key, "WHO_HEARD")
    assert await is_quiet(servers, begun.id)


async def test_an_alert_that_ends_alone_is_told_alone_and_the_last_one_ends_the_digest(
    servers: Servers,
) -> None:
    first, *others = await crash(servers, *[HIGH_MARK] * 5)
    begun = await digest(servers)
    await recover(servers, first)
    _, alone = await servers.messages()
    assert alone.subject == "RESOLVED: SOL long travel 5 % (manual)"
    assert not await is_quiet(servers, begun.id)
    await recover(servers, *others[:3])
    assert not await is_quiet(servers, begun.id)
    await recover(servers, others[3])
    last = (await servers.messages())[-1]
    assert (last.subject, last.incident_key) == (alone.subject, begun.incident_key)
    assert last.channels_reason == "WHO_HEARD"
    assert await is_quiet(servers, begun.id)


async def test_an_alert_that_gets_worse_alone_is_told_alone_and_leaves_its_digest(
    servers: Servers,
) -> None:
    first, *others = await crash(servers, *[MEDIUM_MARK] * 4)
    begun = await digest(servers)
    await servers.at(first, HIGH_MARK)
    _, worse = await servers.messages()
    assert worse.subject == "HIGH: SOL long travel -55 % (manual)"
    assert worse.HasField("escalation_due_time")
    await recover(servers, *others)
    *_, ended = await servers.messages()
    assert [one.subject[:9] for one in (await servers.messages())[2:]] == ["RESOLVED:"] * 3
    assert (ended.incident_key, ended.ends_incident) == (begun.incident_key, True)
    assert not await is_quiet(servers, worse.id)


@pytest.mark.slow
async def test_many_that_are_told_anew_are_a_digest_that_takes_the_place_of_the_one_before(
    servers: Servers,
) -> None:
    ids = await crash(servers, *[MEDIUM_MARK] * 4)
    begun = await digest(servers)
    for id in ids:
        await servers.mark(id, HIGH_MARK)
    await servers.evaluate()
    _, worse = await servers.messages()
    assert worse.subject.startswith("HIGH: 4 alerts")
    assert worse.incident_key != begun.incident_key
    await recover(servers, *ids)
    *_, ended = await servers.messages()
    assert (ended.incident_key, ended.ends_incident) == (worse.incident_key, True)
    assert await is_quiet(servers, worse.id)


@pytest.mark.slow
async def test_many_that_were_told_singly_end_as_one_and_nothing_of_them_escalates(
    servers: Servers,
) -> None:
    ids = await held(servers, *[SAFE] * 4)
    await servers.evaluate()
    for id in ids:
        await servers.at(id, HIGH_MARK)
    begun = await servers.messages()
    assert len(begun) == 4
    await recover(servers, *ids)
    *_, ended = await servers.messages()
    assert ended.subject.startswith("RESOLVED: 4 alerts")
    assert ended.channels_reason == "WHO_HEARD"
    for one in begun:
        assert await is_quiet(servers, one.id)


async def test_what_an_acknowledgement_of_a_digest_kept_quiet_is_told_again_as_one(
    servers: Servers,
) -> None:
    await crash(servers, *[HIGH_MARK] * 4)
    begun = await digest(servers)
    await servers.attention.AcknowledgeAlert(
        pb.AcknowledgeAlertRequest(id=begun.facts["digest_id"])
    )
    await servers.flush()
    servers.clock.advance(3601)
    await pushed_until(servers, lambda: _told_count(servers, 2))
    again = (await servers.messages())[-1]
    assert again.subject.startswith("HIGH: 4 alerts")
    assert again.incident_key != begun.incident_key
    assert again.HasField("escalation_due_time")


async def _told_count(servers: Servers, count: int) -> bool:
    return len(await servers.messages()) == count


async def test_many_positions_that_are_closed_at_once_are_one_message(servers: Servers) -> None:
    ids = await crash(servers, *[HIGH_MARK] * 4)
    begun = await digest(servers)
    for id in ids:
        await servers.lets_go(id)
    await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
    *_, ended = await servers.messages()
    assert ended.subject.startswith(
        "CLOSED: 4 positions: SOL long is no longer held (was HIGH) (manual)"
    )
    assert (ended.kind, ended.channels_reason) == (xcom_pb.KIND_NEWS, "WHO_HEARD")
    assert await is_quiet(servers, begun.id)


async def _all_of_venue(servers: Servers, status: int) -> None:
    """The venue says so of every position between two looks."""
    owner = await asyncpg.connect(servers.databases.owner_url("positions"))
    await owner.execute("update feed set venue = 'jupiter'")
    await owner.execute("update position set status = $1", status)
    await owner.execute("update service_state set membership_epoch = membership_epoch + 1")
    await owner.close()
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())


async def test_many_that_may_have_been_liquidated_are_one_high_message_until_all_are_back(
    servers: Servers,
) -> None:
    await crash(servers, *[88.0] * 3)
    await servers.messages()
    await servers.hold(88.0)
    await servers.create()
    before = len(await servers.messages())
    await _all_of_venue(servers, CLOSED)
    await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
    gone = (await servers.messages())[before:][0]
    assert gone.subject.startswith("HIGH: 4 positions: SOL long is gone, may have been liquidated")
    assert not await is_quiet(servers, gone.id)
    await _all_of_venue(servers, ACTIVE)
    await servers.create()
    *_, word = await servers.messages()
    assert word.subject.startswith("BACK: 4 positions: SOL long is held, and had been told")
    assert (word.incident_key, word.channels_reason) == (gone.incident_key, "WHO_HEARD")
    assert await is_quiet(servers, gone.id)


async def test_a_hold_of_a_digest_taken_back_is_taken_back_of_what_was_held_with_it(
    servers: Servers,
) -> None:
    first, *others = await crash(servers, *[MEDIUM_MARK] * 4)
    message = await digest(servers)
    id = message.facts["digest_id"]
    await servers.attention.SilenceAlert(pb.SilenceAlertRequest(id=id, level=pb.LEVEL_HIGH))
    await servers.flush()
    for one in (first, *others):
        await servers.mark(one, HIGH_MARK)
    await servers.evaluate()
    await servers.attention.UnsilenceAlert(pb.UnsilenceAlertRequest(id=id))
    *_, again = await servers.messages()
    assert again.subject.startswith("HIGH: 4 alerts")
    assert again.HasField("escalation_due_time")
    await servers.at(first, MEDIUM_MARK, MEDIUM_MARK)
    servers.clock.advance(400)
    await servers.at(first, HIGH_MARK)
    *_, alone = await servers.messages()
    assert alone.subject.startswith("HIGH: SOL long")
    assert alone.HasField("escalation_due_time")


@pytest.mark.slow
@pytest.mark.parametrize("most", [MOST, 100])
async def test_an_end_that_waited_is_not_told_after_its_alerts_were_raised_again(
    not_started: Servers, most: int
) -> None:
    servers = not_started
    await servers.start_positions()
    await servers.start_alerts(alerts_burst_count=most)
    ids = await crash(servers, *[HIGH_MARK] * 4)
    await recover(servers, *ids)
    for id in ids:
        await servers.mark(id, HIGH_MARK)
    await servers.evaluate()
    await servers.stop("alerts")
    await servers.start_xcom()
    await servers.start_alerts(alerts_burst_count=most)
    messages = await servers.messages()
    assert {one.subject[:5] for one in messages} == {"HIGH:"}
    first, last = messages[0], messages[-1]
    await pushed_until(servers, lambda: is_quiet(servers, first.id))
    assert not await is_quiet(servers, last.id)
    await recover(servers, *ids)
    *_, over = await servers.messages()
    assert over.subject.startswith("RESOLVED:")
    assert await is_quiet(servers, last.id)
