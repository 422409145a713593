"""How the database grows: bytes by table over some cycles, a day and a month of them.

Cycles run one after the other, so a minute of the clock holds many. What a day holds is
extrapolated with the ages that the services keep by default.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from services.alerts.ledger.domain.segments import LEAST_AGE
from services.cli.connection import connected
from services.cli.plan import SERVICES
from services.cli.room import folder_bytes
from services.cyclone.domain.steps import NAMES
from services.monitor.domain.findings import RunStatus
from shared.database.address import plain
from shared.database.fence import KEPT
from tests.bench import crash, cycles
from tests.bench.figures import Figure, Limit
from tests.bench.judging import Judging, evaluation
from tests.bench.running import Run, Running, say, started

CYCLES_A_DAY = 1440
MONTH_DAYS = 30
# Levels that change in a day, for each position: a market that moves, no crash.
CHANGES_A_DAY = 30
_SMALL, _SMALL_CYCLES = 10, 300
_MANY_CYCLES = 21
_SIZES = """
select n.nspname || '.' || c.relname, pg_total_relation_size(c.oid) from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any($1::text[]) and c.relkind = 'r'
"""
# Rows that are kept for another age than the others of their table, and how large a part they are.
_PARTS = {
    "cyclone.event": (
        "of steps",
        """select sum(pg_column_size(event)) filter (where severity = 'INFO' and source =
            any($1::text[]))::float8 / sum(pg_column_size(event)) from cyclone.event""",
        (NAMES,),
    ),
    "monitor.run": (
        "quiet",
        """select sum(pg_column_size(run)) filter (where status = $1)::float8
            / sum(pg_column_size(run)) from monitor.run""",
        (RunStatus.SUCCESS,),
    ),
}
# What bounds a table's age by default: the service's setting, in days; 0 or absent is for ever.
KEPT_BY = {
    "positions.snapshot": "snapshot_retention_days",
    "positions.refused_row": "refused_retention_days",
    "positions.request": "request_retention_days",
    "positions.session": "session_retention_days",
    "positions.touch_statement": "touch_record_days",
    "positions.touch_history": "touch_history_days",
    "price.": "price_history_kept_days",
    "hedges.": "hedges_history_days",
    "monitor.run, quiet": "monitor_quiet_runs_kept_days",
    "monitor.": "monitor_runs_kept_days",
    "xcom.": "xcom_messages_kept_days",
    "cyclone.event, of steps": "cycle_step_lines_kept_days",
    "cyclone.": "cycles_kept_days",
    "alerts.recording": "alerts_recorder_days",
}
# Answers of steps are kept for a retry alone, by every service alike.
_ANSWERS, _ANSWERS_DAYS = ".step_answer", KEPT / timedelta(days=1)
# Of a row that left the ledger for a sealed file: docs/decisions/ledger-age.md.
_LEDGER, _SEALED_ROW_BYTES = "alerts.ledger", 63
# A quote is stored however soon it comes: here a cycle takes less than the least age of one.
_SETTINGS = {"PRICE_MIN_REFRESH_SECONDS": "0"}


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes of each table that one cycle adds."""

    by_table: Mapping[str, float]

    def by_then(self, days: float, kept_days: Mapping[str, float]) -> dict[str, float]:
        """Bytes of each table after so many days of the default interval, without what was
        forgotten by then.
        """
        return {
            table: added * CYCLES_A_DAY * min(kept_days.get(table, days), days)
            for table, added in self.by_table.items()
        }

    def dearest(self, count: int, kept_days: Mapping[str, float]) -> str:
        """The tables that grow most in a day."""
        most = sorted(self.by_then(1, kept_days).items(), key=lambda one: -one[1])[:count]
        return ", ".join(f"{table} {added / 1e6:.1f}" for table, added in most)


def ledger_month_bytes(changes_a_day: float, row_bytes: float) -> float:
    """After thirty days of so many rows: those that are kept by default, and the files of the
    rest. Files are made of many rows at once; what waits for the next one is not counted.
    """
    grown = changes_a_day * MONTH_DAYS
    days = _default("alerts", "alerts_ledger_kept_days") or math.inf
    most = _default("alerts", "alerts_ledger_kept_rows") or math.inf
    kept = min(grown, changes_a_day * days, max(most, changes_a_day * LEAST_AGE.days))
    return kept * row_bytes + (grown - kept) * _SEALED_ROW_BYTES


def between(before: Mapping[str, int], after: Mapping[str, int], count: int) -> Growth:
    """What one of `count` cycles added; a table that shrank added nothing."""
    added = {table: max(0, size - before.get(table, 0)) / count for table, size in after.items()}
    return Growth(added)


