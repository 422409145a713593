"""Subaccounts of an address through a whole server: their positions are judged as their owner's,
kept while unread, closed when gone; and a unified account's estimate stands beside them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from tests.fakes.info_provider import InfoProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
SUB = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
FIRST = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
XYZ = json.loads((FIXTURES / "hyperliquid_dex_state.json").read_text())
SPOT = json.loads((FIXTURES / "hyperliquid_unified_spot.json").read_text())
FILLS = json.loads((FIXTURES / "hyperliquid_user_fills_by_time.json").read_text())
NOTHING = {
    "assetPositions": [],
    "crossMarginSummary": {"accountValue": "0.0"},
    "marginSummary": {"accountValue": "0.0", "totalNtlPos": "0.0"},
}
PARTIAL, COMPLETE = pb.WALLET_SYNC_STATE_PARTIAL, pb.WALLET_SYNC_STATE_COMPLETE
SUBACCOUNTS = "POST /info/subAccounts2"


def grid(*states: list[Any], spot: object = None) -> list[dict[str, object]]:
    """The one subaccount, with these states by dex."""
    named = [[dex, {**state, "time": None} if state else state] for dex, state in states]
    return [
        {
            "name": "grid",
            "subAccountUser": SUB,
            "master": EVM,
            "dexToClearinghouseState": named,
            "spotState": spot or {"balances": []},
        }
    ]


@pytest.fixture
async def venue() -> AsyncIterator[InfoProvider]:
    async with InfoProvider() as venue:
        contexts = (FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_bytes()
        venue.answer("POST /info/metaAndAssetCtxs", text=contexts)
        of_xyz = {"universe": [{"name": "xyz:GOLD"}], "collateralToken": 0}
        venue.answer("POST /info/metaAndAssetCtxs:xyz", json=[of_xyz, [{"funding": "0.0"}]])
        venue.answer("POST /info/clearinghouseState", json=NOTHING)
        venue.answer("POST /info/clearinghouseState:xyz", json=NOTHING)
        venue.answer("POST /info/userFillsByTime", json=[])
        venue.answer(SUBACCOUNTS, json=grid(["", FIRST], ["xyz", XYZ]))
        yield venue


@pytest.fixture
async def servers(open_system, venue: InfoProvider):
    servers = await open_system(hyperliquid_url=venue.url)
    await wallet(servers, "main", EVM)
    return servers


async def wallet(servers, name: str, address: str) -> None:
    fresh = pb.Wallet(name=name, chain=pb.CHAIN_ETHEREUM, public_address=address)
    await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=fresh))


async def sync(servers, name: str = "main") -> pb.WalletSync:
    servers.clock.advance(31)
    synced = await servers.positions.SyncPositions(pb.SyncPositionsRequest())
    return {one.wallet: one for one in synced.wallets}[name]


async def held(servers, wallet: str = "main") -> dict[str, pb.Position]:
    listed = await servers.positions.ListPositions(pb.ListPositionsRequest(wallet=wallet))
    return {one.asset: one for one in listed.positions}


async def accounts(servers) -> dict[str, pb.Account]:
    listed = await servers.accounts.ListAccounts(pb.ListAccountsRequest())
    return {one.name: one for one in listed.accounts}


async def judged(servers) -> set[str]:
    """Accounts that alerts are made of."""
    await servers.positions.EnrichPositions(pb.EnrichPositionsRequest())
    request = pb.ReadColumnsRequest(columns=["status"], accounts=True)
    return {
        one.name async for part in servers.columns.ReadColumns(request) for one in part.accounts
    }


async def test_positions_of_a_subaccount_are_its_owners_and_its_accounts_are_judged(
    servers, venue
) -> None:
    outcome = await sync(servers)
    assert (outcome.state, outcome.opened_count, list(outcome.unwatched)) == (COMPLETE, 4, [])
    positions = await held(servers)
    assert set(positions) == {"SOL", "BTC", "xyz:TSLA", "xyz:GOLD"}
    assert positions["SOL"].own_liquidation_price_usd == pytest.approx(143.6262, abs=0.2)
    assert len({one.id for one in positions.values()}) == 4
    assert SUB.lower() not in str(positions).lower()
    found = await accounts(servers)
    assert found["subaccount grid cross"].equity_usd == pytest.approx(2118.22)
    assert found["subaccount grid cross xyz"].lines[0].asset == "xyz:GOLD"
    assert {"subaccount grid cross", "subaccount grid cross xyz"} <= await judged(servers)


@pytest.mark.slow
async def test_a_subaccount_that_cannot_be_read_is_said_and_closes_nothing(servers, venue) -> None:
    await sync(servers)
    for answer in (
        {"status": 500, "json": {}},
        {"json": [7]},
        {"json": grid(["", FIRST], ["x", None])},
    ):
        venue.answer(SUBACCOUNTS, **answer)
        outcome = await sync(servers)
        assert (outcome.state, list(outcome.unwatched)) == (
            PARTIAL,
            ["not looked at: subaccounts"],
        )
    assert set(await held(servers)) == {"SOL", "BTC", "xyz:TSLA", "xyz:GOLD"}
    venue.answer(SUBACCOUNTS, status=500, json={})
    for _ in range(11):  # for longer than what was known is believed of other questions
        assert (await sync(servers)).opened_count == 0
    kept = (await accounts(servers))["subaccount grid cross"]
    assert kept.reason == "ACCOUNT_UNREAD" and not kept.lines, "not looked at is not gone"
    # One of its dexes that is garbage keeps only the subaccount from closing.
    venue.answer(SUBACCOUNTS, json=grid(["", FIRST], ["xyz", FIRST]))
    outcome = await sync(servers)
    assert (outcome.state, outcome.reason) == (PARTIAL, "SUBACCOUNT_UNREAD")
    assert list(outcome.unwatched) == ["not looked at: subaccount grid"]
    assert len(await held(servers)) == 4


@pytest.mark.slow
async def test_a_list_that_lost_a_subaccount_closes_nothing_also_after_a_restart(
    open_system, venue
) -> None:
    for _ in range(2):
        servers = await open_system(hyperliquid_url=venue.url)
        if not (await servers.wallets.ListWallets(pb.ListWalletsRequest())).wallets:
            await wallet(servers, "main", EVM)
            await sync(servers)
        for lost in (None, [], [{**grid(["", FIRST])[0], "subAccountUser": EVM}]):
            venue.answer(SUBACCOUNTS, json=lost)
            for _ in range(2):
                outcome = await sync(servers)
                assert (outcome.state, outcome.reason) == (PARTIAL, "SUBACCOUNT_UNREAD")
                assert any(one.startswith("not looked at: sub") for one in outcome.unwatched)
        assert {"SOL", "BTC", "xyz:TSLA", "xyz:GOLD"} <= set(await held(servers))
    venue.answer(SUBACCOUNTS, json=grid(["", NOTHING]))
    for _ in range(3):
        outcome = await sync(servers)
    assert outcome.state == COMPLETE and not await held(servers)


async def test_what_a_subaccount_holds_no_more_is_closed_and_asked_for_with_every_sync(
    servers, venue
) -> None:
    await sync(servers)
    venue.answer(SUBACCOUNTS, json=grid(["", NOTHING], ["xyz", XYZ]))
    assert (await sync(servers)).stale_count == 2
    assert (await sync(servers)).closed_count == 2
    assert set(await held(servers)) == {"xyz:TSLA", "xyz:GOLD"}
    asked = [json.loads(one.body) for one in venue.requests]
    assert sum(one["type"] == "subAccounts2" for one in asked) == 3


async def test_without_subaccounts_they_are_asked_for_every_five_minutes(servers, venue) -> None:
    venue.answer(SUBACCOUNTS, json=None)
    for _ in range(9):
        assert (await sync(servers)).state == COMPLETE
    asked = [json.loads(one.body)["type"] for one in venue.requests]
    assert asked.count("subAccounts2") == 1


async def test_a_subaccount_that_is_a_wallet_of_its_own_counts_once(servers, venue) -> None:
    await wallet(servers, "grid", SUB)
    venue.answer(f"POST /info/clearinghouseState/{SUB}", json={**FIRST, "time": None})
    venue.answer(f"{SUBACCOUNTS}/{SUB}", json=None)
    for name in ("main", "grid"):
        assert (await sync(servers, name)).state == COMPLETE
    assert await held(servers) == {} and set(await held(servers, "grid")) == {"SOL", "BTC"}


async def test_a_subaccount_added_as_a_wallet_leaves_its_owner_without_news_of_an_end(
    servers, venue
) -> None:
    await sync(servers)
    await wallet(servers, "grid", SUB)
    venue.answer(f"POST /info/clearinghouseState/{SUB}", json={**FIRST, "time": None})
    venue.answer(f"POST /info/clearinghouseState:xyz/{SUB}", json=XYZ)
    venue.answer(f"{SUBACCOUNTS}/{SUB}", json=None)
    assert [(await sync(servers)).closed_count for _ in range(2)] == [0, 4]
    assert await held(servers) == {} and len(await held(servers, "grid")) >= 2
    request = pb.ListPositionEventsRequest()
    told = (await servers.positions.ListPositionEvents(request)).events
    first = pb.POSITION_EVENT_KIND_FIRST_LOOK
    assert {(one.wallet, one.kind) for one in told} == {("main", first), ("grid", first)}


async def test_what_the_venue_took_of_a_subaccount_is_told_as_that(servers, venue) -> None:
    await sync(servers)
    venue.answer(f"POST /info/userFillsByTime/{SUB}", json=FILLS)
    venue.answer(SUBACCOUNTS, json=grid(["", NOTHING], ["xyz", XYZ]))
    for _ in range(2):
        await sync(servers)
    request = pb.ListPositionsRequest(status=pb.STATUS_LIQUIDATED)
    ended = (await servers.positions.ListPositions(request)).positions
    assert [one.asset for one in ended] == ["BTC"]


async def test_a_subaccount_whose_mode_is_not_known_is_said_and_has_no_price_of_ours(
    servers, venue
) -> None:
    venue.answer(f"POST /info/userAbstraction/{SUB}", status=500, json={})
    outcome = await sync(servers)
    assert (outcome.state, list(outcome.unwatched)) == (
        PARTIAL,
        ["not looked at: account mode of subaccount grid"],
    )
    sol = (await held(servers))["SOL"]
    assert pb.FLAG_ACCOUNT_MODE_UNKNOWN in sol.flags
    assert not sol.HasField("own_liquidation_price_usd")
    assert (await accounts(servers))["subaccount grid cross"].reason == "ACCOUNT_MODE_UNKNOWN"


async def test_a_unified_account_has_an_estimate_by_which_nothing_is_judged(servers, venue) -> None:
    venue.answer("POST /info/userAbstraction", json="unifiedAccount")
    venue.answer("POST /info/clearinghouseState", json={**FIRST, "time": None})
    venue.answer("POST /info/spotClearinghouseState", json=SPOT)
    venue.answer(SUBACCOUNTS, json=grid(["xyz", XYZ], spot=SPOT))
    outcome = await sync(servers)
    assert outcome.state == PARTIAL and "not watched: spot balances, 5,680 USD" in outcome.unwatched
    found = await accounts(servers)
    assert found["cross"].reason == "ACCOUNT_MODE_UNIFIED" and not found["cross"].lines
    for name, assets in (("unified USDC", ["SOL"]), ("subaccount grid unified USDC", ["xyz:GOLD"])):
        account = found[name]
        assert account.estimated and account.estimate_only and not account.reason
        assert [line.asset for line in account.lines] == assets
    assert await judged(servers) == {"cross", "subaccount grid cross xyz"}
    venue.answer("POST /info/spotClearinghouseState", status=500, json={})
    await sync(servers)
    unread = (await accounts(servers))["unified"]
    assert (unread.reason, unread.estimate_only, len(unread.lines)) == ("SPOT_UNREAD", True, 0)


async def test_by_the_setting_spot_balances_are_legs_that_nothing_liquidates(
    open_system, venue
) -> None:
    servers = await open_system(hyperliquid_url=venue.url, hyperliquid_spot_legs=True)
    await wallet(servers, "main", EVM)
    servers.price.set("SOL", 182.0)
    spot = {"balances": [{"coin": "USOL", "token": 5, "total": "40.0", "entryNtl": "7000.0"}]}
    short = {"coin": "SOL", "szi": "-50.0", "unrealizedPnl": "640.0", "liquidationPx": "230.0"}
    state = json.loads(json.dumps(FIRST))
    state["assetPositions"][0]["position"] |= short
    state["crossMarginSummary"]["totalRawUsd"] = "11238.22"
    venue.answer("POST /info/clearinghouseState", json={**state, "time": None})
    venue.answer("POST /info/spotClearinghouseState", json=spot)
    venue.answer(SUBACCOUNTS, json=None)
    outcome = await sync(servers)
    assert (outcome.state, outcome.opened_count, list(outcome.unwatched)) == (COMPLETE, 3, [])
    request = pb.ListPositionsRequest(asset="SOL", side=pb.SIDE_LONG)
    (leg,) = (await servers.positions.ListPositions(request)).positions
    assert list(leg.flags) == [pb.FLAG_SPOT] and leg.size_usd == 7000.0
    assert (leg.entry_price_usd, leg.mark_price_usd) == (175.0, 182.0)
    assert leg.value_usd == pytest.approx(40 * 182.0)
    assert not leg.HasField("risk_liquidation_price_usd")
    venue.answer("POST /info/spotClearinghouseState", status=500, json={})
    for _ in range(3):
        outcome = await sync(servers)
        assert (outcome.state, outcome.reason) == (PARTIAL, "SPOT_UNREAD")
        assert list(outcome.unwatched) == ["not looked at: spot balances"]
    assert len((await servers.positions.ListPositions(request)).positions) == 1
    venue.answer("POST /info/spotClearinghouseState", json={"balances": []})
    assert [(await sync(servers)).closed_count for _ in range(2)] == [0, 1]
