"""Alerts, market rules and thresholds set by people: own limits, words, files; and no secret ever
leaves.
"""

from __future__ import annotations

import json

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb

from shared.errors import (
    AlreadyExists,
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    SonicError,
)
from tests.contract.alerts.conftest import Servers

TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
SECRET = "5Kb8kLf9zgWQnogidDA76MzPL6TsZZY36hWXMssSzNydYXYB69KF"


@pytest.fixture
def servers(without_xcom: Servers) -> Servers:
    return without_xcom


async def _update(servers: Servers, *mask: str, **fields: object) -> pb.Alert:
    request = pb.UpdateAlertRequest(alert=pb.Alert(**fields))
    request.update_mask.paths.extend(mask)
    return await servers.alerts.UpdateAlert(request)


async def _price(servers: Servers, price: float, stale: bool = False) -> pb.EvaluateAlertsResponse:
    servers.clock.advance(60)
    reading = pb.PriceReading(asset="BTC", price_usd=price, stale=stale)
    reading.price_time.FromDatetime(servers.clock.now())
    return await servers.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(prices=[reading]))


async def test_an_own_limit_by_names_of_people_judges_beside_the_thresholds(
    servers: Servers,
) -> None:
    id = await servers.hold(99.0)
    alert = pb.Alert(position_id=id, trigger_value=-2.0, notes="mine")
    request = pb.CreateAlertRequest(
        alert=alert, type_name="Travel Percent Liquid", condition_name="below"
    )
    made = await servers.alerts.CreateAlert(request)
    assert (made.type, made.position_id, made.asset) == (TRAVEL, id, "SOL")
    assert (made.trigger_value, made.notes) == (-2.0, "mine")
    assert (await servers.create()).created_count == 11  # the one that thresholds judge too
    await servers.evaluate()
    assert (await servers.alerts.GetAlert(pb.GetAlertRequest(id=made.id))).level == pb.LEVEL_HIGH
    restarted = await _restarted(servers, made.id)
    assert (restarted.trigger_value, restarted.notes, restarted.etag) == (-2.0, "mine", made.etag)


async def _restarted(servers: Servers, id: str) -> pb.Alert:
    await servers.stop("alerts")
    await servers.start_alerts()
    return await servers.alerts.GetAlert(pb.GetAlertRequest(id=id))


@pytest.mark.parametrize(
    ("alert", "type_name", "reason"),
    [
        ({"trigger_value": 1.0}, "speed", "UNKNOWN_NAME"),
        ({"trigger_value": 1.0}, "Travel Percent", "INVALID_FIELD"),
        ({"trigger_value": 1.0, "position_id": "nobody"}, "travel_percent", "POSITION_NOT_FOUND"),
        ({}, "total value", "INVALID_FIELD"),
        ({"trigger_value": float("inf")}, "total value", "NOT_FINITE"),
        ({"trigger_value": 1.0, "position_id": "p"}, "TotalValue", "INVALID_FIELD"),
        ({"trigger_value": 1.0}, "price", "INVALID_FIELD"),
        ({"trigger_value": 1.0}, "", "INVALID_FIELD"),
    ],
)
async def test_what_cannot_be_an_alert_is_refused(
    servers: Servers, alert: dict, type_name: str, reason: str
) -> None:
    request = pb.CreateAlertRequest(
        alert=pb.Alert(**alert), type_name=type_name, condition_name="Above"
    )
    with pytest.raises(SonicError) as caught:
        await servers.alerts.CreateAlert(request)
    assert caught.value.reason == reason


