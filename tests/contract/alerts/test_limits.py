"""Thresholds over the wire: defaults, edits, lost updates, and what they do to alerts."""

from __future__ import annotations

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.errors import Conflict, InvalidArgument, NotFound, SonicError
from tests.contract.alerts.conftest import Servers

DEFAULTS = {
    "HEAT_INDEX-POSITION-ABOVE": (30, 40, 50),
    "TRAVEL_PERCENT-POSITION-BELOW": (-20, -35, -50),
    "LIQUIDATION_DISTANCE-POSITION-BELOW": (10, 7, 5),
    "LIQUIDATION_DISTANCE-POSITION-BELOW-ETH": (16, 11, 8),
    "LIQUIDATION_DISTANCE-POSITION-BELOW-SOL": (14, 10, 7),
    "LIQUIDATION_PROBABILITY-POSITION-ABOVE": (0.05, 0.15, 0.30),
    "PROFIT-POSITION-ABOVE": (10, 25, 50),
    "TOTAL_PROFIT-PORTFOLIO-ABOVE": (25, 50, 75),
    "TOTAL_VALUE-PORTFOLIO-ABOVE": (10000, 25000, 50000),
    "TOTAL_SIZE-PORTFOLIO-ABOVE": (10000, 50000, 100000),
    "AVG_LEVERAGE-PORTFOLIO-ABOVE": (2, 5, 10),
    "AVG_TRAVEL_PERCENT-PORTFOLIO-BELOW": (-10, -25, -50),
    "VALUE_TO_COLLATERAL_RATIO-PORTFOLIO-BELOW": (0.9, 0.7, 0.5),
    "TOTAL_HEAT-PORTFOLIO-ABOVE": (30, 40, 50),
    "ACCOUNT_DISTANCE-ACCOUNT-BELOW": (10, 7, 5),
    "WALLET_EXPOSURE-ACCOUNT-ABOVE": (3, 6, 10),
}
HEAT = "HEAT_INDEX-POSITION-ABOVE"


async def _update(
    servers: Servers, *mask: str, allow_missing: bool = False, **fields: object
) -> pb.Threshold:
    request = pb.UpdateThresholdRequest(
        threshold=pb.Threshold(**fields), allow_missing=allow_missing
    )
    request.update_mask.paths.extend(mask)
    return await servers.thresholds.UpdateThreshold(request)


async def test_a_new_system_has_the_defaults(without_xcom: Servers) -> None:
    listed = (await without_xcom.thresholds.ListThresholds(pb.ListThresholdsRequest())).thresholds
    assert {row.id: (row.low, row.medium, row.high) for row in listed} == DEFAULTS
    assert all(row.enabled for row in listed)
    for row in listed:
        words = row.id.split("-")
        assert pb.AlertType.Name(row.type) == f"ALERT_TYPE_{words[0]}"
        assert pb.AlertClass.Name(row.alert_class) == f"ALERT_CLASS_{words[1]}"
        assert pb.Condition.Name(row.condition) == f"CONDITION_{words[2]}"


async def test_only_named_fields_change_and_the_etag_moves(servers: Servers) -> None:
    first = await _update(servers, "high", id=HEAT, high=90.0, low=1.0)
    assert (first.low, first.medium, first.high) == (30, 40, 90)
    second = await _update(servers, id=HEAT, low_channels=["Email", " email "], etag=first.etag)
    assert list(second.low_channels) == ["email"]
    with pytest.raises(Conflict) as caught:
        await _update(servers, id=HEAT, low=1.0, etag=first.etag)
    assert caught.value.reason == "ETAG_MISMATCH"
    last = (await servers.entries())[-1]
    assert (last.reason, last.subject) == ("THRESHOLD_CHANGED", HEAT)


@pytest.mark.parametrize(
    ("mask", "fields", "reason"),
    [
        (["low"], {"id": HEAT, "low": 60.0}, "LIMITS_OUT_OF_ORDER"),
        (["low"], {"id": HEAT, "low": float("nan")}, "NOT_FINITE"),
        (["type"], {"id": HEAT}, "UNKNOWN_FIELD"),
        (["low"], {"id": "NOTHING", "low": 1.0}, "THRESHOLD_NOT_FOUND"),
        (["low", "medium", "high"], {"id": HEAT}, "INVALID_FIELD"),
    ],
)
async def test_a_bad_edit_is_refused_by_name(
    without_xcom: Servers, mask: list, fields: dict, reason: str
) -> None:
    with pytest.raises(SonicError) as caught:
        await _update(without_xcom, *mask, **fields)
    assert caught.value.reason == reason
    listed = (await without_xcom.thresholds.ListThresholds(pb.ListThresholdsRequest())).thresholds
    assert {row.id: (row.low, row.medium, row.high) for row in listed} == DEFAULTS


