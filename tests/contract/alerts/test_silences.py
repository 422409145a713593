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
from tests.contract.alerts.conftest import House

TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
# Entry 100, liquidation 80: 5 % of travel a dollar.
SAFE, LOW_MARK, MEDIUM_MARK, HIGH_MARK = 101.0, 95.0, 92.0, 89.0


async def _held(house: House, mark: float = SAFE) -> pb.Alert:
    """A position with its travel alert, at a first mark."""
    await house.only(TRAVEL)
    await house.hold(mark)
    await house.create()
    await house.evaluate()
    return await house.alert(TRAVEL)


def _span(seconds: float) -> Duration:
    span = Duration()
    span.FromTimedelta(timedelta(seconds=seconds))
    return span


async def _silence(house: House, id: str, seconds: float = 3600, level: int = 0) -> pb.Alert:
    request = pb.SilenceAlertRequest(id=id, duration=_span(seconds), level=level, actor="Ann")
    return await house.attention.SilenceAlert(request)


async def _acknowledge(house: House, id: str, seconds: float = 3600) -> pb.Alert:
    request = pb.AcknowledgeAlertRequest(id=id, duration=_span(seconds), actor="Ann")
    return await house.attention.AcknowledgeAlert(request)


async def test_an_acknowledged_level_is_quiet_and_a_worse_one_is_told(deaf_house: House) -> None:
    house = deaf_house
    alert = await _held(house, MEDIUM_MARK)
    held = await _acknowledge(house, alert.id)
    assert (held.status, held.held_level) == (pb.ALERT_STATUS_ACKNOWLEDGED, pb.LEVEL_MEDIUM)
    assert held.held_until_time.ToDatetime() == (house.clock.now() + timedelta(hours=1)).replace(
        tzinfo=None
    )
    told = await house.waiting()
    await house.at(alert.position_id, LOW_MARK, LOW_MARK, MEDIUM_MARK)
    assert await house.waiting() == told
    assert (await house.at(alert.position_id, HIGH_MARK)).transitions[0].told
    assert (await house.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE
    assert await house.waiting() == told + 1


async def test_a_silence_ends_by_itself_between_evaluations_and_tells_what_stands(
    house: House,
) -> None:
    alert = await _held(house)
    await _silence(house, alert.id, 600, pb.LEVEL_HIGH)
    answer = await house.at(alert.position_id, HIGH_MARK)
    assert [change.told for change in answer.transitions] == [False]
    assert not await house.messages()
    house.clock.advance(600)

    async def active() -> bool:
        return (await house.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE

    await house.until(active)
    (message,) = await house.messages()
    assert (message.level, message.subject) == (
        xcom_pb.LEVEL_HIGH,
        "HIGH: SOL long travel -55 % (manual)",
    )
    assert message.facts["price_usd"] == "89"
    last = (await house.entries())[-1]
    assert (last.reason, last.actor, last.level_before, last.level_after) == (
        "EXPIRED",
        "clock",
        4,
        4,
    )
    await house.evaluate()
    assert len(await house.messages()) == 1


async def test_an_evaluation_ends_a_silence_too(deaf_house: House) -> None:
    alert = await _held(deaf_house)
    await _silence(deaf_house, alert.id, 5, pb.LEVEL_HIGH)
    assert [
        change.told for change in (await deaf_house.at(alert.position_id, HIGH_MARK)).transitions
    ] == [True]
    assert await deaf_house.waiting() == 1


async def test_an_outage_of_positions_does_not_keep_a_silence_alive(deaf_house: House) -> None:
    house = deaf_house
    alert = await _held(house)
    await _silence(house, alert.id, 600, pb.LEVEL_HIGH)
    await house.at(alert.position_id, HIGH_MARK)
    await house.stop("positions")
    house.clock.advance(600)

    async def told() -> bool:
        return await house.waiting() == 1

    await house.until(told)


@pytest.mark.parametrize("place", range(4))
async def test_a_restart_between_any_two_events_changes_nothing(
    deaf_house: House, place: int
) -> None:
    house = deaf_house
    alert = await _held(house, MEDIUM_MARK)

    async def restart(step: int) -> None:
        if step == place:
            await house.stop("alerts")
            await house.start_alerts()

    await restart(0)
    await _silence(house, alert.id, 600)
    await restart(1)
    await house.at(alert.position_id, LOW_MARK, LOW_MARK, MEDIUM_MARK)
    await restart(2)
    assert await house.waiting() == 1
    await house.at(alert.position_id, HIGH_MARK)
    await restart(3)
    assert await house.waiting() == 2
    assert (await house.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE
    assert (await house.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact


async def test_a_stepped_clock_ends_no_silence_and_prolongs_none(deaf_house: House) -> None:
    house = deaf_house
    alert = await _held(house, MEDIUM_MARK)
    await _silence(house, alert.id, 600)
    start = house.clock.now()
    house.clock.set_time(start + timedelta(days=365))
    await house.evaluate()
    assert (await house.alert(TRAVEL)).status == pb.ALERT_STATUS_SILENCED
    house.clock.set_time(start - timedelta(days=365))
    house.clock.advance(601)
    await house.evaluate()
    assert (await house.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE


async def test_an_end_by_hand_tells_a_level_that_was_never_told(deaf_house: House) -> None:
    house = deaf_house
    alert = await _held(house)
    await _silence(house, alert.id, level=pb.LEVEL_HIGH)
    await house.at(alert.position_id, HIGH_MARK)
    freed = await house.attention.UnsilenceAlert(pb.UnsilenceAlertRequest(id=alert.id, actor="Bob"))
    assert freed.status == pb.ALERT_STATUS_ACTIVE
    assert await house.waiting() == 1
    reasons = [(entry.reason, entry.actor) for entry in (await house.entries())[-3:]]
    assert reasons == [("SILENCED", "Ann"), ("RAISED", "evaluation"), ("UNSILENCED", "Bob")]
    await house.attention.UnsilenceAlert(pb.UnsilenceAlertRequest(id=alert.id))
    assert await house.waiting() == 1


async def test_lists_know_who_is_held(deaf_house: House) -> None:
    alert = await _held(deaf_house, MEDIUM_MARK)
    await _acknowledge(deaf_house, alert.id)
    for status, count in ((pb.ALERT_STATUS_ACKNOWLEDGED, 1), (pb.ALERT_STATUS_SILENCED, 0)):
        answer = await deaf_house.alerts.ListAlerts(pb.ListAlertsRequest(status=status))
        assert len(answer.alerts) == count


async def test_what_cannot_be_held_is_refused(deaf_house: House) -> None:
    alert = await _held(deaf_house)
    with pytest.raises(FailedPrecondition) as caught:
        await _acknowledge(deaf_house, alert.id)
    assert caught.value.reason == "NOT_RAISED"
    with pytest.raises(NotFound):
        await _silence(deaf_house, "alert-99999")
    for seconds in (0, -1, 7 * 86400 + 1):
        with pytest.raises(InvalidArgument):
            await _silence(deaf_house, alert.id, seconds)
    await deaf_house.at(alert.position_id, HIGH_MARK)
    with pytest.raises(InvalidArgument):
        await _silence(deaf_house, alert.id, level=pb.LEVEL_LOW)
    with pytest.raises(InvalidArgument):
        await deaf_house.attention.UnsilenceAlert(
            pb.UnsilenceAlertRequest(id=alert.id, actor="a/b")
        )


async def test_enriching_shows_readings_and_judges_nothing(deaf_house: House) -> None:
    house = deaf_house
    alert = await _held(house)
    await house.mark(alert.position_id, HIGH_MARK)
    answer = await house.alerts.EnrichAlerts(pb.EnrichAlertsRequest())
    assert (answer.evaluated_count, answer.raised_count) == (1, 0)
    seen = await house.alert(TRAVEL)
    assert (seen.level, seen.evaluated_value) == (pb.LEVEL_NORMAL, pytest.approx(-55))
    # What was enriched is judged all the same: two observations, two judgements.
    for _ in range(2):
        await house.evaluate()
        await house.mark(alert.position_id, SAFE)
        await house.alerts.EnrichAlerts(pb.EnrichAlertsRequest())
    assert (await house.alert(TRAVEL)).level == pb.LEVEL_HIGH
    await house.evaluate()
    assert (await house.alert(TRAVEL)).level == pb.LEVEL_NORMAL


async def test_processing_judges_and_leaves_the_telling_to_the_next_evaluation(
    deaf_house: House,
) -> None:
    house = deaf_house
    alert = await _held(house)
    await house.mark(alert.position_id, HIGH_MARK)
    answer = await house.alerts.ProcessAlerts(pb.ProcessAlertsRequest())
    assert [(change.level_after, change.told) for change in answer.transitions] == [
        (pb.LEVEL_HIGH, False)
    ]
    assert await house.waiting() == 0
    assert not (await house.evaluate()).transitions
    assert await house.waiting() == 1
    assert (await house.entries())[-1].reason == "TOLD"
