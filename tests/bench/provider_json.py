"""A provider's answer until its rows are stored, beside msgspec and COPY with the same bytes.

Ours is what sync does with the bytes: strict JSON, rows with every refusal, columns, one
transaction. Theirs: typed structs, numpy, COPY into the same columns.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
import msgspec
import numpy as np

from services.positions.domain.venue_answer import Chain, WalletType
from services.positions.store import Store
from services.positions.sync.service.answer_writer import AnswerWriter
from services.positions.sync.store.id_cache import IdCache
from services.positions.venues.jupiter import read_answer
from services.positions.venues.jupiter_parser import V1
from services.positions.wallets.domain.wallet import Wallet
from shared.clock import SystemClock
from shared.database.fence import Step
from shared.database.pool import Database
from shared.http import strict_json
from tests.bench import floor
from tests.bench.figures import Figure, Limit

_ROUNDS = 3
_WALLET = "bench"
_ADDRESS = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
_LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MINT = "3NZ9JMVBmGAqocybic2c7LQCJScmgsAZ6vQqTDzcqmJh"
_MARKS_USD = (97_412.5, 97_500.0)
_COLUMNS = (
    "entry_price_usd",
    "mark_price_usd",
    "liquidation_price_usd",
    "size_usd",
    "collateral_usd",
    "venue_value_usd",
    "pnl_after_fees_usd",
    "open_fee_usd",
    "close_fee_usd",
    "borrow_fee_usd",
)
_FIELDS = (
    "entryPrice",
    "markPrice",
    "liquidationPrice",
    "size",
    "collateral",
    "value",
    "pnlAfterFeesUsd",
    "openFeesUsd",
    "closeFeesUsd",
    "borrowFeesUsd",
)
_Samples = dict[str, list[float]]


async def measure(service_url: str, admin_url: str, count: int) -> list[Figure]:
    """G13. `service_url`: as the role of positions. What is held there is lost."""
    bodies = [jupiter_body(range(count), mark) for mark in _MARKS_USD]
    ours: _Samples = {"opened": [], "changed": [], "parsed": []}
    theirs: list[float] = []
    service = Database(service_url)
    try:
        for _ in range(_ROUNDS):
            await _ours(service, bodies, ours)
            theirs.append(await _theirs(admin_url, bodies[0]))
    finally:
        await service.stop()
    what, limit = f"{count:,} positions, {len(bodies[0]) / 1e6:.0f} MB", Limit(1.5)
    return [
        Figure("G13", f"{what}, all of them new", ours["opened"], "msgspec, COPY", theirs, limit),
        Figure("G13", "every mark is another", ours["changed"], "msgspec, COPY", theirs),
        Figure("G13", "of that, JSON into rows", ours["parsed"]),
    ]


async def _ours(database: Database, bodies: Sequence[bytes], taken: _Samples) -> None:
    """Into an empty table, then over what is stored."""
    begin, id_cache, clock = database.open(Store), IdCache(), SystemClock()
    async with begin() as store:
        await store.positions.delete_all()
        await store.wallets.create(_wallet())
    for kind, body in zip(("opened", "changed"), bodies, strict=True):
        began = time.perf_counter()
        answer = read_answer(strict_json.parse(body), V1, _ADDRESS, {}, datetime.now(UTC))
        taken["parsed"].append(_milliseconds(began))
        assert answer.complete and not answer.refusals, answer.incomplete_reason
        storing = AnswerWriter(begin, clock, Step("SYNC_POSITIONS"), id_cache)
        outcome = await storing.keep(_WALLET, "jupiter", answer)
        taken[kind].append(_milliseconds(began))
        assert outcome.opened_count + outcome.changed_count == len(answer.holdings)


def _wallet() -> Wallet:
    now, kind = datetime.now(UTC), WalletType.TEST
    return Wallet(_WALLET, Chain.SOLANA, _ADDRESS, "", None, None, (), False, kind, now)


async def _theirs(admin_url: str, body: bytes) -> float:
    async with floor.schema(admin_url) as connection:
        numbers = ", ".join(f"{name} float8 not null" for name in _COLUMNS)
        await connection.execute(
            f"create table bench.position (id text unique, side int2, {numbers})"
        )
        began = time.perf_counter()
        await _store(connection, body)
        return _milliseconds(began)


async def _store(connection: asyncpg.Connection[asyncpg.Record], body: bytes) -> None:
    row_type = msgspec.defstruct(
        "Row", [("positionPubkey", str), ("side", str), *((name, float) for name in _FIELDS)]
    )
    answer_type = msgspec.defstruct("Answer", [("count", int), ("dataList", list[row_type])])
    rows = msgspec.json.decode(body, type=answer_type, strict=False).dataList
    columns = [np.array([getattr(row, name) for row in rows]) for name in _FIELDS]
    assert all(np.isfinite(column).all() for column in columns)
    records = zip(
        [row.positionPubkey for row in rows],
        [1 if row.side == "long" else 2 for row in rows],
        *(column.tolist() for column in columns),
        strict=True,
    )
    await connection.copy_records_to_table(
        "position", schema_name="bench", records=records, columns=["id", "side", *_COLUMNS]
    )


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


def _milliseconds(began: float) -> float:
    return (time.perf_counter() - began) * 1000
