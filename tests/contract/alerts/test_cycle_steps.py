"""Steps of a cycle: once each, fenced, right after a restart and on every replica."""

from __future__ import annotations

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb

from services.alerts.alerts.domain.views import MOST_URGENT, Filter
from shared import paging
from shared.errors import Conflict, InvalidArgument, Unavailable
from tests.contract.alerts.conftest import Servers

TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
SAFE, HIGH_MARK = 101.0, 89.0
OPPORTUNITIES = {
    pb.ALERT_TYPE_PROFIT,
    pb.ALERT_TYPE_TOTAL_PROFIT,
    pb.ALERT_TYPE_TOTAL_VALUE,
    pb.ALERT_TYPE_TOTAL_SIZE,
}


@pytest.fixture
def servers(without_xcom: Servers) -> Servers:
    return without_xcom


async def _high(servers: Servers) -> str:
    id = await servers.hold(HIGH_MARK)
    await servers.create()
    await servers.evaluate()
    return id


async def test_a_step_done_before_answers_from_its_record(servers: Servers) -> None:
    await servers.hold(HIGH_MARK)
    created = await servers.create("cycle-1", 1)
    assert await servers.create("cycle-1", 1) == created
    evaluated = await servers.evaluate("cycle-1", 1)
    entries = await servers.entries()
    assert evaluated.raised_count > 0
    assert await servers.evaluate("cycle-1", 1) == evaluated
    assert await servers.entries() == entries


async def test_a_paused_caller_is_refused_everywhere(servers: Servers) -> None:
    await _high(servers)
    await servers.evaluate("cycle-2", 5)
    before = await servers.entries()
    cleared = servers.alerts.ClearStaleAlerts(
        pb.ClearStaleAlertsRequest(cycle_id="cycle-1", epoch=4)
    )
    flushed = servers.alerts.FlushOutbox(pb.FlushOutboxRequest(cycle_id="cycle-1", epoch=4))
    died = servers.alerts.RaiseDeath(
        pb.RaiseDeathRequest(incident="cycle", summary="late", cycle_id="cycle-1", epoch=4)
    )
    for call in (
        servers.create("cycle-1", 4),
        servers.evaluate("cycle-1", 4),
        cleared,
        flushed,
        died,
    ):
        with pytest.raises(Conflict) as caught:
            await call
        assert caught.value.reason == "STALE_EPOCH"
    assert await servers.entries() == before


async def test_without_positions_no_level_falls_and_no_alert_goes(servers: Servers) -> None:
    id = await _high(servers)
    before = await servers.entries()
    await servers.stop("positions")
    evaluated = await servers.evaluate("cycle-1", 1)
    assert (evaluated.evaluated_count, evaluated.unjudged_count, evaluated.lowered_count) == (
        0,
        11,
        0,
    )
    assert (await servers.create("cycle-1", 1)).positions_unavailable
    with pytest.raises(Unavailable) as caught:
        await servers.alerts.ClearStaleAlerts(
            pb.ClearStaleAlertsRequest(cycle_id="cycle-1", epoch=1)
        )
    assert caught.value.reason == "POSITIONS_UNAVAILABLE"
    assert caught.value.retry_after is not None
    assert await servers.entries() == before
    alert = await servers.alert(TRAVEL, id)
    assert (alert.level, alert.reading_state) == (pb.LEVEL_HIGH, pb.READING_STATE_STALE)
    assert alert.evaluated_value == pytest.approx(-55)


