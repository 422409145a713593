"""Many changes of one commit that people are told of as one: which, worst first. Pure.

A digest is named by the place of its own row of the ledger. Alerts hold the digest that last told
of their present incident, so that what becomes of it is seen by columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.kinds import Level

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

# Changes that a digest lists in words, and positions that it names in few.
LISTED_COUNT = 20
_NAMED_COUNT = 3
_PREFIX = "digest-"
# The fact of a hold that names the digest of which everything is held by now.
HELD_DIGEST: Final = "held_digest_id"


def digest_id(sequence: int) -> str:
    """Of the digest with this row of the ledger."""
    return f"{_PREFIX}{sequence}"


def digest_sequence(id: str) -> int | None:
    """The row of the ledger a digest's id spells, or None."""
    digits = id.removeprefix(_PREFIX)
    is_one = digits != id and digits.isascii() and digits.isdecimal() and len(digits) < 19
    return int(digits) if is_one else None


@dataclass(frozen=True, slots=True)
class Candidates:
    """What one commit is to tell people, a row each. `way`: a number for the channels; distance to
    liquidation in percent, NaN unknown; `subject_key`: what it is about.
    """

    level: Integers
    way: Integers
    is_news: Truths
    is_end: Truths
    distance_percent: Floats
    subject_key: Integers

    def pick(self, rows: Integers) -> Candidates:
        """These rows alone."""
        return Candidates(*(getattr(self, one.name)[rows] for one in fields(self)))


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of the candidates that are told as one, worst first. `named`: places among them of the
    first of each of the worst subjects; `covered_counts`: how many rows are about the first of
    those, the first two, ...
    """

    rows: Integers
    named: Sequence[int]
    covered_counts: Sequence[int]


def grouped(candidates: Candidates, most: int) -> list[Group]:
    """Those of more than `most` that go the same way, of one class: danger, news or an end, each
    HIGH or quieter.
    """
    count = len(candidates.level)
    if count <= most:
        return []
    loud = candidates.level == Level.HIGH
    classes = candidates.is_news * 4 + candidates.is_end * 2 + loud
    _, group, sizes = np.unique(
        candidates.way * 8 + classes, return_inverse=True, return_counts=True
    )
    found = []
    for number in np.flatnonzero(sizes > most).tolist():
        rows = np.flatnonzero(group == number)
        distance = candidates.distance_percent[rows]
        # NaN comes last.
        found.append(rows[np.lexsort((rows, distance, -candidates.level[rows]))])
    return [_named(candidates, rows) for rows in found]


def _named(candidates: Candidates, rows: Integers) -> Group:
    subjects = candidates.subject_key[rows]
    listed = list(dict.fromkeys(subjects[:LISTED_COUNT].tolist()))[:_NAMED_COUNT]
    named = [int(np.argmax(subjects == subject)) for subject in listed]
    counts = [int(np.count_nonzero(subjects == subject)) for subject in listed]
    return Group(rows, named, np.cumsum(counts).tolist())


@dataclass(frozen=True, slots=True)
class Digest:
    """Changes that are told as one. `place`: of its own entry among those of the commit, `members`:
    of theirs, ascending, `worst`: of the first of them. `ended_incidents`: told singly before, and
    over by this. `heard_elsewhere`: some of what is over was told by a digest that goes on, or
    never.
    """

    place: int
    sequence: int
    level: Level
    channels: Sequence[str]
    members: Integers
    level_counts: Sequence[tuple[Level, int]]
    worst: Sequence[int]
    named: Sequence[int]
    covered_counts: Sequence[int]
    ended_incidents: Sequence[str] = ()
    heard_elsewhere: bool = False

    @property
    def id(self) -> str:
        return digest_id(self.sequence)


def digest_of(
    candidates: Candidates,
    group: Group,
    places: Integers,
    channels: Sequence[str],
    place: int,
    head_sequence: int,
) -> Digest:
    """Of a group; `places`: of the candidates' entries, which follow the head of the ledger."""
    levels = candidates.level[group.rows]
    counts = ((level, int(np.count_nonzero(levels == level))) for level in reversed(Level))
    return Digest(
        place,
        head_sequence + 1 + place,
        Level(levels[0]),
        channels,
        np.sort(places[group.rows]),
        [(level, count) for level, count in counts if count],
        places[group.rows[:LISTED_COUNT]].tolist(),
        group.named,
        group.covered_counts,
    )


@dataclass(frozen=True, slots=True)
class Gathered:
    """What goes into the outbox, by places of entries, digests last. `ended`: digests of which no
    alert is left, each with the entry by which it is over. `own_channels`: of alerts by id, as
    they were gathered.
    """

    place: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    level: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    noted: Truths = field(default_factory=lambda: np.empty(0, bool))
    digests: Sequence[Digest] = ()
    ended: Sequence[tuple[int, int]] = ()
    own_channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def ended_digests(left: Integers, held: Integers) -> list[int]:
    """Of the digests that alerts `left` (0: none) those that no alert is in any more; `held`: by
    all alerts, afterwards.
    """
    candidates = np.unique(left[left > 0])
    if not len(candidates):
        return []
    there = np.unique(held[np.isin(held, candidates)])
    ended: list[int] = candidates[~np.isin(candidates, there)].tolist()
    return ended
