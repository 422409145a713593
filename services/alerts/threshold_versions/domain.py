"""What a version of the thresholds holds, and the way back to one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from services.alerts.thresholds.domain import CHANNELS, LIMITS, Threshold, scope_from_id
from shared.errors import FailedPrecondition
from shared.versions.domain import Content, Kind

FIELDS: Final = (*LIMITS, "enabled", *CHANNELS)
KIND: Final = Kind("threshold", "thresholds", FIELDS)


@dataclass(frozen=True, slots=True)
class Restoration:
    """What leads to a version: thresholds to be written, each with the one before, and deleted."""

    written: Sequence[tuple[Threshold | None, Threshold]]
    deleted: Sequence[Threshold]


def content_of(thresholds: Iterable[Threshold]) -> Content:
    """What a version keeps of them."""
    return {
        row.scope.id: {
            name: list(value) if isinstance(value := getattr(row, name), tuple) else value
            for name in FIELDS
        }
        for row in sorted(thresholds, key=lambda row: row.scope.id)
    }


def restoration(present: Sequence[Threshold], wanted: Content, now: datetime) -> Restoration:
    """From the present thresholds to those of a version. One for every asset that the version does
    not know came with a later release, and stays. FailedPrecondition VERSION_UNREADABLE.
    """
    known = {row.scope.id: row for row in present}
    written: list[tuple[Threshold | None, Threshold]] = []
    for id, fields in wanted.items():
        before = known.get(id)
        after = _threshold(id, fields, before, now)
        if before is None or content_of([before]) != content_of([after]):
            written.append((before, after))
    deleted = [row for row in present if row.scope.asset and row.scope.id not in wanted]
    return Restoration(written, deleted)


def after_restoration(present: Sequence[Threshold], done: Restoration) -> Content:
    """The content there is then."""
    gone = {row.scope.id for row in done.deleted}
    rows = {row.scope.id: row for row in present if row.scope.id not in gone}
    return content_of((rows | {row.scope.id: row for _, row in done.written}).values())


def _threshold(
    id: str, fields: Mapping[str, Any], before: Threshold | None, now: datetime
) -> Threshold:
    scope = scope_from_id(id)
    if scope is None or not set(FIELDS) <= set(fields):
        raise FailedPrecondition(
            "VERSION_UNREADABLE",
            f"this release does not know the threshold {id[:80]!r} of that version: set what you "
            "want of it by hand",
        )
    values: dict[str, Any] = {
        name: tuple(fields[name]) if name in CHANNELS else fields[name] for name in FIELDS
    }
    empty = Threshold(scope, None, None, None, True, (), (), (), 0, now)
    start = before or empty
    return replace(start, **values, revision=start.revision + 1, updated_time=now)