@pytest.mark.slow
async def test_prices_are_judged_while_positions_is_away(servers: Servers) -> None:
    id = await _high(servers)
    mean = await servers.alert(pb.ALERT_TYPE_AVG_TRAVEL_PERCENT)
    await servers.stop("positions")
    limit = pb.Threshold(
        type=pb.ALERT_TYPE_PRICE_THRESHOLD, condition=pb.CONDITION_ABOVE, asset="BTC", high=110.0
    )
    await servers.thresholds.CreateThreshold(pb.CreateThresholdRequest(threshold=limit))
    rule = pb.Rule(
        asset="BTC",
        metric=pb.RULE_METRIC_MOVE_PERCENT,
        direction=pb.RULE_DIRECTION_UP,
        threshold=5.0,
    )
    await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    assert (await servers.create("cycle-1", 1)).created_count == 1

    async def at(number: int, price: float) -> pb.EvaluateAlertsResponse:
        servers.clock.advance(60)
        request = pb.EvaluateAlertsRequest(cycle_id=f"cycle-{number}", epoch=1)
        request.prices.add(asset="BTC", price_usd=price).price_time.FromDatetime(
            servers.clock.now()
        )
        return await servers.alerts.EvaluateAlerts(request)

    await at(1, 100.0)
    answer = await at(2, 112.0)
    assert [change.told for change in (*answer.transitions, *answer.rule_events)] == [True, True]
    assert (answer.evaluated_count, answer.unjudged_count) == (1, 11)
    for number in (3, 4):
        answer = await at(number, 100.0)
    assert (await servers.alert(pb.ALERT_TYPE_PRICE_THRESHOLD)).level == pb.LEVEL_NORMAL
    # A sum given by the cycle may raise, and lowers nothing.
    for leverage, level in ((12.0, pb.LEVEL_HIGH), (1.0, pb.LEVEL_HIGH), (1.0, pb.LEVEL_HIGH)):
        servers.clock.advance(60)
        totals = pb.TotalsReading(
            avg_leverage_ratio=leverage, avg_travel_percent=0.0, position_count=1
        )
        totals.observed_time.FromDatetime(servers.clock.now())
        await servers.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(totals=totals))
        assert (await servers.alert(pb.ALERT_TYPE_AVG_LEVERAGE)).level == level
    assert (await servers.alert(TRAVEL, id)).level == pb.LEVEL_HIGH
    assert (await servers.alert(pb.ALERT_TYPE_AVG_TRAVEL_PERCENT)).level == mean.level


async def test_what_opened_while_positions_was_away_gets_its_alerts_then(
    not_started: Servers,
) -> None:
    servers = not_started
    await servers.start_positions()
    address = servers.apps["positions"].address
    await servers.start_alerts()
    await servers.stop("positions")
    assert (await servers.create()).created_count == 7
    await servers.start_positions(address)
    await servers.hold(SAFE)
    made = await servers.create()
    assert (made.created_count, made.alert_count, made.positions_unavailable) == (4, 11, False)


async def test_a_hint_of_the_caller_saves_asking_positions(servers: Servers) -> None:
    await servers.hold(SAFE)
    positions = await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
    epoch = positions.membership_epoch
    await servers.thresholds.UpdateThreshold(
        pb.UpdateThresholdRequest(
            threshold=pb.Threshold(id="LIQUIDATION_PROBABILITY-POSITION-ABOVE"),
            update_mask={"paths": ["enabled"]},
        )
    )
    create = pb.CreateAlertsRequest(membership_epoch=epoch)
    clear = pb.ClearStaleAlertsRequest(membership_epoch=epoch)
    assert (await servers.alerts.CreateAlerts(create)).created_count == 11
    assert (await servers.alerts.ClearStaleAlerts(clear)).cleared_count == 0
    await servers.stop("positions")
    assert await servers.alerts.CreateAlerts(create) == pb.CreateAlertsResponse(
        created_count=0, alert_count=11
    )
    assert (await servers.alerts.ClearStaleAlerts(clear)).cleared_count == 0
    asked = await servers.alerts.CreateAlerts(pb.CreateAlertsRequest(membership_epoch=epoch + 1))
    assert (asked.created_count, asked.positions_unavailable) == (0, True)


async def test_the_first_of_two_readings_is_remembered_over_a_restart(servers: Servers) -> None:
    id = await _high(servers)
    await servers.mark(id, SAFE)
    await servers.evaluate()
    await servers.stop("alerts")
    await servers.start_alerts()
    assert (await servers.alert(TRAVEL, id)).level == pb.LEVEL_HIGH
    await servers.mark(id, SAFE)
    await servers.evaluate()
    assert (await servers.alert(TRAVEL, id)).level == pb.LEVEL_NORMAL


