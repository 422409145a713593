"""Files of flows and samples: CSV with a header or a JSON list, row by row taken or refused."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Generic, TypeVar

from services.withdrawals.gains.domain.flows import FlowKind
from services.withdrawals.supply.domain.rows import SCALE, FlowRow, RowSource, SampleRow
from shared.errors import InvalidArgument, SonicError
from shared.texts import holds_control

T = TypeVar("T")
Cells = Mapping[str, object]
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_SEPARATORS = ",;\t"
_SHOWN_REFUSALS = 100
# Names that other programs give the columns.
_ALIASES = {
    "amount": "units",
    "underlying_units": "units",
    "notes": "note",
    "wallet_address": "wallet",
    "market_id": "market",
    "ts": "time",
    "timestamp": "time",
    "flow_time": "time",
    "sample_time": "time",
    "price": "price_usd",
}
_KINDS = {
    **dict.fromkeys(("DEPOSIT", "SUPPLY", "FLOW_KIND_DEPOSIT"), FlowKind.DEPOSIT),
    **dict.fromkeys(("WITHDRAWAL", "WITHDRAW", "FLOW_KIND_WITHDRAWAL"), FlowKind.WITHDRAWAL),
}


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """Rows taken; refused ones as lines, the first hundred; how many in all."""

    rows: list[T]
    refused: list[str]
    refused_count: int


class _Refused(Exception):
    """What is wrong with a row; never repeats the value."""


def read_flows(content: str) -> Read[FlowRow]:
    """Flows of a file. InvalidArgument BAD_IMPORT when it cannot be read as rows."""
    return _read(content, "flows", _flow)


def read_samples(content: str) -> Read[SampleRow]:
    """Samples of a file. InvalidArgument BAD_IMPORT when it cannot be read as rows."""
    return _read(content, "samples", _sample)


def _read(content: str, noun: str, take: Callable[[Cells], T]) -> Read[T]:
    rows: list[T] = []
    refused: list[str] = []
    count = 0
    for number, cells in _rows(content, noun):
        try:
            rows.append(take(cells))
        except (_Refused, SonicError) as problem:
            count += 1
            said = problem.message if isinstance(problem, SonicError) else str(problem)
            if count <= _SHOWN_REFUSALS:
                refused.append(f"row {number}: {said}")
    return Read(rows, refused, count)


def _rows(content: str, noun: str) -> Iterator[tuple[int, Cells]]:
    text = content.lstrip("\ufeff").strip()
    if not text:
        raise _bad("the file is empty")
    items = _json_rows(text, noun) if text[0] in "[{" else _csv_rows(text)
    for number, cells in items:
        named: dict[str, object] = {}
        for name, value in cells.items():
            word = str(name).strip().lower()
            named[_ALIASES.get(word, word)] = value
        yield number, named


def _json_rows(text: str, noun: str) -> Iterable[tuple[int, Cells]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _bad("the file is not JSON") from None
    listed = document.get(noun) if isinstance(document, dict) else document
    if not isinstance(listed, list):
        raise _bad(f'neither a JSON list nor an object {{"{noun}": [...]}}')
    return (
        (number, item if isinstance(item, dict) else {"": item})
        for number, item in enumerate(listed, 1)
    )


def _csv_rows(text: str) -> Iterator[tuple[int, Cells]]:
    header_line = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = next(reader)
        for cells in reader:
            if any(map(str.strip, cells)):
                yield reader.line_num, dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise _bad(f"near line {reader.line_num}: {error}") from None


def _bad(problem: str) -> InvalidArgument:
    return InvalidArgument("BAD_IMPORT", problem, fields={"content": problem})


def _flow(cells: Cells) -> FlowRow:
    kind = _KINDS.get(_text(cells, "kind", 40).upper())
    if kind is None:
        raise _Refused("kind: DEPOSIT or WITHDRAWAL")
    row = FlowRow(
        asset=_name(cells, "asset", 32).lower(),
        wallet=_name(cells, "wallet", 200),
        market=_text(cells, "market", 64),
        tx_id=_name(cells, "tx_id", 200),
        kind=kind,
        units=_amount(cells, "units"),
        flow_time=_time(cells),
        note=_text(cells, "note", 2000, lines=True),
        source=RowSource.IMPORT,
        receipt_units=_optional(cells, "receipt_units", _amount),
        exchange_rate=_optional(cells, "exchange_rate", _number),
    )
    if row.units == 0 or row.receipt_units == 0:
        raise _Refused("units: above 0")
    return row


def _sample(cells: Cells) -> SampleRow:
    return SampleRow(
        asset=_name(cells, "asset", 32).lower(),
        wallet=_name(cells, "wallet", 200),
        market=_text(cells, "market", 64),
        sample_time=_time(cells),
        units=_amount(cells, "units"),
        price_usd=_optional(cells, "price_usd", _number),
        receipt_units=_optional(cells, "receipt_units", _amount),
        exchange_rate=_optional(cells, "exchange_rate", _number),
        ada_usd=_optional(cells, "ada_usd", _number),
    )


def _optional(cells: Cells, name: str, read: Callable[[Cells, str], T]) -> T | None:
    return None if cells.get(name) in (None, "") else read(cells, name)


def _name(cells: Cells, name: str, length: int) -> str:
    found = _text(cells, name, length)
    if not found:
        raise _Refused(f"{name}: is missing")
    return found


def _text(cells: Cells, name: str, length: int, *, lines: bool = False) -> str:
    value = cells.get(name)
    if value is None:
        return ""
    found = value.strip() if isinstance(value, str) else str(value)
    if len(found) > length:
        raise _Refused(f"{name}: at most {length} characters")
    if holds_control(found.replace("\n", " ").replace("\r", " ") if lines else found):
        raise _Refused(f"{name}: no control characters")
    return found


def _amount(cells: Cells, name: str) -> Decimal:
    """Tokens, 0 or more."""
    value = cells.get(name)
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidOperation
        found = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
    except InvalidOperation:
        raise _Refused(f"{name}: a decimal number") from None
    if not found.is_finite() or found < 0:
        raise _Refused(f"{name}: a number of 0 or more")
    SCALE.smallest(found, name)
    return found


def _number(cells: Cells, name: str) -> float:
    found = float(_amount(cells, name))
    if not (math.isfinite(found) and found > 0):
        raise _Refused(f"{name}: above 0")
    return found


def _time(cells: Cells) -> datetime:
    return moment_of(cells.get("time"))


def moment_of(value: object) -> datetime:
    """A moment written as ISO 8601 with its zone, or as a number of milliseconds since 1970."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value / 1000, UTC)
        else:
            found = datetime.fromisoformat(str(value).strip())
    except (ValueError, OverflowError, OSError):
        raise _Refused("time: ISO 8601 with its zone, 2026-11-21T03:00:00Z") from None
    if found.utcoffset() is None:
        raise _Refused("time: needs its zone, Z for UTC")
    found = found.astimezone(UTC)
    if not _EARLIEST <= found < _LATEST:
        raise _Refused("time: years 1970 to 9998")
    return found