async def test_edits_name_their_fields_and_carry_an_etag(servers: Servers) -> None:
    await servers.hold(101.0)
    await servers.create()
    alert = await servers.alert(TRAVEL)
    edited = await _update(
        servers, id=alert.id, etag=alert.etag, notes="n", cooldown=Duration(seconds=60)
    )
    assert (edited.notes, edited.cooldown.seconds) == ("n", 60)
    with pytest.raises(Conflict) as caught:
        await _update(servers, id=alert.id, etag=alert.etag, notes="late")
    assert caught.value.reason == "ETAG_MISMATCH"
    both = await _update(
        servers, id=alert.id, trigger_value=4.0, condition=pb.CONDITION_ABOVE, starting_value=0.0
    )
    assert (both.trigger_value, both.condition, both.starting_value) == (
        4.0,
        pb.CONDITION_ABOVE,
        0.0,
    )
    await servers.evaluate()
    assert (await servers.alert(TRAVEL)).level == pb.LEVEL_HIGH
    # The one below is made again, and its condition is then taken.
    assert (await servers.create()).created_count == 1
    with pytest.raises(AlreadyExists):
        await _update(servers, id=alert.id, condition=pb.CONDITION_BELOW)
    bad = [
        {"condition": pb.CONDITION_ABOVE, "trigger_value": float("nan")},
        {"cooldown": Duration(seconds=-1)},
        {"status": pb.ALERT_STATUS_SILENCED}, {"status": 9},
    ]  # fmt: skip
    for fields in bad:
        with pytest.raises(InvalidArgument):
            await _update(servers, id=alert.id, **fields)


async def test_an_alert_switched_off_is_neither_judged_nor_told(servers: Servers) -> None:
    id = await servers.hold(101.0)
    await servers.create()
    alert = await servers.alert(TRAVEL)
    await _update(servers, id=alert.id, status=pb.ALERT_STATUS_INACTIVE)
    await servers.at(id, 89.0)
    seen = await servers.alert(TRAVEL)
    assert (seen.level, seen.status) == (pb.LEVEL_NORMAL, pb.ALERT_STATUS_INACTIVE)
    await _update(servers, id=alert.id, status=pb.ALERT_STATUS_ACTIVE)
    await servers.evaluate()
    assert (await servers.alert(TRAVEL)).level == pb.LEVEL_HIGH


async def test_a_market_rule_warns_fires_and_climbs_its_ladder(servers: Servers) -> None:
    rule = pb.Rule(
        asset="btc", metric=pb.RULE_METRIC_MOVE_PERCENT, direction=pb.RULE_DIRECTION_UP,
        threshold=10.0,
        recurrence=pb.RULE_RECURRENCE_LADDER, level=pb.LEVEL_HIGH,
    )  # fmt: skip
    made = await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    assert (made.id, made.armed, made.state) == ("rule-1", True, pb.RULE_STATE_UNSPECIFIED)
    assert not (await _price(servers, 100)).rule_events
    (warned,) = (await _price(servers, 108)).rule_events
    assert (warned.level_before, warned.level_after, warned.told) == (
        pb.LEVEL_NORMAL,
        pb.LEVEL_LOW,
        True,
    )
    await servers.stop("alerts")
    await servers.start_alerts()
    fired, ended = (await _price(servers, 125)).rule_events
    assert (fired.level_after, fired.told) == (pb.LEVEL_HIGH, True)
    assert (ended.level_before, ended.level_after, ended.told) == (
        pb.LEVEL_HIGH,
        pb.LEVEL_NORMAL,
        False,
    )
    after = await servers.rules.GetRule(pb.GetRuleRequest(id=made.id))
    assert (after.anchor_price_usd, after.breach_count) == (pytest.approx(121), 1)
    assert await servers.waiting() == 2
    await servers.start_xcom()
    await servers.stop("alerts")
    await servers.start_alerts()
    servers.clock.advance(31)
    subjects = {message.subject for message in await servers.messages()}
    assert subjects == {"LOW: BTC moved 8 % to 108 USD", "HIGH: BTC moved 25 % to 125 USD"}


async def test_a_rule_with_a_window_forgets_what_is_older(servers: Servers) -> None:
    rule = pb.Rule(
        asset="BTC", metric=pb.RULE_METRIC_MOVE_PERCENT, direction=pb.RULE_DIRECTION_BOTH,
        threshold=10.0,
        window=Duration(seconds=3600),
    )  # fmt: skip
    await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    for price in (100, 104, 106):
        assert not (await _price(servers, price)).rule_events
        servers.clock.advance(1740)
    assert not (await _price(servers, 111)).rule_events
    assert (await _price(servers, 117.5)).rule_events


