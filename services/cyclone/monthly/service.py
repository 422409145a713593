"""Asks for the scorecard on the first of a month and tells it once."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from services.cyclone.monthly.domain import (
    MonthFacts,
    Monthly,
    MonthMessage,
    days_before,
    month_due,
    month_message,
    until_next_month,
)
from shared.clock import Clock
from shared.errors import AlreadyExists, InvalidArgument, SonicError
from shared.log import get_logger

# A clock that is set is followed within so long.
_LONGEST_WAIT_SECONDS = 600.0
_AGAIN_SECONDS = 60.0


class MonthPeers(Protocol):
    """Who knows the scorecard, and who tells people. Both raise SonicError."""

    async def facts(self, days: int) -> MonthFacts: ...

    async def send(self, message: MonthMessage) -> None:
        """Once a request id; AlreadyExists when it was told otherwise."""
        ...


class MonthTeller:
    """`turn` asks and tells once a month, whatever dies: xcom takes a request id once."""

    def __init__(self, peers: MonthPeers, clock: Clock, monthly: Monthly) -> None:
        self._peers = peers
        self._clock = clock
        self._monthly = monthly
        self._told: date | None = None

    async def turn(self) -> float:
        """The seconds until the next look."""
        month = month_due(self._clock.now(), self._monthly)
        if month is not None and month != self._told and not await self._is_told(month):
            return _AGAIN_SECONDS
        wait = until_next_month(self._clock.now(), self._monthly).total_seconds()
        return min(wait, _LONGEST_WAIT_SECONDS)

    async def _is_told(self, month: date) -> bool:
        """Whether it is settled, one way or the other."""
        try:
            facts = await self._peers.facts(days_before(month))
            await self._peers.send(month_message(month, facts))
        except AlreadyExists:
            # Told by another process, or before this one started.
            pass
        except InvalidArgument as error:
            get_logger().error("monthly message refused", reason=error.reason, words=error.message)
        except SonicError as error:
            get_logger().warning("monthly message waits", reason=error.reason, words=error.message)
            return False
        self._told = month
        return True
