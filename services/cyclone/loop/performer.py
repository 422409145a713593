"""Who does the steps of a cycle."""

from __future__ import annotations

from typing import Protocol

from services.cyclone.domain.outcomes import Answer, Call, PriceReading


class Performer(Protocol):
    """The services behind the steps. Every method raises SonicError without an answer in time."""

    async def mode(self, seconds: float) -> str:
        """DEMO or LIVE."""
        ...

    async def prices(self, seconds: float) -> tuple[PriceReading, ...]: ...

    async def perform(self, step: str, call: Call) -> Answer: ...
