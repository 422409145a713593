"""A position that is gone or shrank is told as what its venue's fills say, through a whole server;
nobody is asked for fills while nothing is gone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from tests.fakes.http_provider import HttpProvider
from tests.fakes.info_provider import InfoProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
DYDX = "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc"
STATE = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
FILLS = json.loads((FIXTURES / "hyperliquid_user_fills_by_time.json").read_text())
SUBACCOUNT = json.loads((FIXTURES / "dydx_v4_subaccount.json").read_text())
OF_DYDX = json.loads((FIXTURES / "dydx_v4_fills.json").read_text())
NOTHING = {
    "assetPositions": [],
    "crossMarginSummary": {"accountValue": "0.0"},
    "marginSummary": {"accountValue": "0.0", "totalNtlPos": "0.0"},
}
ASKED = "POST /info/userFillsByTime"
DYDX_FILLS = "GET /v4/fills/parentSubaccountNumber"


@pytest.fixture
async def hyperliquid() -> AsyncIterator[InfoProvider]:
    async with InfoProvider() as venue:
        contexts = (FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_bytes()
        venue.answer("POST /info/metaAndAssetCtxs", text=contexts)
        venue.answer("POST /info/clearinghouseState", json={**STATE, "time": None})
        venue.answer(ASKED, json=FILLS)
        yield venue


@pytest.fixture
async def servers(open_system, hyperliquid: InfoProvider):
    servers = await open_system(hyperliquid_url=hyperliquid.url)
    await wallet(servers, pb.CHAIN_ETHEREUM, EVM)
    await sync(servers)
    return servers


async def wallet(servers, chain: int, address: str) -> None:
    fresh = pb.Wallet(name="main", chain=chain, public_address=address)
    await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=fresh))


async def sync(servers) -> pb.WalletSync:
    servers.clock.advance(60)
    (outcome,) = (await servers.positions.SyncPositions(pb.SyncPositionsRequest())).wallets
    return outcome


async def told(servers) -> list[tuple[str, str, float, float]]:
    """Kind, asset and sizes of all events but the first look, the oldest first."""
    request = pb.ListPositionEventsRequest(after_sequence=1)
    return [
        (
            pb.PositionEventKind.Name(one.kind).removeprefix("POSITION_EVENT_KIND_"),
            one.asset,
            one.size_before_usd,
            one.size_after_usd,
        )
        for one in (await servers.positions.ListPositionEvents(request)).events
    ]


async def held(servers) -> list[pb.Position]:
    return list((await servers.positions.ListPositions(pb.ListPositionsRequest())).positions)


def without(state: dict, place: int) -> dict:
    left = [one for at, one in enumerate(state["assetPositions"]) if at != place]
    value = sum(float(one["position"]["positionValue"]) for one in left)
    total = {**state["marginSummary"], "totalNtlPos": str(value)}
    return {**state, "assetPositions": left, "marginSummary": total}


def smaller_sol() -> dict:
    smaller = json.loads(json.dumps({**STATE, "time": None}))
    smaller["assetPositions"][0]["position"] |= {
        "szi": "20.0",
        "positionValue": "3648.0",
        "unrealizedPnl": "-256.0",
        "marginUsed": "364.8",
    }
    smaller["crossMarginSummary"] |= {"totalNtlPos": "3648.0", "totalRawUsd": "-1529.78"}
    smaller["crossMaintenanceMarginUsed"] = "91.2"
    smaller["marginSummary"]["totalNtlPos"] = "13389.25"
    return smaller


def fills_asked(venue: InfoProvider) -> int:
    return venue.types().count("userFillsByTime")


async def test_what_hyperliquid_took_is_told_as_that_and_once(servers, hyperliquid) -> None:
    assert fills_asked(hyperliquid) == 0, "nothing is gone"
    hyperliquid.answer("POST /info/clearinghouseState", json=NOTHING)
    outcome = await sync(servers)
    assert (outcome.stale_count, outcome.closed_count) == (0, 2)
    for _ in range(2):
        await sync(servers)
    ends = [("AUTO_DELEVERAGED", "BTC", 9825.0, 0.0), ("LIQUIDATED", "SOL", 9760.0, 0.0)]
    assert sorted(await told(servers)) == ends
    assert fills_asked(hyperliquid) == 1
    (sent,) = [json.loads(one.body) for one in hyperliquid.requests if b"Fills" in one.body]
    assert sent["user"] == EVM and 0 < sent["startTime"] < FILLS[0]["time"] + 60_000


async def test_a_position_whose_row_was_refused_is_not_ended_by_what_its_fills_say(
    servers, hyperliquid
) -> None:
    """While another is over at once, because its market is held on the other side."""
    other = json.loads(json.dumps({**STATE, "time": None}))
    other["assetPositions"][0]["position"]["entryPx"] = "-1"
    other["assetPositions"][1]["position"] |= {
        "szi": "0.1",
        "leverage": {"rawUsd": "-8741.25", "type": "isolated", "value": 20},
        "liquidationPx": "88518.98734177",
        "marginUsed": "1000.0",
        "unrealizedPnl": "-83.75",
    }
    hyperliquid.answer("POST /info/clearinghouseState", json=other)
    hyperliquid.answer(ASKED, json=FILLS[:2])
    outcome = await sync(servers)
    assert (outcome.refused_count, outcome.closed_count, outcome.opened_count) == (1, 1, 1)
    assert fills_asked(hyperliquid) == 1
    assert {asset for _, asset, *_ in await told(servers)} == {"BTC"}
    statuses = {one.asset: one.status for one in await held(servers)}
    assert statuses == {"SOL": pb.STATUS_ACTIVE, "BTC": pb.STATUS_ACTIVE}


async def test_an_empty_answer_after_a_part_was_taken_ends_nothing_at_one_look(
    servers, hyperliquid
) -> None:
    hyperliquid.answer(ASKED, json=FILLS[:1])
    hyperliquid.answer("POST /info/clearinghouseState", json=NOTHING)
    assert (await sync(servers)).stale_count == 2
    assert await told(servers) == []
    hyperliquid.answer("POST /info/clearinghouseState", json={**STATE, "time": None})
    await sync(servers)
    assert {one.status for one in await held(servers)} == {pb.STATUS_ACTIVE}


async def test_an_end_right_after_a_part_was_deleveraged_is_told_as_one_too(
    servers, hyperliquid
) -> None:
    smaller = json.loads(json.dumps({**STATE, "time": None}))
    smaller["assetPositions"][1]["position"] |= {
        "szi": "-0.05",
        "positionValue": "4870.625",
        "unrealizedPnl": "41.875",
        "marginUsed": "5446.875",
    }
    moment = int(servers.clock.now().timestamp() * 1000) + 10_000
    part = {**FILLS[2], "sz": "0.05", "time": moment}
    hyperliquid.answer("POST /info/clearinghouseState", json=smaller)
    hyperliquid.answer(ASKED, json=[part])
    await sync(servers)
    whole = {**part, "startPosition": "-0.05", "time": moment + 60_000}
    hyperliquid.answer("POST /info/clearinghouseState", json=without(smaller, 1))
    hyperliquid.answer(ASKED, json=[part, whole])
    for _ in range(3):
        await sync(servers)
    assert await told(servers) == [
        ("SHRANK", "BTC", 9825.0, 4912.5),
        ("AUTO_DELEVERAGED", "BTC", 9825.0, 4912.5),
        ("AUTO_DELEVERAGED", "BTC", 4912.5, 0.0),
    ]


GARBAGE = {
    "server error": {"status": 500, "json": {}},
    "too many": {"status": 429, "json": {}},
    "words": {"text": b"busy", "headers": {"content-type": "text/plain"}},
    "no list": {"json": {"error": "busy"}},
    "rows of garbage": {"json": [None, 7, {"coin": "SOL"}]},
    "none": {"json": []},
    "closed": {"close": True},
}


@pytest.mark.parametrize("reply", GARBAGE.values(), ids=GARBAGE.keys())
async def test_without_fills_it_ages_as_ever_and_is_closed(servers, hyperliquid, reply) -> None:
    hyperliquid.answer(ASKED, **reply)
    hyperliquid.answer("POST /info/clearinghouseState", json=NOTHING)
    assert (await sync(servers)).stale_count == 2
    assert (await sync(servers)).closed_count == 2
    assert {kind for kind, *_ in await told(servers)} == {"CLOSED"}


async def test_a_part_that_was_liquidated_is_told_beside_that_it_shrank(
    servers, hyperliquid
) -> None:
    smaller = smaller_sol()
    hyperliquid.answer("POST /info/clearinghouseState", json=smaller)
    moment = int(servers.clock.now().timestamp() * 1000) + 10_000
    hyperliquid.answer(ASKED, json=[{**FILLS[0], "time": moment}])
    for _ in range(3):
        await sync(servers)
    sizes = ("SOL", 9760.0, 3904.0)
    assert await told(servers) == [("SHRANK", *sizes), ("LIQUIDATED_IN_PART", *sizes)]
    assert fills_asked(hyperliquid) == 1


async def test_a_part_is_told_when_its_fills_can_be_read_again(servers, hyperliquid) -> None:
    hyperliquid.answer("POST /info/clearinghouseState", json=smaller_sol())
    moment = int(servers.clock.now().timestamp() * 1000) + 10_000
    hyperliquid.answer(ASKED, status=500, json={})
    await sync(servers)
    assert [kind for kind, *_ in await told(servers)] == ["SHRANK"]
    hyperliquid.answer(ASKED, json=[{**FILLS[0], "time": moment}])
    for _ in range(3):
        await sync(servers)
    sizes = ("SOL", 9760.0, 3904.0)
    assert await told(servers) == [("SHRANK", *sizes), ("LIQUIDATED_IN_PART", *sizes)]
    assert fills_asked(hyperliquid) == 2


@pytest.mark.slow
async def test_what_shrank_is_asked_about_for_ten_minutes_and_no_longer(
    servers, hyperliquid
) -> None:
    hyperliquid.answer("POST /info/clearinghouseState", json=smaller_sol())
    hyperliquid.answer(ASKED, status=500, json={})
    for _ in range(15):
        await sync(servers)
    assert fills_asked(hyperliquid) == 11


async def test_a_part_that_its_owner_sold_is_not_said_to_be_liquidated(
    servers, hyperliquid
) -> None:
    before = {**STATE["assetPositions"][1]["position"], "szi": "-0.09"}
    smaller = json.loads(json.dumps({**STATE, "time": None}))
    before |= {"positionValue": "8767.125", "unrealizedPnl": "75.375", "marginUsed": "1550.375"}
    smaller["assetPositions"][1]["position"] = before
    hyperliquid.answer("POST /info/clearinghouseState", json=smaller)
    old = {**FILLS[2], "time": int(servers.clock.now().timestamp() * 1000) - 60_000}
    hyperliquid.answer(ASKED, json=[old])
    await sync(servers)
    assert [kind for kind, *_ in await told(servers)] == ["SHRANK"]


PLACE = f"GET /v4/addresses/{DYDX}"


class Dydx:
    """An indexer with one subaccount, whose fills are of the present moment."""

    def __init__(self, venue: HttpProvider, servers) -> None:
        self.venue, self.servers = venue, servers

    def holds(self, **sizes: str) -> None:
        """Of the fixture's positions those of these markets, with these sizes."""
        held = SUBACCOUNT["subaccount"]["openPerpetualPositions"]
        rows = {
            f"{name}-USD": {**held[f"{name}-USD"], "size": size, "sumOpen": size.lstrip("-")}
            for name, size in sizes.items()
        }
        account = SUBACCOUNT["subaccount"] | {"openPerpetualPositions": rows}
        if not rows:
            account |= {"assetPositions": {}, "equity": "0", "freeCollateral": "0"}
        else:
            account.pop("equity")
        self.venue.answer(f"{PLACE}/subaccountNumber/0", json={"subaccount": account})
        self.venue.answer(PLACE, json={"subaccounts": [account]})

    def fills(self, *fills: dict, seconds: float = 10.0) -> None:
        moment = (self.servers.clock.now() + timedelta(seconds=seconds)).isoformat()
        timed = [{"createdAt": moment, **one} for one in fills]
        self.venue.answer(DYDX_FILLS, json={**OF_DYDX, "fills": timed})