async def test_replicas_see_and_continue_each_other(servers: Servers) -> None:
    id = await _high(servers)
    first = servers.alerts
    await servers.start_alerts("second")
    assert (await servers.alert(TRAVEL, id)).level == pb.LEVEL_HIGH
    await servers.mark(id, SAFE)
    await servers.evaluate()
    await servers.mark(id, SAFE)
    await first.EvaluateAlerts(pb.EvaluateAlertsRequest())
    assert (await servers.alert(TRAVEL, id)).level == pb.LEVEL_NORMAL
    threshold = pb.Threshold(id="TRAVEL_PERCENT-POSITION-BELOW", low=50.0)
    await servers.thresholds.UpdateThreshold(pb.UpdateThresholdRequest(threshold=threshold))
    await first.EvaluateAlerts(pb.EvaluateAlertsRequest())
    assert (await servers.alert(TRAVEL, id)).level == pb.LEVEL_LOW


async def test_an_absent_metric_holds_its_level_and_is_unknown(servers: Servers) -> None:
    id = await _high(servers)
    # Fees have eaten the collateral: liquidation on the winning side, travel is absent, heat is
    # not.
    position = positions_pb.Position(id=id, liquidation_price_usd=102.0)
    await servers.positions.UpdatePosition(positions_pb.UpdatePositionRequest(position=position))
    servers.clock.advance(10)
    answer = await servers.evaluate()
    travel = await servers.alert(TRAVEL, id)
    assert (travel.level, travel.reading_state) == (pb.LEVEL_HIGH, pb.READING_STATE_UNKNOWN)
    assert travel.evaluated_value == pytest.approx(-55)
    assert "not known" in travel.why
    assert answer.unknown_count >= 1
    heat = await servers.alert(pb.ALERT_TYPE_HEAT_INDEX, id)
    assert (heat.level, heat.evaluated_value) == (pb.LEVEL_HIGH, 100)


async def test_alerts_of_a_position_that_is_gone_hold_until_cleared_and_are_not_unknown(
    servers: Servers,
) -> None:
    id, other = await _high(servers), await servers.hold(SAFE)
    await servers.create()
    await servers.evaluate()
    before = await servers.entries()
    await servers.lets_go(id)
    servers.clock.advance(10)
    answer = await servers.evaluate()
    assert (answer.unknown_count, answer.unjudged_count, answer.lowered_count) == (0, 0, 0)
    assert (await servers.alert(TRAVEL, id)).level == pb.LEVEL_HIGH
    assert await servers.entries() == before
    cleared = await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
    assert cleared.cleared_count
    assert (await servers.alert(TRAVEL, other)).level == pb.LEVEL_NORMAL


async def test_totals_of_the_request_are_judged_and_stale_ones_lower_nothing(
    servers: Servers,
) -> None:
    await servers.hold(SAFE)
    await servers.create()

    async def level(leverage: float | None, stale: bool = False) -> int:
        servers.clock.advance(10)
        totals = pb.TotalsReading(avg_leverage_ratio=leverage, position_count=1, stale=stale)
        totals.observed_time.FromDatetime(servers.clock.now())
        await servers.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(totals=totals))
        return (await servers.alert(pb.ALERT_TYPE_AVG_LEVERAGE)).level

    levels = [
        await level(12), await level(1, stale=True), await level(1, stale=True), await level(None),
        await level(None), await level(1), await level(1),
    ]  # fmt: skip
    assert levels == [pb.LEVEL_HIGH] * 6 + [pb.LEVEL_NORMAL]


async def test_a_portfolio_that_is_empty_is_known_to_be_safe(servers: Servers) -> None:
    id = await _high(servers)
    assert (await servers.alert(pb.ALERT_TYPE_AVG_TRAVEL_PERCENT)).level == pb.LEVEL_HIGH
    await servers.positions.DeletePosition(positions_pb.DeletePositionRequest(id=id))
    # Nothing is held of what could be read: of the rest nobody knows.
    unread = pb.EvaluateAlertsRequest(totals=pb.TotalsReading(stale=True))
    for request in (unread, unread, *[pb.EvaluateAlertsRequest()] * 2):
        alert = await servers.alert(pb.ALERT_TYPE_AVG_TRAVEL_PERCENT)
        assert alert.level == pb.LEVEL_HIGH
        servers.clock.advance(10)
        await servers.alerts.EvaluateAlerts(request)
    alert = await servers.alert(pb.ALERT_TYPE_AVG_TRAVEL_PERCENT)
    assert alert.level == pb.LEVEL_NORMAL
    assert not alert.HasField("evaluated_value")


