"""What of an account is not looked at is never shown as not there, over gRPC."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.positions.v1 import positions_pb2 as pb

from tests.fakes.info_provider import InfoProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
MASTER = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
STATE = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
PORTFOLIO = json.loads((FIXTURES / "hyperliquid_portfolio_margin.json").read_text())
EMPTY = {
    "assetPositions": [],
    "crossMarginSummary": {"accountValue": "0.0"},
    "marginSummary": {"accountValue": "0.0", "totalNtlPos": "0.0"},
}
PARTIAL, COMPLETE = pb.WALLET_SYNC_STATE_PARTIAL, pb.WALLET_SYNC_STATE_COMPLETE


@pytest.fixture
async def venue() -> AsyncIterator[InfoProvider]:
    async with InfoProvider() as venue:
        venue.answer("POST /info/clearinghouseState", json=EMPTY)
        venue.answer(
            "POST /info/metaAndAssetCtxs",
            text=(FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_bytes(),
        )
        yield venue


@pytest.fixture
async def live(open_system, venue: InfoProvider):
    servers = await open_system(hyperliquid_url=venue.url)
    await wallet(servers, "main", EVM)
    return servers


async def wallet(servers, name: str, address: str) -> None:
    fresh = pb.Wallet(name=name, chain=pb.CHAIN_ETHEREUM, public_address=address)
    await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=fresh))


async def sync(servers, name: str = "main") -> pb.WalletSync:
    synced = await servers.positions.SyncPositions(pb.SyncPositionsRequest())
    return {one.wallet: one for one in synced.wallets}[name]


def subaccount(value: str) -> dict[str, object]:
    summary = {"accountValue": value, "totalNtlPos": "0.0"}
    state = {"marginSummary": summary, "assetPositions": []}
    return {"name": "grid", "dexToClearinghouseState": [["", state]], "spotState": {"balances": []}}


async def test_an_ordinary_account_is_complete(live) -> None:
    outcome = await sync(live)
    assert (outcome.state, outcome.reason, list(outcome.unwatched)) == (COMPLETE, "", [])


@pytest.mark.slow
async def test_sums_are_stale_while_a_wallet_gives_no_answer(live, venue) -> None:
    venue.answer("POST /info/clearinghouseState", status=500, json={})
    for _ in range(2):
        assert (await sync(live)).state == pb.WALLET_SYNC_STATE_FAILED
        await live.positions.EnrichPositions(pb.EnrichPositionsRequest())
        totals = await live.portfolio.GetTotals(pb.GetTotalsRequest())
        assert (totals.position_count, totals.stale) == (0, True)
    off = pb.Wallet(name="main", active=False)
    only = {"update_mask": FieldMask(paths=["active"])}
    await live.wallets.UpdateWallet(pb.UpdateWalletRequest(wallet=off, **only))
    await live.positions.EnrichPositions(pb.EnrichPositionsRequest())
    assert not (await live.portfolio.GetTotals(pb.GetTotalsRequest())).stale
    on = pb.Wallet(name="main", active=True)
    await live.wallets.UpdateWallet(pb.UpdateWalletRequest(wallet=on, **only))
    venue.answer("POST /info/clearinghouseState", json=EMPTY)
    live.clock.advance(301)
    assert (await sync(live)).state == COMPLETE
    await live.positions.EnrichPositions(pb.EnrichPositionsRequest())
    assert not (await live.portfolio.GetTotals(pb.GetTotalsRequest())).stale


async def test_a_subaccount_that_holds_something_is_said_everywhere_until_it_is_over(
    live, venue
) -> None:
    venue.answer("POST /info/subAccounts2", json=[subaccount("1000.2"), subaccount("0.0")])
    words = "not watched: subaccount grid, 1,000 USD"
    for _ in range(2):
        outcome = await sync(live)
        assert (outcome.state, outcome.reason, outcome.message) == (PARTIAL, "NOT_WATCHED", words)
        assert list(outcome.unwatched) == [words]
    assert list((await live.wallets.GetWallet(pb.GetWalletRequest(name="main"))).unwatched) == [
        words
    ]
    assert list((await live.portfolio.GetTotals(pb.GetTotalsRequest())).unwatched) == [
        f"main: {words}"
    ]
    listed = await live.positions.ListPositions(pb.ListPositionsRequest())
    assert list(listed.unwatched) == [f"main: {words}"]
    venue.answer("POST /info/subAccounts2", json=[subaccount("0.0")])
    live.clock.advance(301)
    assert (await sync(live)).state == COMPLETE
    assert not (await live.portfolio.GetTotals(pb.GetTotalsRequest())).unwatched


async def test_an_api_wallet_names_its_master_until_that_is_a_wallet_too(live, venue) -> None:
    venue.answer(
        f"POST /info/userRole/{EVM}", json={"role": "agent", "data": {"user": MASTER.lower()}}
    )
    outcome = await sync(live)
    assert (outcome.state, outcome.row_count) == (PARTIAL, 0)
    assert "master account 0xfb69...d359 of this API wallet" in outcome.message
    assert MASTER.lower() not in outcome.message.lower()
    await wallet(live, "master", MASTER)
    assert (await sync(live)).state == COMPLETE


async def test_a_venue_that_knows_no_account_questions_is_read_with_caution(live, venue) -> None:
    venue.answer("POST /info/clearinghouseState", json=STATE)
    for kind in ("userAbstraction", "perpDexs", "subAccounts2", "spotClearinghouseState"):
        venue.answer(
            f"POST /info/{kind}",
            status=422,
            text=b"unknown",
            headers={"content-type": "text/plain"},
        )
    outcome = await sync(live)
    assert (outcome.state, outcome.reason, outcome.opened_count) == (PARTIAL, "DEX_UNREAD", 2)
    assert outcome.message.startswith("not looked at: account mode, other dexes")
    held = (await live.positions.ListPositions(pb.ListPositionsRequest())).positions
    assert all(pb.FLAG_ACCOUNT_MODE_UNKNOWN in one.flags for one in held)
    (cross,) = [one for one in held if one.asset == "SOL"]
    assert not cross.HasField("own_liquidation_price_usd")
    assert cross.risk_liquidation_price_usd == cross.liquidation_price_usd


async def test_in_portfolio_margin_the_venues_price_drives_and_spot_is_said(live, venue) -> None:
    now_milliseconds = int(live.clock.now().timestamp() * 1000)
    venue.answer("POST /info/clearinghouseState", json=PORTFOLIO | {"time": now_milliseconds})
    venue.answer("POST /info/userAbstraction", json="portfolioMargin")
    balances = [{"coin": "USDC", "total": "9500.0"}]
    venue.answer("POST /info/spotClearinghouseState", json={"balances": balances})
    outcome = await sync(live)
    assert list(outcome.unwatched) == ["not watched: spot balances, 9,500 USD"]
    held = {
        one.asset: one
        for one in (await live.positions.ListPositions(pb.ListPositionsRequest())).positions
    }
    assert held["BTC"].risk_liquidation_price_usd == 27183.5
    assert held["BTC"].liquidation_distance_percent > 70
    assert not held["ETH"].HasField("risk_liquidation_price_usd")


async def test_what_is_not_watched_ages_no_position_wrongly_and_rightly_all_others(
    live, venue
) -> None:
    venue.answer("POST /info/perpDexs", status=500, json={})
    venue.answer("POST /info/clearinghouseState", json=STATE)
    await sync(live)
    venue.answer("POST /info/clearinghouseState", json=EMPTY)
    assert (await sync(live)).stale_count == 2, "the first dex was read whole"
