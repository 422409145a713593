"""What sync and enrichment do themselves with so many positions of a wallet, each beside its floor.

The floors work on copies of the tables, with their indexes, limits and free room, in the same
Postgres.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import NUMBERS, Answer, Chain, WalletType
from services.positions.enrichment.domain.enrichment import MarketPrice
from services.positions.enrichment.service import EnrichmentService
from services.positions.store import Store
from services.positions.sync.domain.answer_columns import AnswerColumns, answered
from services.positions.sync.service.answer_writer import AnswerWriter
from services.positions.sync.store.id_cache import IdCache
from services.positions.tables import RESULT_NUMBERS
from services.positions.venues.jupiter import read_answer
from services.positions.venues.jupiter_parser import V1
from services.positions.wallets.domain.wallet import Wallet
from shared.clock import SystemClock
from shared.database.bulk import copy_in, copy_out
from shared.database.fence import Step
from shared.database.pool import Database
from shared.database.transaction import Transaction
from tests.bench import floor
from tests.bench.measure import Figure

_ROUNDS = 8
_WALLET = "bench"
_ADDRESS = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
_LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MINT = "3NZ9JMVBmGAqocybic2c7LQCJScmgsAZ6vQqTDzcqmJh"
_MARKS_USD = (97_412.5, 97_500.0)
_GOAL = "issue 3: p50 <= 1.5"
_COPIED = "insert into bench_sync.position overriding system value"
_CHANGING = ("side", "flag_bits", *NUMBERS)
_STORED = {
    "position_key": "int8",
    "asset_key": "int4",
    "side": "int2",
    "status": "int2",
    "in_last_answer": "bool",
    "flag_bits": "int8",
    **dict.fromkeys(NUMBERS, "float8"),
}
_PASS = {
    "position_key": "int8",
    "feed_key": "int4",
    "asset_key": "int4",
    "side": "int2",
    "status": "int2",
    "in_last_answer": "bool",
    "flag_bits": "int8",
    "mark_time": "timestamptz",
    **dict.fromkeys(NUMBERS[:7], "float8"),
}
_STAGED = {name: _STORED[name] for name in ("position_key", *_CHANGING)}

Columns = Mapping[str, NDArray[Any]]
Work = Callable[[int], Awaitable[int]]


# Sync counts from the answer's rows as columns to the commit: reading what is stored, comparing,
# writing what changed, stamps. Its floor: COPY the stored inputs out into numpy, compare, COPY the
# changed rows in, merge them in one statement, commit. Reading the provider's JSON, and its rows
# into columns, are lines apart. Enrichment counts a whole pass; its floor: COPY the same columns
# out, numpy, COPY as many in, commit.
async def measure(service_url: str, admin_url: str, count: int) -> list[Figure]:
    """`service_url`: as the role that the positions service runs as. What is held there is lost."""
    parse_ms, columns_ms = list[float](), list[float]()
    answers = [
        _parsed(jupiter_body(range(count), mark), parse_ms) for mark in (*_MARKS_USD, *_MARKS_USD)
    ][:2]
    rows = [_converted(answer, columns_ms) for answer in (*answers, *answers)][:2]
    service, admin = Database(service_url), Database(admin_url)
    try:
        taken = await _compare(
            await _ours(service, answers, rows), await _floor(admin, rows), count
        )
        enrich_ms, enrich_floor_ms = await _enrichments(service, admin)
    finally:
        async with admin.transaction() as connection:
            await connection.driver.execute("drop schema if exists bench_sync cascade")
        await admin.stop()
        await service.stop()
    named, beside = f"sync's storing, {count:,} positions", "COPY, compare, merge"
    return [
        Figure(f"{named}, none changed", taken["ours", 0], beside, taken["floor", 0], _GOAL),
        Figure(f"{named}, all changed", taken["ours", count], beside, taken["floor", count], _GOAL),
        Figure("  before it: rows into columns", columns_ms),
        Figure("  before that: the provider's JSON into rows", parse_ms),
        Figure(
            f"enrichment, {count:,} positions",
            enrich_ms,
            "COPY, numpy, COPY",
            enrich_floor_ms,
            _GOAL,
        ),
    ]


async def _compare(ours: Work, theirs: Work, count: int) -> dict[tuple[str, int], list[float]]:
    """Interleaved, so that both see the same machine; by who and by how many rows changed."""
    taken: dict[tuple[str, int], list[float]] = {}
    for turn in range(_ROUNDS):
        for changed, place in ((0, turn % 2), (count, (turn + 1) % 2)):
            for who, work in (("ours", ours), ("floor", theirs)):
                began = time.perf_counter()
                changed_count = await work(place)
                taken.setdefault((who, changed), []).append(_milliseconds(began))
                assert changed_count == changed, (
                    f"{who} changed {changed_count} rows, not {changed}"
                )
    return taken


async def _ours(
    database: Database, answers: Sequence[Answer], rows: Sequence[AnswerColumns]
) -> Work:
    """Stores one of the answers; the first is what is stored at the start."""
    begin, id_cache = database.open(Store), IdCache()
    wallet = Wallet(
        _WALLET, Chain.SOLANA, _ADDRESS, "", None, None, (), False, WalletType.TEST, _now()
    )
    async with begin() as store:
        await store.positions.delete_all()
        await store.wallets.create(wallet)

    async def work(place: int) -> int:
        storing = AnswerWriter(begin, SystemClock(), Step("SYNC_POSITIONS"), id_cache)
        outcome = await storing.keep_rows(_WALLET, "jupiter", answers[place], rows[place])
        return outcome.opened_count + outcome.changed_count

    await work(0)
    return work


async def _floor(admin: Database, rows: Sequence[AnswerColumns]) -> Work:
    async with admin.transaction() as connection:
        for statement in (
            "drop schema if exists bench_sync cascade",
            "create schema bench_sync",
            "create table bench_sync.position (like positions.position including all)",
            "alter table bench_sync.position set (fillfactor = 45)",
            f"{_COPIED} select * from positions.position order by position_key",
        ):
            await connection.driver.execute(statement)
        await connection.driver.execute("set local search_path = bench_sync")
        keys = (await _read(connection))["position_key"]
    said = [
        {name: one.columns[name] for name in _CHANGING} | {"position_key": keys} for one in rows
    ]

    async def work(place: int) -> int:
        async with admin.transaction() as connection:
            await connection.driver.execute("set local search_path = bench_sync, pg_temp")
            return await _merged(connection, await _read(connection), said[place])

    return work


async def _read(connection: Transaction) -> Columns:
    """Ascending by key: the answers are in this order too, so the floor need not look for a row."""
    columns = await copy_out(connection, f"select {', '.join(_STORED)} from position", _STORED)
    order = np.argsort(columns["position_key"], kind="stable")
    return {name: column[order] for name, column in columns.items()}


async def _merged(connection: Transaction, known: Columns, said: Columns) -> int:
    differs = np.zeros(len(known["position_key"]), np.bool_)
    for name in _CHANGING:
        old, new = known[name], said[name]
        unequal = old != new
        differs |= unequal & ~(np.isnan(old) & np.isnan(new)) if name in NUMBERS else unequal
    if not differs.any():
        return 0
    fields = ", ".join(f"{name} {kind}" for name, kind in _STAGED.items())
    await connection.driver.execute(f"create temp table staged ({fields}) on commit drop")
    await copy_in(connection, "staged", {name: said[name][differs] for name in _STAGED})
    changes = ", ".join(f"{name} = s.{name}" for name in _CHANGING)
    done = await connection.driver.execute(
        f"update position p set {changes}, mark_time = now(), last_seen_time = now(), updated_time"
        " = now()"
        " from staged s where s.position_key = p.position_key"
    )
    return int(done.rpartition(" ")[2])


class _Prices:
    """The market at the first mark."""

    async def read(self) -> Mapping[str, MarketPrice]:
        return {
            "BTC": MarketPrice(_MARKS_USD[0], _now(), usable=True, hourly_volatility_ratio=0.01)
        }


async def _enrichments(service: Database, admin: Database) -> tuple[list[float], list[float]]:
    """Interleaved: enrichment and their floor."""
    begin, read = service.open(Store), service.open(Store, isolation="AUTOCOMMIT")
    at_one_moment = service.open(Store, isolation="REPEATABLE READ")
    enrichment = EnrichmentService(begin, read, at_one_moment, _Prices(), SystemClock(), 120.0)
    async with admin.transaction() as connection:
        await connection.driver.execute(
            "create unlogged table bench_sync.result (like positions.result_0 including all)"
        )
    taken: tuple[list[float], list[float]] = [], []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        await enrichment.enrich(Step("ENRICH_POSITIONS"))
        taken[0].append(_milliseconds(began))
        began = time.perf_counter()
        await _enrich_floor(admin)
        taken[1].append(_milliseconds(began))
    return taken


async def _enrich_floor(admin: Database) -> None:
    async with admin.transaction() as connection:
        await connection.driver.execute("set local search_path = bench_sync")
        names = ", ".join(_PASS)
        rows = await copy_out(
            connection, f"select {names} from position where status in (1, 2)", _PASS
        )
        figures = list(floor.computed(rows).values())
        filled = {name: figures[place % len(figures)] for place, name in enumerate(RESULT_NUMBERS)}
        keys = {name: rows[name] for name in ("position_key", "flag_bits", "mark_time")}
        await copy_in(connection, "result", keys | filled)
        await connection.driver.execute("truncate result")


def jupiter_body(numbers: Sequence[int], mark_usd: float) -> bytes:
    """What Jupiter would answer for a wallet that holds the positions of these numbers."""
    rows = [_row(number, mark_usd) for number in numbers]
    return json.dumps({"count": len(rows), "dataList": rows}).encode()


def _row(number: int, mark_usd: float) -> dict[str, object]:
    entry = 94_250.0 + number % 997
    return {
        "positionPubkey": _key(number),
        "marketMint": _MINT,
        "collateralMint": _MINT,
        "side": "long",
        "entryPrice": f"{entry:.2f}",
        "markPrice": f"{mark_usd:.2f}",
        "liquidationPrice": f"{entry * 0.9:.2f}",
        "size": "50000.00",
        "collateral": "5000.00",
        "value": f"{5000 + (mark_usd - entry) / 2:.2f}",
        "pnlAfterFeesUsd": f"{(mark_usd - entry) / 2:.2f}",
        "openFeesUsd": "35.00",
        "closeFeesUsd": "35.00",
        "borrowFeesUsd": "33.80",
        "createdTime": 1_700_000_000,
        "updatedTime": 1_700_000_000,
    }


def _key(number: int) -> str:
    """A public key's shape."""
    letters = ""
    for _ in range(5):
        number, place = divmod(number, len(_LETTERS))
        letters += _LETTERS[place]
    return "EN3UYkUrSaqdSG5k9ERpLThCVr1X5RobnoBMvSC" + letters


def _parsed(body: bytes, taken_ms: list[float]) -> Answer:
    began = time.perf_counter()
    answer = read_answer(json.loads(body), V1, _ADDRESS, {}, _now())
    taken_ms.append(_milliseconds(began))
    assert answer.complete and not answer.refusals, answer.incomplete_reason
    return answer


def _converted(answer: Answer, taken_ms: list[float]) -> AnswerColumns:
    began = time.perf_counter()
    rows = answered(answer)
    taken_ms.append(_milliseconds(began))
    return rows


def _now() -> datetime:
    return datetime.now(UTC)


def _milliseconds(began: float) -> float:
    return (time.perf_counter() - began) * 1000
