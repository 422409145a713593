"""Columns of the rows of a body, read at once; what is wrong with a row is told as for one."""

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.positions.venues.rows import DECIMAL, INTEGER, RowRefused, stated

Numbers = NDArray[np.float64]
Rows = Sequence[Mapping[str, Any]]
T = TypeVar("T")
_SIGNS = {DECIMAL: b"0123456789-,.", INTEGER: b"0123456789-,"}
_PLAIN = msgspec.json.Decoder(list[float])


class Faults:
    """The first fault of each row: an upper-case reason and the venue's name of the field."""

    def __init__(self, count: int) -> None:
        self._codes = np.zeros(count, np.int16)
        self._said = [("", "")]

    def add(self, where: NDArray[np.bool_], reason: str, field: str) -> None:
        """These rows have this fault, unless they have one already."""
        if where.any():
            self._codes[where & (self._codes == 0)] = self._code(reason, field)

    def note(self, row: int, refused: RowRefused) -> None:
        """The same for one row."""
        if not self._codes[row]:
            self._codes[row] = self._code(refused.reason, refused.field)

    @property
    def where(self) -> NDArray[np.bool_]:
        """Rows that have one."""
        return self._codes > 0

    def of(self, row: int) -> tuple[str, str]:
        """Reason and field, empty for a sound row."""
        return self._said[int(self._codes[row])]

    def _code(self, reason: str, field: str) -> int:
        if (reason, field) not in self._said:
            self._said.append((reason, field))
        return self._said.index((reason, field))


def column_of(rows: Rows, field: str) -> list[Any]:
    """The field of every row; None where it is missing."""
    try:
        return list(map(itemgetter(field), rows))
    except KeyError:
        return [row.get(field) for row in rows]


def each_once(values: Sequence[Any], read: Callable[[Any], T]) -> list[T]:
    """`read` of every value, asked once for those that are equal."""
    try:
        known = {value: read(value) for value in set(values)}
    except TypeError:
        # A list or an object among them.
        return list(map(read, values))
    return list(map(known.__getitem__, values))


def stated_column(
    rows: Rows, field: str, faults: Faults, form: re.Pattern[str] = DECIMAL
) -> Numbers:
    """`rows.stated` of every row; NaN where it is null, missing or at fault."""
    numbers = _plain(column_of(rows, field), form)
    return _one_by_one(rows, field, faults, form) if numbers is None else numbers


def _plain(values: Sequence[Any], form: re.Pattern[str]) -> Numbers | None:
    """Numbers of texts that all are of this form; None when each has to be looked at. What JSON
    takes of these signs is of the form; what it does not take is seldom, and may be of it too.
    """
    try:
        text = ",".join(values)
    except TypeError:
        return None
    if not text or not text.isascii() or text.count(",") != len(values) - 1:
        return None
    if text.encode().translate(None, _SIGNS[form]):
        return None
    try:
        numbers = np.array(_PLAIN.decode(f"[{text}]"), np.float64)
    except msgspec.MsgspecError:
        return None
    return numbers + 0.0 if np.isfinite(numbers).all() else None


def _one_by_one(rows: Rows, field: str, faults: Faults, form: re.Pattern[str]) -> Numbers:
    numbers = np.full(len(rows), np.nan)
    for place, row in enumerate(rows):
        try:
            number = stated(row, field, form)
        except RowRefused as refused:
            faults.note(place, refused)
            continue
        if number is not None:
            numbers[place] = number
    return numbers