async def measure(run: Run) -> list[Figure]:
    """G16, at 10 positions, and at a tenth of the large size."""
    async with started(run.home / "growth", _SETTINGS) as running:
        async with connected(running.addresses, running.tls) as found:
            await Judging(found, running.admin_url).calm()
        cycles_count = max(21, _SMALL_CYCLES * run.options.cycles // 30)
        small = await _grown(running, _SMALL, cycles_count, run.options.seed)
        folder = folder_bytes(running.home)
        many_count = max(_SMALL, run.options.size // 10)
        many = await _grown(running, many_count, _MANY_CYCLES, run.options.seed)
        change = await _a_change(running)
    return [*_figures(small, folder, change), *_context(many_count, many, change)]


async def _grown(running: Running, count: int, cycles_count: int, seed: int) -> Growth:
    """Over as many cycles as came before, so that room which updates need is there already."""
    say(f"  {count:,} positions, {cycles_count} cycles twice")
    async with connected(running.addresses, running.tls) as found:
        await Judging(found, running.admin_url).forget()
    await cycles.fill(running.addresses, count, seed=seed, tls=running.tls)
    await cycles.run(running.addresses, warm=cycles_count, counted=0, tls=running.tls)
    before = await _sizes(running.admin_url)
    await cycles.run(running.addresses, warm=cycles_count, counted=0, tls=running.tls)
    grown = between(before, await _sizes(running.admin_url), cycles_count)
    return parted(grown, await _parts(running.admin_url))


async def _a_change(running: Running) -> Growth:
    """Of a level: its ledger row, its message, its deliveries; all alerts about distance change."""
    before = await _sizes(running.admin_url)
    async with connected(running.addresses, running.tls) as found:
        count = evaluation(await crash.one(Judging(found, running.admin_url))).counts["raised"]
    return between(before, await _sizes(running.admin_url), max(1, count))


def parted(grown: Growth, parts: Mapping[str, tuple[str, float]]) -> Growth:
    """Tables in two: `parts` has by table what its part is called, and its share from 0 to 1."""
    by_table = dict(grown.by_table)
    for table, (name, share) in parts.items():
        whole = by_table[table]
        by_table |= {table: whole * (1 - share), f"{table}, {name}": whole * share}
    return Growth(by_table)


async def _parts(admin_url: str) -> dict[str, tuple[str, float]]:
    connection = await asyncpg.connect(plain(admin_url))
    try:
        return {
            table: (name, float(await connection.fetchval(query, *values) or 0.0))
            for table, (name, query, values) in _PARTS.items()
        }
    finally:
        await connection.close()


async def _sizes(admin_url: str) -> dict[str, int]:
    """Bytes of every table with its indexes, dead rows given back."""
    connection = await asyncpg.connect(plain(admin_url))
    try:
        await connection.execute("vacuum")
        return {row[0]: row[1] for row in await connection.fetch(_SIZES, list(SERVICES))}
    finally:
        await connection.close()


def kept_days(tables: Iterable[str]) -> dict[str, float]:
    """By table, as the services' settings are without any said; what is kept for ever is left
    out.
    """
    found = {}
    for table in tables:
        if table.endswith(_ANSWERS):
            found[table] = _ANSWERS_DAYS
            continue
        name = next((name for prefix, name in KEPT_BY.items() if table.startswith(prefix)), "")
        if days := _default(table.split(".")[0], name):
            found[table] = days
    if days := _default("price", "price_history_hours_after_days"):
        # Of the sixty rows of an hour four stay then.
        found["price.price_history"] = days + (MONTH_DAYS - days) * 4 / 60
    return found


def _default(service: str, name: str) -> float:
    config: Any = importlib.import_module(f"services.{service}.server").Config
    field = config.model_fields.get(name)
    return float(field.default) if field is not None else 0.0


def _day_of_changes(count: int, change: Growth) -> float:
    return count * CHANGES_A_DAY * sum(change.by_table.values())


def _month_of_changes(count: int, change: Growth) -> float:
    """All but the ledger counts for the whole month."""
    rows, row_bytes = count * CHANGES_A_DAY, change.by_table.get(_LEDGER, 0.0)
    others = _day_of_changes(count, change) - rows * row_bytes
    return others * MONTH_DAYS + ledger_month_bytes(rows, row_bytes)


def _figures(small: Growth, folder: int, change: Growth) -> list[Figure]:
    kept = kept_days(small.by_table)
    day = sum(small.by_then(1, kept).values()) + _day_of_changes(_SMALL, change)
    month = folder + sum(small.by_then(MONTH_DAYS, kept).values())
    month += _month_of_changes(_SMALL, change)
    change_bytes = sum(change.by_table.values())
    assumed = f"{CHANGES_A_DAY} changed levels a position and day of {change_bytes:,.0f} B"
    return [
        Figure(
            "G16",
            f"a day, {_SMALL} positions, every 60 s",
            [day / 1e6],
            unit="MB",
            limit=Limit(20, of_ratio=False),
            note=f"with {assumed}; {small.dearest(3, kept)}",
        ),
        Figure(
            "G16",
            f"a month, {_SMALL} positions, the whole home",
            [month / 1e6],
            unit="MB",
            limit=Limit(300, of_ratio=False),
            note=f"{folder / 1e6:.0f} MB of it at the start",
        ),
    ]


def _context(count: int, many: Growth, change: Growth) -> list[Figure]:
    kept = kept_days(many.by_table)
    day = sum(many.by_then(1, kept).values()) + _day_of_changes(count, change)
    month = sum(many.by_then(MONTH_DAYS, kept).values()) + _month_of_changes(count, change)
    return [
        Figure(
            "G16", f"a day, {count:,} positions", [day / 1e6], unit="MB", note=many.dearest(3, kept)
        ),
        Figure("G16", f"a month, {count:,} positions", [month / 1e6], unit="MB"),
    ]
