"""Sync over gRPC against a scripted Jupiter: the complete-answer rule, outages, refused rows,
fences.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from shared.errors import Conflict, NotFound
from tests.fakes.http_provider import HttpProvider

ADDRESS = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
OTHER = "EN3UYkUrSaqdSG5k9ERpLThCVr1X5RobnoBMvSCzKDRX"
_BODY = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "jupiter_perps_positions_v1.json").read_text()
)
ROWS = _BODY["dataList"]
FIRST = ROWS[0]["positionPubkey"]


@pytest.fixture
async def jupiter() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as provider:
        yield provider


@pytest.fixture
async def live(open_system, jupiter: HttpProvider):
    """A system with one real wallet, whose venue has not been told what to answer."""
    servers = await open_system(jupiter_api_base=jupiter.url, jupiter_api_version="v1")
    for asset, price in (("BTC", 97400.0), ("ETH", 3380.0), ("SOL", 182.0)):
        servers.price.set(asset, price)
    await wallet(servers, "main", ADDRESS)
    return servers


async def wallet(servers, name: str, address: str) -> None:
    fresh = pb.Wallet(name=name, chain=pb.CHAIN_SOLANA, public_address=address)
    await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=fresh))


def tell(jupiter: HttpProvider, rows, *, address: str = ADDRESS, count: int | None = None) -> None:
    body = {"count": len(rows) if count is None else count, "dataList": rows}
    jupiter.answer("GET /v1/positions", json=body, where={"walletAddress": address})


async def sync(servers, cycle_id: str = "", epoch: int = 1, wallets=()):
    request = pb.SyncPositionsRequest(cycle_id=cycle_id, epoch=epoch, wallets=wallets)
    return await servers.positions.SyncPositions(request)


async def position(servers, id: str = FIRST) -> pb.Position:
    return await servers.positions.GetPosition(pb.GetPositionRequest(id=id))


async def test_a_complete_answer_opens_positions_and_they_are_judged(live, jupiter) -> None:
    tell(jupiter, ROWS)
    synced = await sync(live, "c1")
    (outcome,) = synced.wallets
    assert outcome.state == pb.WALLET_SYNC_STATE_COMPLETE
    assert (outcome.opened_count, outcome.row_count, synced.active_count) == (
        len(ROWS),
        len(ROWS),
        len(ROWS),
    )
    assert synced.mode == pb.MODE_LIVE
    held = await position(live)
    assert held.venue == "jupiter" and held.wallet == "main" and held.mark_price_usd == 97412.5
    assert held.market_price_usd == 97400.0 and held.HasField("heat_index")
    assert (await live.wallets.GetWallet(pb.GetWalletRequest(name="main"))).balance_usd > 0


async def test_an_answer_without_news_changes_nothing_but_the_time(live, jupiter) -> None:
    tell(jupiter, ROWS)
    await sync(live, "c1")
    before = await position(live)
    live.clock.advance(60)
    synced = await sync(live, "c2")
    await live.positions.EnrichPositions(pb.EnrichPositionsRequest(cycle_id="c2", epoch=1))
    after = await position(live)
    assert synced.wallets[0].changed_count == synced.wallets[0].opened_count == 0
    assert after.updated_time == before.updated_time
    assert after.mark_time.seconds == before.mark_time.seconds + 60


async def test_missing_once_is_stale_and_twice_in_other_cycles_30_s_apart_is_closed(
    live, jupiter
) -> None:
    tell(jupiter, ROWS)
    await sync(live, "c1")
    tell(jupiter, ROWS[1:])
    synced = await sync(live, "c2")
    assert (synced.wallets[0].stale_count, synced.stale_count) == (1, 1)
    assert (await position(live)).status == pb.STATUS_STALE
    live.clock.advance(29)
    await sync(live, "c3")
    assert (await position(live)).status == pb.STATUS_STALE
    live.clock.advance(1)
    synced = await sync(live, "c4")
    assert synced.wallets[0].closed_count == 1
    assert (await position(live)).status == pb.STATUS_CLOSED


async def test_a_position_that_comes_back_is_active_again(live, jupiter) -> None:
    tell(jupiter, ROWS)
    await sync(live, "c1")
    tell(jupiter, [])
    await sync(live, "c2")
    live.clock.advance(60)
    await sync(live, "c3")
    assert (await position(live)).status == pb.STATUS_CLOSED
    tell(jupiter, ROWS)
    synced = await sync(live, "c4")
    assert synced.wallets[0].opened_count == len(ROWS)
    assert (await position(live)).status == pb.STATUS_ACTIVE
    tell(jupiter, ROWS[1:])
    await sync(live, "c5")
    assert (await position(live)).status == pb.STATUS_STALE, "counting begins anew"


@pytest.mark.parametrize("fault", ["server_error", "short_count", "refused_row"])
async def test_nothing_ages_while_answers_are_not_complete(live, jupiter, fault) -> None:
    tell(jupiter, ROWS)
    await sync(live, "c0")
    for number in range(1, 4):
        if fault == "server_error":
            jupiter.answer(
                "GET /v1/positions",
                status=400,
                json={"code": 400},
                where={"walletAddress": ADDRESS},
            )
        elif fault == "short_count":
            tell(jupiter, ROWS[1:], count=len(ROWS))
        else:
            tell(jupiter, [{**ROWS[1], "size": "NaN"}, *ROWS[2:]])
        live.clock.advance(60)
        synced = await sync(live, f"c{number}")
        assert synced.wallets[0].state != pb.WALLET_SYNC_STATE_COMPLETE and synced.wallets[0].reason
        assert synced.wallets[0].stale_count == synced.wallets[0].closed_count == 0
    assert synced.active_count == len(ROWS)


async def test_a_refused_row_keeps_the_last_good_version_and_is_recorded(live, jupiter) -> None:
    tell(jupiter, ROWS)
    await sync(live, "c1")
    good = await position(live)
    tell(jupiter, [{**ROWS[0], "collateral": "-5"}, *ROWS[1:]])
    synced = await sync(live)
    kept = await position(live)
    assert (synced.refused_count, synced.wallets[0].state) == (1, pb.WALLET_SYNC_STATE_PARTIAL)
    assert kept.collateral_usd == good.collateral_usd and pb.FLAG_ROW_REFUSED in kept.flags
    (row,) = (await live.positions.ListRefusedRows(pb.ListRefusedRowsRequest())).rows
    assert (
        row.wallet == "main"
        and row.venue == "jupiter"
        and row.reason
        and ADDRESS not in row.masked_body
    )
    tell(jupiter, ROWS)
    await sync(live)
    assert pb.FLAG_ROW_REFUSED not in (await position(live)).flags


async def test_one_wallets_outage_flags_its_marks_at_once_and_stops_nobody(live, jupiter) -> None:
    await wallet(live, "other", OTHER)
    tell(jupiter, ROWS[:1])
    tell(jupiter, ROWS[1:2], address=OTHER)
    await sync(live, "c1")
    jupiter.answer("GET /v1/positions", status=403, json={}, where={"walletAddress": ADDRESS})
    live.clock.advance(60)
    synced = await sync(live, "c2")
    states = {outcome.wallet: outcome.state for outcome in synced.wallets}
    assert states == {"main": pb.WALLET_SYNC_STATE_FAILED, "other": pb.WALLET_SYNC_STATE_COMPLETE}
    assert synced.failed_count == 1
    assert pb.FLAG_MARK_STALE in (await position(live)).flags
    assert pb.FLAG_MARK_STALE not in (await position(live, ROWS[1]["positionPubkey"])).flags
    failed = await live.wallets.GetWallet(pb.GetWalletRequest(name="main"))
    assert failed.last_sync_state == pb.WALLET_SYNC_STATE_FAILED and failed.last_sync_reason
    for outcome in synced.wallets:
        assert ADDRESS not in outcome.message


async def test_a_duplicate_row_counts_once(live, jupiter) -> None:
    tell(jupiter, [*ROWS, ROWS[0]])
    assert (await sync(live, "c1")).active_count == len(ROWS)


async def test_the_same_cycle_again_answers_from_its_record(live, jupiter) -> None:
    tell(jupiter, ROWS)
    first = await sync(live, "c1", epoch=3)
    tell(jupiter, [])
    assert await sync(live, "c1", epoch=3) == first
    assert (await position(live)).status == pb.STATUS_ACTIVE


async def test_an_older_epoch_is_refused_in_every_step(live, jupiter) -> None:
    tell(jupiter, ROWS)
    await sync(live, "c1", epoch=5)
    for call in (
        sync(live, "c2", epoch=4),
        live.positions.EnrichPositions(pb.EnrichPositionsRequest(cycle_id="c2", epoch=4)),
        live.portfolio.RecordSnapshot(pb.RecordSnapshotRequest(cycle_id="c2", epoch=4)),
    ):
        with pytest.raises(Conflict, match="STALE_EPOCH"):
            await call


async def test_a_wallet_that_is_not_there_cannot_be_synced(live) -> None:
    with pytest.raises(NotFound, match="WALLET_NOT_FOUND"):
        await sync(live, wallets=["nobody"])


async def test_a_wallet_whose_venue_is_turned_off_fails_by_name(open_system, jupiter) -> None:
    live = await open_system(
        jupiter_api_base=jupiter.url, jupiter_api_version="v1", hyperliquid_url=""
    )
    await wallet(live, "main", ADDRESS)
    tell(jupiter, ROWS)
    fresh = pb.Wallet(
        name="evm",
        chain=pb.CHAIN_ETHEREUM,
        public_address="0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    )
    await live.wallets.CreateWallet(pb.CreateWalletRequest(wallet=fresh))
    outcomes = {one.wallet: one for one in (await sync(live, "c1")).wallets}
    assert (
        outcomes["evm"].reason == "NO_VENUE"
        and outcomes["main"].state == pb.WALLET_SYNC_STATE_COMPLETE
    )


async def test_the_simulation_lives_until_a_real_wallet_comes(open_system, jupiter) -> None:
    servers = await open_system(jupiter_api_base=jupiter.url, jupiter_api_version="v1")
    for asset, price in (("BTC", 97400.0), ("ETH", 3380.0), ("SOL", 182.0)):
        servers.price.set(asset, price)
    assert (await servers.positions.GetMode(pb.GetModeRequest())).mode == pb.MODE_DEMO
    synced = await sync(servers, "c1")
    assert synced.mode == pb.MODE_DEMO and synced.active_count == 7
    listed = (await servers.positions.ListPositions(pb.ListPositionsRequest())).positions
    assert {one.wallet for one in listed} == {"demo-main", "demo-hedge"}
    assert all(pb.FLAG_DEMO in one.flags and one.HasField("heat_index") for one in listed)
    entries = {one.id: one.entry_price_usd for one in listed}
    servers.price.set("BTC", 90000.0)
    again = await open_system(jupiter_api_base=jupiter.url, jupiter_api_version="v1")
    await sync(again)
    listed = (await again.positions.ListPositions(pb.ListPositionsRequest())).positions
    assert {one.id: one.entry_price_usd for one in listed} == entries, "a restart continues it"
    tell(jupiter, ROWS[:1])
    await wallet(again, "main", ADDRESS)
    synced = await sync(again, "c2")
    assert (synced.mode, synced.active_count) == (pb.MODE_LIVE, 1)
    demo = await again.positions.GetPosition(pb.GetPositionRequest(id=next(iter(entries))))
    assert demo.status == pb.STATUS_CLOSED
    assert not (await again.wallets.GetWallet(pb.GetWalletRequest(name="demo-main"))).active


async def test_the_simulation_keeps_its_last_marks_while_prices_are_away(open_system) -> None:
    servers = await open_system()
    for asset, price in (("BTC", 97400.0), ("ETH", 3380.0), ("SOL", 182.0)):
        servers.price.set(asset, price)
    await sync(servers, "c1")
    before = (await servers.positions.ListPositions(pb.ListPositionsRequest())).positions[0]
    servers.price.down = True
    synced = await sync(servers, "c2")
    assert synced.failed_count == 2 and synced.wallets[0].reason == "PRICES_UNAVAILABLE"
    after = (await servers.positions.ListPositions(pb.ListPositionsRequest())).positions[0]
    assert after.mark_price_usd == before.mark_price_usd and pb.FLAG_MARK_STALE in after.flags


async def test_a_system_that_is_told_to_be_live_shows_no_simulation(open_system) -> None:
    servers = await open_system(sonic_live=True)
    synced = await sync(servers)
    assert synced.mode == pb.MODE_LIVE and not synced.wallets and synced.active_count == 0
