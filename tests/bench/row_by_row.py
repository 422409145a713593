"""The way the first tools were written: SQLite, one object and one UPDATE a position and alert.

Each row is committed by itself. Bounded in time: what was not reached counts at the same pace.
"""

from __future__ import annotations

import math
import random
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

MODES = {
    "rollback journal": "pragma journal_mode = delete",
    "write-ahead log": "pragma journal_mode = wal; pragma synchronous = normal",
}
_TABLES = """
create table position (id text primary key, side integer, entry real, mark real, liquidation real,
    size real, collateral real, pnl real, value real, leverage real, travel real, distance real,
    heat real);
create table alert (id text primary key, position_id text, metric text, low real, medium real,
    high real, level text, value real, evaluated real);
"""
_LIMITS = {
    "heat": (97.0, 98.0, 99.0),
    "travel": (-97.0, -98.0, -99.0),
    "distance": (0.03, 0.02, 0.01),
}
_LEVELS = ("NORMAL", "LOW", "MEDIUM", "HIGH")


@dataclass
class Position:
    """A row of the table as an object."""

    id: str
    side: int
    entry: float
    mark: float
    liquidation: float
    size: float
    collateral: float
    pnl: float | None = None
    value: float | None = None
    leverage: float | None = None
    travel: float | None = None
    distance: float | None = None
    heat: float | None = None

    def reprice(self) -> None:
        """Every metric of the row."""
        self.pnl = self.side * self.size / self.entry * (self.mark - self.entry)
        self.value = self.collateral + self.pnl
        self.leverage = self.size / self.collateral
        span = self.side * (self.entry - self.liquidation)
        self.travel = 100 * self.side * (self.mark - self.entry) / span
        self.distance = 100 * self.side * (self.mark - self.liquidation) / self.mark
        share = min(1.0, max(0.0, (self.mark - self.liquidation) / (self.entry - self.liquidation)))
        self.heat = max(5.0, 100 * (1 - share) ** 0.6 * (self.leverage / 100) ** (0.3 * share))


@dataclass
class Alert:
    """A row of the table as an object."""

    id: str
    position_id: str
    metric: str
    low: float
    medium: float
    high: float
    level: str
    value: float | None
    evaluated: float | None

    def evaluate(self, position: Position) -> None:
        """Its level by the metric of its position."""
        self.value = float(getattr(position, self.metric))
        sign = 1.0 if self.high >= self.low else -1.0
        limits = (self.low, self.medium, self.high)
        self.level = _LEVELS[sum(sign * self.value >= sign * limit for limit in limits)]
        self.evaluated = time.time()


@dataclass(frozen=True, slots=True)
class Pass:
    """One cycle: milliseconds for all rows, and which share of them was really done."""

    milliseconds: float
    done_ratio: float


def measure(folder: Path, count: int, mode: str, bound_seconds: float) -> list[Pass]:
    """Up to three cycles over `count` positions with three alerts each, within the bound."""
    file = folder / f"row-by-row-{count}-{mode.split(maxsplit=1)[0]}.sqlite"
    connection = sqlite3.connect(file)
    try:
        connection.executescript(f"{MODES[mode]};{_TABLES}")
        _fill(connection, count)
        taken: list[Pass] = []
        end = time.monotonic() + bound_seconds
        while len(taken) < 3 and (not taken or time.monotonic() < end):
            taken.append(_cycle(connection, end))
        return taken
    finally:
        connection.close()
        for one in folder.glob(f"{file.name}*"):
            one.unlink()


def _fill(connection: sqlite3.Connection, count: int) -> None:
    chance = random.Random(count)
    for number in range(count):
        side, entry, leverage = (
            chance.choice((1, -1)),
            chance.uniform(10, 1000),
            chance.uniform(2, 4),
        )
        row = (
            str(number),
            side,
            entry,
            entry * chance.uniform(0.99, 1.01),
            entry * (1 - side * 0.9 / leverage),
            1000.0,
            1000 / leverage,
        )
        connection.execute(f"insert into position values (?,?,?,?,?,?,?{',null' * 6})", row)
        for metric, limits in _LIMITS.items():
            connection.execute(
                "insert into alert values (?,?,?,?,?,?,'NORMAL',null,null)",
                (f"{number}-{metric}", str(number), metric, *limits),
            )
    connection.commit()


def _cycle(connection: sqlite3.Connection, end: float) -> Pass:
    """Reads all, then writes row by row until done or out of time."""
    began, done = time.perf_counter(), 0
    positions = {row[0]: Position(*row) for row in connection.execute("select * from position")}
    for position in positions.values():
        position.reprice()
        connection.execute(
            "update position set pnl = ?, value = ?, leverage = ?, travel = ?, distance = ?,"
            " heat = ? where id = ?",
            (
                position.pnl,
                position.value,
                position.leverage,
                position.travel,
                position.distance,
                position.heat,
                position.id,
            ),
        )
        connection.commit()
        done += 1
        if done % 50 == 0 and time.monotonic() > end:
            break
    return _alerts(connection, positions, end, began, done)


def _alerts(
    connection: sqlite3.Connection,
    positions: dict[str, Position],
    end: float,
    began: float,
    done: int,
) -> Pass:
    total = len(positions) * (1 + len(_LIMITS))
    alerts = [Alert(*row) for row in connection.execute("select * from alert")]
    for alert in alerts:
        if done % 50 == 0 and time.monotonic() > end:
            break
        position = positions[alert.position_id]
        if position.heat is None or math.isnan(position.heat):
            position.reprice()
        alert.evaluate(position)
        connection.execute(
            "update alert set level = ?, value = ?, evaluated = ? where id = ?",
            (alert.level, alert.value, alert.evaluated, alert.id),
        )
        connection.commit()
        done += 1
    return Pass((time.perf_counter() - began) * 1000 * total / done, done / total)
