"""Acknowledged and silenced alerts over time, on the real server: quiet as asked for, and no
longer.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.contract.alerts.conftest import Servers

TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
# Entry 100, liquidation 80: 5 % of travel a dollar.
SAFE, LOW_MARK, MEDIUM_MARK, HIGH_MARK = 101.0, 95.0, 92.0, 89.0


async def _held(servers: Servers, mark: float = SAFE) -> pb.Alert:
    """A position with its travel alert, at a first mark."""
    await servers.only(TRAVEL)
    await servers.hold(mark)
    await servers.create()
    await servers.evaluate()
    return await servers.alert(TRAVEL)


def _span(seconds: float) -> Duration:
    span = Duration()
    span.FromTimedelta(timedelta(seconds=seconds))
    return span


async def _silence(servers: Servers, id: str, seconds: float = 3600, level: int = 0) -> pb.Alert:
    request = pb.SilenceAlertRequest(id=id, duration=_span(seconds), level=level, actor="Ann")
    return await servers.attention.SilenceAlert(request)


async def _acknowledge(servers: Servers, id: str, seconds: float = 3600) -> pb.Alert:
    request = pb.AcknowledgeAlertRequest(id=id, duration=_span(seconds), actor="Ann")
    return await servers.attention.AcknowledgeAlert(request)


async def test_an_acknowledged_level_is_quiet_and_a_worse_one_is_told(
    without_xcom: Servers,
) -> None:
    servers = without_xcom
    alert = await _held(servers, MEDIUM_MARK)
    held = await _acknowledge(servers, alert.id)
    assert (held.status, held.held_level) == (pb.ALERT_STATUS_ACKNOWLEDGED, pb.LEVEL_MEDIUM)
    assert held.held_until_time.ToDatetime() == (servers.clock.now() + timedelta(hours=1)).replace(
        tzinfo=None
    )
    told = await servers.waiting()
    await servers.at(alert.position_id, LOW_MARK, LOW_MARK, MEDIUM_MARK)
    assert await servers.waiting() == told
    assert (await servers.at(alert.position_id, HIGH_MARK)).transitions[0].told
    assert (await servers.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE
    assert await servers.waiting() == told + 1


@pytest.mark.slow
async def test_a_silence_ends_by_itself_between_evaluations_and_tells_what_stands(
    servers: Servers,
) -> None:
    alert = await _held(servers)
    await _silence(servers, alert.id, 600, pb.LEVEL_HIGH)
    answer = await servers.at(alert.position_id, HIGH_MARK)
    assert [change.told for change in answer.transitions] == [False]
    assert not await servers.messages()
    servers.clock.advance(600)

    async def active() -> bool:
        return (await servers.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE

    await servers.until(active)
    (message,) = await servers.messages()
    assert (message.level, message.subject) == (
        xcom_pb.LEVEL_HIGH,
        "HIGH: SOL long travel -55 % (manual)",
    )
    assert message.facts["price_usd"] == "89"
    last = (await servers.entries())[-1]
    assert (last.reason, last.actor, last.level_before, last.level_after) == (
        "EXPIRED",
        "clock",
        4,
        4,
    )
    await servers.evaluate()
    assert len(await servers.messages()) == 1


async def test_an_evaluation_ends_a_silence_too(without_xcom: Servers) -> None:
    alert = await _held(without_xcom)
    await _silence(without_xcom, alert.id, 5, pb.LEVEL_HIGH)
    assert [
        change.told for change in (await without_xcom.at(alert.position_id, HIGH_MARK)).transitions
    ] == [True]
    assert await without_xcom.waiting() == 1


async def test_an_outage_of_positions_does_not_keep_a_silence_alive(without_xcom: Servers) -> None:
    servers = without_xcom
    alert = await _held(servers)
    await _silence(servers, alert.id, 600, pb.LEVEL_HIGH)
    await servers.at(alert.position_id, HIGH_MARK)
    await servers.stop("positions")
    servers.clock.advance(600)

    async def told() -> bool:
        return await servers.waiting() == 1

    await servers.until(told)


@pytest.mark.parametrize("place", range(4))
async def test_a_restart_between_any_two_events_changes_nothing(
    without_xcom: Servers, place: int
) -> None:
    servers = without_xcom
    alert = await _held(servers, MEDIUM_MARK)

    async def restart(step: int) -> None:
        if step == place:
            await servers.stop("alerts")
            await servers.start_alerts()

    await restart(0)
    await _silence(servers, alert.id, 600)
    await restart(1)
    await servers.at(alert.position_id, LOW_MARK, LOW_MARK, MEDIUM_MARK)
    await restart(2)
    assert await servers.waiting() == 1
    await servers.at(alert.position_id, HIGH_MARK)
    await restart(3)
    assert await servers.waiting() == 2
    assert (await servers.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE
    assert (await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact


async def test_a_stepped_clock_ends_no_silence_and_prolongs_none(without_xcom: Servers) -> None:
    servers = without_xcom
    alert = await _held(servers, MEDIUM_MARK)
    await _silence(servers, alert.id, 600)
    start = servers.clock.now()
    servers.clock.set_time(start + timedelta(days=365))
    await servers.evaluate()
    assert (await servers.alert(TRAVEL)).status == pb.ALERT_STATUS_SILENCED
    servers.clock.set_time(start - timedelta(days=365))
    servers.clock.advance(601)
    await servers.evaluate()
    assert (await servers.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE


async def test_an_end_by_hand_tells_a_level_that_was_never_told(without_xcom: Servers) -> None:
    servers = without_xcom
    alert = await _held(servers)
    await _silence(servers, alert.id, level=pb.LEVEL_HIGH)
    await servers.at(alert.position_id, HIGH_MARK)
    freed = await servers.attention.UnsilenceAlert(
        pb.UnsilenceAlertRequest(id=alert.id, actor="Bob")
    )
    assert freed.status == pb.ALERT_STATUS_ACTIVE
    assert await servers.waiting() == 1
    reasons = [(entry.reason, entry.actor) for entry in (await servers.entries())[-3:]]
    assert reasons == [("SILENCED", "Ann"), ("RAISED", "evaluation"), ("UNSILENCED", "Bob")]
    await servers.attention.UnsilenceAlert(pb.UnsilenceAlertRequest(id=alert.id))
    assert await servers.waiting() == 1


async def test_lists_know_who_is_held(without_xcom: Servers) -> None:
    alert = await _held(without_xcom, MEDIUM_MARK)
    await _acknowledge(without_xcom, alert.id)
    for status, count in ((pb.ALERT_STATUS_ACKNOWLEDGED, 1), (pb.ALERT_STATUS_SILENCED, 0)):
        answer = await without_xcom.alerts.ListAlerts(pb.ListAlertsRequest(status=status))
        assert len(answer.alerts) == count


async def test_what_cannot_be_held_is_refused(without_xcom: Servers) -> None:
    alert = await _held(without_xcom)
    with pytest.raises(FailedPrecondition) as caught:
        await _acknowledge(without_xcom, alert.id)
    assert caught.value.reason == "NOT_RAISED"
    with pytest.raises(NotFound):
        await _silence(without_xcom, "alert-99999")
    for seconds in (0, -1, 7 * 86400 + 1):
        with pytest.raises(InvalidArgument):
            await _silence(without_xcom, alert.id, seconds)
    await without_xcom.at(alert.position_id, HIGH_MARK)
    with pytest.raises(InvalidArgument):
        await _silence(without_xcom, alert.id, level=pb.LEVEL_LOW)
    with pytest.raises(InvalidArgument):
        await without_xcom.attention.UnsilenceAlert(
            pb.UnsilenceAlertRequest(id=alert.id, actor="a/b")
        )


async def test_enriching_shows_readings_and_judges_nothing(without_xcom: Servers) -> None:
    servers = without_xcom
    alert = await _held(servers)
    await servers.mark(alert.position_id, HIGH_MARK)
    answer = await servers.alerts.EnrichAlerts(pb.EnrichAlertsRequest())
    assert (answer.evaluated_count, answer.raised_count) == (1, 0)
    seen = await servers.alert(TRAVEL)
    assert (seen.level, seen.evaluated_value) == (pb.LEVEL_NORMAL, pytest.approx(-55))
    # What was enriched is judged all the same: two observations, two judgements.
    for _ in range(2):
        await servers.evaluate()
        await servers.mark(alert.position_id, SAFE)
        await servers.alerts.EnrichAlerts(pb.EnrichAlertsRequest())
    assert (await servers.alert(TRAVEL)).level == pb.LEVEL_HIGH
    await servers.evaluate()
    assert (await servers.alert(TRAVEL)).level == pb.LEVEL_NORMAL


async def test_processing_judges_and_leaves_the_telling_to_the_next_evaluation(
    without_xcom: Servers,
) -> None:
    servers = without_xcom
    alert = await _held(servers)
    await servers.mark(alert.position_id, HIGH_MARK)
    answer = await servers.alerts.ProcessAlerts(pb.ProcessAlertsRequest())
    assert [(change.level_after, change.told) for change in answer.transitions] == [
        (pb.LEVEL_HIGH, False)
    ]
    assert await servers.waiting() == 0
    assert not (await servers.evaluate()).transitions
    assert await servers.waiting() == 1
    assert (await servers.entries())[-1].reason == "TOLD"
