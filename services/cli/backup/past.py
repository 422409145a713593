"""What waited in a backup, after it was restored: each service says what becomes of it, in the
`restored.sql` beside its migrations.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from services.cli.database import migrations_folder
from shared.database.address import plain

# From then on what waited is of the past: to ring for it would tell of what is long over.
OLD = timedelta(hours=1)
# Messages are counted before cyclone writes down how many.
_ORDER = ("xcom", "alerts", "monitor", "withdrawals", "cyclone")
_LEVELS = {1: "LOW", 2: "MEDIUM", 3: "HIGH", 4: "ACTION"}


@dataclass(frozen=True, slots=True)
class Past:
    """What is told to nobody: messages by their level, and changes of levels not handed over."""

    counts: dict[str, int]
    change_count: int

    def __str__(self) -> str:
        parts = [f"{count} {level}" for level, count in self.counts.items()]
        if self.change_count:
            parts.append(f"{self.change_count} changes of levels")
        return ", ".join(parts)


async def leave_to_the_past(url: str, taken_time: datetime, now: datetime) -> Past:
    """In the restored database, brought to this version; all of it or nothing."""
    settings = {
        "is_old": str(now - taken_time >= OLD).lower(),
        "taken_time": taken_time.isoformat(),
        "held": "[]",
        "held_changes": "0",
    }
    connection = await asyncpg.connect(plain(url), timeout=10)
    try:
        async with connection.transaction():
            for name, value in settings.items():
                await _set(connection, f"sonic.{name}", value)
            for service in _ORDER:
                await _set(connection, "search_path", service)
                await connection.execute((migrations_folder(service) / "restored.sql").read_text())
            held = json.loads(await connection.fetchval("select current_setting('sonic.held')"))
            changes = await connection.fetchval("select current_setting('sonic.held_changes')")
    finally:
        await connection.close(timeout=5)
    counts = Counter(_LEVELS[one["level"]] for one in held)
    loudest_first = (name for name in reversed(_LEVELS.values()) if counts[name])
    return Past({name: counts[name] for name in loudest_first}, int(changes))


async def _set(connection: asyncpg.Connection[asyncpg.Record], name: str, value: str) -> None:
    await connection.execute("select set_config($1, $2, true)", name, value)