@pytest.fixture
async def dydx(open_system) -> AsyncIterator[Dydx]:
    async with HttpProvider() as venue:
        markets = (FIXTURES / "dydx_v4_perpetual_markets.json").read_bytes()
        venue.answer("GET /v4/perpetualMarkets", text=markets)
        missing = {"errors": [{"msg": "No subaccounts found"}]}
        venue.answer(f"{PLACE}/parentSubaccountNumber/0", status=404, json=missing)
        venue.answer(f"{PLACE}/subaccountNumber/0", json=SUBACCOUNT)
        venue.answer(PLACE, json={"subaccounts": [SUBACCOUNT["subaccount"]]})
        servers = await open_system(dydx_indexer_url=venue.url)
        await wallet(servers, pb.CHAIN_DYDX, DYDX)
        await sync(servers)
        yield Dydx(venue, servers)


def undated(fills: list[dict]) -> list[dict]:
    return [{name: value for name, value in one.items() if name != "createdAt"} for one in fills]


ADL, SECOND, FIRST, _ = undated(OF_DYDX["fills"])
ENDS = [("AUTO_DELEVERAGED", "ETH", 13610.0, 0.0), ("LIQUIDATED", "BTC", 33292.0, 0.0)]


async def test_what_dydx_took_whole_is_told_as_that_and_once(dydx: Dydx) -> None:
    assert not dydx.venue.asked(DYDX_FILLS)
    dydx.holds()
    dydx.fills(ADL, SECOND, FIRST)
    for _ in range(3):
        await sync(dydx.servers)
    assert sorted(await told(dydx.servers)) == ENDS
    (asked,) = dydx.venue.asked(DYDX_FILLS)
    assert asked.query["parentSubaccountNumber"] == "0"


