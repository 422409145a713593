"""A report as values: sections of rows, each with the moment it is of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

from services.cyclone.domain.cycle import CycleState
from shared.secret_shapes import without_secrets

# Rows of a section that are shown, the worst first; the rest is counted.
MOST_ROWS = 100
# Of them so many are kept for a past cycle.
MOST_KEPT_ROWS = 50
# Characters of a cell; a name or a sentence of a stranger may be longer.
MOST_CHARACTERS = 400
_CUT = "..."

Value = str | float | bool | None
Row = Mapping[str, Value]


class Basis(IntEnum):
    """Of which moment a section is; the numbers are those of the protocol."""

    CYCLE = 1
    READ = 2
    NOT_READ = 3


@dataclass(frozen=True, slots=True)
class ReportColumn:
    """`unit` says what its values are: usd, percent, ratio, seconds, milliseconds, time, count,
    travel, level, state; empty is text.
    """

    name: str
    title: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """`total_count` rows there are, None when that is not known; `more` than are shown."""

    name: str
    title: str
    basis: Basis
    read_time: datetime | None = None
    columns: tuple[ReportColumn, ...] = ()
    rows: tuple[Row, ...] = ()
    total_count: int | None = None
    more: bool = False
    problem: str = ""
    note: str = ""

    @property
    def rest_count(self) -> int | None:
        """Rows that are not shown; None when their number is not known."""
        return None if self.total_count is None else max(self.total_count - len(self.rows), 0)


@dataclass(frozen=True, slots=True)
class Report:
    """`headline` says in one sentence how it stands, `light_line` is somebody else's word,
    `trace_id` is empty where nobody traces.
    """

    cycle_id: str
    state: CycleState
    demo: bool
    report_time: datetime
    headline: str
    sections: tuple[Section, ...]
    light_line: str = ""
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Which cycle a report is of, and the time that is its own: from its start until the next
    cycle's, None while there is none. `previous_start_time`: of the cycle before.
    """

    cycle_id: str
    start_time: datetime
    end_time: datetime | None
    previous_id: str = ""
    previous_start_time: datetime | None = None


def columns(*described: str) -> tuple[ReportColumn, ...]:
    """Each `name: title: unit`, the unit left out for text."""
    parts = (tuple(part.strip() for part in one.split(":")) for one in described)
    return tuple(ReportColumn(*part) for part in parts)


def section(
    name: str,
    title: str,
    basis: Basis,
    read_time: datetime,
    shown: Sequence[ReportColumn],
    rows: Iterable[Row],
    *,
    total_count: int | None = None,
    more: bool = False,
    note: str = "",
) -> Section:
    """With its first MOST_ROWS rows, their texts cut to MOST_CHARACTERS and without secrets. `rows`
    are all there are unless `total_count` or `more` says otherwise.
    """
    listed = list(rows)
    kept = tuple({key: _cut(value) for key, value in row.items()} for row in listed[:MOST_ROWS])
    if total_count is None and not more:
        total_count = len(listed)
    more = more or len(listed) > len(kept) or (total_count or 0) > len(kept)
    # What was counted elsewhere may be of another moment.
    if total_count is not None:
        total_count = max(total_count, len(listed))
    return Section(name, title, basis, read_time, tuple(shown), kept, total_count, more, "", note)


def not_read(name: str, title: str, problem: str, read_time: datetime) -> Section:
    """What could not be read, and why: never the same as nothing."""
    return Section(name, title, Basis.NOT_READ, read_time, problem=problem)


def to_keep(found: Section) -> Section:
    """The section as it is kept for a past cycle: shorter, and it says so."""
    rows = found.rows[:MOST_KEPT_ROWS]
    return replace(found, rows=rows, more=found.more or len(rows) < len(found.rows))


def aged(found: Section, ended_time: datetime | None) -> Section:
    """A section that was read says how long after the cycle's end."""
    if found.basis is not Basis.READ or found.read_time is None or ended_time is None:
        return found
    words = f"as read {_span(found.read_time - ended_time)} the cycle's end"
    return replace(found, note="; ".join(filter(None, [words, found.note])))


def _span(since: timedelta) -> str:
    seconds = since.total_seconds()
    if seconds < 0:
        return "before"
    for unit_seconds, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit_seconds:
            return f"{seconds / unit_seconds:.0f} {unit} after"
    return f"{seconds:.0f} seconds after" if seconds >= 2 else f"{seconds * 1000:.0f} ms after"


def _cut(value: Value) -> Value:
    if not isinstance(value, str):
        return value
    # A venue's row or a name of a stranger may hold what looks like a key: no report shows it.
    text = without_secrets(value)
    if len(text) <= MOST_CHARACTERS:
        return text
    return text[: MOST_CHARACTERS - len(_CUT)] + _CUT
