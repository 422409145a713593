"""Reads ledger and messages, and judges what alerts were good for. Writes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from services.alerts.alerts.domain.digests import digest_id
from services.alerts.scorecard.domain.incidents import ToldMessages
from services.alerts.scorecard.domain.rules import Scorecard, scorecard
from services.alerts.scorecard.store import sealed
from services.alerts.service.snapshot_cache import SnapshotCache

MONTH_DAYS: Final = 30
DAY_HOURS: Final = 24
_MOST_ROWS: Final = 50_000
# What began before the window and stands in it is read from so long before.
_BEFORE: Final = timedelta(days=7)


class Heard(Protocol):
    """What the notification service knows of the messages of alerts."""

    async def messages(self, since: datetime) -> ToldMessages:
        """Those accepted since then; when they cannot be had, none that is known."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A scorecard; `is_cut`: the window had more rows than are read, and begins later."""

    scorecard: Scorecard
    is_cut: bool


class Scorecards:
    """The scorecard of the last days."""

    def __init__(self, cache: SnapshotCache, heard: Heard) -> None:
        self._cache = cache
        self._heard = heard
        # Two at once would take the memory of two, and the processor from what is judged.
        self._asking = asyncio.Lock()

    async def ask(self, days: int, hours: int) -> Asked:
        """Of what began in these days (0: 30); held to have followed within these hours (0: 24).
        One after another.
        """
        async with self._asking:
            return await self._ask(days, hours)

    async def _ask(self, days: int, hours: int) -> Asked:
        now = self._cache.clock.now()
        start = now - timedelta(days=days or MONTH_DAYS)
        async with self._cache.begin_reading() as store:
            rows = await store.scorecard.rows(start - _BEFORE, _MOST_ROWS)
            members = await store.scorecard.digests([row["sequence"] for row in rows])
            first = await store.seals.first_sequence()
            oldest = None if first is None else await store.seals.time(first)
        is_cut = len(rows) == _MOST_ROWS
        if is_cut:
            oldest = rows[0]["entry_time"]
        # Where earlier rows are in sealed files the figures begin with the first that is here.
        begin = start if oldest is None or (first == 1 and not is_cut) else max(start, oldest)
        messages = await self._heard.messages(begin - _BEFORE)
        digests = {member: digest_id(sequence) for member, sequence in members.items()}
        horizon = timedelta(hours=hours or DAY_HOURS)
        made = await asyncio.to_thread(
            lambda: scorecard(sealed(rows), digests, messages, begin, now, horizon)
        )
        return Asked(made, is_cut)
