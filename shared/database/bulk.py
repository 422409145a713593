"""Whole columns between numpy and PostgreSQL by binary COPY: no Python object for any row.

Columns without NULL only: float8, int8, int4, int2, bool, timestamptz (int64 microseconds since
1970, UTC), and in also text. NaN is an ordinary float8. Format: PostgreSQL manual, COPY, "Binary
Format".
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.database.transaction import Transaction

Column = NDArray[Any]  # float64, int64, int32, int16 or bool, one dimension

_WIRE = {
    "float8": ">f8",
    "int8": ">i8",
    "int4": ">i4",
    "int2": ">i2",
    "bool": "?",
    "timestamptz": ">i8",
}
_NATIVE = {
    "float8": "f8",
    "int8": "i8",
    "int4": "i4",
    "int2": "i2",
    "bool": "?",
    "timestamptz": "i8",
}
_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER = _SIGNATURE + struct.pack(">ii", 0, 0)
_TRAILER = struct.pack(">h", -1)
_EPOCH_MICROSECONDS = 946_684_800_000_000  # PostgreSQL counts from the year 2000
_CHUNK_BYTES = 1 << 20
_CATALOGUE = """
    select a.attname, t.typname from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped
"""


async def copy_out(
    transaction: Transaction, sql: str, spec: Mapping[str, str], *arguments: object
) -> dict[str, Column]:
    """The answer of a query as one array a column.

    `spec` is name -> type in the order of the select list (types as in the module's first lines);
    `arguments` fill $1, $2 ... of the query. ValueError when the answer does not fit the spec or
    has NULL.
    """
    answer = bytearray()

    async def collect(block: bytes) -> None:
        answer.extend(block)

    await transaction.driver.copy_from_query(sql, *arguments, output=collect, format="binary")
    return _parse(answer, spec)


async def copy_in(
    transaction: Transaction, table: str, arrays: Mapping[str, Column | Sequence[str]]
) -> int:
    """Append rows given as columns of equal length to a table of the search path; answers how many.

    The table's own column types decide the wire form: int64 goes into int4 when every value fits,
    int64 or datetime64 into timestamptz, a sequence of texts into text (rows whose texts are as
    long as each other's are written together). ValueError or TypeError for what does not fit; then
    nothing is written.
    """
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) != 1:
        raise ValueError(f"columns of one length are needed, got {sorted(lengths)}")
    rows = lengths.pop()
    if rows == 0:
        return 0
    bodies = _build(arrays, await _types(transaction, table), rows)
    await transaction.driver.copy_to_table(
        table, source=_chunks(bodies), columns=list(arrays), format="binary"
    )
    return rows


async def copy_records_in(
    transaction: Transaction,
    table: str,
    columns: Sequence[str],
    portions: AsyncIterator[Sequence[bytes]],
) -> None:
    """Append rows whose fields are in the form of binary COPY already, each after its length."""
    count = struct.pack(">h", len(columns))

    async def source() -> AsyncIterator[bytes]:
        yield _HEADER
        async for records in portions:
            yield b"".join([count + record for record in records])
        yield _TRAILER

    await transaction.driver.copy_to_table(
        table, source=source(), columns=list(columns), format="binary"
    )


async def _types(transaction: Transaction, table: str) -> dict[str, str]:
    """Asked once a pool: tables change with a release, and a release starts anew."""
    known = transaction.column_types
    if table not in known:
        rows = await transaction.driver.fetch(_CATALOGUE, f'"{table}"')
        known[table] = {row[0]: row[1] for row in rows}
    return known[table]


def _row(spec: Mapping[str, str]) -> np.dtype[np.void]:
    """One row on the wire: the count of fields, then each one's length and value."""
    fields: list[tuple[str, str]] = [("#", ">i2")]
    for name, kind in spec.items():
        fields.append((f"#{name}", ">i4"))
        if kind in _WIRE:
            fields.append((name, _WIRE[kind]))
        elif not kind.startswith("S"):
            raise TypeError(f"column {name}: {kind} is not one of {', '.join(_WIRE)}")
        elif kind != "S0":  # An empty text has no bytes.
            fields.append((name, kind))
    return np.dtype(fields)


def _parse(answer: bytearray, spec: Mapping[str, str]) -> dict[str, Column]:
    row = _row(spec)
    extension = int.from_bytes(answer[15:19], "big")
    start, end = len(_HEADER) + extension, len(answer) - len(_TRAILER)
    if not answer.startswith(_SIGNATURE) or (end - start) % row.itemsize:
        raise ValueError(f"the answer is not rows of {dict(spec)}: wrong types, or NULL")
    table = np.frombuffer(answer, row, count=(end - start) // row.itemsize, offset=start)
    if not (table["#"] == len(spec)).all():
        raise ValueError(
            f"the answer is not rows of {dict(spec)}: wrong number of columns, or NULL"
        )
    for name in spec:
        if not (table[f"#{name}"] == row[name].itemsize).all():
            raise ValueError(f"column {name} is not {spec[name]}, or has NULL")
    return {name: _read(table[name], kind) for name, kind in spec.items()}


def _read(column: Column, kind: str) -> Column:
    values = column.astype(_NATIVE[kind])
    if kind == "timestamptz":
        values += _EPOCH_MICROSECONDS
    return values


def _build(
    arrays: Mapping[str, Column | Sequence[str]], types: Mapping[str, str], rows: int
) -> list[Column]:
    """Rows as they go on the wire, those of one width together."""
    missing = [name for name in arrays if name not in types]
    if missing:
        raise ValueError(f"the table has no column {', '.join(missing)}")
    texts, columns = {}, {}
    for name, values in arrays.items():
        if types[name] not in (*_WIRE, "text"):
            raise TypeError(f"column {name}: {types[name]} is not one of {', '.join(_WIRE)}, text")
        if types[name] == "text":
            texts[name] = [one.encode() for one in values]
        else:
            columns[name] = _write(name, np.asarray(values), types[name])
    spec = {name: types[name] for name in arrays}
    if not texts:
        return [_table(spec, columns, {}, rows)]
    lengths = np.array([[len(one) for one in values] for values in texts.values()])
    widths, of = np.unique(lengths, axis=1, return_inverse=True)
    bodies = []
    for place, width in enumerate(widths.T.tolist()):
        chosen = np.flatnonzero(of.ravel() == place)
        picked = {
            name: np.array([values[row] for row in chosen.tolist()], f"S{max(length, 1)}")
            for (name, values), length in zip(texts.items(), width, strict=True)
        }
        kinds = spec | {name: f"S{length}" for name, length in zip(texts, width, strict=True)}
        body = {name: column[chosen] for name, column in columns.items()}
        bodies.append(_table(kinds, body, picked, len(chosen)))
    return bodies


def _table(
    spec: Mapping[str, str], columns: Mapping[str, Column], texts: Mapping[str, Column], rows: int
) -> Column:
    table = np.empty(rows, _row(spec))
    table["#"] = len(spec)
    for name in spec:
        length = table.dtype[name].itemsize if name in (table.dtype.names or ()) else 0
        table[f"#{name}"] = length
        if length:
            table[name] = columns[name] if name in columns else texts[name]
    return table


def _write(name: str, values: Column, kind: str) -> Column:
    if kind == "timestamptz":
        if values.dtype.kind == "M":
            values = values.astype("M8[us]").astype("i8")
        return _whole(name, values, kind) - _EPOCH_MICROSECONDS
    if kind == "float8" and values.dtype.kind in "fiu":
        return values
    if kind == "bool" and values.dtype.kind == "b":
        return values
    return _whole(name, values, kind)


def _whole(name: str, values: Column, kind: str) -> Column:
    if values.dtype.kind not in "iu" or kind in ("float8", "bool"):
        raise TypeError(f"column {name}: {values.dtype} does not go into {kind}")
    limits = np.iinfo(_NATIVE[kind])
    if values.min() < limits.min or values.max() > limits.max:
        raise ValueError(f"column {name}: a value does not fit into {kind}")
    return values


async def _chunks(bodies: Sequence[Column]) -> AsyncIterator[bytes]:
    yield _HEADER
    for body in bodies:
        view = body.view(np.uint8)
        for start in range(0, len(view), _CHUNK_BYTES):
            yield view[start : start + _CHUNK_BYTES].tobytes()
    yield _TRAILER
