"""Alerts made by hand: their own beside those of the thresholds, and what cannot be judged is
refused.
"""

from __future__ import annotations

import json
from datetime import timedelta

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.errors import AlreadyExists, InvalidArgument, SonicError
from tests.contract.alerts.conftest import Servers

HEAT, TRAVEL = pb.ALERT_TYPE_HEAT_INDEX, pb.ALERT_TYPE_TRAVEL_PERCENT
PRICE, DELTA, TIME = pb.ALERT_TYPE_PRICE_THRESHOLD, pb.ALERT_TYPE_DELTA_CHANGE, pb.ALERT_TYPE_TIME
ABOVE, BELOW = pb.CONDITION_ABOVE, pb.CONDITION_BELOW


async def _make(servers: Servers, after: float = 0, **fields: object) -> pb.Alert:
    request = pb.CreateAlertRequest(alert=pb.Alert(**fields))
    if after:
        request.after.FromTimedelta(timedelta(seconds=after))
    return await servers.alerts.CreateAlert(request)


async def _get(servers: Servers, id: str) -> pb.Alert:
    return await servers.alerts.GetAlert(pb.GetAlertRequest(id=id))


async def _cycle(
    servers: Servers, number: int, seconds: int = 60, **prices: float
) -> pb.EvaluateAlertsResponse:
    """A minute later a cycle judges by these prices."""
    servers.clock.advance(seconds)
    request = pb.EvaluateAlertsRequest(cycle_id=f"cycle-{number}", epoch=1)
    for asset, price in prices.items():
        request.prices.add(asset=asset, price_usd=price).price_time.FromDatetime(
            servers.clock.now()
        )
    return await servers.alerts.EvaluateAlerts(request)


async def test_creation_never_rewrites_what_the_thresholds_judge(without_xcom: Servers) -> None:
    servers = without_xcom
    id = await servers.hold(101.0)
    await servers.create()
    automatic = await servers.alert(HEAT, id)
    made = await _make(servers, type=HEAT, condition=ABOVE, position_id=id, trigger_value=99.0)
    assert made.id != automatic.id
    assert await _get(servers, automatic.id) == automatic
    await servers.mark(id, 81.0)
    await servers.evaluate()
    assert (await _get(servers, automatic.id)).level == pb.LEVEL_HIGH
    assert (await _get(servers, made.id)).level == pb.LEVEL_NORMAL
    # Another limit is another alert; the same one is there.
    other = await _make(servers, type=HEAT, condition=ABOVE, position_id=id, trigger_value=60.0)
    with pytest.raises(AlreadyExists) as caught:
        await _make(servers, type=HEAT, condition=ABOVE, position_id=id, trigger_value=60.0)
    assert (caught.value.reason, caught.value.metadata["alert_id"]) == ("ALREADY_THERE", other.id)
    assert other.id in caught.value.message
    assert (await servers.create()).created_count == 0


async def test_an_alert_by_hand_comes_first_and_the_thresholds_still_get_theirs(
    without_xcom: Servers,
) -> None:
    id = await without_xcom.hold(101.0)
    made = await _make(without_xcom, type=HEAT, condition=ABOVE, position_id=id, trigger_value=99.0)
    assert (await without_xcom.create()).created_count == 11
    request = pb.UpdateAlertRequest(
        alert=pb.Alert(id=made.id), update_mask={"paths": ["trigger_value"]}
    )
    with pytest.raises(InvalidArgument) as caught:
        await without_xcom.alerts.UpdateAlert(request)
    assert "of its own" in caught.value.message


