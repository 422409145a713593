"""Keeps the system's database running: the embedded one is restarted like any server, a silence is
told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Protocol

import asyncpg

from services.cli.alarm import Alarms
from services.cli.children import HEALTHY_SECONDS, Health, Say, cause_of, pause_seconds
from shared.clock import Clock
from shared.database.address import plain
from shared.errors import SonicError

_LOOK_SECONDS = 1.0
# So many deaths without a healthy time between them: somebody should look, though it starts each
# time.
_DEATHS_WORTH_A_WORD = 3


class Sign(StrEnum):
    """What a database gives of itself."""

    ANSWERS = "answers"
    STARTING = "takes no connections yet"
    SILENT = "does not answer"


class Owned(Protocol):
    """A server of ours: shared.postgres.EmbeddedPostgres."""

    @property
    def running(self) -> bool: ...

    @property
    def exit_code(self) -> int | None: ...

    def restart(self) -> None: ...


class Keeper:
    """Looks after one database. `owned` is None for a server of somebody else: its silence is only
    told.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[Sign]],
        owned: Owned | None,
        say: Say,
        alarm: Alarms,
        clock: Clock,
        health: Health,
    ) -> None:
        self._look = look
        self._owned = owned
        self._say = say
        self._alarm = alarm
        self._clock = clock
        self._health = health
        self._missed_count = 0
        self._death_count = 0
        self._healthy_since = clock.monotonic()
        self._incident = ""
        self._next_check = clock.monotonic() + health.interval_seconds

    async def run(self) -> None:
        """For ever: looks every second whether it lives, and every health interval whether it
        answers.
        """
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            try:
                await self._turn()
            except Exception as problem:  # noqa: BLE001  # what keeps the database must outlive what it meets
                self._say(f"looking after the database failed: {type(problem).__name__}: {problem}")

    async def _turn(self) -> None:
        if self._owned is not None and not self._owned.running:
            code = self._owned.exit_code
            await self._revive(self._owned, "died" if code is None else f"died ({cause_of(code)})")
        elif self._health.interval_seconds > 0 and self._clock.monotonic() >= self._next_check:
            self._next_check = self._clock.monotonic() + self._health.interval_seconds
            await self._check()

    async def _check(self) -> None:
        sign = await self._look()
        if sign is Sign.ANSWERS:
            self._missed_count = 0
            if self._clock.monotonic() - self._healthy_since > HEALTHY_SECONDS:
                self._death_count = 0
            self._tell_over()
            return
        self._missed_count += 1
        if self._missed_count < self._health.patience_count:
            return
        words = f"{sign.value}: {self._missed_count} health checks in a row"
        if self._owned is not None and sign is Sign.SILENT:
            await self._revive(self._owned, words)
            return
        if self._missed_count == self._health.patience_count:
            self._say(f"postgres {words}")
        self._tell(f"PostgreSQL {words}.")

    async def _revive(self, owned: Owned, cause: str) -> None:
        """Start it again, after each failure a little later, until it runs."""
        since = self._clock.monotonic()
        while True:
            delay_seconds = pause_seconds(self._death_count)
            self._death_count += 1
            self._say(f"postgres {cause}; again in {delay_seconds:g} s")
            await self._clock.sleep(delay_seconds)
            try:
                await asyncio.to_thread(owned.restart)
            except (SonicError, OSError) as problem:
                said = problem.message if isinstance(problem, SonicError) else str(problem)
                cause = f"cannot start: {said}"
                self._tell(f"The embedded PostgreSQL {cause}")
                continue
            break
        self._missed_count = 0
        self._healthy_since = self._clock.monotonic()
        self._say(f"postgres is back after {self._healthy_since - since:.0f} s")
        if self._death_count >= _DEATHS_WORTH_A_WORD and not self._incident:
            self._tell(
                f"The embedded PostgreSQL died {self._death_count} times; it runs now. See its log."
            )

    def _tell(self, body: str) -> None:
        if not self._incident:
            self._incident = self._alarm.raised("Sonic has no database: nothing is judged", body)

    def _tell_over(self) -> None:
        if self._incident and self._death_count < _DEATHS_WORTH_A_WORD:
            self._alarm.over(
                self._incident, "The database of Sonic is back", "It answers; cycles run again."
            )
            self._incident = ""


async def look(url: str, timeout_seconds: float) -> Sign:
    """What a new connection meets; a refusal (full, wrong password) is an answer."""
    try:
        connection = await asyncpg.connect(plain(url), timeout=timeout_seconds)
        try:
            await connection.fetchval("select 1", timeout=timeout_seconds)
        finally:
            connection.terminate()
    except asyncpg.CannotConnectNowError:
        return Sign.STARTING
    except asyncpg.PostgresError:
        return Sign.ANSWERS
    except (OSError, TimeoutError, asyncpg.InterfaceError):
        return Sign.SILENT
    return Sign.ANSWERS