async def test_the_list_is_worst_first_in_pages_and_filtered(servers: Servers) -> None:
    await servers.hold(150.0, asset="BTC")
    id = await _high(servers)
    seen: list[pb.Alert] = []
    token = ""
    while True:
        page = await servers.alerts.ListAlerts(pb.ListAlertsRequest(page_size=4, page_token=token))
        seen += page.alerts
        token = page.next_page_token
        if not token:
            break
    assert len({alert.id for alert in seen}) == len(seen) == 15
    raised = [alert for alert in seen if alert.level > pb.LEVEL_NORMAL]
    assert seen[: len(raised)] == raised

    def urgency(alert: pb.Alert) -> tuple[bool, int]:
        return alert.type not in OPPORTUNITIES, alert.level

    assert [urgency(alert) for alert in raised] == sorted(map(urgency, raised), reverse=True)
    # News at HIGH stands behind danger at LOW: nobody reads to the end of a list.
    news = [place for place, alert in enumerate(raised) if alert.type in OPPORTUNITIES]
    assert news
    assert min(news) > max(place for place in range(len(raised)) if place not in news)

    async def ids(**wanted: object) -> set[str]:
        answer = await servers.alerts.ListAlerts(pb.ListAlertsRequest(page_size=500, **wanted))
        return {alert.id for alert in answer.alerts}

    assert await ids(position_id=id) == {alert.id for alert in seen if alert.position_id == id}
    assert await ids(asset="btc") == {alert.id for alert in seen if alert.asset == "BTC"}
    assert await ids(min_level=pb.LEVEL_MEDIUM) == {
        a.id for a in seen if a.level >= pb.LEVEL_MEDIUM
    }
    assert await ids(alert_class=pb.ALERT_CLASS_PORTFOLIO) == {
        a.id for a in seen if not a.position_id
    }
    assert await ids(status=pb.ALERT_STATUS_INACTIVE) == set()
    other = next(alert.position_id for alert in seen if alert.position_id not in ("", id))
    of_both = {alert.id for alert in seen if alert.position_id in (id, other)}
    assert await ids(position_ids=[other, id, "nope"]) == of_both
    assert await ids(position_ids=["nope"]) == set()
    assert await ids(position_ids=[other], position_id=id) == set()
    few = pb.ListAlertsRequest(position_ids=[id], read_mask={"paths": ["id", "level"]})
    for alert in (await servers.alerts.ListAlerts(few)).alerts:
        assert {field.name for field, _ in alert.ListFields()} == {"id", "level"}
    first = await servers.alerts.ListAlerts(pb.ListAlertsRequest(page_size=4))
    for request, reason in (
        (
            pb.ListAlertsRequest(page_token=first.next_page_token, asset="BTC"),
            "PAGE_TOKEN_MISMATCH",
        ),
        (pb.ListAlertsRequest(page_token="rubbish"), "BAD_PAGE_TOKEN"),
        (pb.ListAlertsRequest(type=99), "UNKNOWN_NAME"),
        (pb.ListAlertsRequest(read_mask={"paths": ["colour"]}), "UNKNOWN_FIELD"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await servers.alerts.ListAlerts(request)
        assert caught.value.reason == reason


async def test_a_token_of_ranks_that_are_none_is_refused_and_holds_nobody_up(
    servers: Servers,
) -> None:
    # A token is no secret: whoever makes one could have the service look for 2**62 ranks.
    context = paging.context("alerts, danger first", Filter())
    for rank in (2**62, MOST_URGENT + 1):
        made = pb.ListAlertsRequest(page_token=paging.next_token(context, (rank, 1)))
        with pytest.raises(InvalidArgument) as caught:
            await servers.alerts.ListAlerts(made, timeout=30)
        assert caught.value.reason == "BAD_PAGE_TOKEN"
    highest = paging.next_token(context, (MOST_URGENT, 0))
    await servers.alerts.ListAlerts(pb.ListAlertsRequest(page_token=highest))


async def test_the_summary_names_the_worst(servers: Servers) -> None:
    await servers.hold(SAFE, asset="BTC")
    id = await _high(servers)
    summary = await servers.alerts.GetSummary(pb.GetSummaryRequest())
    travel = next(metric for metric in summary.metrics if metric.type == TRAVEL)
    assert summary.level == travel.level == pb.LEVEL_HIGH
    assert (travel.worst_subject, travel.worst_asset, travel.alert_count) == (id, "SOL", 2)
    assert travel.worst_value == pytest.approx(-55)
    assert dict(travel.worst_by_asset) == pytest.approx({"SOL": -55.0, "BTC": 5.0})
    assert travel.level_count["HIGH"] == travel.level_count["NORMAL"] == 1
    (raised,) = travel.raised
    assert (raised.subject, raised.asset, raised.level, raised.stale) == (
        id,
        "SOL",
        pb.LEVEL_HIGH,
        False,
    )
    assert raised.value == pytest.approx(-55)
    assert travel.raised_count == 1
    assert summary.waiting_count > 0


@pytest.mark.slow
async def test_twenty_thousand_positions_are_judged_and_cleared(servers: Servers) -> None:
    rows = "".join(
        f"SOL,{side},100,{liquidation},1000,210,{mark}\n" for side, liquidation, mark in _MANY
    )
    content = (
        "asset,side,entry_price_usd,liquidation_price_usd,size_usd,collateral_usd,mark_price_usd\n"
        + rows
    )
    await servers.positions.ImportPositions(
        positions_pb.ImportPositionsRequest(
            format=positions_pb.FILE_FORMAT_CSV, content=content.encode()
        ),
        timeout=50,
    )
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest(), timeout=50)
    created = await servers.alerts.CreateAlerts(pb.CreateAlertsRequest(), timeout=50)
    assert created.created_count == 80_007
    evaluated = await servers.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(), timeout=50)
    assert evaluated.evaluated_count == 80_007
    assert len(evaluated.transitions) == 500
    travel = (await servers.alerts.GetSummary(pb.GetSummaryRequest())).metrics
    counts = next(dict(metric.level_count) for metric in travel if metric.type == TRAVEL)
    assert counts == {"NORMAL": 10_000, "LOW": 0, "MEDIUM": 0, "HIGH": 10_000}
    assert (await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest(), timeout=50)).intact


