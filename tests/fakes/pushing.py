"""Pushed time that does not outrun the servers it is pushed for."""

from __future__ import annotations

import asyncio

from shared.clock import PushedClock

_LOOKS = 100
_LOOK_SECONDS = 0.01


async def push(clock: PushedClock, seconds: float) -> None:
    """Moves the clock on, and waits until whoever woke sleeps again, a second at most."""
    sleeping = clock.sleeping_count
    clock.advance(seconds)
    for _ in range(_LOOKS):
        await asyncio.sleep(_LOOK_SECONDS)
        if clock.sleeping_count >= sleeping:
            return