async def test_a_new_one_is_made_by_id_or_by_its_words(without_xcom: Servers) -> None:
    by_id = await _update(without_xcom, id=f"{HEAT}-SOL", high=10.0, allow_missing=True)
    assert (by_id.asset, by_id.enabled, by_id.HasField("low")) == ("SOL", True, False)
    by_words = await _update(
        without_xcom, type=pb.ALERT_TYPE_HEAT_INDEX, condition=pb.CONDITION_ABOVE, asset="btc",
        high=10.0,
        allow_missing=True,
    )  # fmt: skip
    assert by_words.id == f"{HEAT}-BTC"
    with pytest.raises(InvalidArgument):
        await _update(
            without_xcom, id=HEAT, type=pb.ALERT_TYPE_PROFIT, condition=pb.CONDITION_ABOVE, high=1.0
        )


async def test_a_disabled_threshold_neither_judges_nor_tells(without_xcom: Servers) -> None:
    id = await without_xcom.hold(89.0)
    await without_xcom.create()
    await _update(without_xcom, "enabled", id="TRAVEL_PERCENT-POSITION-BELOW", enabled=False)
    await without_xcom.evaluate()
    alert = await without_xcom.alert(pb.ALERT_TYPE_TRAVEL_PERCENT, id)
    assert (alert.level, alert.status) == (pb.LEVEL_NORMAL, pb.ALERT_STATUS_INACTIVE)
    summary = await without_xcom.alerts.GetSummary(pb.GetSummaryRequest())
    assert pb.ALERT_TYPE_TRAVEL_PERCENT not in {metric.type for metric in summary.metrics}
    await _update(without_xcom, "enabled", id="TRAVEL_PERCENT-POSITION-BELOW", enabled=True)
    await without_xcom.evaluate()
    assert (await without_xcom.alert(pb.ALERT_TYPE_TRAVEL_PERCENT, id)).level == pb.LEVEL_HIGH


async def test_the_limit_of_an_asset_wins(without_xcom: Servers) -> None:
    # 11 percent from liquidation: LOW for SOL, nothing for BTC.
    terms = {"entry_price_usd": 100.0, "liquidation_price_usd": 89.0}
    sol = await without_xcom.hold(100.0, **terms)
    btc = await without_xcom.hold(100.0, asset="BTC", **terms)
    await without_xcom.create()
    await without_xcom.evaluate()
    levels = [
        (await without_xcom.alert(pb.ALERT_TYPE_LIQUIDATION_DISTANCE, id)).level
        for id in (sol, btc)
    ]
    assert levels == [pb.LEVEL_LOW, pb.LEVEL_NORMAL]


async def test_a_price_limit_watches_its_asset_on_both_sides(without_xcom: Servers) -> None:
    for condition, high in ((pb.CONDITION_ABOVE, 110.0), (pb.CONDITION_BELOW, 90.0)):
        await _update(
            without_xcom, type=pb.ALERT_TYPE_PRICE_THRESHOLD, condition=condition, asset="BTC",
            high=high,
            allow_missing=True,
        )  # fmt: skip
    await without_xcom.create()
    assert (await without_xcom.create()).created_count == 0

    async def at(price: float | None, stale: bool = False) -> list[int]:
        without_xcom.clock.advance(10)
        reading = pb.PriceReading(asset="BTC", price_usd=price, stale=stale)
        reading.price_time.FromDatetime(without_xcom.clock.now())
        await without_xcom.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(prices=[reading]))
        request = pb.ListAlertsRequest(alert_class=pb.ALERT_CLASS_MARKET)
        alerts = (await without_xcom.alerts.ListAlerts(request)).alerts
        return [alert.level for alert in sorted(alerts, key=lambda alert: alert.condition)]

    assert await at(100) == [pb.LEVEL_NORMAL, pb.LEVEL_NORMAL]
    assert await at(110) == [pb.LEVEL_HIGH, pb.LEVEL_NORMAL]
    assert await at(100, stale=True) == [pb.LEVEL_HIGH, pb.LEVEL_NORMAL]
    assert await at(None) == [pb.LEVEL_HIGH, pb.LEVEL_NORMAL]
    assert await at(89) == [pb.LEVEL_HIGH, pb.LEVEL_HIGH]
    assert await at(89) == [pb.LEVEL_NORMAL, pb.LEVEL_HIGH]


async def test_deleting_needs_an_alert_and_is_recorded(without_xcom: Servers) -> None:
    id = await without_xcom.hold(100.0)
    await without_xcom.create()
    alert = await without_xcom.alert(pb.ALERT_TYPE_HEAT_INDEX, id)
    await without_xcom.alerts.DeleteAlert(pb.DeleteAlertRequest(id=alert.id))
    for gone in (alert.id, "alert-x", "nonsense"):
        with pytest.raises(NotFound) as caught:
            await without_xcom.alerts.GetAlert(pb.GetAlertRequest(id=gone))
        assert caught.value.reason == "ALERT_NOT_FOUND"
    assert (await without_xcom.entries())[-1].reason == "DELETED"
    assert (await without_xcom.create()).created_count == 1
