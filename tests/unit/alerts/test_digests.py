"""Which changes are told as one, for any mix of them, and what is said of them."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns
from services.alerts.alerts.domain.digest_texts import digest_payload
from services.alerts.alerts.domain.digests import (
    LISTED_COUNT,
    Candidates,
    Digest,
    digest_id,
    digest_of,
    digest_sequence,
    ended_digests,
    grouped,
)
from services.alerts.alerts.domain.evaluation import Outcome
from services.alerts.alerts.domain.gathering import LedgerPlace, Ways, gather
from services.alerts.alerts.domain.readings import NOTHING_HELD
from services.alerts.domain.kinds import AlertType, Condition, Level, kind_of

ROWS = st.lists(
    st.tuples(
        st.sampled_from([Level.LOW, Level.MEDIUM, Level.HIGH]),
        st.integers(0, 2),
        st.booleans(),
        st.booleans(),
        st.one_of(st.just(math.nan), st.floats(-5, 100)),
        st.integers(0, 6),
    ),
    max_size=80,
)


def candidates(rows: list[tuple[int, int, bool, bool, float, int]]) -> Candidates:
    types = (np.int64, np.int64, bool, bool, np.float64, np.int64)
    return Candidates(*(np.array([row[n] for row in rows], kind) for n, kind in enumerate(types)))


def way_of(row: tuple[int, int, bool, bool, float, int]) -> tuple[int, bool, bool, bool]:
    return row[1], row[2], row[3], row[0] == Level.HIGH


@given(ROWS, st.integers(1, 20))
def test_exactly_those_of_more_than_the_setting_that_go_one_way_are_told_as_one(
    rows: list[tuple[int, int, bool, bool, float, int]], most: int
) -> None:
    found = grouped(candidates(rows), most)
    told = [row for group in found for row in group.rows.tolist()]
    assert len(told) == len(set(told))
    ways = [way_of(row) for row in rows]
    for group in found:
        assert {ways[row] for row in group.rows} == {ways[group.rows[0]]}
    assert set(told) == {row for row, way in enumerate(ways) if ways.count(way) > most}


@given(ROWS)
def test_the_worst_comes_first_the_nearest_of_one_level_and_the_unknown_last(
    rows: list[tuple[int, int, bool, bool, float, int]],
) -> None:
    for group in grouped(candidates(rows), 1):
        order = [rows[row] for row in group.rows]
        keys = [(-row[0], math.inf if math.isnan(row[4]) else row[4]) for row in order]
        assert keys == sorted(keys)
        subjects = [row[5] for row in order]
        named = [subjects[place] for place in group.named]
        assert len(named) == len(set(named)) <= 3
        assert named[0] == subjects[0]
        assert list(group.covered_counts) == [
            sum(subject in named[: size + 1] for subject in subjects) for size in range(len(named))
        ]


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)))
def test_a_digest_ends_when_no_alert_is_in_it_any_more(left: list[int], held: list[int]) -> None:
    ended = ended_digests(np.array(left, np.int64), np.array(held, np.int64))
    assert set(ended) == set(left) - set(held) - {0}


@given(st.integers(1, 10**18 - 1))
def test_an_id_spells_the_row_of_its_digest(sequence: int) -> None:
    assert digest_sequence(digest_id(sequence)) == sequence


def test_other_ids_are_no_digests() -> None:
    for id in ("", "digest-", "digest-1.2", "alert-1", "digest-١", "digest-" + "9" * 19):
        assert digest_sequence(id) is None


def worst(count: int, **facts: str) -> list[dict[str, str]]:
    return [
        {
            "event": "RAISED", "type": "TRAVEL_PERCENT", "condition": "BELOW", "level": "HIGH",
            "previous_level": "NORMAL", "asset": "SOL", "side": "LONG", "value": "-55",
            "wallet": f"wallet {place} with a name that is as long as names of wallets may become",
            "liquidation_distance_percent": f"{place + 1}.5", "liquidation_distance_usd": "2",
            "alert_id": f"alert-{place}", "action": "Add collateral.", **facts,
        }
        for place in range(count)
    ]  # fmt: skip


def digest(count: int, listed: int) -> Digest:
    rows = [(Level.HIGH, 0, False, False, float(row), row) for row in range(count)]
    table = candidates(rows)
    (group,) = grouped(table, 1)
    made = digest_of(table, group, np.arange(count), ("sms",), count, 41)
    assert len(made.worst) == listed
    return made


def test_a_digest_of_ninety_thousand_fits_where_a_message_goes() -> None:
    made = digest(90_000, LISTED_COUNT)
    payload = digest_payload(made, worst(LISTED_COUNT, demo="true"))
    assert len(payload["subject"]) <= 300
    assert payload["subject"].startswith("DEMO HIGH: 90,000 alerts: SOL long (wallet 0 ")
    assert payload["subject"].endswith("more")
    assert len(payload["body"]) <= 10_000
    assert "... and 89,980 more" in payload["body"].splitlines()
    marks = json.loads(payload["worst"])
    assert marks["short_phrases"][0] == "SOL long 1.5 % to liquidation"
    assert marks["covered_counts"] == [1, 2, 3]
    assert made.id == payload["incident_id"] == "digest-90042"


def test_a_digest_of_the_past_liquidation_says_so() -> None:
    payload = digest_payload(digest(2, 2), worst(2, liquidation_distance_percent="-0.5"))
    assert "PAST LIQUIDATION by 0.5 %" in payload["subject"]


CHANGES = st.lists(
    st.tuples(
        # Before, after, the digest that told of it before, told now, way.
        st.sampled_from([Level.NORMAL, Level.LOW, Level.MEDIUM, Level.HIGH]),
        st.sampled_from([Level.NORMAL, Level.LOW, Level.MEDIUM, Level.HIGH]),
        st.sampled_from([0, 0, 5, 6]),
        st.booleans(),
        st.integers(0, 1),
    ),
    max_size=40,
)


def outcome_of(changes: list[tuple[Level, Level, int, bool, int]], others: list[int]) -> Outcome:
    """These changes, beside alerts that stay in digests."""
    count = len(changes) + len(others)
    made = fresh_columns(count)
    made["alert_key"][:] = np.arange(1, count + 1)
    made["subject_key"][:] = np.arange(1, count + 1)
    made["kind"][:] = kind_of(AlertType.TRAVEL_PERCENT, Condition.BELOW)
    made["level"][:] = [after for _, after, *_ in changes] + [Level.HIGH] * len(others)
    made["digest_sequence"][:] = [digest for _, _, digest, *_ in changes] + others
    size = len(changes)
    notified = np.array([told for *_, told, _ in changes], bool)
    falls = np.array([after is Level.NORMAL for _, after, *_ in changes], bool)
    none = np.zeros(size, bool)
    return Outcome(
        columns=AlertColumns.of(["", "SOL"], made),
        changed=np.arange(size),
        before=np.array([before for before, *_ in changes], np.int8),
        notified=notified,
        expired=none,
        released=none,
        ended_quietly=falls & ~notified,
        off=none,
        limits=np.zeros((size, 3)),
        flip_value=np.zeros(size),
        position_row=np.full(size, -1),
        evaluated_count=count,
        stale_count=0,
        unknown_count=0,
        unjudged_count=0,
    )


@given(CHANGES, st.lists(st.sampled_from([0, 5, 6]), max_size=3), st.integers(1, 6))
def test_of_any_mix_of_changes_each_is_told_once_and_every_digest_ends_with_its_last_alert(
    changes: list[tuple[Level, Level, int, bool, int]], others: list[int], most: int
) -> None:
    outcome = outcome_of(changes, others)
    before = outcome.columns.digest_sequence.copy()
    way = np.array([one[4] for one in changes], np.int64)[outcome.notified]
    ways, place = Ways(way, [(), ("sms",)]), LedgerPlace(most, len(changes) + 2, 100)
    outcome, found = gather(outcome, ways, NOTHING_HELD, place)
    after, level = outcome.columns.digest_sequence, outcome.columns.level

    told = Counter(found.place[~found.noted].tolist())
    members = [row for one in found.digests for row in one.members.tolist()]
    alone = [row for row in told if row < len(changes)]
    assert sorted(members + alone) == np.flatnonzero(outcome.notified).tolist()
    assert set(told.values()) <= {1}
    assert {one.place for one in found.digests} == {row for row in told if row >= len(changes)}
    assert all(outcome.ended_quietly[row] for row in found.place[found.noted].tolist())

    in_digest = {row: one.sequence for one in found.digests for row in one.members.tolist()}
    for row in range(len(changes)):
        if level[row] == Level.NORMAL:
            assert after[row] == 0
        elif outcome.notified[row]:
            assert after[row] == in_digest.get(row, 0)
        else:
            assert after[row] == before[row]
    assert after[len(changes) :].tolist() == others

    ended = dict(found.ended)
    assert set(ended) == set(before[: len(changes)].tolist()) - set(after.tolist()) - {0}
    for sequence, by in ended.items():
        was = [row for row in range(len(changes)) if before[row] == sequence]
        if any(outcome.notified[row] for row in was):
            assert by in told
        elif any(outcome.ended_quietly[row] for row in was):
            assert by in found.place[found.noted].tolist()
