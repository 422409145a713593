"""What the servers say of a database that takes no writes, ours or somebody else's: when it begins
and ends.

It is for the terminal; people elsewhere are told by monitor, which needs no database for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from services.cli.children import Say
from services.cli.voice import entry
from shared.database.failures import EXHAUSTED, FULL
from shared.rpc.health import Problem

REASONS = frozenset({FULL, EXHAUSTED})
Readiness = Callable[[str], Awaitable[tuple[bool, Problem | None]]]


class Complaints:
    """Asks every server whether it is ready."""

    def __init__(self, addresses: Mapping[str, str], readiness: Readiness, say: Say) -> None:
        self._addresses = addresses
        self._readiness = readiness
        self._say = say
        self._said = ""

    async def look(self) -> None:
        """Once."""
        answers = await asyncio.gather(*map(self._readiness, self._addresses.values()))
        found = {
            name: problem.words
            for name, (_, problem) in zip(self._addresses, answers, strict=True)
            if problem is not None and problem.reason in REASONS
        }
        if found and not self._said:
            self._said = entry(
                "postgres", f"{next(iter(found.values()))}; said by {', '.join(found)}"
            )
            self._say(self._said)
        elif self._said and not found:
            self._said = ""
            self._say(entry("postgres", "takes writes again"))