_MANY = [("LONG", 80, SAFE), ("LONG", 80, HIGH_MARK)] * 10_000


async def test_levels_that_come_by_copy_are_stored_like_others(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.alerts.store.commit._COPY_ROWS", 0)
    id = await _high(servers)
    calm = await servers.hold(SAFE)
    await servers.create()
    # Twice on one connection: the table they come by is empty again.
    await servers.at(id, SAFE, SAFE)
    await servers.at(id, HIGH_MARK)
    before = [await servers.alert(TRAVEL, position) for position in (id, calm)]
    assert [alert.level for alert in before] == [pb.LEVEL_HIGH, pb.LEVEL_NORMAL]
    assert before[0].trigger_count == 2
    await servers.stop("alerts")
    await servers.start_alerts()
    assert [await servers.alert(TRAVEL, position) for position in (id, calm)] == before


async def test_who_opens_gets_alerts_and_who_has_them_gets_no_more(servers: Servers) -> None:
    first = await servers.hold(SAFE)
    await servers.create()
    known = await servers.alert(TRAVEL, first)
    second = await servers.hold(SAFE, asset="ETH")
    assert (await servers.create()).created_count == 4
    assert (await servers.alert(TRAVEL, second)).asset == "ETH"
    assert await servers.alert(TRAVEL, first) == known
    missing = pb.DeleteAlertRequest(id=known.id)
    await servers.alerts.DeleteAlert(missing)
    await servers.hold(SAFE)
    assert (await servers.create()).created_count == 4 + 1
    await servers.lets_go(second)
    assert (await servers.create()).created_count == 0


async def test_sums_come_with_the_positions_they_are_of(servers: Servers) -> None:
    await servers.hold(SAFE, size_usd=60_000.0, collateral_usd=12_600.0)
    await servers.create()
    await servers.evaluate()
    total = await servers.alert(pb.ALERT_TYPE_TOTAL_SIZE)
    assert (total.level, total.evaluated_value) == (pb.LEVEL_MEDIUM, 60_000.0)
    assert total.reading_state == pb.READING_STATE_FRESH
    servers.clock.advance(600)
    await servers.evaluate()
    total = await servers.alert(pb.ALERT_TYPE_TOTAL_SIZE)
    assert (total.level, total.reading_state) == (pb.LEVEL_MEDIUM, pb.READING_STATE_STALE)
