"""What happens to positions is kept once, in order: opened, grew, shrank, closed, liquidated."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from services.positions.store import Store
from shared.database.pool import Database
from shared.errors import Internal
from tests.fakes.http_provider import HttpProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
SOLANA = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
ROWS = json.loads((FIXTURES / "jupiter_perps_positions_v1.json").read_text())["dataList"]
TRADE = json.loads((FIXTURES / "jupiter_perps_trades_v2_liquidation.json").read_text())["dataList"][
    0
]
KEY = ROWS[0]["positionPubkey"]
FIRST, OPENED = pb.POSITION_EVENT_KIND_FIRST_LOOK, pb.POSITION_EVENT_KIND_OPENED
GREW, SHRANK = pb.POSITION_EVENT_KIND_GREW, pb.POSITION_EVENT_KIND_SHRANK
CLOSED, LIQUIDATED = pb.POSITION_EVENT_KIND_CLOSED, pb.POSITION_EVENT_KIND_LIQUIDATED


class Venue:
    """Jupiter, and the servers that watch one wallet there."""

    def __init__(self, jupiter: HttpProvider, servers) -> None:
        self.jupiter, self.servers, self.cycle = jupiter, servers, 0

    def holds(self, *rows: object) -> None:
        answer = {"count": len(rows), "dataList": list(rows)}
        self.jupiter.answer("GET /v1/positions", json=answer)

    def traded(self, *trades: object) -> None:
        answer = {"count": len(trades), "dataList": list(trades)}
        self.jupiter.answer("GET /v2/trades", json=answer)

    async def sync(self) -> None:
        self.cycle += 1
        self.servers.clock.advance(60)
        request = pb.SyncPositionsRequest(cycle_id=f"cycle-{self.cycle}", epoch=1)
        await self.servers.positions.SyncPositions(request)

    async def events(self, after: int | None = None, **page) -> list[pb.PositionEvent]:
        request = pb.ListPositionEventsRequest(after_sequence=after, **page)
        return list((await self.servers.positions.ListPositionEvents(request)).events)

    async def kinds(self) -> list[int]:
        return [event.kind for event in await self.events(after=0)]


@pytest.fixture
async def venue(open_system) -> AsyncIterator[Venue]:
    async with HttpProvider() as jupiter:
        servers = await open_system(jupiter_api_base=jupiter.url, jupiter_api_version="v1")
        for asset, price in (("BTC", 97400.0), ("ETH", 3380.0), ("SOL", 182.0)):
            servers.price.set(asset, price)
        fresh = pb.Wallet(name="sol", chain=pb.CHAIN_SOLANA, public_address=SOLANA)
        await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=fresh))
        venue = Venue(jupiter, servers)
        venue.traded()
        yield venue


def _sized(row: dict[str, object], size: str) -> dict[str, object]:
    return {**row, "size": size}


async def test_a_first_look_at_a_wallet_is_one_event_whatever_it_holds(venue: Venue) -> None:
    venue.holds(*ROWS)
    await venue.sync()
    (event,) = await venue.events()
    assert (event.kind, event.wallet, event.venue) == (FIRST, "sol", "jupiter")
    assert (event.position_count, event.size_after_usd) == (4, 111_000.0)
    assert not event.HasField("size_before_usd")
    await venue.sync()
    assert await venue.kinds() == [FIRST]


async def test_a_wallet_whose_first_answer_could_not_be_taken_is_still_new(venue: Venue) -> None:
    venue.holds(*(_sized(row, "nonsense") for row in ROWS))
    await venue.sync()
    assert await venue.kinds() == []
    venue.holds(*ROWS)
    await venue.sync()
    assert await venue.kinds() == [FIRST]


async def test_after_a_first_look_at_nothing_what_opens_is_an_event_of_its_own(
    venue: Venue,
) -> None:
    venue.holds()
    await venue.sync()
    venue.holds(ROWS[0])
    await venue.sync()
    (event,) = await venue.events()
    assert (event.kind, event.position_id, event.asset) == (OPENED, KEY, "BTC")
    assert (event.side, event.size_after_usd) == (pb.SIDE_LONG, 50_000.0)
    assert event.cycle_id == "cycle-2"


async def test_thousands_of_events_at_once_are_numbered_on_and_say_what_few_say(
    venue: Venue,
) -> None:
    names = map("".join, product("abcdefghijkmn", repeat=3))
    many = [{**ROWS[0], "positionPubkey": KEY[:-3] + name} for name in names]
    venue.holds()
    await venue.sync()
    venue.holds(*many[:2])
    await venue.sync()
    told = (await venue.events(after=0))[0]
    venue.holds(_sized(many[0], "75000.00"), *many[1:])
    await venue.sync()
    grew, *opened = await venue.events(after=2, page_size=500)
    assert (grew.sequence, grew.kind, grew.size_before_usd) == (3, GREW, 50_000.0)
    for sequence, event, row in zip(range(4, 503), opened, many[2:], strict=False):
        told.sequence, told.position_id = sequence, row["positionPubkey"]
        told.cycle_id = "cycle-3"
        told.event_time.CopyFrom(event.event_time)
        assert event == told
    (last,) = await venue.events(page_size=1)
    assert (last.sequence, last.kind) == (1 + len(many), OPENED)


async def test_what_grows_and_shrinks_says_from_what_to_what(venue: Venue) -> None:
    venue.holds(ROWS[0])
    await venue.sync()
    for size in ("75000.00", "60000.00", "60000.01"):
        venue.holds(_sized(ROWS[0], size))
        await venue.sync()
    grew, shrank = await venue.events(after=1)
    assert (grew.kind, grew.size_before_usd, grew.size_after_usd) == (GREW, 50_000.0, 75_000.0)
    assert (shrank.kind, shrank.size_before_usd) == (SHRANK, 75_000.0)
    assert shrank.size_after_usd == 60_000.0


async def test_closed_and_opened_again_is_told_by_two_events_and_missing_once_by_none(
    venue: Venue,
) -> None:
    venue.holds(*ROWS)
    await venue.sync()
    venue.holds(*ROWS[1:])
    await venue.sync()
    assert await venue.kinds() == [FIRST]
    await venue.sync()
    closed = (await venue.events())[0]
    assert (closed.kind, closed.position_id, closed.asset) == (CLOSED, KEY, "BTC")
    assert (closed.size_before_usd, closed.HasField("size_after_usd")) == (50_000.0, False)
    venue.holds(*ROWS)
    await venue.sync()
    assert await venue.kinds() == [FIRST, CLOSED, OPENED]


async def test_cleared_events_are_gone_and_their_numbers_go_on(venue: Venue) -> None:
    venue.holds(ROWS[0])
    await venue.sync()
    await venue.servers.portfolio.ClearData(pb.ClearDataRequest(confirm="clear"))
    assert await venue.events() == []
    venue.holds(*ROWS[:2])
    await venue.sync()
    assert [event.sequence for event in await venue.events()] == [2]


async def test_a_liquidation_found_in_trades_is_an_event_once(venue: Venue) -> None:
    venue.holds(ROWS[0])
    await venue.sync()
    venue.holds()
    moment = int(venue.servers.clock.now().timestamp()) + 30
    venue.traded({**TRADE, "positionPubkey": KEY, "createdTime": moment, "updatedTime": moment})
    await venue.sync()
    await venue.sync()
    assert await venue.kinds() == [FIRST, LIQUIDATED]


async def test_a_sync_that_fails_after_its_writes_keeps_no_event_and_the_next_has_each_once(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue.holds()
    await venue.sync()
    venue.holds(*ROWS)
    stamp = "services.positions.sync.store.sync_rows.SyncRowStore.stamp"

    async def dies(*_: object) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(stamp, dies)
        with pytest.raises(Internal):
            await venue.sync()
    assert await venue.kinds() == []
    await venue.sync()
    assert await venue.kinds() == [OPENED] * 4


async def test_readers_of_columns_see_that_there_are_new_events_after_the_pass(
    venue: Venue,
) -> None:
    async def seen() -> int:
        await venue.servers.positions.EnrichPositions(pb.EnrichPositionsRequest())
        request = pb.ReadColumnsRequest(columns=["status"])
        parts = [part async for part in venue.servers.columns.ReadColumns(request)]
        return int(parts[0].event_sequence)

    venue.holds(*ROWS)
    assert await seen() == 0
    await venue.sync()
    assert await seen() == 1
    venue.holds(_sized(ROWS[0], "75000.00"), *ROWS[1:])
    await venue.sync()
    assert await seen() == 2


async def test_events_come_in_pages_either_way_and_are_forgotten_by_age(venue: Venue) -> None:
    venue.holds()
    await venue.sync()
    venue.holds(*ROWS)
    await venue.sync()
    page = await venue.servers.positions.ListPositionEvents(
        pb.ListPositionEventsRequest(page_size=3)
    )
    rest = await venue.events(page_size=3, page_token=page.next_page_token)
    assert [event.sequence for event in (*page.events, *rest)] == [4, 3, 2, 1]
    assert [event.sequence for event in await venue.events(after=2)] == [3, 4]
    database = Database(venue.servers.databases.url("positions"), application_name="test")
    await database.start()
    async with database.open(Store)() as store:
        assert await store.retention.forget("events", venue.servers.clock.now()) == 0
        venue.servers.clock.advance(1)
        assert await store.retention.forget("events", venue.servers.clock.now()) == 4
    await database.stop()


async def test_events_are_of_some_positions_and_kinds_when_that_is_asked(venue: Venue) -> None:
    venue.holds()
    await venue.sync()
    venue.holds(*ROWS[:2])
    await venue.sync()
    venue.holds(_sized(ROWS[0], "75000.00"), ROWS[1])
    await venue.sync()
    opened, _, grew = await venue.events(after=0)
    assert grew.position_id == opened.position_id
    both, kinds = [opened.position_id, "nobody"], [pb.POSITION_EVENT_KIND_GREW]
    assert await venue.events(after=0, position_ids=both) == [opened, grew]
    assert await venue.events(after=0, kinds=kinds) == [grew]
    assert await venue.events(after=0, position_ids=["nobody"], kinds=kinds) == []
    request = pb.ListPositionEventsRequest(position_ids=both)
    newest = await venue.servers.positions.ListPositionEvents(request)
    assert list(newest.events) == [grew, opened]


async def test_the_simulation_and_what_people_enter_are_no_events(open_system) -> None:
    servers = await open_system()
    for asset, price in (("BTC", 97400.0), ("ETH", 3380.0), ("SOL", 182.0)):
        servers.price.set(asset, price)
    await servers.create(
        wallet="manual",
        entry_price_usd=97400.0,
        liquidation_price_usd=50000.0,
        mark_price_usd=97400.0,
    )
    await servers.positions.SyncPositions(pb.SyncPositionsRequest())
    assert (await servers.positions.ListPositions(pb.ListPositionsRequest())).positions
    answer = await servers.positions.ListPositionEvents(pb.ListPositionEventsRequest())
    assert not answer.events
