"""A server of a measurement in a process of its own, so that its time is nobody's."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def served(module: str, *arguments: str) -> AsyncIterator[str]:
    """The address that `python -m module` prints first; it is killed with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()
    finally:
        await killed(process)


async def killed(process: asyncio.subprocess.Process) -> None:
    """End it; one that has ended already, by the same Ctrl-C, is no fault."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
