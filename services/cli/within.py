"""A server in this process: when what goes on in it ends, it is stopped and started again, as its
own process would be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from services.cli.alarm import Alarms
from services.cli.children import HEALTHY_SECONDS, Say, pause_seconds
from services.cli.steady import Steady
from shared.clock import Clock
from shared.errors import SonicError
from shared.lifecycle import App


class Within:
    """One server, made by `build` each time it starts. `alarm` tells people when it cannot be
    started again, until it is.
    """

    def __init__(
        self, name: str, build: Callable[[], App], say: Say, clock: Clock, alarm: Alarms | None
    ) -> None:
        self.app = build()
        self._name = name
        self._build = build
        self._say = say
        self._clock = clock
        self._alarm = alarm
        self._death_count = 0
        self._incident = ""
        # Why it is being started again; empty while it is up.
        self._cause = ""
        self._keeping: Steady | None = None

    async def __aenter__(self) -> Self:
        await self.app.start()
        self._keeping = Steady(f"keep-{self._name}", self._keep, self._say, self._clock)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if (keeping := self._keeping) is not None:
            self._keeping = None
            await keeping.stop()
        await self.app.stop()

    async def _keep(self) -> None:
        while True:
            if not self._cause:
                started = self._clock.monotonic()
                self._cause = f"ended ({await self.app.failed()})"
                if self._clock.monotonic() - started > HEALTHY_SECONDS:
                    self._death_count = 0
            await self.app.stop()
            await self._revive(self._cause)
            self._cause = ""

    async def _revive(self, cause: str) -> None:
        """Start it again after its wait, and later and later until it starts."""
        while True:
            delay_seconds = pause_seconds(self._death_count)
            self._death_count += 1
            self._say(f"{self._name} {cause}; again in {delay_seconds:g} s")
            await self._clock.sleep(delay_seconds)
            try:
                self.app = self._build()
                await self.app.start()
            except SystemExit:
                cause = "refuses its settings"
            except (Exception, asyncio.CancelledError) as problem:
                # Whatever keeps it from starting it is tried again, unless it is we who stop it.
                if self._keeping is None:
                    raise
                words = problem.message if isinstance(problem, SonicError) else repr(problem)
                cause = f"cannot start: {words}"
            else:
                self._say(f"{self._name} is up again")
                self._tell_over()
                return
            self._tell(cause)

    def _tell(self, cause: str) -> None:
        """Once, until it is up again."""
        if self._alarm is not None and not self._incident:
            self._incident = self._alarm.raised(
                f"Sonic's {self._name} is down: it {cause}"[:300],
                "What went on in it had ended. It is tried again, at least every half minute.",
            )

    def _tell_over(self) -> None:
        if self._alarm is not None and self._incident:
            incident, self._incident = self._incident, ""
            self._alarm.over(
                incident, f"Sonic's {self._name} is up again", "It works as it did before."
            )
