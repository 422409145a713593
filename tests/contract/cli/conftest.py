"""Time that tests push, and what is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from shared.clock import PushedClock


@pytest.fixture
def clock() -> PushedClock:
    return PushedClock(datetime(2026, 11, 20, 23, 0, tzinfo=UTC))


@pytest.fixture
def said() -> list[str]:
    return []


async def pushed(
    clock: PushedClock, done: Callable[[], bool], step_seconds: float = 0.5, seconds: float = 20
) -> None:
    """Push the clock in steps until it is so: processes need real time between the steps."""
    async with asyncio.timeout(seconds):
        while not done():
            clock.advance(step_seconds)
            await asyncio.sleep(0.01)
