"""The floor of a cycle: COPY out, numpy, COPY in, on the same Postgres, with nothing around it."""

from __future__ import annotations

import time

import numpy as np

from shared.database.bulk import copy_in, copy_out
from shared.database.pool import Database
from shared.database.transaction import Transaction

_INPUTS = (
    "entry_price_usd",
    "mark_price_usd",
    "liquidation_price_usd",
    "size_usd",
    "collateral_usd",
)
_RESULTS = (
    "pnl_usd",
    "value_usd",
    "leverage_ratio",
    "travel_percent",
    "distance_usd",
    "distance_percent",
    "heat",
)
_ROUNDS = 9


async def measure(admin_url: str, count: int) -> list[float]:
    """Milliseconds of one pass over `count` rows, several times."""
    database = Database(admin_url)
    try:
        async with database.transaction() as connection:
            await _prepare(connection, count)
        return [await _once(database) for _ in range(_ROUNDS)]
    finally:
        async with database.transaction() as connection:
            await connection.driver.execute("drop schema if exists bench cascade")
        await database.stop()


async def _prepare(connection: Transaction, count: int) -> None:
    columns = ", ".join(f"{name} float8 not null" for name in _INPUTS)
    results = ", ".join(f"{name} float8 not null" for name in _RESULTS)
    for statement in (
        "drop schema if exists bench cascade",
        "create schema bench",
        "set local search_path = bench",
        f"create table input (id int8 primary key, side int2 not null, {columns})",
        f"create table result (id int8 not null, {results})",
    ):
        await connection.driver.execute(statement)
    chance = np.random.default_rng(1)
    entry = chance.uniform(10, 1000, count)
    side = chance.choice([-1, 1], count)
    rows = {
        "id": np.arange(count, dtype=np.int64),
        "side": side.astype(np.int16),
        "entry_price_usd": entry,
        "mark_price_usd": entry * chance.uniform(0.9, 1.1, count),
        "liquidation_price_usd": entry * (1 - side * 0.2),
        "size_usd": chance.uniform(100, 10_000, count),
        "collateral_usd": chance.uniform(10, 1000, count),
    }
    await copy_in(connection, "input", rows)


async def _once(database: Database) -> float:
    began = time.perf_counter()
    async with database.transaction() as connection:
        await connection.driver.execute("set local search_path = bench")
        spec = {"id": "int8", "side": "int2"} | dict.fromkeys(_INPUTS, "float8")
        rows = await copy_out(connection, f"select {', '.join(spec)} from input", spec)
        await copy_in(connection, "result", {"id": rows["id"], **computed(rows)})
    return (time.perf_counter() - began) * 1000


def computed(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arithmetic of a floor."""
    side, entry, mark = rows["side"], rows["entry_price_usd"], rows["mark_price_usd"]
    away, collateral = rows["liquidation_price_usd"], rows["collateral_usd"]
    pnl = side * rows["size_usd"] / entry * (mark - entry)
    distance = side * (mark - away)
    leverage = rows["size_usd"] / collateral
    share = np.clip((mark - away) / (entry - away), 0, 1)
    heat = np.maximum(100 * (1 - share) ** 0.6 * np.minimum(leverage / 100, 1) ** (0.3 * share), 5)
    travel = 100 * side * (mark - entry) / (side * (entry - away))
    values = (pnl, collateral + pnl, leverage, travel, distance, 100 * distance / mark, heat)
    return dict(zip(_RESULTS, values, strict=True))
