"""Long work leaves the event loop."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Above this many rows of arithmetic the work takes longer than 5 ms.
_THREAD_ROW_COUNT = 20_000
# A row handled in Python costs as much as this many in numpy.
PYTHON_ROW_COST = 100
_UNCOLLECTED_ROWS = 1_000


async def offload(row_count: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do the work, in a thread when it is long."""
    if row_count > _THREAD_ROW_COUNT:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)


@contextmanager
def without_collector(row_count: int) -> Iterator[None]:
    """Python's collector set aside for many rows: all stay, and it would walk them."""
    is_long = row_count > _UNCOLLECTED_ROWS and gc.isenabled()
    if is_long:
        gc.disable()
    try:
        yield
    finally:
        if is_long:
            gc.enable()