async def test_a_home_disarmed_before_is_armed_again(without_xcom: Servers) -> None:
    servers = without_xcom
    id = await servers.hold(101.0)
    await servers.create()
    automatic = await servers.alert(HEAT, id)
    await servers.stop("alerts")
    owner = await asyncpg.connect(servers.databases.owner_url("alerts"))
    # As the creation of old left it, and what the migration makes of it.
    await owner.execute(
        "update alert set trigger_value = 150 where alert_key = $1", int(automatic.id[6:])
    )
    await owner.execute("update alert set trait_bits = trait_bits | 4 where trigger_value <> 'NaN'")
    await owner.execute(
        "update service_state set complete = false, alert_version = alert_version + 1"
    )
    await owner.close()
    await servers.start_alerts()
    assert (await servers.create()).created_count == 1
    await servers.mark(id, 81.0)
    await servers.evaluate()
    alerts = (
        await servers.alerts.ListAlerts(pb.ListAlertsRequest(type=HEAT, position_id=id))
    ).alerts
    assert [alert.level for alert in alerts] == [pb.LEVEL_HIGH, pb.LEVEL_NORMAL]


NO_LIMITS = [
    (HEAT, ABOVE, 150.0), (HEAT, ABOVE, -1.0), (TRAVEL, BELOW, -101.0),
    (pb.ALERT_TYPE_LIQUIDATION_DISTANCE, BELOW, -200.0), (pb.ALERT_TYPE_LIQUIDATION_DISTANCE,
    ABOVE, 101.0),
    (pb.ALERT_TYPE_LIQUIDATION_PROBABILITY, ABOVE, 5.0), (pb.ALERT_TYPE_AVG_LEVERAGE, ABOVE, 0.0),
    (pb.ALERT_TYPE_TOTAL_HEAT, ABOVE, 101.0), (PRICE, BELOW, -5.0), (PRICE, ABOVE, 0.0),
    (DELTA, ABOVE, -5.0), (DELTA, BELOW, 5.0), (DELTA, BELOW, -100.0), (DELTA, ABOVE, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "condition", "limit"), NO_LIMITS)
async def test_a_limit_its_metric_never_reaches_is_refused_everywhere(
    without_xcom: Servers, kind: int, condition: int, limit: float
) -> None:
    servers = without_xcom
    id = await servers.hold(101.0)
    await servers.create()
    is_position = kind in (HEAT, TRAVEL) or "LIQUIDATION" in pb.AlertType.Name(kind)
    about = (
        {"position_id": id} if is_position else {"asset": "BTC"} if kind in (PRICE, DELTA) else {}
    )
    before = await servers.entries()
    refused = [_make(servers, type=kind, condition=condition, trigger_value=limit, **about)]
    if kind != DELTA:
        wish = pb.Threshold(
            type=kind, condition=condition, high=limit, asset=about.get("asset", "")
        )
        fields = {"type": pb.AlertType.Name(kind).removeprefix("ALERT_TYPE_"), "high": limit}
        fields["condition"] = pb.Condition.Name(condition).removeprefix("CONDITION_")
        text = json.dumps(
            {"thresholds": [{**fields, **({"asset": "BTC"} if kind == PRICE else {})}]}
        )
        change = pb.UpdateThresholdRequest(threshold=wish, allow_missing=True)
        refused += [
            servers.thresholds.UpdateThreshold(change),
            servers.thresholds.ImportThresholds(pb.ImportThresholdsRequest(json=text)),
        ]
    if is_position and condition == (ABOVE if kind == HEAT else BELOW):
        alert = await servers.alert(kind, id)
        edit = pb.Alert(id=alert.id, trigger_value=limit)
        refused.append(servers.alerts.UpdateAlert(pb.UpdateAlertRequest(alert=edit)))
    for call in refused:
        with pytest.raises(InvalidArgument) as caught:
            await call
        assert caught.value.reason in ("INVALID_FIELD", "BAD_IMPORT")
    assert await servers.entries() == before


