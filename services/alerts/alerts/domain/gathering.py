"""What an evaluation tells people: each change by itself, or many as one digest. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.change_payload import incident_id, key_of
from services.alerts.alerts.domain.digests import (
    Candidates,
    Digest,
    Gathered,
    digest_of,
    ended_digests,
    grouped,
)
from services.alerts.alerts.domain.evaluation import Outcome
from services.alerts.alerts.domain.incidents import IS_OPPORTUNITY
from services.alerts.alerts.domain.readings import Positions
from services.alerts.domain.kinds import KIND_COUNT, Level, is_reported
from services.alerts.notifications.domain import BACK, CLOSED
from services.alerts.thresholds.domain import ThresholdSet

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ways:
    """The channels of changes: a number for each, and the channels by that number."""

    code: Integers
    channels: Sequence[tuple[str, ...]]


def ways_of(
    columns: AlertColumns,
    rows: Integers,
    thresholds: ThresholdSet,
    own: Mapping[str, tuple[str, ...]],
) -> Ways:
    """What is told of these rows at their levels takes the channels of the alert (`own`, by its
    id), else those of its threshold; none: those of the level.
    """
    level = np.maximum(columns.level[rows], Level.LOW)
    numbers: dict[tuple[str, ...], int] = {(): 0}
    sizes = (KIND_COUNT, len(columns.assets), len(Level) + 1)
    steps = (columns.kind[rows], columns.asset_key[rows], level)
    step = np.ravel_multi_index(tuple(one.astype(np.int64) for one in steps), sizes)
    kinds, inverse = np.unique(step, return_inverse=True)
    codes = []
    for kind, asset, told in zip(*np.unravel_index(kinds, sizes), strict=True):
        found = thresholds.find(int(kind), columns.assets[asset])
        channels = found.channels(Level(told)) if found is not None else ()
        codes.append(numbers.setdefault(channels, len(numbers)))
    code = np.array(codes, np.int64)[inverse]
    if own:
        keys = columns.alert_key[rows]
        for id, channels in own.items():
            code[keys == key_of(id)] = numbers.setdefault(channels, len(numbers))
    return Ways(code, list(numbers))


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """Where the entries of a commit go: changes first, digests from `first_place` on; the head of
    the ledger before all of them. More than `most` of one kind are told as one.
    """

    most: int
    first_place: int
    head_sequence: int


def gather(
    outcome: Outcome, ways: Ways, positions: Positions, commit: LedgerPlace
) -> tuple[Outcome, Gathered]:
    """The alerts with what last told of them, and what goes into the outbox; `ways`: of what is
    notified.
    """
    columns, changed = outcome.columns, outcome.changed
    notified = np.flatnonzero(outcome.notified)
    before = columns.digest_sequence[changed]
    if not (len(notified) or before.any() or outcome.ended_quietly.any()):
        return outcome, Gathered()
    candidates = _candidates(outcome, notified, ways, positions)
    # Whether a service lives is never one of many.
    may = np.flatnonzero(~is_reported(columns.kind[changed[notified]]))
    digests = [
        digest_of(
            candidates.pick(may),
            group,
            notified[may],
            ways.channels[ways.code[may[group.rows[0]]]],
            commit.first_place + number,
            commit.head_sequence,
        )
        for number, group in enumerate(grouped(candidates.pick(may), commit.most))
    ]
    after = np.where(columns.level[changed] == Level.NORMAL, 0, before)
    after[notified] = 0
    # By which entry people hear of each change; -1: by none.
    told_at = np.full(len(changed), -1)
    told_at[notified] = notified
    for digest in digests:
        told_at[digest.members] = digest.place
        is_raised = columns.level[changed[digest.members]] > Level.NORMAL
        after[digest.members[is_raised]] = digest.sequence
    if not np.array_equal(after, before):
        columns = columns.with_values(changed, {"digest_sequence": after})
    left = np.where(before == after, 0, before)
    ended = _ended(left, told_at, outcome, columns)
    over = {sequence for sequence, _ in ended}
    digests = [_ending(one, outcome, before, over) for one in digests]
    return replace(outcome, columns=columns), _outbox(outcome, before, told_at, digests, ended)


def _candidates(
    outcome: Outcome, notified: Integers, ways: Ways, positions: Positions
) -> Candidates:
    columns, rows = outcome.columns, outcome.changed[notified]
    level, place = columns.level[rows].astype(np.int64), outcome.position_row[notified]
    distance = np.full(len(rows), np.nan)
    known = place >= 0
    if known.any():
        figures = positions.figures["liquidation_distance_percent"]
        distance[known] = figures[place[known]]
    return Candidates(
        np.maximum(level, Level.LOW),
        ways.code,
        IS_OPPORTUNITY[columns.kind[rows]],
        level == Level.NORMAL,
        distance,
        columns.subject_key[rows],
    )


def _ended(
    left: Integers, told_at: Integers, outcome: Outcome, columns: AlertColumns
) -> list[tuple[int, int]]:
    """Digests that are over, each with the entry by which who heard of it hears that, if any."""
    found = []
    for sequence in ended_digests(left, columns.digest_sequence):
        members = np.flatnonzero(left == sequence)
        told = told_at[members].max()
        quiet = members[outcome.ended_quietly[members]]
        found.append((sequence, int(told if told >= 0 else quiet[0] if len(quiet) else members[0])))
    return found


def _ending(digest: Digest, outcome: Outcome, before: Integers, over: set[int]) -> Digest:
    """Of a digest of ends: the incidents that were told singly, and whether that is all."""
    members = digest.members
    rows = outcome.changed[members]
    columns = outcome.columns
    ends = columns.level[rows] == Level.NORMAL
    if not ends.any():
        return digest
    single = rows[ends & (before[members] == 0)]
    names = zip(
        columns.alert_key[single].tolist(), columns.incident_count[single].tolist(), strict=True
    )
    others = set(np.unique(before[members]).tolist()) - {0} - over
    return replace(
        digest,
        ended_incidents=[incident_id(key, count) for key, count in names],
        heard_elsewhere=bool(others),
    )


def _outbox(
    outcome: Outcome,
    before: Integers,
    told_at: Integers,
    digests: Sequence[Digest],
    ended: Sequence[tuple[int, int]],
) -> Gathered:
    alone = np.flatnonzero(told_at == np.arange(len(told_at)))
    # Of what was told by a digest, xcom knows the digest alone.
    carries = np.isin(np.arange(len(before)), [place for _, place in ended])
    noted = np.flatnonzero(outcome.ended_quietly & ((before == 0) | carries))
    level = outcome.columns.level[outcome.changed]
    return Gathered(
        np.concatenate([alone, noted, np.array([one.place for one in digests], np.int64)]),
        np.maximum(
            np.concatenate(
                [level[alone], level[noted], np.array([one.level for one in digests], np.int64)]
            ),
            Level.LOW,
        ),
        np.repeat([False, True, False], [len(alone), len(noted), len(digests)]),
        digests,
        ended,
    )


class Told(NamedTuple):
    """The end of something that is told by its payload. `place`: of its entry, `channels`: it
    takes, none: those of the level. `ended_incidents`: told singly before, and over by it;
    `is_all`: nobody else is to hear of it than those who heard of them.
    """

    place: int
    level: int
    payload: Mapping[str, str]
    channels: tuple[str, ...]
    subject_key: int
    ended_incidents: Sequence[str]
    is_all: bool


def gather_told(
    told: Sequence[Told],
    commit: LedgerPlace,
    lost: Sequence[tuple[int, int]] = (),
    over: Collection[int] = (),
) -> Gathered:
    """What goes into the outbox; `lost`: subjects that alerts of digests were about, with the
    digest, `over`: those of these that are.
    """
    digests, place_of = _digests_of(told, commit)
    ended: dict[int, int] = {}
    for subject, sequence in lost:
        if sequence in over and subject in place_of:
            ended[sequence] = max(ended.get(sequence, -1), place_of[subject])
    living = {subject for subject, sequence in lost if sequence not in over}
    by_place = {one.place: one for one in told}
    whole = []
    for digest in digests:
        members = [by_place[place] for place in digest.members.tolist()]
        is_all = all(one.is_all and one.subject_key not in living for one in members)
        keys = [key for one in members for key in one.ended_incidents]
        whole.append(replace(digest, ended_incidents=keys, heard_elsewhere=not is_all))
    grouped_places = {place for digest in digests for place in digest.members.tolist()}
    rows = [(one.place, one.level) for one in told if one.place not in grouped_places]
    rows += [(one.place, one.level) for one in digests]
    place, level = (np.array([row[n] for row in rows], np.int64) for n in (0, 1))
    return Gathered(place, level, np.zeros(len(rows), bool), whole, list(ended.items()))


def _digests_of(told: Sequence[Told], commit: LedgerPlace) -> tuple[list[Digest], dict[int, int]]:
    """Of those that are many, and by which entry people hear of each subject."""
    numbers: dict[tuple[str, ...], int] = {}
    events = [one.payload["event"] for one in told]
    far = [float(one.payload.get("last_distance_percent", "nan")) for one in told]
    candidates = Candidates(
        np.array([one.level for one in told], np.int64),
        np.array([numbers.setdefault(one.channels, len(numbers)) for one in told], np.int64),
        np.array([event == CLOSED for event in events], bool),
        np.array([event in (CLOSED, BACK) for event in events], bool),
        np.array(far),
        np.array([one.subject_key for one in told], np.int64),
    )
    places = np.array([one.place for one in told], np.int64)
    place_of = {one.subject_key: one.place for one in told}
    digests = []
    for number, group in enumerate(grouped(candidates, commit.most)):
        place, channels = commit.first_place + number, told[group.rows[0]].channels
        digests.append(digest_of(candidates, group, places, channels, place, commit.head_sequence))
        place_of |= dict.fromkeys(candidates.subject_key[group.rows].tolist(), place)
    return digests, place_of
