"""Alerts of accounts through three real servers and a fake venue: two cross positions near their
common liquidation, step by step; and what is not known raises nothing.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.price.v1 import price_pb2 as price_pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from shared.errors import InvalidArgument, NotFound
from tests.contract.alerts.conftest import Servers
from tests.fakes.info_provider import InfoProvider

DISTANCE, EXPOSURE = pb.ALERT_TYPE_ACCOUNT_DISTANCE, pb.ALERT_TYPE_WALLET_EXPOSURE
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
# Of a coin that is traded up to 20 times, half of 1 / 20 must stay.
KEPT = 0.025
NOTIONAL = 10_000.0


def _leg(coin: str, units: float, mark: float) -> dict[str, object]:
    return {
        "type": "oneWay",
        "position": {
            "coin": coin,
            "szi": str(units),
            "entryPx": str(mark),
            "positionValue": str(units * mark),
            "unrealizedPnl": "0.0",
            "marginUsed": str(units * mark / 10),
            "maxLeverage": 20,
            "leverage": {"type": "cross", "value": 10},
            "liquidationPx": str(mark / 2),
            "cumFunding": {"sinceOpen": "0.0"},
        },
    }


class Book:
    """One wallet with two cross longs of 5,000 USD each."""

    def __init__(self, servers: Servers, venue: InfoProvider) -> None:
        self.servers, self.venue, self.cycle_count = servers, venue, 0

    def equity(self, usd: float, *, held: bool = True) -> None:
        """The venue states this equity, with both positions or none."""
        legs = [_leg("SOL", 50.0, 100.0), _leg("ETH", 2.0, 2500.0)] if held else []
        notional = NOTIONAL if held else 0.0
        summary = {"accountValue": str(usd), "totalNtlPos": str(notional)}
        state = {
            "assetPositions": legs,
            "crossMarginSummary": summary,
            "marginSummary": summary,
            "crossMaintenanceMarginUsed": str(KEPT * notional),
            "time": int((self.servers.clock.now().timestamp() + 60) * 1000),
        }
        self.venue.answer("POST /info/clearinghouseState", json=state)

    def far(self, percent: float) -> None:
        """All prices together have to fall so far until the account is liquidated."""
        self.equity(NOTIONAL * (KEPT + (1 - KEPT) * percent / 100))

    async def cycle(self) -> None:
        self.cycle_count += 1
        self.servers.clock.advance(60)
        step = {"cycle_id": f"cycle-{self.cycle_count}", "epoch": 1}
        await self.servers.positions.SyncPositions(positions_pb.SyncPositionsRequest(**step))
        await self.servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest(**step))
        await self.servers.create(**step)
        self.judged = await self.servers.evaluate(**step)
        await self.servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest(**step))

    async def at(self, percent: float) -> str:
        """The level once the account is so far from liquidation."""
        self.far(percent)
        await self.cycle()
        return await self.level()

    async def level(self, kind: int = DISTANCE) -> str:
        return pb.Level.Name((await self.servers.alert(kind)).level).removeprefix("LEVEL_")

    async def told(self) -> list[xcom_pb.Message]:
        messages = await self.servers.messages()
        return [one for one in messages if one.facts.get("account")]


@pytest.fixture
async def book(not_started: Servers) -> AsyncIterator[Book]:
    async with InfoProvider() as venue:
        servers = not_started
        venue.answer("POST /info/metaAndAssetCtxs", json=[{"universe": []}, []])
        await servers.start_positions(hyperliquid_url=venue.url)
        await servers.start_xcom()
        await servers.start_alerts()
        await servers.only(DISTANCE)
        wallet = positions_pb.Wallet(
            name="main", chain=positions_pb.CHAIN_ETHEREUM, public_address=EVM
        )
        await servers.wallets.CreateWallet(positions_pb.CreateWalletRequest(wallet=wallet))
        yield Book(servers, venue)


@pytest.mark.slow
async def test_an_account_that_nears_its_common_move_is_told_low_medium_high_and_over(
    book: Book,
) -> None:
    far = (15.0, 9.0, 6.5, 4.5, 15.0, 15.0)
    levels = [await book.at(percent) for percent in far]
    assert levels == ["NORMAL", "LOW", "MEDIUM", "HIGH", "HIGH", "NORMAL"]
    told = await book.told()
    assert [one.subject for one in told] == [
        "LOW: hyperliquid cross common move to liquidation 9 % (main)",
        "MEDIUM: hyperliquid cross common move to liquidation 6.5 % (main)",
        "HIGH: hyperliquid cross common move to liquidation 4.5 % (main)",
        "RESOLVED: hyperliquid cross common move to liquidation 15 % (main)",
    ]
    assert "hyperliquid cross, wallet main, equity 688.75 USD, positions 10,000 USD (14.5191x)" in (
        told[2].body
    )
    assert "All prices together: 4.5 % to liquidation" in told[2].body
    assert {one.facts["account_id"] for one in told} == {"hyperliquid-1-cross"}
    alert = await book.servers.alert(DISTANCE)
    assert (alert.account, alert.account_id) == ("hyperliquid cross", "hyperliquid-1-cross")
    assert (alert.wallet, alert.position_id, alert.asset) == ("main", "", "")
    assert alert.alert_class == pb.ALERT_CLASS_ACCOUNT
    assert (await book.servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact


@pytest.mark.slow
async def test_beside_the_common_move_the_message_names_that_of_btc_by_betas(book: Book) -> None:
    """SOL and ETH moved twice as far as BTC in each of 300 hours."""
    asked: set[str] = set()

    async def candles(request: Any, _context: Any) -> price_pb.ListCandlesResponse:
        asked.add(request.asset)
        found = price_pb.ListCandlesResponse()
        close, times = 100.0, 1.0 if request.asset == "BTC" else 2.0
        for hour in range(300):
            close *= math.exp(times * math.sin(hour * hour) / 100)
            candle = found.candles.add(close_usd=close, complete=True)
            candle.start_time.seconds = 3600 * (490_000 + hour)
        return found

    book.servers.market.told["price.ListCandles"] = candles
    assert await book.at(15.0) == "NORMAL", "they are asked for beside the look that wants them"

    async def all_asked() -> bool:
        return asked == {"BTC", "SOL", "ETH"}

    await book.servers.until(all_asked)
    assert await book.at(15.0) == "NORMAL" and await book.at(6.5) == "MEDIUM"
    (told,) = await book.told()
    assert "All prices together: 6.5 % to liquidation\n" in told.body
    assert "By betas, ESTIMATED: when BTC falls 3.25 %" in told.body


async def test_of_betas_that_are_not_known_the_message_says_nothing(book: Book) -> None:
    await book.at(15.0)
    assert await book.at(6.5) == "MEDIUM"
    assert "betas" not in (await book.told())[0].body


@pytest.mark.slow
async def test_what_was_judged_of_accounts_is_judged_again_alike(book: Book) -> None:
    for percent in (15.0, 6.5, 4.5):
        await book.at(percent)
    book.venue.answer("POST /info/userAbstraction", json="unifiedAccount")
    book.servers.clock.advance(301)
    await book.at(4.5)

    async def is_recorded() -> bool:
        found = await book.servers.recorder.ListRecordings(pb.ListRecordingsRequest())
        return found.recording_count == 4

    await book.servers.until(is_recorded)
    request = pb.ReplayRequest(start_time=Timestamp(seconds=1))
    found = await book.servers.recorder.Replay(request)
    assert (found.differing_count, found.differing_message_count, found.change_count) == (0, 0, 2)


@pytest.mark.slow
async def test_exposure_over_equity_is_judged_by_its_own_limits(book: Book) -> None:
    await book.servers.thresholds.ResetThreshold(
        pb.ResetThresholdRequest(id="WALLET_EXPOSURE-ACCOUNT-ABOVE")
    )
    levels = []
    for equity in (5000.0, 3000.0, 1500.0, 1000.0):
        book.equity(equity)
        await book.cycle()
        levels.append(await book.level(EXPOSURE))
    assert levels == ["NORMAL", "LOW", "MEDIUM", "HIGH"]
    last = [one for one in await book.told() if one.facts["type"] == "WALLET_EXPOSURE"][-1]
    assert last.subject == "HIGH: hyperliquid cross exposure over equity 10x (main)"


async def test_an_account_without_equity_is_exposed_beyond_every_limit_and_not_unknown(
    book: Book,
) -> None:
    await book.servers.thresholds.ResetThreshold(
        pb.ResetThresholdRequest(id="WALLET_EXPOSURE-ACCOUNT-ABOVE")
    )
    book.equity(5000.0)
    await book.cycle()
    assert await book.level(EXPOSURE) == "NORMAL"
    book.equity(-50.0)
    await book.cycle()
    alert = await book.servers.alert(EXPOSURE)
    assert alert.level == pb.LEVEL_HIGH and not alert.HasField("evaluated_value")
    assert alert.reading_state == pb.READING_STATE_FRESH
    (told,) = [one for one in await book.told() if one.facts["type"] == "WALLET_EXPOSURE"]
    words = "exposure over equity without end: no equity is left"
    assert told.subject == f"HIGH: hyperliquid cross {words} (main)"
    assert f"{words} >= limit 10x" in told.body and "equity -50 USD" in told.body
    replayed = await book.servers.recorder.Replay(pb.ReplayRequest(start_time=Timestamp()))
    assert replayed.recording_count and not replayed.differing_count


@pytest.mark.parametrize("mode", ["unifiedAccount", "portfolioMargin", "dexAbstraction", "new"])
async def test_a_mode_whose_collateral_is_not_known_raises_nothing_and_is_not_safe(
    book: Book, mode: str
) -> None:
    book.venue.answer("POST /info/userAbstraction", json=mode)
    assert await book.at(0.0) == "NORMAL"
    alert = await book.servers.alert(DISTANCE)
    assert alert.reading_state == pb.READING_STATE_UNKNOWN
    assert not alert.HasField("evaluated_value") and "is not known now" in alert.why
    assert book.judged.unknown_count == 1 and not await book.told()


@pytest.mark.parametrize("mode", ["unifiedAccount", "new"])
async def test_an_estimate_is_shown_and_never_raises(book: Book, mode: str) -> None:
    book.venue.answer("POST /info/userAbstraction", json=mode)
    dollars = {"coin": "USDC", "token": 0, "total": "300.0", "entryNtl": "0.0"}
    book.venue.answer("POST /info/spotClearinghouseState", json={"balances": [dollars]})
    assert await book.at(4.0) == "NORMAL"
    listed = await book.servers.accounts.ListAccounts(positions_pb.ListAccountsRequest())
    shown = {one.name: one for one in listed.accounts}["unified USDC"]
    assert shown.estimate_only and shown.estimated and 0 < shown.distance_percent < 1
    request = pb.ListAlertsRequest(type=DISTANCE)
    alerts = (await book.servers.alerts.ListAlerts(request)).alerts
    assert [one.account for one in alerts] == ["hyperliquid cross"]
    assert alerts[0].reading_state == pb.READING_STATE_UNKNOWN and not await book.told()


@pytest.mark.slow
async def test_what_is_not_known_any_more_lowers_no_level(book: Book) -> None:
    assert await book.at(4.5) == "HIGH"
    book.venue.answer("POST /info/userAbstraction", json="unifiedAccount")
    book.servers.clock.advance(301)
    assert [await book.at(50.0) for _ in range(3)] == ["HIGH"] * 3
    assert (await book.servers.alert(DISTANCE)).reading_state == pb.READING_STATE_UNKNOWN
    book.venue.answer("POST /info/userAbstraction", json="default")
    book.servers.clock.advance(301)
    assert [await book.at(50.0) for _ in range(2)] == ["HIGH", "NORMAL"]


@pytest.mark.slow
async def test_a_venue_that_does_not_answer_holds_the_level_as_stale(book: Book) -> None:
    assert await book.at(6.5) == "MEDIUM"
    book.venue.answer("POST /info/clearinghouseState", status=500, json={})
    await book.cycle()
    alert = await book.servers.alert(DISTANCE)
    assert await book.level() == "MEDIUM" and alert.reading_state == pb.READING_STATE_STALE


@pytest.mark.slow
async def test_an_account_that_is_gone_takes_its_alerts_and_who_heard_of_it_hears_that(
    book: Book,
) -> None:
    assert await book.at(4.5) == "HIGH"
    book.equity(0.0, held=False)
    await book.cycle()
    listed = await book.servers.alerts.ListAlerts(pb.ListAlertsRequest(type=DISTANCE))
    assert not listed.alerts
    _, over = await book.told()
    assert over.subject == "CLOSED: hyperliquid cross is no longer held (was HIGH) (main)"
    assert "no such account any more" in over.body and over.ends_incident
    assert await book.at(15.0) == "NORMAL", "it is judged anew when it comes again"
    assert len(await book.told()) == 2


@pytest.mark.slow
async def test_an_account_may_have_an_alert_of_its_own_limit(book: Book) -> None:
    assert await book.at(25.0) == "NORMAL"
    alert = pb.Alert(
        type=DISTANCE,
        condition=pb.CONDITION_BELOW,
        account_id="hyperliquid-1-cross",
        trigger_value=20.0,
    )
    request = pb.CreateAlertRequest(alert=alert)
    made = await book.servers.alerts.CreateAlert(request)
    assert (made.account, made.trigger_value) == ("hyperliquid cross", 20.0)
    book.far(19.0)
    await book.cycle()
    shown = await book.servers.alerts.GetAlert(pb.GetAlertRequest(id=made.id))
    assert shown.level == pb.LEVEL_HIGH
    request.alert.account_id = "hyperliquid-1-isolated-SOL"
    with pytest.raises(NotFound) as caught:
        await book.servers.alerts.CreateAlert(request)
    assert caught.value.reason == "ACCOUNT_NOT_FOUND"
    request.alert.account_id = ""
    with pytest.raises(InvalidArgument, match="of its account"):
        await book.servers.alerts.CreateAlert(request)
