"""The chain: any edit, swap, insertion or deletion within it is found."""

from __future__ import annotations

import hmac
import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.ledger.domain.chain import (
    Anchor,
    Entry,
    Head,
    Sealed,
    Verdict,
    Walk,
    chain,
    seal,
)

KEY = b"a key of the tests"
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def _entry(number: int = 1) -> Entry:
    return Entry(
        NOW,
        f"alert-{number}",
        3,
        "evaluation",
        "RAISED",
        1,
        4,
        -55.5,
        -47.5,
        '{"a": "b"}',
        "c-1",
        "p-1",
    )


def _rows(count: int) -> list[Sealed]:
    return chain(KEY, Head(), [_entry(number) for number in range(count)])


def _walk(rows: list[Sealed], anchor: Anchor | None = None, key: bytes = KEY) -> Verdict:
    walk = Walk(key, anchor)
    walk.follow(rows)
    return walk.end()


def test_an_untouched_chain_is_intact_and_unanchored_without_an_anchor() -> None:
    rows = _rows(5)
    verdict = _walk(rows)
    assert verdict.intact
    assert (verdict.entry_count, verdict.head_hash, verdict.unanchored_count) == (
        5,
        rows[-1].hash,
        5,
    )


def test_what_lies_beyond_the_anchor_is_counted() -> None:
    rows = _rows(5)
    assert _walk(rows, Anchor(rows[2].hash)).unanchored_count == 2


def test_an_empty_chain_is_intact() -> None:
    assert _walk([]).intact


@pytest.mark.parametrize("field", Entry._fields)
def test_an_edit_of_any_field_is_found(field: str) -> None:
    rows = _rows(3)
    old = getattr(rows[1].entry, field)
    others = {str: "other", int: 2, float: 0.5, bytes: b"other"}
    new = {**others, datetime: datetime(2026, 1, 1, tzinfo=UTC)}[type(old)]
    rows[1] = rows[1]._replace(entry=rows[1].entry._replace(**{field: new}))
    assert _walk(rows).first_bad_sequence == 2


def test_a_resealed_edit_breaks_the_row_after_it() -> None:
    rows = _rows(3)
    entry = rows[1].entry._replace(value=0.0)
    rows[1] = rows[1]._replace(entry=entry, hash=seal(KEY, rows[1].previous_hash, 2, entry))
    assert _walk(rows).first_bad_sequence == 3


def test_a_swap_is_found() -> None:
    rows = _rows(4)
    rows[1], rows[2] = rows[1]._replace(entry=rows[2].entry), rows[2]._replace(entry=rows[1].entry)
    assert _walk(rows).first_bad_sequence == 2


def test_an_inner_deletion_is_found() -> None:
    rows = _rows(4)
    del rows[1]
    assert _walk(rows).first_bad_sequence == 2


def test_an_insertion_by_somebody_without_the_key_is_found() -> None:
    rows = _rows(2)
    rows += chain(b"another key", Head(2, rows[-1].hash), [_entry(9)])
    assert _walk(rows).first_bad_sequence == 3


def test_a_cut_tail_is_found_by_the_anchor() -> None:
    rows = _rows(4)
    verdict = _walk(rows[:2], Anchor(rows[3].hash, 4))
    assert verdict.first_bad_sequence == 4
    assert "anchored" in verdict.problem


def test_another_key_fits_nothing() -> None:
    assert _walk(_rows(2), key=b"another").first_bad_sequence == 1


@given(first=st.text(max_size=8), second=st.text(max_size=8), moved=st.integers(1, 4))
def test_text_that_moves_from_one_field_to_the_next_changes_the_hash(
    first: str, second: str, moved: int
) -> None:
    shifted = (first + second[:moved], second[moved:])
    if shifted == (first, second):
        return
    one = _entry()._replace(actor=first, reason=second)
    other = _entry()._replace(actor=shifted[0], reason=shifted[1])
    assert seal(KEY, b"", 1, one) != seal(KEY, b"", 1, other)


@pytest.mark.parametrize("key", [b"", b"short", b"k" * 64, b"longer than a block " * 5])
def test_a_hash_is_hmac_sha256_over_the_hash_before_and_the_netstrings(key: bytes) -> None:
    text = (
        f"7,1772366400123456,3,1,4,{(-55.5).hex()},{(-47.5).hex()},"
        '7:alert-1,10:evaluation,6:RAISED,3:c-1,3:p-1,10:{"a": "b"}'
    )
    assert seal(key, b"before", 7, _entry()) == hmac.digest(
        key, b"before|" + text.encode(), "sha256"
    )


def _packed() -> Entry:
    return _entry()._replace(inputs_json="", inputs=bytes(range(60)))


def test_a_row_of_packed_inputs_is_sealed_over_its_fields_each_after_its_length() -> None:
    fields = (
        struct.pack(">q", 7),
        struct.pack(">q", 1772366400123456 - 946684800000000),
        *(struct.pack(">h", number) for number in (3, 1, 4)),
        *(struct.pack(">d", number) for number in (-55.5, -47.5)),
        *(text.encode() for text in ("alert-1", "evaluation", "RAISED", "", "c-1", "p-1")),
        bytes(range(60)),
    )
    text = b"".join(struct.pack(">i", len(field)) + field for field in fields)
    assert seal(KEY, b"before", 7, _packed()) == hmac.digest(KEY, b"before|\0" + text, "sha256")


def test_rows_of_both_ways_follow_each_other_in_one_chain() -> None:
    rows = chain(KEY, Head(), [_entry(1), _packed(), _entry(2), _packed()])
    assert _walk(rows).intact


@pytest.mark.parametrize("place", range(60))
def test_a_changed_byte_of_packed_inputs_is_found(place: int) -> None:
    rows = chain(KEY, Head(), [_packed(), _packed()])
    inputs = bytearray(rows[0].entry.inputs)
    inputs[place] ^= 1
    rows[0] = rows[0]._replace(entry=rows[0].entry._replace(inputs=bytes(inputs)))
    assert _walk(rows).first_bad_sequence == 1


@pytest.mark.parametrize("field", ["value", "flip_value"])
def test_an_absent_number_of_a_packed_row_is_not_a_zero(field: str) -> None:
    rows = chain(KEY, Head(), [_packed()._replace(**{field: None})])
    assert _walk(rows).intact
    rows[0] = rows[0]._replace(entry=rows[0].entry._replace(**{field: 0.0}))
    assert _walk(rows).first_bad_sequence == 1


def test_packed_inputs_that_became_a_text_are_found() -> None:
    rows = chain(KEY, Head(), [_packed()])
    for inputs_json, inputs in (("{}", b""), ("", b""), ("{}", rows[0].entry.inputs)):
        entry = rows[0].entry._replace(inputs_json=inputs_json, inputs=inputs)
        assert _walk([rows[0]._replace(entry=entry)]).first_bad_sequence == 1
