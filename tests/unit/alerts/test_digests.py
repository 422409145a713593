"""Which changes are told as one, for any mix of them, and what is said of them."""

from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

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
from services.alerts.domain.kinds import Level

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