async def test_an_empty_answer_right_after_dydx_took_a_part_ends_nothing(dydx: Dydx) -> None:
    dydx.holds(ETH="-4", BTC="0.15")
    dydx.fills(FIRST)
    await sync(dydx.servers)
    parts = ["SHRANK", "LIQUIDATED_IN_PART"]
    assert [kind for kind, *_ in await told(dydx.servers)] == parts
    dydx.holds()
    assert (await sync(dydx.servers)).stale_count == 2
    dydx.holds(ETH="-4", BTC="0.15")
    await sync(dydx.servers)
    assert {one.status for one in await held(dydx.servers)} == {pb.STATUS_ACTIVE}
    assert [kind for kind, *_ in await told(dydx.servers)] == parts


async def test_what_two_answers_lack_is_ended_by_its_last_fill_also_when_they_were_late(
    dydx: Dydx,
) -> None:
    """The indexer shows a position for a while after it was liquidated: fills from before."""
    dydx.fills(ADL, SECOND, FIRST, seconds=-30.0)
    dydx.holds()
    assert (await sync(dydx.servers)).stale_count == 2
    assert await told(dydx.servers) == []
    dydx.venue.answer(DYDX_FILLS, status=500, json={})
    assert (await sync(dydx.servers)).closed_count == 2
    dydx.fills(ADL, SECOND, FIRST, seconds=-150.0)
    for _ in range(2):
        await sync(dydx.servers)
    assert sorted(await told(dydx.servers)) == sorted(
        [*ENDS, ("CLOSED", "ETH", 13610.0, 0.0), ("CLOSED", "BTC", 33292.0, 0.0)]
    )
