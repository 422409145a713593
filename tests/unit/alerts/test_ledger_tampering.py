"""Every edit of a row, deletion within, swap and insertion by somebody without the key, in a small
chain.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

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

KEY, OTHER_KEY = b"a key of the tests", b"another key"
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
COUNT = 6
# Another value of each kind, as near as it can be.
OTHERS: dict[type, Callable[[object], object]] = {
    str: lambda text: f"{text} ",
    int: lambda number: int(number) + 1,
    float: lambda _: None,
    datetime: lambda moment: moment + timedelta(microseconds=1),
    bytes: lambda digest: bytes([digest[0] ^ 1]) + digest[1:] if digest else b"x",
}


def _rows(key: bytes = KEY, *, word: str = "alert") -> list[Sealed]:
    entries = [
        Entry(
            NOW,
            f"{word}-{n}",
            3,
            "evaluation",
            "RAISED",
            1,
            4,
            -55.5 - n,
            -47.5,
            "{}",
            f"c-{n}",
            f"p-{n}",
        )
        for n in range(COUNT)
    ]
    return chain(key, Head(), entries)


def _verdict(rows: list[Sealed], anchor: Anchor | None = None) -> Verdict:
    walk = Walk(KEY, anchor)
    walk.follow(rows)
    return walk.end()


def _renumbered(rows: list[Sealed]) -> list[Sealed]:
    return [row._replace(sequence=place) for place, row in enumerate(rows, 1)]


def _relinked(rows: list[Sealed]) -> list[Sealed]:
    """As somebody without the key would mend it: places and links are right, the hashes are another
    key's.
    """
    mended: list[Sealed] = []
    last = b""
    for row in _renumbered(rows):
        digest = seal(OTHER_KEY, last, row.sequence, row.entry)
        mended.append(row._replace(previous_hash=last, hash=digest))
        last = digest
    return mended


def test_nothing_is_found_where_nobody_was() -> None:
    assert _verdict(_rows()).intact


@pytest.mark.parametrize("place", range(COUNT))
@pytest.mark.parametrize("field", [*Entry._fields, "sequence", "previous_hash", "hash"])
def test_an_edit_of_one_field_of_one_row_is_found_there(place: int, field: str) -> None:
    rows = _rows()
    row = rows[place]
    holder = row.entry if field in Entry._fields else row
    old = getattr(holder, field)
    changed = {field: OTHERS[type(old)](old)}
    rows[place] = (
        row._replace(entry=row.entry._replace(**changed))
        if holder is row.entry
        else row._replace(**changed)
    )
    verdict = _verdict(rows)
    assert not verdict.intact
    assert verdict.first_bad_sequence == place + 1


@pytest.mark.parametrize("mended", [list, _renumbered, _relinked])
def test_every_deletion_within_is_found(mended: Callable[[list[Sealed]], list[Sealed]]) -> None:
    for first, last in itertools.combinations(range(COUNT), 2):
        rows = _rows()
        del rows[first:last]
        verdict = _verdict(mended(rows))
        assert not verdict.intact
        assert verdict.first_bad_sequence <= first + 1


@pytest.mark.parametrize("mended", [list, _renumbered, _relinked])
def test_every_swap_is_found(mended: Callable[[list[Sealed]], list[Sealed]]) -> None:
    for first, second in itertools.combinations(range(COUNT), 2):
        rows = _rows()
        rows[first], rows[second] = rows[second], rows[first]
        assert not _verdict(mended(rows)).intact
        # The words alone change places, each row keeps its seal.
        rows = _rows()
        one, other = rows[first], rows[second]
        rows[first], rows[second] = one._replace(entry=other.entry), other._replace(entry=one.entry)
        assert _verdict(rows).first_bad_sequence == first + 1


@pytest.mark.parametrize("mended", [list, _renumbered, _relinked])
def test_every_insertion_is_found(mended: Callable[[list[Sealed]], list[Sealed]]) -> None:
    for place, copied in itertools.product(range(COUNT + 1), range(COUNT)):
        rows = _rows()
        rows.insert(place, rows[copied])
        verdict = _verdict(mended(rows))
        assert not verdict.intact, (place, copied)


@pytest.mark.parametrize("place", range(1, COUNT))
def test_a_row_of_another_history_under_the_same_key_is_found(place: int) -> None:
    """As a backup that was used for a while would have it."""
    rows, others = _rows(), _rows(word="other")
    assert _verdict(others).intact
    for spliced in (others[place], others[place]._replace(previous_hash=rows[place - 1].hash)):
        assert (
            _verdict([*rows[:place], spliced, *rows[place + 1 :]]).first_bad_sequence == place + 1
        )
    assert _verdict([*rows[:place], *others[place:]]).first_bad_sequence == place + 1


def test_every_cut_of_the_tail_is_found_by_a_head_that_left_the_system() -> None:
    rows = _rows()
    for kept, sent in itertools.product(range(COUNT), range(COUNT)):
        anchor = Anchor(rows[sent].hash)
        verdict = _verdict(rows[:kept], anchor)
        assert verdict.intact == (sent < kept), (kept, sent)
        if verdict.intact:
            assert verdict.unanchored_count == kept - sent - 1


def test_a_chain_by_another_key_does_not_hold_the_head_that_left_the_system() -> None:
    sent = Anchor(_rows()[-1].hash)
    walk = Walk(OTHER_KEY, sent)
    walk.follow(_rows(OTHER_KEY))
    assert not walk.end().intact
