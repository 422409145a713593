"""Garbage that a venue states of a known position is refused;
the last good version stays, marked."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from tests.fakes.http_provider import HttpProvider
from tests.fakes.info_provider import InfoProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
SOLANA = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
DYDX = "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
ROWS = json.loads((FIXTURES / "jupiter_perps_positions_v1.json").read_text())["dataList"]
ACCOUNT = json.loads((FIXTURES / "dydx_v4_subaccount.json").read_text())
MARKETS = json.loads((FIXTURES / "dydx_v4_perpetual_markets.json").read_text())
STATE = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
KEY = ROWS[0]["positionPubkey"]
CROSS = f"GET /v4/addresses/{DYDX}/subaccountNumber/0"
FIGURES = (
    *("entry_price_usd", "size_usd", "collateral_usd", "mark_price_usd"),
    *("liquidation_price_usd", "side", "asset"),
)


class Outside:
    """Three venues that state what they are told to."""

    def __init__(self, jupiter, dydx, hyperliquid) -> None:
        self.jupiter, self.dydx, self.hyperliquid = jupiter, dydx, hyperliquid

    def rows(self, *rows: object) -> None:
        self.jupiter.answer("GET /v1/positions", json={"count": len(rows), "dataList": list(rows)})

    def state(self, body: object) -> None:
        self.hyperliquid.answer("POST /info/clearinghouseState", json=body)

    def account(self, body: object) -> None:
        self.dydx.answer(CROSS, json=body)


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with AsyncExitStack() as stack:
        kinds = (HttpProvider, HttpProvider, InfoProvider)
        outside = Outside(*[await stack.enter_async_context(kind()) for kind in kinds])
        outside.rows(*ROWS)
        outside.state(STATE)
        outside.account(ACCOUNT)
        outside.dydx.answer("GET /v4/perpetualMarkets", json=MARKETS)
        every = {"subaccounts": [ACCOUNT["subaccount"]]}
        outside.dydx.answer(f"GET /v4/addresses/{DYDX}", json=every)
        never = {
            "errors": [{"msg": "No subaccounts found with address x and parentSubaccountNumber 0"}]
        }
        outside.dydx.answer(
            f"GET /v4/addresses/{DYDX}/parentSubaccountNumber/0", status=404, json=never
        )
        outside.hyperliquid.answer(
            "POST /info/metaAndAssetCtxs",
            text=(FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_bytes(),
        )
        yield outside


@pytest.fixture
async def live(open_system, outside: Outside):
    servers = await open_system(
        jupiter_api_base=outside.jupiter.url,
        jupiter_api_version="v1",
        dydx_indexer_url=outside.dydx.url,
        hyperliquid_url=outside.hyperliquid.url,
    )
    for asset, price in (("BTC", 97400.0), ("ETH", 3380.0), ("SOL", 182.0)):
        servers.price.set(asset, price)
    chains = {
        "sol": (pb.CHAIN_SOLANA, SOLANA),
        "dydx": (pb.CHAIN_DYDX, DYDX),
        "evm": (pb.CHAIN_ETHEREUM, EVM),
    }
    for name, (chain, address) in chains.items():
        fresh = pb.Wallet(name=name, chain=chain, public_address=address)
        await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=fresh))
    return servers


async def sync(servers) -> dict[str, pb.WalletSync]:
    servers.clock.advance(60)
    for asset, price in (("BTC", 97400.0), ("ETH", 3380.0), ("SOL", 182.0)):
        servers.price.set(asset, price)
    return {
        one.wallet: one
        for one in (await servers.positions.SyncPositions(pb.SyncPositionsRequest())).wallets
    }


async def held(servers, **wanted: object) -> dict[str, pb.Position]:
    request = pb.ListPositionsRequest(page_size=100, **wanted)
    return {one.id: one for one in (await servers.positions.ListPositions(request)).positions}


def figures(position: pb.Position) -> dict[str, object]:
    return {name: getattr(position, name) for name in FIGURES}


def jupiter(**fields: object) -> Callable[[Outside], None]:
    return lambda outside: outside.rows({**ROWS[0], **fields}, *ROWS[1:])


def hyperliquid(factor: float, *names: str) -> Callable[[Outside], None]:
    def state(outside: Outside) -> None:
        body = copy.deepcopy(STATE)
        row = body["assetPositions"][0]["position"]
        row |= {name: f"{float(row[name]) * factor:f}" for name in names}
        outside.state(body)

    return state


def account_value(text: str) -> Callable[[Outside], None]:
    return lambda outside: outside.state(
        {**STATE, "crossMarginSummary": STATE["crossMarginSummary"] | {"accountValue": text}}
    )


def dydx(**fields: object) -> Callable[[Outside], None]:
    def state(outside: Outside) -> None:
        body = copy.deepcopy(ACCOUNT)
        body["subaccount"]["openPerpetualPositions"]["BTC-USD"] |= fields
        outside.account(body)

    return state


ALL = ("szi", "entryPx", "positionValue", "unrealizedPnl", "marginUsed", "liquidationPx")
GARBAGE = {
    "hyperliquid, all a million times too large": ("evm", "SOL", hyperliquid(1e6, *ALL)),
    "hyperliquid, amounts a million times too large": (
        "evm",
        "SOL",
        hyperliquid(1e6, "szi", "positionValue", "unrealizedPnl", "marginUsed"),
    ),
    "hyperliquid, entry a hundred times": ("evm", "SOL", hyperliquid(100, "entryPx")),
    "hyperliquid, margin 0": ("evm", "SOL", hyperliquid(0, "marginUsed")),
    "hyperliquid, margin negative": ("evm", "SOL", hyperliquid(-1, "marginUsed")),
    "hyperliquid, account value a tenth": ("evm", "SOL", account_value("211.82")),
    "hyperliquid, mark ten times": ("evm", "SOL", hyperliquid(10, "positionValue")),
    "hyperliquid, account value NaN": ("evm", "SOL", account_value("NaN")),
    "dydx, entry a hundred times": ("dydx", "BTC", dydx(entryPrice="9512000")),
    "dydx, size a million times": ("dydx", "BTC", dydx(size="350000")),
    "jupiter, collateral 0": ("sol", KEY, jupiter(collateral="0")),
    "jupiter, collateral a hundredth beside larger ones": (
        "sol",
        KEY,
        jupiter(collateral=str(float(ROWS[0]["collateral"]) / 100), value=None),
    ),
    "jupiter, collateral a tenth": (
        "sol",
        KEY,
        jupiter(collateral=str(float(ROWS[0]["collateral"]) / 10)),
    ),
    "jupiter, mark ten times": (
        "sol",
        KEY,
        jupiter(markPrice=str(float(ROWS[0]["markPrice"]) * 10)),
    ),
    "jupiter, asset unknown": ("sol", KEY, jupiter(marketMint=DYDX)),
    "jupiter, side gone": ("sol", KEY, jupiter(side=None)),
    "jupiter, side turned": (
        "sol",
        KEY,
        jupiter(side="short" if ROWS[0]["side"].lower() == "long" else "long"),
    ),
    "jupiter, entry a hundred times": (
        "sol",
        KEY,
        jupiter(entryPrice=str(float(ROWS[0]["entryPrice"]) * 100)),
    ),
}


@pytest.mark.parametrize(("wallet", "which", "garbage"), GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_of_a_known_position_is_refused_and_the_last_good_one_stays_marked(
    live, outside, wallet: str, which: str, garbage
) -> None:
    await sync(live)
    good = await held(live, wallet=wallet)
    (name,) = [one.id for one in good.values() if which in (one.id, one.asset)]
    garbage(outside)
    for _ in range(2):
        outcome = (await sync(live))[wallet]
        assert (outcome.state, outcome.reason) == (pb.WALLET_SYNC_STATE_PARTIAL, "ROWS_REFUSED")
        assert outcome.refused_count >= 1 and outcome.stale_count == outcome.closed_count == 0
        kept = await held(live, wallet=wallet)
        assert kept.keys() == good.keys()
        assert figures(kept[name]) == figures(good[name])
        assert pb.FLAG_ROW_REFUSED in kept[name].flags
    refused = (await live.positions.ListRefusedRows(pb.ListRefusedRowsRequest())).rows
    assert refused and all(
        row.reason and not {SOLANA, DYDX, EVM} & {row.masked_body} for row in refused
    )
    outside.rows(*ROWS)
    outside.state(STATE)
    outside.account(ACCOUNT)
    assert (await sync(live))[wallet].state == pb.WALLET_SYNC_STATE_COMPLETE
    assert pb.FLAG_ROW_REFUSED not in (await held(live, wallet=wallet))[name].flags


def grown() -> dict[str, object]:
    """The first row with thirty times its collateral, and a value that says so."""
    row = dict(ROWS[0])
    collateral = float(row["collateral"])
    row["collateral"] = f"{collateral * 30:.2f}"
    row["value"] = f"{float(row['value']) + collateral * 29:.2f}"
    row["liquidationPrice"] = None
    return row


async def test_thirty_times_the_collateral_is_taken_at_the_third_look(live, outside) -> None:
    outside.rows(ROWS[0])
    await sync(live)
    before = (await held(live, wallet="sol"))[KEY].collateral_usd
    outside.rows(grown())
    for expected in (before, before, pytest.approx(before * 30)):
        outcome = (await sync(live))["sol"]
        assert (await held(live, wallet="sol"))[KEY].collateral_usd == expected
        assert (outcome.message == "") is (expected != before)
        assert expected != before or "30 times what it was" in outcome.message
    assert (await sync(live))["sol"].state == pb.WALLET_SYNC_STATE_COMPLETE


async def test_a_leap_that_goes_back_leaves_no_trace(live, outside) -> None:
    outside.rows(ROWS[0])
    await sync(live)
    before = (await held(live, wallet="sol"))[KEY].collateral_usd
    for row in (grown(), grown(), ROWS[0], grown(), grown()):
        outside.rows(row)
        await sync(live)
        assert (await held(live, wallet="sol"))[KEY].collateral_usd == before, "counted anew"


def turned(body: dict[str, object]) -> dict[str, object]:
    body = copy.deepcopy(body)
    row = body["assetPositions"][0]["position"]
    row |= {"szi": "-50.0", "unrealizedPnl": "640.0", "liquidationPx": "230.0"}
    body["crossMarginSummary"] |= {"totalRawUsd": "11238.22"}
    return body


async def test_a_side_that_turned_on_hyperliquid_is_another_position(live, outside) -> None:
    await sync(live)
    (long,) = [one for one in (await held(live, wallet="evm")).values() if one.asset == "SOL"]
    outside.state(turned(STATE))
    outcome = (await sync(live))["evm"]
    assert (outcome.state, outcome.reason) == (pb.WALLET_SYNC_STATE_COMPLETE, "")
    assert (outcome.opened_count, outcome.closed_count, outcome.stale_count) == (1, 1, 0)
    (short,) = [one for one in (await held(live, wallet="evm")).values() if one.asset == "SOL"]
    assert short.side == pb.SIDE_SHORT and short.id != long.id
    ended = await live.positions.GetPosition(pb.GetPositionRequest(id=long.id))
    assert (ended.status, ended.side, ended.size_usd) == (
        pb.STATUS_CLOSED,
        pb.SIDE_LONG,
        long.size_usd,
    )
    outcome = (await sync(live))["evm"]
    assert (outcome.opened_count, outcome.closed_count) == (0, 0), "it goes on"
    outside.state(STATE)
    outcome = (await sync(live))["evm"]
    assert (outcome.opened_count, outcome.closed_count, outcome.stale_count) == (1, 1, 0)
    (again,) = [one for one in (await held(live, wallet="evm")).values() if one.asset == "SOL"]
    assert (again.id, again.side) == (long.id, pb.SIDE_LONG)


async def test_a_coin_with_the_name_of_an_index_is_not_measured_by_it(live, outside) -> None:
    body = copy.deepcopy(STATE)
    body["assetPositions"][0]["position"]["coin"] = "SPX"
    live.price.set("SPX", 6_900.0)
    outside.state(body)
    outcome = (await sync(live))["evm"]
    assert (outcome.state, outcome.reason) == (pb.WALLET_SYNC_STATE_COMPLETE, "")
    assert "SPX" in {one.asset for one in (await held(live, wallet="evm")).values()}


async def test_a_turned_position_goes_on_when_the_one_before_it_is_removed(live, outside) -> None:
    await sync(live)
    (long,) = [one for one in (await held(live, wallet="evm")).values() if one.asset == "SOL"]
    outside.state(turned(STATE))
    await sync(live)
    (short,) = [one for one in (await held(live, wallet="evm")).values() if one.asset == "SOL"]
    await live.positions.DeletePosition(pb.DeletePositionRequest(id=long.id))
    for _ in range(3):
        outcome = (await sync(live))["evm"]
        assert (outcome.opened_count, outcome.closed_count, outcome.stale_count) == (0, 0, 0)
        (same,) = [one for one in (await held(live, wallet="evm")).values() if one.asset == "SOL"]
        assert same.id == short.id
    outside.state(STATE)
    outcome = (await sync(live))["evm"]
    assert (outcome.opened_count, outcome.closed_count, outcome.stale_count) == (1, 1, 0)


async def test_a_refused_row_of_a_turned_position_marks_the_one_that_is_held(live, outside) -> None:
    await sync(live)
    outside.state(turned(STATE))
    await sync(live)
    body = turned(STATE)
    body["assetPositions"][0]["position"]["marginUsed"] = "0"
    outside.state(body)
    outcome = (await sync(live))["evm"]
    assert outcome.stale_count == outcome.closed_count == 0
    (short,) = [one for one in (await held(live, wallet="evm")).values() if one.asset == "SOL"]
    assert short.side == pb.SIDE_SHORT and pb.FLAG_ROW_REFUSED in short.flags


async def test_a_side_that_turned_on_dydx_is_another_position(live, outside) -> None:
    await sync(live)
    body = copy.deepcopy(ACCOUNT)
    row = body["subaccount"]["openPerpetualPositions"]["BTC-USD"]
    row |= {"side": "SHORT", "size": "-0.35", "unrealizedPnl": "-802.375"}
    body["subaccount"]["assetPositions"] = {}
    outside.account(body)
    outcome = (await sync(live))["dydx"]
    assert (outcome.opened_count, outcome.closed_count, outcome.stale_count) == (1, 1, 0)


async def test_a_known_position_whose_market_is_not_listed_keeps_its_mark(live, outside) -> None:
    await sync(live)
    good = await held(live, wallet="dydx")
    listed = copy.deepcopy(MARKETS)
    del listed["markets"]["ETH-USD"]
    outside.dydx.answer("GET /v4/perpetualMarkets", json=listed)
    outcome = (await sync(live))["dydx"]
    assert outcome.state == pb.WALLET_SYNC_STATE_PARTIAL and "no market of ETH" in outcome.message
    for one in (await held(live, wallet="dydx")).values():
        assert one.mark_price_usd == good[one.id].mark_price_usd
        assert (pb.FLAG_ROW_REFUSED in one.flags) is (one.asset == "ETH")
