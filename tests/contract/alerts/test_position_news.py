"""What happens to positions is told once as news: through crashes, of the wanted kinds alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from services.positions.events.service import EventsService
from tests.contract.alerts.conftest import Servers
from tests.fakes.http_provider import HttpProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
SOLANA = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
TRADES = json.loads((FIXTURES / "jupiter_perps_trades_v2_liquidation.json").read_text())
TRADE = TRADES["dataList"][0]
_OPENED = {"createdTime": 1771000000, "updatedTime": 1771000000}
ROWS = [
    {**row, **_OPENED}
    for row in json.loads((FIXTURES / "jupiter_perps_positions_v1.json").read_text())["dataList"]
]
DISTANCE = pb.ALERT_TYPE_LIQUIDATION_DISTANCE


class Book:
    """A wallet at a venue, watched by all three servers."""

    def __init__(self, servers: Servers, jupiter: HttpProvider) -> None:
        self.servers, self.jupiter, self.cycle_count = servers, jupiter, 0

    def holds(self, *rows: object) -> None:
        answer = {"count": len(rows), "dataList": list(rows)}
        self.jupiter.answer("GET /v1/positions", json=answer)

    async def sync(self) -> None:
        self.cycle_count += 1
        self.servers.clock.advance(60)
        step = {"cycle_id": f"cycle-{self.cycle_count}", "epoch": 1}
        await self.servers.positions.SyncPositions(positions_pb.SyncPositionsRequest(**step))
        await self.servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest(**step))

    async def judge(self) -> None:
        step = (f"cycle-{self.cycle_count}", 1)
        await self.servers.create(*step)
        await self.servers.evaluate(*step)
        request = pb.ClearStaleAlertsRequest(cycle_id=step[0], epoch=1)
        await self.servers.alerts.ClearStaleAlerts(request)

    async def cycle(self) -> None:
        await self.sync()
        await self.judge()

    async def news(self) -> list[xcom_pb.Message]:
        return [
            one
            for one in await self.servers.messages()
            if one.facts.get("type") == "POSITION_EVENT"
        ]

    async def subjects(self) -> list[str]:
        return [one.subject for one in await self.news()]


async def watched(servers: Servers, jupiter: HttpProvider) -> Book:
    """All three servers, and a wallet that holds nothing yet."""
    await servers.start_positions(jupiter_api_base=jupiter.url, jupiter_api_version="v1")
    await servers.start_xcom()
    await servers.start_alerts()
    jupiter.answer("GET /v2/trades", json={"count": 0, "dataList": []})
    await servers.only(DISTANCE)
    wallet = positions_pb.Wallet(name="sol", chain=positions_pb.CHAIN_SOLANA, public_address=SOLANA)
    await servers.wallets.CreateWallet(positions_pb.CreateWalletRequest(wallet=wallet))
    return Book(servers, jupiter)


@pytest.fixture
async def book(not_started: Servers) -> AsyncIterator[Book]:
    async with HttpProvider() as jupiter:
        yield await watched(not_started, jupiter)


def _sized(row: dict[str, object], size: str) -> dict[str, object]:
    return {**row, "size": size}


async def test_a_first_look_is_told_once_as_one_summary(book: Book) -> None:
    book.holds(*ROWS)
    for _ in range(3):
        await book.cycle()
    (message,) = await book.news()
    assert message.subject == (
        "FIRST LOOK: sol on jupiter holds 4 positions, size 111,000 USD, watched from now on (sol)"
    )
    assert (message.kind, message.level) == (xcom_pb.KIND_NEWS, xcom_pb.LEVEL_LOW)
    assert not message.incident_key


async def test_opened_grew_and_shrank_are_told_each_once_with_their_sizes(book: Book) -> None:
    book.holds()
    await book.cycle()
    for size in ("50000.00", "75000.00", "60000.00", "60000.00"):
        book.holds(_sized(ROWS[0], size))
        await book.cycle()
    assert await book.subjects() == [
        "OPENED: BTC long opened, size 50,000 USD, on jupiter (sol)",
        "GREW: BTC long grew from size 50,000 USD to 75,000 USD, on jupiter (sol)",
        "SHRANK: BTC long shrank from size 75,000 USD to 60,000 USD, on jupiter (sol)",
    ]
    reasons = [entry.reason for entry in await book.servers.entries()]
    assert [one for one in reasons if one in ("OPENED", "GREW", "SHRANK")] == [
        "OPENED",
        "GREW",
        "SHRANK",
    ]
    verified = await book.servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())
    assert verified.intact


async def test_who_dies_between_any_two_steps_loses_no_news_and_doubles_none(book: Book) -> None:
    servers = book.servers
    book.holds()
    await book.cycle()
    book.holds(ROWS[0])
    await book.sync()
    await servers.stop("alerts")
    await servers.start_alerts()
    await book.judge()
    # The same step again, by a process that knows nothing of the first.
    await servers.stop("alerts")
    await servers.start_alerts()
    await book.judge()
    await servers.evaluate()
    book.holds(_sized(ROWS[0], "75000.00"))
    await book.sync()
    # Nobody judged that cycle.
    await book.cycle()
    assert [one.split(":")[0] for one in await book.subjects()] == ["OPENED", "GREW"]


async def test_a_second_process_of_alerts_tells_nothing_again(book: Book) -> None:
    servers = book.servers
    book.holds()
    await book.cycle()
    book.holds(*ROWS)
    await book.sync()
    await servers.evaluate()
    await servers.start_alerts("alerts-2")
    await servers.evaluate()
    assert len(await book.news()) == 4


@pytest.mark.slow
async def test_a_kind_that_is_switched_off_is_in_the_ledger_alone(book: Book) -> None:
    servers = book.servers
    await servers.stop("alerts")
    await servers.start_alerts(alerts_position_news=("grew",))
    book.holds(*ROWS[:1])
    await book.cycle()
    book.holds(_sized(ROWS[0], "50100.00"), ROWS[1])
    await book.cycle()
    book.holds(ROWS[1])
    for _ in range(3):
        await book.cycle()
    assert [one.split(":")[0] for one in await book.subjects()] == ["GREW"]
    reasons = {entry.reason for entry in await servers.entries()}
    assert reasons >= {"FIRST_LOOK", "OPENED", "GREW", "DELETED"}
    ends = [one for one in await servers.messages() if one.subject.startswith("CLOSED")]
    assert not ends


@pytest.mark.slow
async def test_a_position_that_was_gone_and_is_held_again_is_told_once(book: Book) -> None:
    near = {**ROWS[0], "liquidationPrice": "95000.00"}
    book.holds(near, *ROWS[1:])
    await book.cycle()
    book.holds(*ROWS[1:])
    for _ in range(3):
        await book.cycle()
    book.holds(near, *ROWS[1:])
    for _ in range(2):
        await book.cycle()
    told = [one.subject for one in await book.servers.messages() if "BTC long" in one.subject]
    told = [one.split(",")[0] for one in told if "liquidation distance" not in one]
    assert told == [
        "HIGH: BTC long is gone",
        "BACK: BTC long is held",
    ]
    opened = [entry.reason for entry in await book.servers.entries() if entry.reason == "OPENED"]
    assert opened == ["OPENED"], "in the ledger it is all the same"


@pytest.mark.slow
async def test_a_closed_position_is_told_once_by_the_end_of_its_alerts(book: Book) -> None:
    book.holds(*ROWS)
    await book.cycle()
    book.holds(*ROWS[1:])
    for _ in range(3):
        await book.cycle()
    ends = [one for one in await book.servers.messages() if "BTC long" in one.subject]
    assert [one.subject.split(":")[0] for one in ends] == ["CLOSED"]
    assert len(await book.news()) == 1


async def test_more_than_a_burst_is_one_message_and_a_row_of_the_ledger_each(book: Book) -> None:
    servers = book.servers
    await servers.stop("alerts")
    await servers.start_alerts(alerts_burst_count=3)
    book.holds()
    await book.cycle()
    book.holds(*ROWS)
    await book.cycle()
    (subject,) = await book.subjects()
    assert subject.startswith("CHANGED: 4 events of positions: 4 opened. The largest: BTC long")
    reasons = [entry.reason for entry in await servers.entries()]
    assert (reasons.count("OPENED"), reasons.count("CHANGED")) == (4, 1)


async def test_positions_of_an_older_backup_are_told_of_again_from_there_on(book: Book) -> None:
    servers = book.servers
    book.holds()
    await book.cycle()
    book.holds(ROWS[0])
    await book.cycle()
    await servers.stop("alerts")
    owner = await asyncpg.connect(servers.databases.owner_url("alerts"))
    await owner.execute("update service_state set event_sequence = 10")
    await servers.start_alerts()
    await book.cycle()
    assert await owner.fetchval("select event_sequence from service_state") == 1
    await owner.close()
    book.holds(*ROWS[:2])
    await book.cycle()
    assert [one.split(",")[0] for one in await book.subjects()] == [
        "OPENED: BTC long opened",
        "OPENED: BTC short opened",
    ]


@pytest.mark.slow
async def test_an_end_that_no_alert_could_tell_is_told_once_all_the_same(book: Book) -> None:
    """All limits are off, so no alert stands for the position: a liquidation is told anyway."""
    servers = book.servers
    await servers.only()
    book.holds(*ROWS[:2])
    await book.cycle()
    assert not (await servers.alerts.ListAlerts(pb.ListAlertsRequest(alert_class=1))).alerts
    book.holds()
    moment = int(servers.clock.now().timestamp()) + 30
    traded = {"positionPubkey": ROWS[0]["positionPubkey"], "createdTime": moment}
    book.jupiter.answer(
        "GET /v2/trades",
        json={"count": 1, "dataList": [{**TRADE, **traded, "updatedTime": moment}]},
    )
    for _ in range(4):
        await book.cycle()
    ends = [one for one in await servers.messages() if "FIRST LOOK" not in one.subject]
    assert sorted((one.level, one.kind, one.subject.split(",")[0]) for one in ends) == [
        (xcom_pb.LEVEL_LOW, xcom_pb.KIND_NEWS, "CLOSED: BTC short closed"),
        (
            xcom_pb.LEVEL_HIGH,
            xcom_pb.KIND_DANGER,
            "HIGH: BTC long was LIQUIDATED",
        ),
    ]


async def test_closed_and_liquidated_by_one_sync_is_told_once_as_liquidated(book: Book) -> None:
    """Trades that come late: the sync that closes a position finds what ended it, too."""
    servers = book.servers
    await servers.only()
    book.holds(*ROWS[:2])
    await book.cycle()
    book.holds(*ROWS[1:2])
    await book.cycle()
    moment = int(servers.clock.now().timestamp()) + 30
    traded = {"positionPubkey": ROWS[0]["positionPubkey"], "createdTime": moment}
    late = {"count": 1, "dataList": [{**TRADE, **traded, "updatedTime": moment}]}
    book.jupiter.answer("GET /v2/trades", json=late)
    for _ in range(2):
        await book.cycle()
    request = positions_pb.ListPositionEventsRequest(after_sequence=1)
    events = (await servers.positions.ListPositionEvents(request)).events
    ends = [positions_pb.PositionEventKind.Name(one.kind).split("_")[-1] for one in events]
    assert ends == ["CLOSED", "LIQUIDATED"]
    told = [one.subject.split(",")[0] for one in await servers.messages()]
    assert [one for one in told if "FIRST LOOK" not in one] == ["HIGH: BTC long was LIQUIDATED"]


async def test_an_end_that_its_alerts_told_before_its_event_was_read_is_not_told_again(
    book: Book,
) -> None:
    servers = book.servers
    book.holds(*ROWS)
    await book.cycle()
    book.holds(*ROWS[1:])
    for _ in range(3):
        await book.sync()
    # Cleared before anybody judged: the event is still to be read.
    await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest(cycle_id="cycle-4", epoch=1))
    await book.cycle()
    ends = [one for one in await servers.messages() if "BTC long" in one.subject]
    assert [one.subject.split(":")[0] for one in ends] == ["CLOSED"]


@pytest.mark.slow
async def test_of_nothing_new_nobody_is_asked(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book.holds(*ROWS)
    await book.cycle()
    asked = _counted(monkeypatch)
    for _ in range(3):
        await book.cycle()
    assert asked == []
    book.holds(_sized(ROWS[0], "75000.00"), *ROWS[1:])
    await book.cycle()
    assert len(asked) == 1


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Calls of ListPositionEvents that arrive from now on."""
    asked: list[object] = []
    whole = EventsService.list

    async def counted(self: EventsService, *given: object) -> object:
        asked.append(given)
        return await whole(self, *given)

    monkeypatch.setattr(EventsService, "list", counted)
    return asked
