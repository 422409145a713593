"""The demo ends: nothing that its market raised is shown of real money."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.price.v1 import price_pb2 as price_pb

from services.alerts.alerts.service import demo_end
from services.positions.venues import demo
from tests.contract.alerts.conftest import NOBODY, Servers
from tests.fakes.peers import Context, Message

PUBLIC_ADDRESS = "0x8ba1f109551bD432803012645Ac136ddd64DBA72"
# Reached whatever the simulated market does.
ANYTHING = 0.01
MARKET = {"BTC": 100_000.0, "ETH": 3_600.0, "SOL": 180.0}


async def _cycle(servers: Servers) -> None:
    servers.clock.advance(60)
    await servers.positions.SyncPositions(positions_pb.SyncPositionsRequest())
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
    await servers.create()
    await servers.evaluate()


async def _raised(servers: Servers) -> list[pb.Alert]:
    listed = await servers.alerts.ListAlerts(pb.ListAlertsRequest(page_size=500))
    return [one for one in listed.alerts if one.level > pb.LEVEL_NORMAL]


async def _limit(servers: Servers, kind: int, alert_class: int) -> None:
    threshold = pb.Threshold(
        type=kind, alert_class=alert_class, condition=pb.CONDITION_ABOVE, enabled=True
    )
    threshold.low = threshold.medium = threshold.high = ANYTHING
    await servers.thresholds.UpdateThreshold(
        pb.UpdateThresholdRequest(threshold=threshold, allow_missing=True)
    )


def _prices(servers: Servers) -> Callable[[Message, Context], Awaitable[Message]]:
    """A market that answers, always of now."""

    async def listed(_request: Message, _context: Context) -> Message:
        prices = [
            price_pb.Price(asset=asset, price_usd=price_usd, quality=price_pb.QUALITY_GOOD)
            for asset, price_usd in MARKET.items()
        ]
        for price in prices:
            price.price_time.FromDatetime(servers.clock.now())
        return price_pb.ListPricesResponse(prices=prices)

    return listed


async def _demo(servers: Servers) -> None:
    """Judged, with positions and a portfolio at HIGH that were told."""
    await servers.start_positions(hyperliquid_url=f"http://{NOBODY}")
    servers.market.told["price.ListPrices"] = _prices(servers)
    await servers.start_xcom()
    await servers.start_alerts()
    await _limit(servers, pb.ALERT_TYPE_AVG_LEVERAGE, pb.ALERT_CLASS_PORTFOLIO)
    await _limit(servers, pb.ALERT_TYPE_HEAT_INDEX, pb.ALERT_CLASS_POSITION)
    for _ in range(2):
        await _cycle(servers)
    await servers.messages()


async def _goes_live(servers: Servers) -> None:
    wallet = positions_pb.Wallet(
        name="main", chain=positions_pb.CHAIN_ETHEREUM, public_address=PUBLIC_ADDRESS
    )
    await servers.wallets.CreateWallet(positions_pb.CreateWalletRequest(wallet=wallet))


@pytest.mark.slow
async def test_no_level_of_the_demo_stays_when_the_first_wallet_does_not_answer(
    not_started: Servers,
) -> None:
    servers = not_started
    await _demo(servers)
    classes = {alert.alert_class for alert in await _raised(servers)}
    assert classes >= {pb.ALERT_CLASS_POSITION, pb.ALERT_CLASS_PORTFOLIO}
    told = len(await servers.messages())

    await _goes_live(servers)
    for _ in range(2):
        await _cycle(servers)
        assert await _raised(servers) == []
    summary = await servers.alerts.GetSummary(pb.GetSummaryRequest())
    assert summary.level <= pb.LEVEL_NORMAL
    # Who rang is quiet, and nobody hears that the demo is over.
    assert len(await servers.messages()) == told
    reasons = [(entry.actor, entry.reason) for entry in await servers.entries()]
    assert ("demo end", "DELETED") in reasons
    verified = await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())
    assert verified.intact


@pytest.mark.slow
async def test_what_is_raised_after_the_demo_is_not_marked_so_though_nothing_is_held(
    not_started: Servers,
) -> None:
    servers = not_started
    await _demo(servers)
    await _goes_live(servers)
    rule = pb.Rule(
        asset="BTC",
        metric=pb.RULE_METRIC_PRICE_TARGET,
        direction=pb.RULE_DIRECTION_UP,
        threshold=1.01 * MARKET["BTC"],
    )
    await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    told = {message.id for message in await servers.messages()}
    await _cycle(servers)
    for price_usd in (MARKET["BTC"], 1.02 * MARKET["BTC"]):
        servers.clock.advance(60)
        price = pb.PriceReading(asset="BTC", price_usd=price_usd)
        price.price_time.FromDatetime(servers.clock.now())
        await servers.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(prices=[price]))
    (fresh,) = [one for one in await servers.messages() if one.id not in told]
    assert fresh.facts.get("demo") != "true"
    assert "DEMO" not in fresh.subject


@pytest.mark.slow
async def test_a_real_position_that_ended_in_the_demo_is_told_when_it_is_over(
    not_started: Servers,
) -> None:
    servers = not_started
    await _demo(servers)
    # Held by somebody whose only wallet was set inactive: the home turned to the demo around it.
    await servers.hold(82.0, wallet="mine")
    await _cycle(servers)
    told = {message.id for message in await servers.messages()}
    owner = await asyncpg.connect(servers.databases.owner_url("positions"))
    await owner.execute("update position set status = 4 where id not like 'demo%'")
    await owner.close()
    await _goes_live(servers)
    await _cycle(servers)
    await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
    fresh = [one.subject for one in await servers.messages() if one.id not in told]
    assert any("LIQUIDATED" in subject for subject in fresh), fresh


def test_the_wallets_of_the_demo_are_called_as_positions_calls_them() -> None:
    assert demo_end.DEMO_WALLETS == demo.DEMO_WALLETS


async def test_the_demo_itself_keeps_its_levels(not_started: Servers) -> None:
    servers = not_started
    await _demo(servers)
    before = {alert.id for alert in await _raised(servers)}
    await _cycle(servers)
    assert before <= {alert.id for alert in await _raised(servers)}