async def test_channels_nobody_has_are_refused_with_those_there_are(servers: Servers) -> None:
    id = await servers.hold(101.0)
    await servers.create()
    alert = await servers.alert(HEAT, id)
    threshold = pb.Threshold(id="HEAT_INDEX-POSITION-ABOVE", low_channels=["Email", "pigeon"])
    rule = pb.Rule(asset="BTC", metric=1, direction=1, threshold=5.0, channels=["pigeon"])
    text = json.dumps({"thresholds": [{"type": "HEAT_INDEX", "high_channels": ["pigeon"]}]})
    own = {"type": HEAT, "condition": ABOVE, "position_id": id, "trigger_value": 60.0}
    for call in (
        _make(servers, **own, channels=["pigeon"]),
        servers.alerts.UpdateAlert(
            pb.UpdateAlertRequest(alert=pb.Alert(id=alert.id, channels=["pigeon"]))
        ),
        servers.thresholds.UpdateThreshold(pb.UpdateThresholdRequest(threshold=threshold)),
        servers.thresholds.ImportThresholds(pb.ImportThresholdsRequest(json=text)),
        servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule)),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await call
        assert caught.value.reason in ("UNKNOWN_NAME", "BAD_IMPORT")
        assert "pigeon" in caught.value.message
        assert "telegram" in caught.value.message
    made = await _make(servers, **own, channels=["Telegram", "email"])
    assert list(made.channels) == ["telegram", "email"]


async def test_channels_that_nobody_can_check_are_not_taken_on_trust(without_xcom: Servers) -> None:
    with pytest.raises(SonicError) as caught:
        await _make(
            without_xcom,
            type=PRICE,
            condition=ABOVE,
            asset="BTC",
            trigger_value=1.0,
            channels=["sms"],
        )
    assert caught.value.reason == "XCOM_UNAVAILABLE"


async def test_assets_that_no_cycle_brings_are_refused_with_those_it_does(
    without_xcom: Servers,
) -> None:
    servers = without_xcom
    await servers.hold(101.0, asset="DOGE")
    await servers.create()
    await _cycle(servers, 1, BTC=100.0, SPX=5000.0)
    text = json.dumps({"thresholds": [{"type": "price", "asset": "PEPE", "high": 1}]})
    rule = pb.Rule(asset="PEPE", metric=1, direction=1, threshold=5.0)
    limit = pb.Threshold(type=PRICE, condition=ABOVE, asset="DOGE", high=1.0)
    for call in (
        _make(servers, type=PRICE, condition=ABOVE, asset="PEPE", trigger_value=1.0),
        _make(servers, type=DELTA, condition=ABOVE, asset="PEPE", trigger_value=1.0),
        servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule)),
        servers.thresholds.CreateThreshold(pb.CreateThresholdRequest(threshold=limit)),
        servers.thresholds.ImportThresholds(pb.ImportThresholdsRequest(json=text)),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await call
        assert "BTC, SPX" in caught.value.message
    # Positions in it are held: their limits may differ by it.
    limit = pb.Threshold(type=HEAT, condition=ABOVE, asset="DOGE", high=60.0)
    assert (
        await servers.thresholds.CreateThreshold(pb.CreateThresholdRequest(threshold=limit))
    ).enabled
    # Known over a restart, and asked anew by every cycle.
    await servers.stop("alerts")
    await servers.start_alerts()
    await _cycle(servers, 2, BTC=100.0, PEPE=1.0)
    assert (
        await _make(servers, type=PRICE, condition=ABOVE, asset="PEPE", trigger_value=1.0)
    ).asset == "PEPE"


async def test_the_ledger_of_an_edit_says_what_was_and_what_is(servers: Servers) -> None:
    id = await servers.hold(101.0)
    await servers.create()
    alert = await servers.alert(HEAT, id)
    edit = pb.Alert(
        id=alert.id, notes="look twice", channels=["email"], status=pb.ALERT_STATUS_INACTIVE
    )
    await servers.alerts.UpdateAlert(pb.UpdateAlertRequest(alert=edit))
    inputs = json.loads((await servers.entries())[-1].inputs_json)
    assert inputs == {
        "before": {"notes": "", "channels": [], "status": "ACTIVE"},
        "after": {"notes": "look twice", "channels": ["email"], "status": "INACTIVE"},
    }
    rule = pb.Rule(asset="BTC", metric=1, direction=1, threshold=5.0, notes="first")
    made = await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    assert (
        json.loads((await servers.entries())[-1].inputs_json)["after"]["metric"] == "MOVE_PERCENT"
    )
    change = pb.Rule(id=made.id, notes="second", level=pb.LEVEL_HIGH)
    await servers.rules.UpdateRule(pb.UpdateRuleRequest(rule=change))
    inputs = json.loads((await servers.entries())[-1].inputs_json)
    assert inputs["before"] == {"level": "MEDIUM", "notes": "first"}
    assert inputs["after"] == {"level": "HIGH", "notes": "second"}


