"""Positions of other dexes through a whole server: updated, kept while unread, closed when gone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from tests.fakes.info_provider import InfoProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
FIRST = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
XYZ = json.loads((FIXTURES / "hyperliquid_dex_state.json").read_text())
NOTHING = {
    "assetPositions": [],
    "crossMarginSummary": {"accountValue": "0.0"},
    "marginSummary": {"accountValue": "0.0", "totalNtlPos": "0.0"},
}
STATE, OF_XYZ = "POST /info/clearinghouseState", "POST /info/clearinghouseState:xyz"
PARTIAL, COMPLETE = pb.WALLET_SYNC_STATE_PARTIAL, pb.WALLET_SYNC_STATE_COMPLETE


@pytest.fixture
async def venue() -> AsyncIterator[InfoProvider]:
    async with InfoProvider() as venue:
        contexts = (FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_bytes()
        venue.answer("POST /info/metaAndAssetCtxs", text=contexts)
        venue.answer("POST /info/metaAndAssetCtxs:xyz", status=500, json={})
        venue.answer("POST /info/perpDexs", json=[None, {"name": "xyz"}, {"name": "abc"}])
        venue.answer("POST /info/clearinghouseState:abc", json=NOTHING)
        venue.answer(STATE, json={**FIRST, "time": None})
        venue.answer(OF_XYZ, json={**XYZ, "time": None})
        yield venue


@pytest.fixture
async def servers(open_system, venue: InfoProvider):
    servers = await open_system(hyperliquid_url=venue.url)
    fresh = pb.Wallet(name="main", chain=pb.CHAIN_ETHEREUM, public_address=EVM)
    await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=fresh))
    return servers


async def sync(servers) -> pb.WalletSync:
    servers.clock.advance(31)
    (outcome,) = (await servers.positions.SyncPositions(pb.SyncPositionsRequest())).wallets
    return outcome


async def held(servers) -> dict[str, pb.Position]:
    listed = await servers.positions.ListPositions(pb.ListPositionsRequest())
    return {one.asset: one for one in listed.positions}


def marked(body: dict, value: str, profit: str) -> dict:
    """The state with another mark of its first position."""
    changed = json.loads(json.dumps(body))
    changed["assetPositions"][0]["position"] |= {"positionValue": value, "unrealizedPnl": profit}
    raw = changed["assetPositions"][0]["position"]["leverage"].get("rawUsd")
    if raw:
        margin = str(float(raw) + float(value))
        changed["assetPositions"][0]["position"]["marginUsed"] = margin
    return {**changed, "time": None}


async def test_every_dex_is_read_and_has_an_account_line_of_its_own(servers, venue) -> None:
    outcome = await sync(servers)
    assert (outcome.state, outcome.row_count, outcome.opened_count) == (COMPLETE, 4, 4)
    positions = await held(servers)
    assert set(positions) == {"SOL", "BTC", "xyz:TSLA", "xyz:GOLD"}
    assert positions["xyz:GOLD"].risk_liquidation_price_usd == pytest.approx(4682.93, abs=0.01)
    assert positions["xyz:TSLA"].mark_price_usd == 410.0
    assert positions["xyz:TSLA"].adl_index == pytest.approx(1.025 * 4100 / 500)
    assert not positions["xyz:GOLD"].HasField("adl_index"), "it loses"
    assert list(positions["BTC"].flags).count(pb.FLAG_ADL_INDEX_HIGH) == 1
    accounts = (await servers.accounts.ListAccounts(pb.ListAccountsRequest())).accounts
    assert {one.name for one in accounts} == {
        *("cross", "isolated BTC", "cross xyz", "isolated xyz:TSLA"),
    }
    (cross,) = [one for one in accounts if one.name == "cross xyz"]
    (line,) = cross.lines
    assert (line.asset, cross.equity_usd) == ("xyz:GOLD", pytest.approx(1500.0))
    assert line.above_usd == pytest.approx(4682.93, abs=0.01)


async def test_only_dexes_that_hold_something_are_asked_with_every_sync(servers, venue) -> None:
    for _ in range(4):
        await sync(servers)
    states = [json.loads(asked.body) for asked in venue.requests if b"clearinghouse" in asked.body]
    asked = [one.get("dex", "") for one in states if one["type"] == "clearinghouseState"]
    assert (asked.count(""), asked.count("abc")) == (4, 1)
    assert asked.count("xyz") == 5, "looked for once, read four times"


async def test_a_dex_that_answers_500_is_said_and_kept_while_the_others_go_on(
    servers, venue
) -> None:
    await sync(servers)
    gone = {**FIRST, "assetPositions": FIRST["assetPositions"][:1], "time": None}
    gone["marginSummary"] = {**FIRST["marginSummary"], "totalNtlPos": "9120.0"}
    venue.answer(STATE, json=marked(gone, "9120.0", "-640.0"))
    for reply in ({"status": 500, "json": {}}, {"text": b"<html></html>"}, {"json": FIRST}):
        venue.answer(OF_XYZ, **reply)
        outcome = await sync(servers)
        assert (outcome.state, outcome.reason) == (PARTIAL, "DEX_UNREAD")
        assert list(outcome.unwatched) == ["not looked at: dex xyz"]
        assert outcome.message.startswith("dex xyz: ")
    positions = await held(servers)
    assert set(positions) == {"SOL", "xyz:TSLA", "xyz:GOLD"}, "BTC is gone by whole answers"
    assert positions["xyz:GOLD"].status == pb.STATUS_ACTIVE
    (kept,) = [
        one
        for one in (await servers.accounts.ListAccounts(pb.ListAccountsRequest())).accounts
        if one.name == "cross xyz"
    ]
    assert kept.reason == "ACCOUNT_UNREAD" and not kept.lines
    venue.answer(OF_XYZ, json=marked(XYZ, "4200.0", "200.0"))
    assert (await sync(servers)).state == COMPLETE
    assert (await held(servers))["xyz:TSLA"].mark_price_usd == 420.0


@pytest.mark.slow
async def test_dexes_that_fail_for_long_keep_no_other_and_not_the_first_from_being_read(
    servers, venue
) -> None:
    bad = [f"bad{number}" for number in range(6)]
    venue.answer("POST /info/perpDexs", json=[None, *({"name": name} for name in [*bad, "xyz"])])
    for name in bad:
        body = json.dumps({**XYZ, "time": None}).replace("xyz:", f"{name}:")
        venue.answer(f"POST /info/clearinghouseState:{name}", json=json.loads(body))
        venue.answer(f"POST /info/metaAndAssetCtxs:{name}", status=500, json={})
    assert (await sync(servers)).opened_count == 16
    for name in bad:
        venue.answer(f"POST /info/clearinghouseState:{name}", status=500, json={})
    for number in range(6):
        # They fail so often that none of them is asked with every sync.
        mark = 410.0 + number
        value, profit = f"{mark * 10}", f"{(mark - 400.0) * 10}"
        venue.answer(OF_XYZ, json=marked(XYZ, value, profit))
        outcome = await sync(servers)
        assert list(outcome.unwatched) == [f"not looked at: dex {name}" for name in bad]
        assert (await held(servers))["xyz:TSLA"].mark_price_usd == mark
    assert (await held(servers))["bad5:TSLA"].status == pb.STATUS_ACTIVE


async def test_what_a_dex_that_was_not_read_holds_is_not_ended_by_its_fills(servers, venue) -> None:
    await sync(servers)
    gone = {**FIRST, "assetPositions": FIRST["assetPositions"][:1], "time": None}
    gone["marginSummary"] = {**FIRST["marginSummary"], "totalNtlPos": "9120.0"}
    venue.answer(STATE, json=gone)
    venue.answer(OF_XYZ, status=500, json={})
    fills = json.loads((FIXTURES / "hyperliquid_user_fills_by_time.json").read_text())
    taken = {**fills[1], "coin": "xyz:TSLA", "sz": "10.0", "startPosition": "10.0"}
    venue.answer("POST /info/userFillsByTime", json=[taken, fills[2]])
    assert (await sync(servers)).closed_count == 1
    positions = await held(servers)
    assert set(positions) == {"SOL", "xyz:TSLA", "xyz:GOLD"}, "BTC was auto-deleveraged"
    assert positions["xyz:TSLA"].status == pb.STATUS_ACTIVE


async def test_a_part_that_was_taken_while_its_dex_was_not_read_is_told(servers, venue) -> None:
    await sync(servers)
    moment = int(servers.clock.now().timestamp() * 1000) + 10_000
    venue.answer(OF_XYZ, status=500, json={})
    for _ in range(3):
        await sync(servers)
    smaller = json.loads(json.dumps({**XYZ, "time": None}))
    smaller["assetPositions"][0]["position"] |= {
        "szi": "8.0",
        "leverage": {"rawUsd": "-2780.0", "type": "isolated", "value": 10},
        "liquidationPx": "365.789473684",
        "positionValue": "3280.0",
        "unrealizedPnl": "80.0",
    }
    smaller["marginSummary"]["totalNtlPos"] = "11380.0"
    venue.answer(OF_XYZ, json=smaller)
    fills = json.loads((FIXTURES / "hyperliquid_user_fills_by_time.json").read_text())
    taken = {**fills[0], "coin": "xyz:TSLA", "sz": "2.0", "startPosition": "10.0", "time": moment}
    venue.answer("POST /info/userFillsByTime", json=[taken])
    await sync(servers)
    request = pb.ListPositionEventsRequest(after_sequence=1)
    told = (await servers.positions.ListPositionEvents(request)).events
    assert [(one.kind, one.asset) for one in told] == [
        (pb.POSITION_EVENT_KIND_SHRANK, "xyz:TSLA"),
        (pb.POSITION_EVENT_KIND_LIQUIDATED_IN_PART, "xyz:TSLA"),
    ]


async def test_positions_of_a_dex_are_closed_when_whole_answers_no_longer_hold_them(
    servers, venue
) -> None:
    await sync(servers)
    venue.answer(OF_XYZ, json=NOTHING)
    assert (await sync(servers)).stale_count == 2
    assert (await sync(servers)).closed_count == 2
    assert set(await held(servers)) == {"SOL", "BTC"}


async def test_after_a_restart_an_unknown_list_of_dexes_closes_nothing_of_them(
    servers, venue, open_system
) -> None:
    await sync(servers)
    again = await open_system(hyperliquid_url=venue.url)
    venue.answer("POST /info/perpDexs", status=500, json={})
    for _ in range(3):
        outcome = await sync(again)
        assert (outcome.state, outcome.reason) == (PARTIAL, "DEX_UNREAD")
        assert list(outcome.unwatched) == ["not looked at: other dexes"]
    assert {"xyz:TSLA", "xyz:GOLD"} < set(await held(again))


async def test_a_replica_that_believes_a_dex_empty_closes_nothing_that_another_one_found_there(
    servers, venue, open_system
) -> None:
    venue.answer(OF_XYZ, json=NOTHING)
    await sync(servers)
    other = await open_system(hyperliquid_url=venue.url)
    servers.clock.advance(200)
    await sync(other)
    servers.clock.advance(60)
    venue.answer(OF_XYZ, json={**XYZ, "time": None})
    assert (await sync(servers)).opened_count == 2, "looked at anew"
    for _ in range(3):
        outcome = await sync(other)
        assert (outcome.state, outcome.stale_count, outcome.closed_count) == (COMPLETE, 0, 0)
    statuses = {one.status for one in (await held(servers)).values()}
    assert set(await held(servers)) > {"xyz:TSLA", "xyz:GOLD"}
    assert statuses == {pb.STATUS_ACTIVE}


@pytest.mark.parametrize("names", [[], [None], [None, {"name": "abc"}]])
async def test_a_list_that_lacks_the_dex_of_stored_positions_closes_none_of_them(
    servers, venue, open_system, names
) -> None:
    await sync(servers)
    venue.answer("POST /info/perpDexs", json=names)
    again = await open_system(hyperliquid_url=venue.url)
    for _ in range(3):
        outcome = await sync(again)
        assert outcome.state == (COMPLETE if names else PARTIAL)
        assert (outcome.stale_count, outcome.closed_count) == (0, 0)
    venue.answer(OF_XYZ, json=marked(XYZ, "4200.0", "200.0"))
    await sync(again)
    assert (await held(again))["xyz:TSLA"].mark_price_usd == 420.0, "it is read all the same"


async def test_positions_are_closed_by_a_replica_that_never_saw_them_when_their_dex_says_so(
    servers, venue, open_system
) -> None:
    await sync(servers)
    venue.answer(OF_XYZ, json=NOTHING)
    again = await open_system(hyperliquid_url=venue.url)
    assert (await sync(again)).stale_count == 2
    assert (await sync(again)).closed_count == 2
    before = len(venue.requests)
    await sync(again)
    asked = [json.loads(one.body).get("dex") for one in venue.requests[before:]]
    assert asked and "xyz" not in asked, "nothing of it is stored any more"


async def test_a_dex_with_an_odd_name_is_said_and_keeps_no_other_dex_from_being_read(
    servers, venue
) -> None:
    odd = [None, {}, {"name": "xyz"}, {"name": "longer than a name"}]
    venue.answer("POST /info/perpDexs", json=odd)
    outcome = await sync(servers)
    assert (outcome.state, outcome.reason) == (PARTIAL, "DEX_UNREAD")
    assert list(outcome.unwatched) == ["not looked at: dex without a readable name"]
    assert {"xyz:TSLA", "xyz:GOLD"} < set(await held(servers))
    venue.answer(OF_XYZ, json=NOTHING)
    await sync(servers)
    assert (await sync(servers)).closed_count == 2, "their own dex was read whole"


async def test_a_dex_that_is_listed_no_more_is_told_once_and_its_positions_are_stale_for_good(
    servers, venue
) -> None:
    await sync(servers)
    venue.answer("POST /info/perpDexs", json=[None, {"name": "abc"}])
    venue.answer(OF_XYZ, status=500, json={})
    servers.clock.advance(300)
    outcome = await sync(servers)
    assert outcome.state == PARTIAL, "one list may come back short"
    servers.clock.advance(300)
    for _ in range(3):
        outcome = await sync(servers)
        assert (outcome.state, outcome.closed_count) == (COMPLETE, 0)
        assert list(outcome.unwatched) == [
            "not watched: dex xyz is listed no more, its positions are STALE"
        ]
    statuses = {name: one.status for name, one in (await held(servers)).items()}
    assert statuses == {
        **dict.fromkeys(("SOL", "BTC"), pb.STATUS_ACTIVE),
        **dict.fromkeys(("xyz:TSLA", "xyz:GOLD"), pb.STATUS_STALE),
    }
    (kept,) = [
        one
        for one in (await servers.accounts.ListAccounts(pb.ListAccountsRequest())).accounts
        if one.name == "cross xyz"
    ]
    assert kept.reason == "ACCOUNT_UNREAD", "not silently safe"
    request = pb.ListPositionEventsRequest(after_sequence=1)
    told = (await servers.positions.ListPositionEvents(request)).events
    assert sorted((one.kind, one.asset) for one in told) == [
        (pb.POSITION_EVENT_KIND_DELISTED, "xyz:GOLD"),
        (pb.POSITION_EVENT_KIND_DELISTED, "xyz:TSLA"),
    ]
    # Shown again they are held as before, and nothing was missing meanwhile.
    venue.answer(OF_XYZ, json={**XYZ, "time": None})
    assert (await sync(servers)).state == COMPLETE
    assert {one.status for one in (await held(servers)).values()} == {pb.STATUS_ACTIVE}
    # Taken out by hand, nothing of the dex is asked or said any more.
    venue.answer(OF_XYZ, status=500, json={})
    for one in (await held(servers)).values():
        if one.asset.startswith("xyz:"):
            await servers.positions.DeletePosition(pb.DeletePositionRequest(id=one.id))
    outcome = await sync(servers)
    assert (outcome.state, list(outcome.unwatched)) == (COMPLETE, [])


async def delistings(servers) -> list[str]:
    request = pb.ListPositionEventsRequest(after_sequence=1)
    told = (await servers.positions.ListPositionEvents(request)).events
    return sorted(one.asset for one in told if one.kind == pb.POSITION_EVENT_KIND_DELISTED)


async def test_while_no_other_dex_is_listed_either_an_outage_is_no_delisting(
    servers, venue
) -> None:
    await sync(servers)
    venue.answer("POST /info/perpDexs", json=[None])
    venue.answer(OF_XYZ, status=500, json={})
    for _ in range(3):
        servers.clock.advance(300)
        outcome = await sync(servers)
        assert (outcome.state, outcome.reason) == (PARTIAL, "DEX_UNREAD")
    assert {one.status for one in (await held(servers)).values()} == {pb.STATUS_ACTIVE}
    assert not await delistings(servers)


@pytest.mark.slow
async def test_what_was_stale_before_is_told_as_delisted_too_and_in_a_day_once(
    servers, venue
) -> None:
    async def lose() -> None:
        venue.answer(OF_XYZ, status=500, json={})
        for state in (PARTIAL, COMPLETE, COMPLETE):
            servers.clock.advance(300)
            outcome = await sync(servers)
            assert (outcome.state, outcome.closed_count) == (state, 0)

    await sync(servers)
    venue.answer(OF_XYZ, json=NOTHING)
    assert (await sync(servers)).stale_count == 2
    venue.answer("POST /info/perpDexs", json=[None, {"name": "abc"}])
    await lose()
    lost = ["xyz:GOLD", "xyz:TSLA"]
    assert await delistings(servers) == lost
    venue.answer(OF_XYZ, json={**XYZ, "time": None})
    await sync(servers)
    assert {one.status for one in (await held(servers)).values()} == {pb.STATUS_ACTIVE}
    await lose()
    assert (await held(servers))["xyz:GOLD"].status == pb.STATUS_STALE
    assert await delistings(servers) == lost, "told less than a day ago"
    servers.clock.advance(86_400)
    await sync(servers)
    await sync(servers)
    assert await delistings(servers) == sorted(2 * lost)
