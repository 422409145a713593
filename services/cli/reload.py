"""`sonic up --reload`: servers whose code changed are started again,
for those who work on Sonic."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from shared.errors import FailedPrecondition

ROOT = Path(__file__).resolve().parents[2]
_WATCHED = ("services", "shared", "protos/stubs")


async def watch(restart: Callable[[Collection[str]], None], names: Collection[str]) -> None:
    """Until cancelled. FailedPrecondition WATCHER_MISSING without the packages for building and
    testing.
    """
    try:
        from watchfiles import PythonFilter, awatch
    except ImportError as error:
        raise FailedPrecondition(
            "WATCHER_MISSING", "--reload needs watchfiles; run `make dev`"
        ) from error
    async for changes in awatch(*(ROOT / one for one in _WATCHED), watch_filter=PythonFilter()):
        if changed := affected((Path(path).relative_to(ROOT) for _, path in changes), names):
            restart(changed)


def affected(paths: Iterable[Path], names: Collection[str]) -> set[str]:
    """The servers that run this code: its own, or all for what they share. Migrations wait for
    `up`.
    """
    found: set[str] = set()
    for path in paths:
        top, *inside = path.parts
        if top != "services":
            found |= set(names)
        elif inside and inside[0] in names and "migrations" not in inside:
            found.add(inside[0])
    return found