async def test_a_stale_price_is_not_measured_from_before_its_window(servers: Servers) -> None:
    rule = pb.Rule(
        asset="BTC", metric=pb.RULE_METRIC_MOVE_PERCENT, direction=pb.RULE_DIRECTION_BOTH,
        threshold=10.0,
        window=Duration(seconds=3600),
    )  # fmt: skip
    await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    assert not (await _price(servers, 100)).rule_events
    servers.clock.advance(3 * 3600)
    for price in (150, 151):
        assert not (await _price(servers, price, stale=True)).rule_events
    assert not (await _price(servers, 152)).rule_events
    assert (await _price(servers, 170, stale=True)).rule_events


async def test_a_window_does_not_look_back_beyond_a_clearing(servers: Servers) -> None:
    rule = pb.Rule(
        asset="BTC", metric=pb.RULE_METRIC_MOVE_PERCENT, direction=pb.RULE_DIRECTION_BOTH,
        threshold=10.0,
        window=Duration(seconds=3600),
    )  # fmt: skip
    await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    assert not (await _price(servers, 100)).rule_events
    await servers.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
    assert not (await _price(servers, 150)).rule_events
    assert (await _price(servers, 170)).rule_events


async def test_rules_are_edited_with_an_etag_and_refused_by_name(servers: Servers) -> None:
    rule = pb.Rule(
        asset="BTC",
        metric=pb.RULE_METRIC_PRICE_TARGET,
        direction=pb.RULE_DIRECTION_CROSS,
        threshold=100.0,
    )
    made = await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    await _price(servers, 90)
    await _price(servers, 101)
    fired = await servers.rules.GetRule(pb.GetRuleRequest(id=made.id))
    assert (fired.armed, fired.state) == (False, pb.RULE_STATE_BREACH)
    change = pb.UpdateRuleRequest(rule=pb.Rule(id=made.id, armed=True, etag=made.etag))
    armed = await servers.rules.UpdateRule(change)
    assert (armed.armed, armed.state, armed.HasField("anchor_price_usd")) == (True, 0, False)
    with pytest.raises(Conflict):
        await servers.rules.UpdateRule(change)
    rule.recurrence = pb.RULE_RECURRENCE_LADDER
    with pytest.raises(InvalidArgument):
        await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    assert len((await servers.rules.ListRules(pb.ListRulesRequest())).rules) == 1
    await servers.rules.DeleteRule(pb.DeleteRuleRequest(id=made.id, etag=armed.etag))
    with pytest.raises(NotFound):
        await servers.rules.GetRule(pb.GetRuleRequest(id=made.id))


async def test_thresholds_travel_as_files(servers: Servers) -> None:
    exported = (await servers.thresholds.ExportThresholds(pb.ExportThresholdsRequest())).json
    same = await servers.thresholds.ImportThresholds(pb.ImportThresholdsRequest(json=exported))
    assert (same.created_count, same.changed_count, same.unchanged_count) == (0, 0, 16)
    older = json.dumps(
        {"alert_ranges": {"heat_index_ranges": {"low": 1, "medium": 2, "high": 3},
         "Travel Percent Liquid": {"low": -1, "medium": -2, "high": -3}}}
    )  # fmt: skip
    dry = await servers.thresholds.ImportThresholds(
        pb.ImportThresholdsRequest(json=older, dry_run=True)
    )
    wet = await servers.thresholds.ImportThresholds(pb.ImportThresholdsRequest(json=older))
    assert dry == wet == pb.ImportThresholdsResponse(changed_count=2)
    listed = (await servers.thresholds.ListThresholds(pb.ListThresholdsRequest())).thresholds
    (heat,) = [row for row in listed if row.id == "HEAT_INDEX-POSITION-ABOVE"]
    assert (heat.low, heat.medium, heat.high) == (1, 2, 3)
    before = await servers.thresholds.ExportThresholds(pb.ExportThresholdsRequest())
    for bad in (
        "[]", "{", '{"thresholds": [{"type": "HEAT_INDEX", "low": NaN}]}',
        '{"alert_ranges": {"speed": {}}}',
        '{"thresholds": [{"type": "heat", "low": 5}, {"type": "HEAT_INDEX", "low": 5, "high": 1}]}',
        json.dumps({"thresholds": [{"type": "HEAT_INDEX", "low": 9, "high": 1}]}),
        '{"thresholds": [{"type": "HEAT_INDEX", "surprise": 5}]}',
    ):  # fmt: skip
        with pytest.raises(InvalidArgument) as caught:
            await servers.thresholds.ImportThresholds(pb.ImportThresholdsRequest(json=bad))
        assert caught.value.reason == "BAD_IMPORT"
    assert await servers.thresholds.ExportThresholds(pb.ExportThresholdsRequest()) == before


