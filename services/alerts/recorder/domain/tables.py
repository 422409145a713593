"""Tables of columns by key as few bytes: what differs from another table, without loss.

Numbers are predicted, by the other table or by a formula of plus, minus, times and divided, which
are exact everywhere; kept is what the prediction misses, and a right one costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]
Table = Mapping[str, Column]
# A prediction of a column by those before it and by the same rows of the other table.
Formula = Callable[[Table, Table], Column]
# How a column is written: as the other table has it, as it was predicted, by its few values, by
# what the prediction misses, by the steps from row to row.
_SAME, _GUESSED, _FEW, _MISSED, _STEPS = range(5)
_MOST_FEW = 255


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table: its key, which rises, comes first. Dtypes are little-endian."""

    key: str
    dtypes: Mapping[str, str]
    formulas: Mapping[str, Formula] = field(default_factory=dict)


@dataclass(slots=True)
class BytesWriter:
    """Pieces of bytes, and the numbers by which they are read again."""

    numbers: list[int] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)

    def put(self, column: Column) -> None:
        """Bytes of equal weight stand together: they are alike."""
        self.numbers.append(len(column))
        if column.dtype.itemsize > 1:
            bytewise = np.ascontiguousarray(column).view(np.uint8)
            column = bytewise.reshape(len(column), column.dtype.itemsize).T
        self.pieces.append(column.tobytes())


@dataclass(slots=True)
class BytesReader:
    """The other way. ValueError for bytes that end early."""

    numbers: Sequence[int]
    content: bytes
    number: int = 0
    place: int = 0

    def next(self) -> int:
        self.number += 1
        return self.numbers[self.number - 1]

    def take(self, dtype: str) -> Column:
        count, size = self.next(), np.dtype(dtype).itemsize
        end = self.place + count * size
        if end > len(self.content):
            raise ValueError("bytes are missing")
        raw = np.frombuffer(self.content, np.uint8, count * size, self.place)
        self.place = end
        if size > 1:
            raw = np.ascontiguousarray(raw.reshape(size, count).T)
        return raw.reshape(-1).view(dtype)


def write(layout: Layout, table: Table, other: Table, writer: BytesWriter) -> None:
    """What differs from `other`, which may be of other rows, or of none."""
    keys, known = table[layout.key], other[layout.key]
    is_same = keys is known or np.array_equal(keys, known)
    writer.numbers.append(int(is_same))
    if not is_same:
        removed = np.flatnonzero(~np.isin(known, keys, assume_unique=True))
        added = np.setdiff1d(keys, known, assume_unique=True)
        writer.put(removed.astype("<i4"))
        writer.put(np.diff(added, prepend=added[:1] * 0).astype("<i8"))
    aligned = _Aligned(layout, keys, other, is_same=is_same)
    for name, dtype in layout.dtypes.items():
        if name == layout.key:
            continue
        column = np.ascontiguousarray(table[name], dtype)
        if is_same and table[name] is other[name]:
            writer.numbers.append(_SAME)
            continue
        formula = layout.formulas.get(name)
        guess = aligned[name] if formula is None else _guess(formula, table, aligned, dtype)
        _write_column(column, guess, writer, is_new=not len(known))


def read(layout: Layout, other: Table, reader: BytesReader) -> dict[str, Column]:
    """The table that was written against `other`."""
    known = other[layout.key]
    is_same = bool(reader.next())
    keys = known
    if not is_same:
        left = np.delete(known, reader.take("<i4"))
        keys = np.union1d(left, np.cumsum(reader.take("<i8"))).astype(known.dtype)
    table: dict[str, Column] = {layout.key: keys}
    aligned = _Aligned(layout, keys, other, is_same=is_same)
    for name, dtype in layout.dtypes.items():
        if name == layout.key:
            continue
        table[name] = _read_column(layout, name, dtype, table, aligned, reader)
    return table


def _read_column(
    layout: Layout, name: str, dtype: str, table: Table, aligned: Table, reader: BytesReader
) -> Column:
    mode, formula = reader.next(), layout.formulas.get(name)
    if mode == _SAME:
        return aligned[name]
    if mode == _FEW:
        values = reader.take(dtype)
        return values[reader.take("u1")]
    if mode == _STEPS:
        steps = reader.take(_unsigned(dtype))
        return np.cumsum(steps, dtype=steps.dtype).view(dtype)
    guess = aligned[name] if formula is None else _guess(formula, table, aligned, dtype)
    if mode == _GUESSED:
        return guess
    missed = reader.take(_unsigned(dtype))
    found: Column = (missed ^ guess.view(missed.dtype)).view(dtype)
    return found


def none(layout: Layout) -> dict[str, Column]:
    """A table of no rows."""
    return {name: np.empty(0, dtype) for name, dtype in layout.dtypes.items()}


class _Aligned(dict[str, Column]):
    """Columns of the other table row by row of these keys, 0 where it has none; made when asked."""

    def __init__(self, layout: Layout, keys: Column, other: Table, *, is_same: bool) -> None:
        super().__init__()
        self._layout = layout
        self._other = other
        self._is_same = is_same
        known = other[layout.key]
        self._count = len(keys)
        if not is_same and len(known):
            place = np.searchsorted(known, keys).clip(max=len(known) - 1)
            self._there = np.flatnonzero(known[place] == keys)
            self._place = place[self._there]

    def __missing__(self, name: str) -> Column:
        dtype = self._layout.dtypes[name]
        column = np.ascontiguousarray(self._other[name], dtype)
        if not self._is_same:
            found = np.zeros(self._count, dtype)
            if len(column):
                found[self._there] = column[self._place]
            column = found
        self[name] = column
        return column


def _unsigned(dtype: str) -> str:
    return f"<u{np.dtype(dtype).itemsize}"


def _guess(formula: Formula, table: Table, aligned: Table, dtype: str) -> Column:
    with np.errstate(all="ignore"):
        return np.ascontiguousarray(formula(table, aligned), dtype)


def _write_column(column: Column, guess: Column, writer: BytesWriter, *, is_new: bool) -> None:
    """By the form that is likely to be the shortest."""
    unsigned = _unsigned(column.dtype.str)
    bits = column.view(unsigned)
    missed = bits ^ guess.view(unsigned)
    if not missed.any():
        writer.numbers.append(_GUESSED)
        return
    most = min(_MOST_FEW, len(bits) // 2)
    # Sorting all of a long column costs more than all else; some of its rows mostly say enough.
    is_few = len(np.unique(bits[: 4 * _MOST_FEW])) <= most
    values, codes = np.unique(bits, return_inverse=True) if is_few else (bits, bits)
    if is_few and len(values) <= most:
        writer.numbers.append(_FEW)
        writer.put(values)
        writer.put(codes.astype("u1"))
    elif is_new and column.dtype.kind == "i":
        writer.numbers.append(_STEPS)
        writer.put(np.diff(bits, prepend=bits[:1] * 0))
    else:
        writer.numbers.append(_MISSED)
        writer.put(missed)