@pytest.mark.slow
async def test_a_price_change_is_measured_from_its_start(servers: Servers) -> None:
    made = await _make(servers, type=DELTA, condition=BELOW, asset="btc", trigger_value=-5.0)
    assert not made.HasField("starting_value")
    await _cycle(servers, 1, BTC=200.0)
    started = await _get(servers, made.id)
    assert (started.starting_value, started.evaluated_value, started.level) == (
        200.0,
        0.0,
        pb.LEVEL_NORMAL,
    )
    assert "NORMAL until price change <= -5 %" in started.why
    await servers.stop("alerts")
    await servers.start_alerts()
    answer = await _cycle(servers, 2, BTC=189.0)
    assert [(one.alert_id, one.told) for one in answer.transitions] == [(made.id, True)]
    (message,) = await servers.messages()
    assert message.subject == "HIGH: BTC price change -5.5 %"
    assert (message.facts["starting_price_usd"], message.facts["price_usd"]) == ("200", "189")
    entry = (await servers.entries())[-1]
    assert (entry.reason, entry.value, entry.flip_value) == ("RAISED", -5.5, -4.75)
    # Above the flip twice: over; an own start moves it.
    for number, price in ((3, 199.0), (4, 199.0)):
        await _cycle(servers, number, BTC=price)
    assert (await _get(servers, made.id)).level == pb.LEVEL_NORMAL
    edit = pb.Alert(id=made.id, starting_value=300.0)
    await servers.alerts.UpdateAlert(pb.UpdateAlertRequest(alert=edit))
    await _cycle(servers, 5, BTC=199.0)
    assert (await _get(servers, made.id)).level == pb.LEVEL_HIGH
    listed = await servers.alerts.ListAlerts(pb.ListAlertsRequest(type=DELTA))
    assert [alert.id for alert in listed.alerts] == [made.id]
    await servers.alerts.DeleteAlert(pb.DeleteAlertRequest(id=made.id))
    assert not (await servers.alerts.ListAlerts(pb.ListAlertsRequest(type=DELTA))).alerts


async def test_a_moment_is_told_once_stands_an_hour_and_is_over(servers: Servers) -> None:
    await servers.only()
    made = await _make(servers, after=600, type=TIME, notes="look at the funding")
    assert made.trigger_time.ToDatetime() == (servers.clock.now() + timedelta(seconds=600)).replace(
        tzinfo=None
    )
    assert not made.HasField("trigger_value")
    assert made.why == "NORMAL: its moment is 2026-03-01 12:10 UTC"
    assert not (await _cycle(servers, 1, 540)).transitions
    assert (await _cycle(servers, 2, 60)).transitions[0].told
    standing = await _get(servers, made.id)
    assert standing.level == pb.LEVEL_HIGH
    assert standing.why == "HIGH until 2026-03-01 13:10 UTC, then it is over"
    (message,) = await servers.messages()
    assert message.subject == "HIGH: look at the funding (2026-03-01T12:10:00.000Z)"
    entry = (await servers.entries())[-1]
    assert (entry.reason, entry.flip_value) == (
        "RAISED",
        (servers.clock.now() + timedelta(hours=1)).timestamp(),
    )
    for number, seconds in ((3, 3000), (4, 700), (5, 60)):
        await _cycle(servers, number, seconds)
    assert (await _get(servers, made.id)).level == pb.LEVEL_NORMAL
    await _cycle(servers, 6, 86400)
    assert (await _get(servers, made.id)).level == pb.LEVEL_NORMAL
    assert len(await servers.messages()) == 1
    # A later moment arms it again.
    later = pb.Alert(id=made.id)
    later.trigger_time.FromDatetime(servers.clock.now() + timedelta(hours=1))
    await servers.alerts.UpdateAlert(pb.UpdateAlertRequest(alert=later))
    assert not (await _cycle(servers, 7)).transitions
    assert (await _cycle(servers, 8, 3600)).transitions[0].told
    await servers.alerts.DeleteAlert(pb.DeleteAlertRequest(id=made.id))


