"""One acknowledgement for the alert and for its messages, wherever it is said; and what is over is
over.
"""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from tests.contract.alerts.conftest import Servers

TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
# Entry 100, liquidation 80: 5 % of travel a dollar.
SAFE, MEDIUM_MARK, HIGH_MARK = 101.0, 92.0, 89.0


async def told(servers: Servers, *marks: float) -> tuple[pb.Alert, list[xcom_pb.Message]]:
    """The travel alert of a position after these marks, and what was told."""
    await servers.only(TRAVEL)
    await servers.hold(SAFE)
    await servers.create()
    await servers.evaluate()
    await servers.at((await servers.alert(TRAVEL)).position_id, *marks)
    return await servers.alert(TRAVEL), await servers.messages()


async def escalates(servers: Servers, message: xcom_pb.Message) -> bool:
    found = await servers.xcom.GetMessage(xcom_pb.GetMessageRequest(id=message.id))
    return found.HasField("escalation_due_time")


async def quiet(servers: Servers, message: xcom_pb.Message) -> None:
    """Returns once the message escalates no more."""

    async def look() -> bool:
        return not await escalates(servers, message)

    await servers.until(look)


async def status_is(servers: Servers, status: int) -> pb.Alert:
    """The alert once it has this status; time passes meanwhile."""

    async def look() -> bool:
        servers.clock.advance(1)
        return (await servers.alert(TRAVEL)).status == status

    await servers.until(look)
    return await servers.alert(TRAVEL)


@pytest.mark.parametrize("days", [2, -2])
async def test_a_silence_ends_in_xcom_when_it_ends_here_also_after_the_clock_was_set(
    servers: Servers, days: int
) -> None:
    alert, (message,) = await told(servers, HIGH_MARK)
    servers.clock.set_time(servers.clock.now() + timedelta(days=days))
    held = await servers.attention.SilenceAlert(
        pb.SilenceAlertRequest(id=alert.id, duration=Duration(seconds=600), actor="Ann")
    )
    end = servers.clock.now() + timedelta(seconds=600)
    assert abs(held.held_until_time.ToDatetime(UTC) - end) < timedelta(seconds=5)

    async def snoozed() -> bool:
        found = await servers.xcom.GetMessage(xcom_pb.GetMessageRequest(id=message.id))
        return found.HasField("snoozed_until_time") and (
            abs(found.snoozed_until_time.ToDatetime(UTC) - end) < timedelta(seconds=5)
        )

    await servers.until(snoozed)


async def ack(servers: Servers, message: xcom_pb.Message, snooze_seconds: int = 0) -> None:
    span = Duration(seconds=snooze_seconds) if snooze_seconds else None
    await servers.escalation.AckMessage(
        xcom_pb.AckMessageRequest(id=message.id, by="jane", snooze=span)
    )


async def judges(servers: Servers, *, enabled: bool) -> None:
    """Whether the threshold of travel judges."""
    threshold = pb.Threshold(id="TRAVEL_PERCENT-POSITION-BELOW", enabled=enabled)
    mask = FieldMask(paths=["enabled"])
    await servers.thresholds.UpdateThreshold(
        pb.UpdateThresholdRequest(threshold=threshold, update_mask=mask)
    )


async def test_who_acknowledges_the_alert_stops_its_escalation(servers: Servers) -> None:
    alert, (message,) = await told(servers, HIGH_MARK)
    assert message.incident_key == f"{alert.id}.1"
    assert await escalates(servers, message)
    await servers.attention.AcknowledgeAlert(pb.AcknowledgeAlertRequest(id=alert.id, actor="Ann"))
    await quiet(servers, message)
    kept = await servers.xcom.GetMessage(xcom_pb.GetMessageRequest(id=message.id))
    assert kept.acknowledged_by == "Ann"
    assert len(await servers.messages()) == 1
    # What people say here does not come back as news.
    servers.clock.advance(5)
    assert [one.reason for one in await servers.entries()].count("ACKNOWLEDGED") == 1


async def test_an_acknowledgement_said_while_nobody_could_be_told_is_handed_over_later(
    not_started: Servers,
) -> None:
    servers = not_started
    await servers.start_positions()
    await servers.start_xcom()
    await servers.start_alerts()
    address = servers.apps["xcom"].address
    alert, (message,) = await told(servers, HIGH_MARK)
    await servers.stop("xcom")
    await servers.attention.AcknowledgeAlert(pb.AcknowledgeAlertRequest(id=alert.id, actor="Ann"))
    await servers.stop("alerts")
    await servers.start_xcom(address)
    await servers.start_alerts()
    servers.clock.advance(30)
    await quiet(servers, message)


