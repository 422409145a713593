"""Which rows may leave, what a seal says, and the chain over what left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.alerts.ledger.domain.chain import SEALED, Entry, Head, Sealed, Verdict, Walk, chain
from services.alerts.ledger.domain.segments import (
    LEAST_AGE,
    Kept,
    Seal,
    Segment,
    cut_pads,
    cut_proof,
    disorder,
    file_name,
    leaving,
    seal_entry,
    seal_of,
)

KEY = b"a key of the tests"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("kept", "sequence", "days", "may"),
    [
        (Kept(400 * DAY), 1, 401, True),
        (Kept(400 * DAY), 1, 399, False),
        (Kept(None), 1, 4000, False),
        (Kept(None, 10), 1, 4000, False),
        # More recent than anything that is still read.
        (Kept(DAY), 1, 7, False),
        (Kept(DAY), 1, 9, True),
        (Kept(400 * DAY, 90), 10, 9, True),
        (Kept(400 * DAY, 90), 10, 7, False),
        (Kept(400 * DAY, 90), 11, 9, False),
        # The last row stays in any case.
        (Kept(400 * DAY, 0), 99, 500, True),
        (Kept(400 * DAY, 0), 100, 500, False),
    ],
)
def test_a_row_may_leave_by_its_age_or_beyond_the_count(
    kept: Kept, sequence: int, days: float, may: bool
) -> None:
    rows = leaving(kept, NOW, 100)
    assert (rows is not None and rows.may(sequence, NOW - days * DAY)) is may


def test_a_row_is_overdue_a_month_after_it_could_have_left() -> None:
    rows = leaving(Kept(400 * DAY), NOW, 100)
    assert rows is not None
    assert not rows.is_overdue(1, NOW - 429 * DAY)
    assert rows.is_overdue(1, NOW - 431 * DAY)
    assert LEAST_AGE == 8 * DAY


def _entry(number: int) -> Entry:
    return Entry(
        NOW, f"alert-{number}", 3, "evaluation", "RAISED", 1, 4, -55.5, None, "{}", "c", "p"
    )


def _sealed_chain() -> tuple[list[Sealed], list[Seal]]:
    """Rows 1 to 30 with seals of 1 to 8 (row 11), 9 to 16 (row 20), 17 to 24 (row 28)."""
    rows: list[Sealed] = []
    seals: list[Seal] = []
    borders = {11: (1, 8), 20: (9, 16), 28: (17, 24)}
    for number in range(1, 31):
        entry = _entry(number)
        if number in borders:
            first, last = borders[number]
            before = seals[-1].segment if seals else None
            digest = f"{number:064x}"
            segment = Segment(
                first, last, NOW, NOW, before.last_hash if before else b"", rows[last - 1].hash,
                file_name(first, last, digest), digest, before.digest if before else "",
            )  # fmt: skip
            entry = seal_entry(segment, NOW, "retention")
        head = Head(rows[-1].sequence, rows[-1].hash) if rows else Head()
        rows += chain(KEY, head, [entry])
        if number in borders:
            seals.append(seal_of(rows[-1]))
    return rows, seals


ROWS, SEALS = _sealed_chain()
ENDS = {one.segment.last_sequence: one.segment.last_hash for one in SEALS}


def _verdict(rows: list[Sealed]) -> Verdict:
    walk = Walk(KEY, None, ENDS)
    walk.follow(rows)
    return walk.end()


def _from(first: int) -> list[Sealed]:
    """What is left when everything before a row left: seals stay."""
    return [row for row in ROWS if row.sequence >= first or row.entry.reason == SEALED]


def test_a_seal_reads_back_as_it_was_written() -> None:
    for seal in SEALS:
        assert seal_of(seal.row).segment == seal.segment
    assert disorder(SEALS) == (0, "")


@pytest.mark.parametrize("first", range(1, 26))
def test_the_chain_holds_however_far_sealed_rows_have_left(first: int) -> None:
    found = _verdict(_from(first))
    assert found.intact, found.problem
    left = {row.sequence for row in ROWS} - {row.sequence for row in _from(first)}
    assert found.left_count == len(left)
    assert found.head_hash == ROWS[-1].hash


@pytest.mark.parametrize("first", range(26, 31))
def test_rows_that_left_without_a_seal_are_missed(first: int) -> None:
    found = _verdict(_from(first))
    assert not found.intact
    assert found.first_bad_sequence == 25
    assert "no sealed file has them" in found.problem


@pytest.mark.parametrize("lost", range(1, 31))
def test_one_row_that_is_missing_within_what_is_here_is_found(lost: int) -> None:
    for first in range(1, lost):
        rows = [row for row in _from(first) if row.sequence != lost]
        if lost == 30 or all(row.entry.reason == SEALED for row in rows if row.sequence < lost):
            # The end is an anchor's to find; after seals alone more has left, that is all.
            continue
        found = _verdict(rows)
        assert not found.intact, (first, lost)


@pytest.mark.parametrize("end", [8, 16, 24])
def test_a_file_that_ends_with_another_row_is_found(end: int) -> None:
    walk = Walk(KEY, None, ENDS | {end: b"\1" * 32})
    walk.follow(_from(end))
    assert walk.end().first_bad_sequence == end
    walk = Walk(KEY, None, ENDS | {end: b"\1" * 32})
    walk.follow(_from(end + 1))
    assert not walk.end().intact or end < 24


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"first_sequence": 10}, "does not follow"),
        ({"previous_hash": b"\1" * 32}, "does not follow"),
        ({"previous_digest": "00"}, "does not follow"),
        ({"last_sequence": 8}, "other rows"),
        ({"last_sequence": 20}, "other rows"),
    ],
)
def test_seals_that_do_not_follow_each_other_are_found(
    changed: dict[str, object], said: str
) -> None:
    second = SEALS[1]._replace(segment=SEALS[1].segment._replace(**changed))
    place, problem = disorder([SEALS[0], second, SEALS[2]])
    assert place == 20
    assert said in problem
    assert disorder([SEALS[0], SEALS[2]])[0] == 28
    assert disorder(SEALS[1:])[0] == 20


def test_a_row_that_is_no_seal_is_no_seal() -> None:
    for text in ("", "{}", "[]", "null", '{"first_sequence": "x"}'):
        row = ROWS[0]._replace(entry=ROWS[0].entry._replace(inputs_json=text))
        with pytest.raises(ValueError):
            seal_of(row)


def test_a_proof_is_of_one_key_one_seal_and_its_rows() -> None:
    seal = SEALS[0]
    others = [
        cut_proof(b"other", seal),
        cut_proof(KEY, SEALS[1]),
        cut_proof(KEY, Seal(seal.segment._replace(last_sequence=9), seal.row)),
        cut_proof(KEY, Seal(seal.segment._replace(first_sequence=2), seal.row)),
        cut_proof(KEY, Seal(seal.segment._replace(last_hash=b"\1" * 32), seal.row)),
    ]
    assert cut_proof(KEY, seal) not in others
    inner, outer = cut_pads(KEY)
    assert len(inner) == len(outer) == 64
    assert KEY not in inner + outer