async def test_a_moment_that_passed_while_nobody_judged_is_told_late(servers: Servers) -> None:
    made = await _make(servers, after=60, type=TIME)
    await servers.stop("alerts")
    servers.clock.advance(6 * 3600)
    await servers.start_alerts()
    answer = await _cycle(servers, 1)
    assert [(one.alert_id, one.told) for one in answer.transitions] == [(made.id, True)]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": TIME},
        {"type": TIME, "trigger_value": 5.0},
        {"type": TIME, "after": 60, "trigger_time": {"seconds": 4_000_000_000}},
        {"type": TIME, "trigger_time": {"seconds": 1_000_000_000}},
        {"type": TIME, "trigger_time": {"seconds": 20_000_000_000}},
        {"type": TIME, "after": -60},
        {"type": TIME, "after": 11 * 366 * 86400},
        {"type": TIME, "after": 60, "condition": BELOW},
        {"type": TIME, "after": 60, "asset": "BTC"},
        {"type": DELTA, "condition": ABOVE, "trigger_value": 5.0},
        {
            "type": DELTA,
            "condition": ABOVE,
            "trigger_value": 5.0,
            "asset": "BTC",
            "starting_value": -1.0,
        },
        {"type": DELTA, "condition": ABOVE, "asset": "BTC", "after": 60},
        {"type": pb.ALERT_TYPE_DEATH_NAIL, "condition": ABOVE, "trigger_value": 1.0},
    ],
)
async def test_what_is_no_moment_and_no_change_is_refused(
    without_xcom: Servers, fields: dict
) -> None:
    with pytest.raises(InvalidArgument):
        await _make(without_xcom, **fields)
    assert not (await without_xcom.alerts.ListAlerts(pb.ListAlertsRequest())).alerts


async def test_no_threshold_judges_a_change_or_a_moment_and_says_who_does(
    without_xcom: Servers,
) -> None:
    wish = pb.Threshold(type=DELTA, condition=ABOVE, asset="BTC", high=5.0)
    with pytest.raises(InvalidArgument) as caught:
        await without_xcom.thresholds.CreateThreshold(pb.CreateThresholdRequest(threshold=wish))
    assert "CreateAlert" in caught.value.message


async def test_a_range_changes_what_it_mentions_and_nothing_else(without_xcom: Servers) -> None:
    async def take(content: object, dry_run: bool = False) -> pb.ImportThresholdsResponse:
        request = pb.ImportThresholdsRequest(json=json.dumps(content), dry_run=dry_run)
        return await without_xcom.thresholds.ImportThresholds(request)

    async def limits() -> tuple[float, ...]:
        listed = (
            await without_xcom.thresholds.ListThresholds(pb.ListThresholdsRequest())
        ).thresholds
        (heat,) = [row for row in listed if row.id == "HEAT_INDEX-POSITION-ABOVE"]
        return heat.low, heat.medium, heat.high

    await take({"alert_ranges": {"heat_index_ranges": {"low": 20, "medium": 35}}})
    assert await limits() == (20, 35, 50)
    await take({"thresholds": [{"type": "HEAT_INDEX", "high": 60}]})
    assert await limits() == (20, 35, 60)
    for content, named in (
        ({"alert_ranges": {"heat_index": {"lwo": 1}}}, "lwo"),
        ({"alert_ranges": {"heat_index": {"low": True}}}, "low is a finite number"),
        ({"alert_ranges": {"heat_index": {"type": "PROFIT", "low": 1}}}, "not known: type"),
        ({"alert_ranges": {"heat_index": 5}}, "an object is needed"),
        ({"alert_ranges": [], "thresholds": []}, "alert_ranges"),
        ({"alert_range": {}, "thresholds": [{"type": "HEAT_INDEX", "high": 61}]}, "alert_range"),
        ({"thresholds": [{"type": "HEAT_INDEX", "high": 150}]}, "at most 100"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await take(content)
        assert named in caught.value.message
    assert await limits() == (20, 35, 60)
