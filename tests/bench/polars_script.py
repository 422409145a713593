"""A rival in one file: a cycle as a script with polars and COPY would do it, for the ratio to ours.

`python -m tests.bench.polars_script URL ROUNDS` works in the schema `bench` that the caller made
and prints milliseconds, one JSON list: positions with their last levels by COPY out, every metric,
three levels a position and the totals in polars, all of it by COPY into a table, commit.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import sys
import time
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    import polars as pl

ABSENT = "polars is not installed here (requirements-dev.lock has it)"
# Made by the caller, filled with the positions that the product holds.
SETUP = """
create table bench.input as
    select position_key, side, status, asset_key, feed_key, flag_bits, mark_time, entry_price_usd,
        liquidation_price_usd, size_usd, collateral_usd,
        coalesce(nullif(mark_price_usd, 'NaN'), entry_price_usd) as mark_price_usd
    from positions.position where status in (1, 2);
alter table bench.input add primary key (position_key);
create unlogged table bench.output (
    position_key int8 not null, mark_price_usd float8, pnl_usd float8, value_usd float8,
    leverage_ratio float8, travel_percent float8, liquidation_distance_usd float8,
    liquidation_distance_percent float8, heat_index float8, heat_level int2, travel_level int2,
    distance_level int2
);
create table bench.totals (size_usd float8, value_usd float8, collateral_usd float8, pnl_usd float8,
    heat_index float8);
"""


def is_possible() -> bool:
    """Whether polars is here."""
    return importlib.util.find_spec("polars") is not None


async def measure(admin_url: str, rounds: int) -> list[float]:
    """Milliseconds of each round, in a process of its own; its start does not count."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, admin_url, str(rounds), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, "the polars script failed"
    return [float(sample) for sample in json.loads(said)]


async def _cycle(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    import polars as pl

    async with connection.transaction():
        found = io.BytesIO()
        await connection.copy_from_table(
            "input", schema_name="bench", output=found, format="csv", header=True
        )
        rows = pl.read_csv(found.getvalue(), schema_overrides={"mark_time": pl.String})
        side = pl.when(pl.col("side") == 1).then(1.0).otherwise(-1.0)
        entry, mark, away, size, collateral = map(
            pl.col,
            (
                "entry_price_usd",
                "mark_price_usd",
                "liquidation_price_usd",
                "size_usd",
                "collateral_usd",
            ),
        )
        pnl = side * size / entry * (mark - entry)
        share = ((mark - away) / (entry - away)).clip(0, 1)
        leverage = size / collateral
        distance = side * (mark - away)
        heat = 100 * (1 - share) ** 0.6 * (leverage / 100).clip(0, 1) ** (0.3 * share)
        judged = rows.select(
            "position_key",
            "mark_price_usd",
            pnl_usd=pnl,
            value_usd=collateral + pnl,
            leverage_ratio=leverage,
            travel_percent=100 * side * (mark - entry) / (side * (entry - away)),
            liquidation_distance_usd=distance,
            liquidation_distance_percent=100 * distance / mark,
            heat_index=heat.clip(5, 100),
        ).with_columns(
            heat_level=_level(pl.col("heat_index"), (97, 98, 99)),
            travel_level=_level(-pl.col("travel_percent"), (97, 98, 99)),
            distance_level=_level(-pl.col("liquidation_distance_percent"), (-0.03, -0.02, -0.01)),
        )
        await connection.copy_to_table(
            "output",
            schema_name="bench",
            source=io.BytesIO(judged.write_csv().encode()),
            format="csv",
            header=True,
        )
        totals = (
            *rows.select(size.sum(), collateral.sum()).row(0),
            *judged.select(pl.col("value_usd", "pnl_usd").sum(), pl.mean("heat_index")).row(0),
        )
        await connection.execute("insert into bench.totals values ($1, $2, $3, $4, $5)", *totals)
        await connection.execute("truncate bench.output")


def _level(value: pl.Expr, limits: tuple[float, float, float]) -> pl.Expr:
    low, medium, high = (value >= limit for limit in limits)
    return low.cast(int) + medium.cast(int) + high.cast(int)


async def main(url: str, rounds: int) -> None:
    connection = await asyncpg.connect(url)
    taken_ms = []
    for _ in range(rounds + 2):
        began = time.perf_counter()
        await _cycle(connection)
        taken_ms.append((time.perf_counter() - began) * 1000)
    await connection.close()
    print(json.dumps(taken_ms[2:]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
