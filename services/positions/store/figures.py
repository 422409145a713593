"""What the metrics show of positions: the last pass's totals and the venues' last answers, in one
statement when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from shared.clock import Clock
from shared.database.pool import Database
from shared.database.statement import Statement
from shared.metrics import Figure, Values

FIGURES = (
    Figure("sonic_positions", "Positions held, by whether their mark is fresh", ("state",)),
    Figure(
        "sonic_liquidation_distance_percent_min",
        "Smallest distance to liquidation of a position held, by its last figures; of those whose"
        " distance is known",
    ),
    Figure("sonic_oldest_mark_age_seconds", "Age of the oldest mark of a position held"),
    Figure("sonic_enriched_age_seconds", "Time since every metric was last worked out"),
    Figure(
        "sonic_venue_answer_age_seconds",
        "Time since the last complete answer of a venue, of its wallet that waits longest",
        ("venue",),
    ),
    Figure("sonic_venue_failing_wallets", "Wallets whose last answer failed", ("venue",)),
)
_READ = Statement("""
    select position_count, stale_count, oldest_mark_time, enriched_time, asked.venue,
        asked.observed_time, asked.failed_count, pass_number
    from service_state left join (
        select venue, min(observed_time) as observed_time, count(*) filter (where failed)
            as failed_count
        from feed join wallet on wallet.wallet_key = feed.wallet_key where wallet.active
        group by venue) as asked on true
""")


# Number of the pass that this process holds, and its smallest distance; None: it holds none, or
# knows no distance.
Shown = Callable[[], tuple[int, float | None]]


class FigureStore:
    """Each reading is one statement."""

    def __init__(self, database: Database, shown: Shown, clock: Clock) -> None:
        self._database = database
        self._shown = shown
        self._clock = clock

    async def read(self) -> Values:
        """FIGURES; what nobody has looked at yet has no age."""
        found, now = await self._database.fetch(_READ), self._clock.now()
        if not found:
            return {}
        first, asked = found[0], [row for row in found if row["venue"] is not None]
        stale, least = first["stale_count"], self._least_percent(first["pass_number"])
        return {
            "sonic_positions": {
                ("FRESH",): first["position_count"] - stale,
                ("STALE",): stale,
            },
            "sonic_liquidation_distance_percent_min": {(): least},
            "sonic_oldest_mark_age_seconds": {(): _age_seconds(now, first["oldest_mark_time"])},
            "sonic_enriched_age_seconds": {(): _age_seconds(now, first["enriched_time"])},
            "sonic_venue_answer_age_seconds": {
                (row["venue"],): _age_seconds(now, row["observed_time"]) for row in asked
            },
            "sonic_venue_failing_wallets": {(row["venue"],): row["failed_count"] for row in asked},
        }

    def _least_percent(self, pass_number: int) -> float | None:
        """Only of the last pass: a replica that holds an older one says nothing."""
        shown_number, least = self._shown()
        return least if shown_number == pass_number else None


def _age_seconds(now: datetime, moment: datetime | None) -> float | None:
    return None if moment is None else max((now - moment).total_seconds(), 0.0)
