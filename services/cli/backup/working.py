"""A folder to work in beside the file that is to come, gone with whoever works in it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_LOCK = "lock"


@asynccontextmanager
async def working_folder(parent: Path, prefix: str) -> AsyncIterator[Path]:
    """An empty folder in a new one of `parent`, for its owner's eyes. What somebody left who was
    killed in the middle is removed: a dump is as secret as the database, and as large.
    """
    outer, lock = await asyncio.to_thread(_made, parent, prefix)
    try:
        inner = outer / "content"
        inner.mkdir(mode=0o700)
        yield inner
    finally:
        await asyncio.to_thread(shutil.rmtree, outer, ignore_errors=True)
        os.close(lock)


def _made(parent: Path, prefix: str) -> tuple[Path, int]:
    for left in parent.glob(f"{prefix}*"):
        with suppress(OSError):
            _remove_when_left(left)
    outer = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    lock = os.open(outer / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return outer, lock


def _remove_when_left(folder: Path) -> None:
    """The kernel gives a lock back however its owner ends; who has none yet has just begun."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
