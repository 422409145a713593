"""Three chains at once over gRPC: no failure is another's; liquidations, terms,
balances are kept."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from services.positions.domain.venue_answer import CarrySource
from services.positions.store import Store
from shared.database.pool import Database
from tests.fakes.http_provider import HttpProvider
from tests.fakes.info_provider import InfoProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
SOLANA = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
DYDX = "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
OTHER_EVM = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
ROWS = json.loads((FIXTURES / "jupiter_perps_positions_v1.json").read_text())["dataList"]
TRADE = json.loads((FIXTURES / "jupiter_perps_trades_v2_liquidation.json").read_text())["dataList"][
    0
]
OTHER = json.loads((FIXTURES / "dydx_other_subaccount.json").read_text())["GET /v4/addresses/{a}"]
ACCOUNT = json.loads((FIXTURES / "dydx_v4_subaccount.json").read_text())
STATE = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
CROSS = f"GET /v4/addresses/{DYDX}/subaccountNumber/0"
KEY = ROWS[0]["positionPubkey"]
WALLETS = {
    "sol": (pb.CHAIN_SOLANA, SOLANA),
    "dydx": (pb.CHAIN_DYDX, DYDX),
    "evm": (pb.CHAIN_ETHEREUM, EVM),
    "evm2": (pb.CHAIN_ETHEREUM, OTHER_EVM),
}


class Outside:
    """Every provider of three chains."""

    def __init__(self, jupiter, dydx, hyperliquid, node) -> None:
        self.jupiter, self.dydx, self.hyperliquid, self.node = jupiter, dydx, hyperliquid, node

    def rows(self, *rows: object) -> None:
        self.jupiter.answer("GET /v1/positions", json={"count": len(rows), "dataList": list(rows)})

    def trades(self, *trades: object) -> None:
        self.jupiter.answer("GET /v2/trades", json={"count": len(trades), "dataList": list(trades)})


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with AsyncExitStack() as stack:
        kinds = (HttpProvider, HttpProvider, InfoProvider, HttpProvider)
        outside = Outside(*[await stack.enter_async_context(kind()) for kind in kinds])
        outside.rows(*ROWS)
        outside.trades()
        outside.dydx.answer(
            "GET /v4/perpetualMarkets",
            text=(FIXTURES / "dydx_v4_perpetual_markets.json").read_bytes(),
        )
        outside.dydx.answer(CROSS, json=ACCOUNT)
        never = {
            "errors": [{"msg": "No subaccounts found with address x and parentSubaccountNumber 0"}]
        }
        outside.dydx.answer(
            f"GET /v4/addresses/{DYDX}/parentSubaccountNumber/0", status=404, json=never
        )
        every = {"subaccounts": [ACCOUNT["subaccount"]]}
        outside.dydx.answer(f"GET /v4/addresses/{DYDX}", json=every)
        outside.hyperliquid.answer("POST /info/clearinghouseState", json=STATE)
        outside.hyperliquid.answer(
            "POST /info/metaAndAssetCtxs",
            text=(FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_bytes(),
        )
        outside.node.answer("POST /", json={"result": {"value": 2_500_000_000}})
        outside.node.answer("POST /evm", json={"result": hex(3 * 10**18)})
        yield outside


@pytest.fixture
async def live(open_system, outside: Outside):
    """A system with four wallets on three chains."""
    servers = await open_system(
        jupiter_api_base=outside.jupiter.url,
        jupiter_api_version="v1",
        dydx_indexer_url=outside.dydx.url,
        hyperliquid_url=outside.hyperliquid.url,
        solana_rpc_url=outside.node.url,
        ethereum_rpc_url=outside.node.url + "/evm",
    )
    for asset, price in (("BTC", 97400.0), ("ETH", 3380.0), ("SOL", 182.0)):
        servers.price.set(asset, price)
    for name, (chain, address) in WALLETS.items():
        fresh = pb.Wallet(name=name, chain=chain, public_address=address)
        await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=fresh))
    return servers


async def sync(servers, cycle_id: str = "") -> dict[str, pb.WalletSync]:
    request = pb.SyncPositionsRequest(cycle_id=cycle_id, epoch=1)
    return {one.wallet: one for one in (await servers.positions.SyncPositions(request)).wallets}


async def listed(servers, **wanted: str) -> list[pb.Position]:
    request = pb.ListPositionsRequest(page_size=100, **wanted)
    return list((await servers.positions.ListPositions(request)).positions)


async def position(servers, id: str = KEY) -> pb.Position:
    return await servers.positions.GetPosition(pb.GetPositionRequest(id=id))


async def test_every_chain_is_asked_where_its_positions_live(live) -> None:
    outcomes = await sync(live)
    assert {name: one.venue for name, one in outcomes.items()} == {
        "sol": "jupiter",
        "dydx": "dydx",
        "evm": "hyperliquid",
        "evm2": "hyperliquid",
    }
    assert {one.state for one in outcomes.values()} == {pb.WALLET_SYNC_STATE_COMPLETE}
    held = await listed(live)
    assert len(held) == 4 + 2 + 2 + 2
    assert all(
        one.HasField("liquidation_distance_percent") and one.HasField("heat_index") for one in held
    )
    dydx = await listed(live, wallet="dydx")
    assert all(
        one.risk_liquidation_price_usd == one.own_liquidation_price_usd
        and not one.HasField("liquidation_price_usd")
        for one in dydx
    )
    assert sum(one.value_usd for one in dydx) == pytest.approx(10412.337)


BROKEN = {
    "sol": ("jupiter", "GET /v1/positions"),
    "dydx": ("dydx", CROSS),
    "evm": ("hyperliquid", f"POST /info/clearinghouseState/{EVM}"),
}


@pytest.mark.parametrize("reply", [{"status": 403}, {"json": []}, {"status": 400}], ids=str)
@pytest.mark.parametrize("name", BROKEN)
async def test_one_failing_wallet_stops_no_other(live, outside, name, reply) -> None:
    provider, route = BROKEN[name]
    getattr(outside, provider).answer(route, **reply)
    outcomes = await sync(live)
    assert outcomes[name].state == pb.WALLET_SYNC_STATE_FAILED and outcomes[name].reason
    others = {other: one.state for other, one in outcomes.items() if other != name}
    assert set(others.values()) == {pb.WALLET_SYNC_STATE_COMPLETE}
    for one in outcomes.values():
        assert not any(address in one.message for _, address in WALLETS.values())


async def told(servers, **fields: object) -> dict[str, pb.WalletSync]:
    request = pb.SyncPositionsRequest(**fields)
    return {one.wallet: one for one in (await servers.positions.SyncPositions(request)).wallets}


@pytest.mark.parametrize("status", [401, 403, 451])
async def test_one_wallets_refusal_blinds_no_other_and_is_told_with_its_length(
    live, outside, status
) -> None:
    route = f"POST /info/clearinghouseState/{EVM}"
    outside.hyperliquid.answer(route, status=status, json={}, times=2)
    outside.hyperliquid.answer(route, json=STATE)
    for _ in range(3):
        outcomes = await told(live)
        assert (outcomes["evm"].reason, outcomes["evm2"].reason) == ("REFUSED", "")
        assert "60 s" in outcomes["evm"].message
        assert outcomes["evm2"].state == pb.WALLET_SYNC_STATE_COMPLETE
    assert len([one for one in outside.hyperliquid.types() if one == "clearinghouseState"]) == 4
    live.clock.advance(60)
    assert "300 s" in (await told(live))["evm"].message
    assert (await told(live, force=True))["evm"].state == pb.WALLET_SYNC_STATE_COMPLETE


async def test_a_refusal_of_all_wallets_is_told_as_the_venues(live, outside) -> None:
    outside.hyperliquid.answer("POST /info/clearinghouseState", status=403, json={})
    outcomes = await told(live)
    for name in ("evm", "evm2"):
        assert "refuses all 2 wallets" in outcomes[name].message


async def test_a_limit_of_the_host_names_its_length_to_each_wallet_and_force_asks_once(
    live, outside
) -> None:
    state = "POST /info/clearinghouseState"
    outside.hyperliquid.answer(state, status=429, headers={"retry-after": "259200"}, json={})
    outcomes = await told(live)
    assert {outcomes[name].reason for name in ("evm", "evm2")} == {"RATE_LIMITED"}
    assert all("900 s" in outcomes[name].message for name in ("evm", "evm2"))
    asked_count = len(outside.hyperliquid.types())
    await told(live)
    assert len(outside.hyperliquid.types()) == asked_count
    await told(live, force=True)
    assert len(outside.hyperliquid.types()) == asked_count + 1
    outside.hyperliquid.answer(state, json=STATE)
    outcomes = await told(live, force=True)
    assert {outcomes[name].reason for name in ("evm", "evm2")} == {""}


async def test_markets_with_none_in_them_are_no_answer_and_old_marks_are_told_old(
    live, outside
) -> None:
    await told(live)
    marks = {one.id: one.mark_price_usd for one in await listed(live, wallet="dydx")}
    outside.dydx.answer("GET /v4/perpetualMarkets", json={"markets": {}})
    live.clock.advance(60)
    outcome = (await told(live))["dydx"]
    assert (outcome.state, outcome.reason) == (pb.WALLET_SYNC_STATE_FAILED, "BAD_BODY")
    kept = await listed(live, wallet="dydx")
    assert {one.id: one.mark_price_usd for one in kept} == marks
    assert all(pb.FLAG_MARK_STALE in one.flags for one in kept)


@pytest.mark.slow
async def test_subaccounts_that_are_not_read_close_nothing_and_their_accounts_are_not_known(
    live, outside
) -> None:
    every = f"GET /v4/addresses/{DYDX}"
    (other,) = [one for one in OTHER["subaccounts"] if one["subaccountNumber"] == 1]
    markets = json.loads((FIXTURES / "dydx_v4_perpetual_markets.json").read_text())["markets"]
    # Half a coin, less what it was bought with.
    equity = 0.5 * float(markets["BTC-USD"]["oraclePrice"]) - 44_425
    other = {**other, "equity": str(equity)}
    both = {"subaccounts": [ACCOUNT["subaccount"], other]}
    outside.dydx.answer(every, json=both)

    async def looked(cycle_id: str) -> tuple[int, str | None]:
        """Positions held, and why the other subaccount is not known; None: it is gone."""
        live.clock.advance(60)
        await sync(live, cycle_id)
        answer = await live.accounts.ListAccounts(pb.ListAccountsRequest(wallet="dydx"))
        reasons = {one.name: one.reason for one in answer.accounts}
        return len(await listed(live, wallet="dydx")), reasons.get("subaccount 1")

    count, reason = await looked("c1")
    assert reason == ""
    outside.dydx.answer(every, status=404, json={})
    assert [await looked(f"c{number}") for number in (2, 3, 4)] == [(count, "ACCOUNT_UNREAD")] * 3
    outside.dydx.answer(every, json=both)
    assert await looked("c5") == (count, "")
    outside.dydx.answer(every, json={"subaccounts": [ACCOUNT["subaccount"]]})
    assert [await looked(f"c{number}") for number in (6, 7)] == [(count, "ACCOUNT_UNREAD")] * 2
    nothing = {"openPerpetualPositions": {}, "assetPositions": {}}
    empty = {**other, **nothing, "equity": "0", "freeCollateral": "0"}
    outside.dydx.answer(every, json={"subaccounts": [ACCOUNT["subaccount"], empty]})
    assert [(await looked(f"c{number}"))[1] for number in (8, 9)] == [None, None]
    assert len(await listed(live, wallet="dydx", status=pb.STATUS_ACTIVE)) == count - 1


async def test_an_outage_of_dydx_closes_nothing_nor_does_an_indexer_that_lost_the_address(
    live, outside
) -> None:
    await sync(live, "c1")
    outside.dydx.answer(CROSS, status=404, json={"error": "no such route"})
    for number in range(2, 5):
        live.clock.advance(60)
        outcome = (await sync(live, f"c{number}"))["dydx"]
        assert outcome.state == pb.WALLET_SYNC_STATE_FAILED
    never = {"errors": [{"msg": f"No subaccount found with address {DYDX} and subaccountNumber 0"}]}
    outside.dydx.answer(CROSS, status=404, json=never)
    outside.dydx.answer(f"GET /v4/addresses/{DYDX}", status=404, json=never)
    outcome = (await sync(live, "c5"))["dydx"]
    assert (outcome.state, outcome.stale_count) == (pb.WALLET_SYNC_STATE_FAILED, 0)
    assert {one.status for one in await listed(live, wallet="dydx")} == {pb.STATUS_ACTIVE}


async def test_a_dydx_wallet_that_never_traded_is_complete(live, outside) -> None:
    never = {"errors": [{"msg": f"No subaccount found with address {DYDX} and subaccountNumber 0"}]}
    outside.dydx.answer(CROSS, status=404, json=never)
    outside.dydx.answer(f"GET /v4/addresses/{DYDX}", status=404, json=never)
    outcome = (await sync(live, "c1"))["dydx"]
    assert (outcome.state, outcome.opened_count) == (pb.WALLET_SYNC_STATE_COMPLETE, 0)


def liquidation(servers, *, seconds: int = 0, **fields: object) -> dict[str, object]:
    second = int(servers.clock.now().timestamp()) + seconds
    return {**TRADE, "positionPubkey": KEY, "createdTime": second, **fields}


async def test_a_position_that_is_gone_by_a_liquidation_trade_is_liquidated_at_once(
    live, outside
) -> None:
    await sync(live, "c1")
    outside.rows(*ROWS[1:])
    outside.trades(liquidation(live))
    outcome = (await sync(live, "c2"))["sol"]
    assert (outcome.stale_count, outcome.closed_count) == (0, 1)
    assert (await position(live)).status == pb.STATUS_LIQUIDATED
    asked = len(outside.jupiter.asked("GET /v2/trades"))
    live.clock.advance(60)
    await sync(live, "c3")
    assert len(outside.jupiter.asked("GET /v2/trades")) == asked == 1, (
        "only while something is gone"
    )
    outside.rows(*ROWS)
    assert (await sync(live, "c4"))["sol"].opened_count == 1
    assert (await position(live)).status == pb.STATUS_ACTIVE


@pytest.mark.parametrize(
    "change",
    [{"seconds": -3600}, {"orderType": "Market"}, {"positionPubkey": ROWS[1]["positionPubkey"]}],
    ids=["of an earlier life", "closed by hand", "another position"],
)
async def test_another_trade_lets_it_age_as_ever(live, outside, change) -> None:
    await sync(live, "c1")
    outside.rows(*ROWS[1:])
    outside.trades(liquidation(live, **change))
    assert (await sync(live, "c2"))["sol"].stale_count == 1
    live.clock.advance(60)
    assert (await sync(live, "c3"))["sol"].closed_count == 1
    assert (await position(live)).status == pb.STATUS_CLOSED
    assert (await position(live, ROWS[1]["positionPubkey"])).status == pb.STATUS_ACTIVE


async def test_trades_that_cannot_be_read_block_nothing_and_are_asked_again(live, outside) -> None:
    await sync(live, "c1")
    outside.rows(*ROWS[1:])
    outside.jupiter.answer("GET /v2/trades", status=500, json={})
    assert (await sync(live, "c2"))["sol"].stale_count == 1
    outside.trades(liquidation(live))
    live.clock.advance(60)
    assert (await sync(live, "c3"))["sol"].closed_count == 1
    assert (await position(live)).status == pb.STATUS_LIQUIDATED


async def test_terms_of_the_venues_are_kept_and_a_lost_rate_is_absent(
    live, outside, databases
) -> None:
    outside.jupiter.answer("GET /v1/pool-info", json={"longBorrowRatePercent": "0.002"})
    await sync(live, "c1")
    database = Database(databases.url("positions"), application_name="test")
    await database.start()
    try:
        held = {one.id: one for one in await listed(live)}

        async def terms() -> dict[str, object]:
            async with database.open(Store)() as store:
                keys = {
                    (await store.positions.find(name)).inputs.position_key: name for name in held
                }
                return {keys[key]: one for key, one in (await store.sync_rows.terms(keys)).items()}

        known = await terms()
        assert {one.carry_source for one in known.values()} == set(CarrySource)
        assert known[KEY].hourly_carry_usd == pytest.approx(held[KEY].size_usd * 0.002 / 100)
        for name, one in held.items():
            if one.venue in ("dydx", "hyperliquid"):
                assert 0 < known[name].maintenance_ratio < 0.1
        outside.hyperliquid.answer("POST /info/metaAndAssetCtxs", status=500, json={})
        live.clock.advance(301)
        await sync(live, "c2")
        lost = [one for name, one in (await terms()).items() if held[name].venue == "hyperliquid"]
        assert lost and all(one.hourly_carry_usd is one.carry_source is None for one in lost)
    finally:
        await database.stop()


async def balance(servers, name: str) -> float | None:
    wallet = await servers.wallets.GetWallet(pb.GetWalletRequest(name=name))
    return wallet.balance_native if wallet.HasField("balance_native") else None


async def test_balances_are_read_every_ten_minutes_and_a_failure_keeps_the_last(
    live, outside
) -> None:
    await sync(live, "c1")
    assert [await balance(live, name) for name in WALLETS] == [2.5, None, 3.0, 3.0]
    outside.node.answer("POST /", json={"result": {"value": 0}})
    outside.node.answer("POST /evm", status=500, json={})
    live.clock.advance(599)
    await sync(live, "c2")
    assert [await balance(live, name) for name in WALLETS] == [2.5, None, 3.0, 3.0]
    live.clock.advance(2)
    outcomes = await sync(live, "c3")
    assert [await balance(live, name) for name in WALLETS] == [0.0, None, 3.0, 3.0]
    assert {one.state for one in outcomes.values()} <= {
        pb.WALLET_SYNC_STATE_COMPLETE,
        pb.WALLET_SYNC_STATE_PARTIAL,
    }
