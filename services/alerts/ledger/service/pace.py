"""Long work in the background that leaves the processor to others: three quarters of the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_REST_RATIO = 3.0
_LONGEST_REST_SECONDS = 2.0


async def paced(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do the work in a thread, then rest for three times as long."""
    began = time.perf_counter()
    result = await asyncio.to_thread(work, *args, **kwargs)
    await _rest(began)
    return result


async def awaited(work: Awaitable[T]) -> T:
    """The same for work of somebody else: the database."""
    began = time.perf_counter()
    result = await work
    await _rest(began)
    return result


async def _rest(began: float) -> None:
    # Real time: how busy the processor was, whatever a clock of ours says.
    took = time.perf_counter() - began
    await asyncio.sleep(min(took * _REST_RATIO, _LONGEST_REST_SECONDS))