async def test_a_limit_that_was_taken_away_is_not_there_either_where_its_export_is_read(
    servers: Servers,
) -> None:
    default = pb.Threshold(id="HEAT_INDEX-POSITION-ABOVE", low=30.0)
    mask = FieldMask(paths=["low"])
    update = pb.UpdateThresholdRequest(threshold=default, update_mask=mask)
    update.threshold.ClearField("low")
    await servers.thresholds.UpdateThreshold(update)
    without = (await servers.thresholds.ExportThresholds(pb.ExportThresholdsRequest())).json
    await servers.thresholds.UpdateThreshold(
        pb.UpdateThresholdRequest(threshold=default, update_mask=mask)
    )
    back = await servers.thresholds.ImportThresholds(pb.ImportThresholdsRequest(json=without))
    assert (back.created_count, back.changed_count) == (0, 1)
    assert (await servers.thresholds.ExportThresholds(pb.ExportThresholdsRequest())).json == without


async def test_a_threshold_of_an_asset_comes_and_goes(servers: Servers) -> None:
    wish = pb.Threshold(
        type=pb.ALERT_TYPE_HEAT_INDEX, condition=pb.CONDITION_ABOVE, asset="sol", low=1.0, high=2.0
    )
    made = await servers.thresholds.CreateThreshold(pb.CreateThresholdRequest(threshold=wish))
    assert (made.id, made.enabled) == ("HEAT_INDEX-POSITION-ABOVE-SOL", True)
    with pytest.raises(AlreadyExists):
        await servers.thresholds.CreateThreshold(pb.CreateThresholdRequest(threshold=wish))
    with pytest.raises(Conflict):
        await servers.thresholds.DeleteThreshold(pb.DeleteThresholdRequest(id=made.id, etag="r9"))
    await servers.thresholds.DeleteThreshold(pb.DeleteThresholdRequest(id=made.id, etag=made.etag))
    with pytest.raises(NotFound):
        await servers.thresholds.DeleteThreshold(pb.DeleteThresholdRequest(id=made.id))
    with pytest.raises(FailedPrecondition) as caught:
        await servers.thresholds.DeleteThreshold(
            pb.DeleteThresholdRequest(id="HEAT_INDEX-POSITION-ABOVE")
        )
    assert caught.value.reason == "THRESHOLD_IS_DEFAULT"
    assert (await servers.entries())[-1].reason == "THRESHOLD_DELETED"


async def test_no_secret_and_no_address_reaches_messages_ledger_or_logs(
    servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"
    wallet = positions_pb.Wallet(
        name="canary", chain=positions_pb.CHAIN_SOLANA, public_address=address
    )
    await servers.wallets.CreateWallet(positions_pb.CreateWalletRequest(wallet=wallet))
    await servers.start_xcom()
    await servers.stop("alerts")
    await servers.start_alerts(alerts_ledger_key=SECRET)
    await servers.hold(89.0, wallet="canary")
    await servers.create()
    alert = await servers.alert(TRAVEL)
    await _update(servers, id=alert.id, notes="of the canary")
    await servers.evaluate()
    messages = await servers.messages()
    assert any("canary" in message.body for message in messages)
    lines = [part.lines async for part in servers.ledger.ExportLedger(pb.ExportLedgerRequest())]
    captured = capsys.readouterr()
    spoken = "".join([*map(str, messages), *lines, captured.out, captured.err])
    assert SECRET not in spoken
    assert address not in spoken
    exported = [json.loads(line)["sequence"] for line in "".join(lines).splitlines()]
    assert exported == list(range(1, len(exported) + 1))