async def test_who_acknowledges_the_message_acknowledges_the_alert_up_to_that_level(
    servers: Servers,
) -> None:
    alert, (message,) = await told(servers, MEDIUM_MARK)
    await ack(servers, message)
    held = await status_is(servers, pb.ALERT_STATUS_ACKNOWLEDGED)
    assert held.held_level == pb.LEVEL_MEDIUM
    span = held.held_until_time.ToDatetime() - servers.clock.now().replace(tzinfo=None)
    assert timedelta(minutes=59) < span <= timedelta(hours=1)
    last = (await servers.entries())[-1]
    assert (last.reason, last.actor) == ("ACKNOWLEDGED", "jane")
    assert (await servers.at(alert.position_id, HIGH_MARK)).transitions[0].told
    assert (await servers.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE
    assert await escalates(servers, (await servers.messages())[-1])


async def test_what_was_said_while_alerts_was_away_is_heard_once_when_it_is_back(
    servers: Servers,
) -> None:
    _, (message,) = await told(servers, HIGH_MARK)
    await servers.stop("alerts")
    await ack(servers, message)
    await servers.start_alerts()
    await status_is(servers, pb.ALERT_STATUS_ACKNOWLEDGED)
    await servers.attention.UnsilenceAlert(
        pb.UnsilenceAlertRequest(id=(await servers.alert(TRAVEL)).id, actor="Bob")
    )
    await servers.stop("alerts")
    await servers.start_alerts()
    servers.clock.advance(10)
    await servers.evaluate()
    reasons = [one.reason for one in await servers.entries()]
    assert (reasons.count("ACKNOWLEDGED"), reasons[-1]) == (1, "UNSILENCED")


@pytest.mark.slow
async def test_an_acknowledgement_of_a_lower_level_or_of_an_incident_that_is_over_holds_nothing(
    servers: Servers,
) -> None:
    alert, (medium, high) = await told(servers, MEDIUM_MARK, HIGH_MARK)
    await ack(servers, medium)
    await servers.at(alert.position_id, SAFE, SAFE, HIGH_MARK)
    await ack(servers, high)
    (*_, fresh) = await servers.messages()
    assert fresh.incident_key == f"{alert.id}.2"
    for _ in range(5):
        servers.clock.advance(3)
        await servers.evaluate()
    assert (await servers.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE
    assert await escalates(servers, fresh)
    await ack(servers, fresh)
    await status_is(servers, pb.ALERT_STATUS_ACKNOWLEDGED)


async def test_a_snoozed_message_is_a_silenced_alert_until_the_same_moment(
    servers: Servers,
) -> None:
    _, (message,) = await told(servers, HIGH_MARK)
    await ack(servers, message, 900)
    snoozed = await servers.xcom.GetMessage(xcom_pb.GetMessageRequest(id=message.id))
    held = await status_is(servers, pb.ALERT_STATUS_SILENCED)
    apart = held.held_until_time.ToDatetime() - snoozed.snoozed_until_time.ToDatetime()
    assert abs(apart) < timedelta(seconds=1)


async def test_a_silenced_alert_is_a_snoozed_message_and_goes_on_when_it_is_released(
    servers: Servers,
) -> None:
    alert, (message,) = await told(servers, HIGH_MARK)
    planned = message.escalation_due_time.ToDatetime()
    span = Duration(seconds=7200)
    await servers.attention.SilenceAlert(
        pb.SilenceAlertRequest(id=alert.id, duration=span, actor="Ann")
    )

    async def due_later() -> bool:
        found = await servers.xcom.GetMessage(xcom_pb.GetMessageRequest(id=message.id))
        return found.escalation_due_time.ToDatetime() - planned > timedelta(minutes=90)

    await servers.until(due_later)
    await servers.attention.UnsilenceAlert(pb.UnsilenceAlertRequest(id=alert.id, actor="Ann"))

    async def due_soon() -> bool:
        found = await servers.xcom.GetMessage(xcom_pb.GetMessageRequest(id=message.id))
        left = found.escalation_due_time.ToDatetime() - servers.clock.now().replace(tzinfo=None)
        return left <= timedelta(minutes=5)

    await servers.until(due_soon)


@pytest.mark.parametrize(
    "end", ["resolved", "silenced", "closed", "deleted", "switched off", "threshold", "cleared"]
)
async def test_nothing_of_what_is_over_escalates(servers: Servers, end: str) -> None:
    alert, (message,) = await told(servers, HIGH_MARK)
    assert await escalates(servers, message)
    if end == "silenced":
        span = Duration(seconds=3600)
        await servers.attention.SilenceAlert(
            pb.SilenceAlertRequest(id=alert.id, duration=span, actor="Ann")
        )
    match end:
        case "resolved" | "silenced":
            await servers.at(alert.position_id, SAFE)
            await servers.at(alert.position_id, SAFE)
        case "closed":
            await servers.lets_go(alert.position_id)
            await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
        case "deleted":
            await servers.alerts.DeleteAlert(pb.DeleteAlertRequest(id=alert.id))
        case "cleared":
            await servers.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
        case "threshold":
            await judges(servers, enabled=False)
            await servers.evaluate()
        case _:
            off = pb.Alert(id=alert.id, status=pb.ALERT_STATUS_INACTIVE)
            mask = FieldMask(paths=["status"])
            await servers.alerts.UpdateAlert(pb.UpdateAlertRequest(alert=off, update_mask=mask))
    await quiet(servers, message)
    ends = [one for one in await servers.messages() if one.ends_incident]
    assert len(ends) == (end in ("resolved", "closed"))


@pytest.mark.parametrize("what", ["alert", "threshold"])
async def test_what_was_switched_off_while_raised_is_told_anew_when_it_is_on_again(
    servers: Servers, what: str
) -> None:
    alert, _ = await told(servers, HIGH_MARK)

    async def switch(*, on: bool) -> None:
        if what == "threshold":
            await judges(servers, enabled=on)
        else:
            status = pb.ALERT_STATUS_ACTIVE if on else pb.ALERT_STATUS_INACTIVE
            changed = pb.Alert(id=alert.id, status=status)
            mask = FieldMask(paths=["status"])
            await servers.alerts.UpdateAlert(pb.UpdateAlertRequest(alert=changed, update_mask=mask))
        await servers.evaluate()

    await switch(on=False)
    off = await servers.alert(TRAVEL)
    assert (off.level, off.status) == (pb.LEVEL_NORMAL, pb.ALERT_STATUS_INACTIVE)
    assert (await servers.entries())[-1].reason == "SWITCHED_OFF"
    servers.clock.advance(3 * 86400)
    await servers.at(alert.position_id, HIGH_MARK)
    assert len(await servers.messages()) == 1
    await switch(on=True)
    messages = await servers.messages()
    assert [one.subject[:5] for one in messages] == ["HIGH:"] * 2
    assert await escalates(servers, messages[1])


async def test_a_target_that_the_price_has_left_wakes_nobody_else(servers: Servers) -> None:
    rule = pb.Rule(
        asset="BTC", metric=pb.RULE_METRIC_PRICE_TARGET, direction=pb.RULE_DIRECTION_UP,
        threshold=110.0, recurrence=pb.RULE_RECURRENCE_RESET, level=pb.LEVEL_HIGH,
    )  # fmt: skip
    await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    await servers.price("BTC", 100.0, 111.0)
    (message,) = await servers.messages()
    assert await escalates(servers, message)
    await servers.price("BTC", 105.0)
    assert await escalates(servers, message), "one price is no fall"
    await servers.price("BTC", 104.0)
    await quiet(servers, message)
    assert len(await servers.messages()) == 1
    # When the cooldown is over.
    await servers.price("BTC", *[112.0] * 6)
    assert await escalates(servers, (await servers.messages())[1])


@pytest.mark.parametrize("what", ["deleted", "switched off", "armed again"])
async def test_a_market_rule_that_is_taken_back_wakes_nobody_else(
    servers: Servers, what: str
) -> None:
    rule = pb.Rule(
        asset="BTC", metric=pb.RULE_METRIC_MOVE_PERCENT, direction=pb.RULE_DIRECTION_UP,
        threshold=10.0,
        recurrence=pb.RULE_RECURRENCE_SINGLE, level=pb.LEVEL_HIGH,
    )  # fmt: skip
    made = await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    await servers.price("BTC", 100.0, 115.0)
    (message,) = await servers.messages()
    assert await escalates(servers, message)
    if what == "deleted":
        await servers.rules.DeleteRule(pb.DeleteRuleRequest(id=made.id))
    else:
        changed = pb.Rule(id=made.id, armed=what == "armed again")
        mask = FieldMask(paths=["armed" if changed.armed else "enabled"])
        await servers.rules.UpdateRule(pb.UpdateRuleRequest(rule=changed, update_mask=mask))
    await quiet(servers, message)
