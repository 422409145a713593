"""The floor of a cycle: COPY out, numpy, COPY in of the product's own columns, in its Postgres.

On copies of the product's tables as they are filled, with their indexes and limits: what a pass
reads of a position, every figure that it finds of it, and the readings of three alerts each.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray

from services.positions.enrichment.domain.enriched_frame import FROM_RESULTS
from shared.database.address import plain
from shared.database.bulk import copy_in, copy_out
from shared.database.transaction import Transaction

Columns = Mapping[str, NDArray[Any]]

# What a pass reads of a position.
PASS_COLUMNS = {
    "position_key": "int8",
    "feed_key": "int4",
    "asset_key": "int4",
    "side": "int2",
    "status": "int2",
    "in_last_answer": "bool",
    "flag_bits": "int8",
    "mark_time": "timestamptz",
    "entry_price_usd": "float8",
    "liquidation_price_usd": "float8",
    "own_liquidation_price_usd": "float8",
    "mark_price_usd": "float8",
    "size_usd": "float8",
    "collateral_usd": "float8",
    "pnl_after_fees_usd": "float8",
}
METRICS = ("heat_index", "travel_percent", "liquidation_distance_percent")
_LIMITS = ((97.0, 98.0, 99.0), (97.0, 98.0, 99.0), (-0.03, -0.02, -0.01))
_SIGNS = (1.0, -1.0, -1.0)
_READ = f"select {', '.join(PASS_COLUMNS)} from bench.position where status in (1, 2)"
# The product keeps its figures in memory and makes them again from what it stores.
_FIGURES = ", ".join(f"{name} float8 not null" for name in FROM_RESULTS)
_ROUNDS = 9


@asynccontextmanager
async def schema(admin_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection with a schema `bench` of its own, gone afterwards."""
    connection = await asyncpg.connect(plain(admin_url), timeout=10)
    try:
        await connection.execute("drop schema if exists bench cascade; create schema bench")
        yield connection
    finally:
        await connection.execute("drop schema if exists bench cascade")
        await connection.close()


async def measure(admin_url: str) -> list[float]:
    """Milliseconds of one pass over all positions that are held, several times."""
    async with schema(admin_url) as connection:
        await connection.execute(
            "create table bench.position (like positions.position including all);"
            "insert into bench.position overriding system value"
            " select * from positions.position order by position_key;"
            "create unlogged table bench.result (position_key int8 not null,"
            f" flag_bits int8 not null, mark_time timestamptz not null, {_FIGURES});"
            "create table bench.evaluation (like alerts.evaluation including all);"
            "analyze bench.position"
        )
        # Tables are found by the search path.
        await connection.execute("set search_path = bench")
        types: dict[str, dict[str, str]] = {}
        return [await _once(connection, types) for _ in range(_ROUNDS + 1)][1:]


async def _once(
    connection: asyncpg.Connection[asyncpg.Record],
    types: dict[str, dict[str, str]],
) -> float:
    began = time.perf_counter()
    async with connection.transaction():
        transaction = Transaction(connection, types)
        rows = await copy_out(transaction, _READ, PASS_COLUMNS)
        figures = computed(rows)
        spare = list(figures.values())
        stored = {
            name: figures.get(name, spare[place % len(spare)])
            for place, name in enumerate(FROM_RESULTS)
        }
        kept = {name: rows[name] for name in ("position_key", "flag_bits", "mark_time")}
        await copy_in(transaction, "result", kept | stored)
        await connection.execute("delete from evaluation")
        await connection.execute(
            "insert into evaluation (version, evaluated_micros, alert_key, value, observed_micros,"
            " state, falling) values (1, 0, $1, $2, $3, $4, $5)",
            *readings(rows, figures),
        )
        await connection.execute("truncate result")
    return (time.perf_counter() - began) * 1000


def computed(rows: Columns) -> dict[str, NDArray[Any]]:
    """The arithmetic of a floor; percent and USD, NaN where an input is absent."""
    side, entry, mark = rows["side"], rows["entry_price_usd"], rows["mark_price_usd"]
    mark = np.where(np.isnan(mark), entry, mark)
    side = np.where(side == 1, 1.0, -1.0)
    away, collateral = rows["liquidation_price_usd"], rows["collateral_usd"]
    pnl = side * rows["size_usd"] / entry * (mark - entry)
    distance = side * (mark - away)
    leverage = rows["size_usd"] / collateral
    share = np.clip((mark - away) / (entry - away), 0, 1)
    heat = np.maximum(100 * (1 - share) ** 0.6 * np.minimum(leverage / 100, 1) ** (0.3 * share), 5)
    return {
        "mark_price_usd": mark,
        "pnl_usd": pnl,
        "value_usd": collateral + pnl,
        "leverage_ratio": leverage,
        "travel_percent": 100 * side * (mark - entry) / (side * (entry - away)),
        "liquidation_distance_usd": distance,
        "liquidation_distance_percent": 100 * distance / mark,
        "heat_index": heat,
    }


def readings(rows: Columns, figures: Columns) -> tuple[bytes, ...]:
    """Three alerts a position judged, packed as the product packs them: keys, values, times,
    states, levels.
    """
    values, levels = [], []
    for name, limits, sign in zip(METRICS, _LIMITS, _SIGNS, strict=True):
        signed = sign * figures[name]
        values.append(figures[name])
        levels.append(sum((signed >= limit for limit in limits), np.zeros(len(signed), np.int8)))
    value, level = np.stack(values, 1).ravel(), np.stack(levels, 1).astype(np.int8).ravel()
    observed = np.repeat(rows["mark_time"], len(METRICS))
    state = np.where(np.isnan(value), 2, 1).astype(np.int8)
    # Neighbouring keys are stored as one run.
    keys = np.array([-1, 1, len(value)], np.int64)
    return tuple(column.tobytes() for column in (keys, value, observed, state, level))
