"""What people hear after a restore: once, about all of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.cyclone.domain.cycle import CycleState
from shared.texts import cut

_MOST_LINES: Final = 10
# As xcom bounds them.
_LINE_LENGTH, _BODY_LENGTH = 200, 10_000
_LEVELS: Final = {1: "LOW", 2: "MEDIUM", 3: "HIGH", 4: "ACTION"}


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """One that waited in the backup and is told to nobody; `level` as xcom counts."""

    level: int
    subject: str


@dataclass(frozen=True, slots=True)
class Restore:
    """`held`: the loudest first; `held_change_count`: changes of levels that no message was made of
    yet. The cycle is the first of all steps that ended since.
    """

    id: int
    taken_time: datetime
    restored_time: datetime
    held: Sequence[HeldMessage]
    held_change_count: int
    cycle_id: str = ""
    cycle_state: CycleState | None = None


@dataclass(frozen=True, slots=True)
class RestoreMessage:
    """`request_id`: one a restore, whoever asks how often."""

    request_id: str
    subject: str
    body: str


def restore_message(restore: Restore) -> RestoreMessage:
    """Of one whose first cycle has ended."""
    taken, restored = (
        f"{one:%Y-%m-%d %H:%M} UTC" for one in (restore.taken_time, restore.restored_time)
    )
    unknown = (
        f"Nobody looked from {taken} until {restored}: which levels were reached meanwhile, and how"
        " positions ended that are gone now, is UNKNOWN."
    )
    lines = [unknown, _cycle_line(restore), *_held_lines(restore)]
    return RestoreMessage(
        f"restored-{restore.restored_time:%Y%m%dT%H%M%S.%f}",
        f"Restored from a backup of {taken}",
        cut("\n".join(lines), _BODY_LENGTH),
    )


def _cycle_line(restore: Restore) -> str:
    state = restore.cycle_state
    if state is CycleState.SUCCEEDED:
        return "The first cycle since then read everything: prices and levels are of now."
    name = state.name if state is not None else "UNKNOWN"
    return (
        f"The first cycle since then is {name}: what it could not read is still as of the backup;"
        f" see `sonic report {restore.cycle_id}`."
    )


def _held_lines(restore: Restore) -> list[str]:
    held, changes = restore.held, restore.held_change_count
    if not held and not changes:
        return []
    counts = [
        f"{count} {name}"
        for level, name in sorted(_LEVELS.items(), reverse=True)
        if (count := sum(one.level == level for one in held))
    ]
    if changes:
        counts.append(f"{changes} changes of levels not handed over yet")
    words = f"Of the past, and sent to nobody: {', '.join(counts)}. What still stands is told anew."
    lines = ["", words]
    lines += [
        cut(f"{_LEVELS.get(one.level, '?')}: {one.subject}", _LINE_LENGTH)
        for one in held[:_MOST_LINES]
    ]
    if len(held) > _MOST_LINES:
        lines.append(f"and {len(held) - _MOST_LINES} more: `sonic messages list`")
    return lines
