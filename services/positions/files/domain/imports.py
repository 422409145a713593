"""Positions from a file: CSV or JSON in, terms and refused rows out.

A bad row is refused with line, field and reason and the rest is taken; an unreadable file raises
BAD_FILE.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Literal

from services.positions.domain.venue_answer import Side, Status
from services.positions.files.domain.csv_text import csv_rows
from services.positions.files.domain.import_fields import (
    KNOWN_FIELDS,
    REQUIRED_FIELDS,
    RowProblem,
    amount,
    asset_name,
    canonical,
    label,
    moment,
    optional_price,
    price,
    side_of,
    status_of,
    venue_of,
)
from services.positions.positions.domain import leverage_problem
from shared.errors import InvalidArgument
from shared.secret_shapes import looks_secret, refuse_secret

# Characters; the file of a key is no longer.
_KEY_FILE_LENGTH = 8192

Format = Literal["CSV", "JSON"]
Row = tuple[int, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class ManualTerms:
    """A position as entered by hand: prices in USD per unit > 0, size > 0 and collateral >= 0 in
    USD.

    `id` None = to be made; `line` is the CSV's (the header is 1) or the place in the JSON list
    (from 1). `status` and `mark_time` None = the file does not say.
    """

    id: str | None
    wallet: str
    asset: str
    side: Side
    entry_price_usd: float
    liquidation_price_usd: float | None
    mark_price_usd: float | None
    size_usd: float
    collateral_usd: float
    note: str
    line: int
    status: Status | None = None
    mark_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefusedTerms:
    """A row that was not taken: where, which field, an upper-case word,
    what to do. Never a value."""

    line: int
    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file holds."""

    rows: tuple[ManualTerms, ...]
    refusals: tuple[RefusedTerms, ...]


def parse_positions(
    content: bytes,
    format: Format,  # noqa: A002 - the word of the wire
    default_wallet: str,
) -> Parsed:
    """Every row of the file, taken or refused. A row that says another venue than `manual` is
    refused.

    Size may be left out when collateral and leverage are given, collateral when size and leverage
    are; a size in coins is taken at the entry price. Raises InvalidArgument BAD_FILE;
    PRIVATE_KEY_REFUSED when the name of a column or the whole file is a key.
    """
    text = _decoded(content)
    with unread_keys_refused(text):
        return _parsed(_csv_rows(text) if format == "CSV" else _json_rows(text), default_wallet)


@contextmanager
def unread_keys_refused(text: str) -> Iterator[None]:
    """A file that cannot be read as rows and looks like a key raises InvalidArgument
    PRIVATE_KEY_REFUSED.
    """
    try:
        yield
    except InvalidArgument as error:
        if error.reason == "BAD_FILE":
            refuse_secret(text[:_KEY_FILE_LENGTH], "content")
        raise


def _parsed(cells_by_line: Iterator[Row], default_wallet: str) -> Parsed:
    rows: list[ManualTerms] = []
    refusals: list[RefusedTerms] = []
    taken: set[str] = set()
    for line, cells in cells_by_line:
        try:
            terms = _terms(cells, line, default_wallet)
            _take_id(terms.id, taken)
            rows.append(terms)
        except RowProblem as problem:
            refusals.append(RefusedTerms(line, problem.field, problem.reason, problem.message))
    return Parsed(tuple(rows), tuple(refusals))


def _take_id(position_id: str | None, taken: set[str]) -> None:
    if position_id is None:
        return
    if position_id in taken:
        raise RowProblem(
            "id", "DUPLICATE_ID", "An earlier row of this file has the same id; keep one of them."
        )
    taken.add(position_id)


def _decoded(content: bytes) -> str:
    if content.startswith(b"PK\x03\x04"):
        raise _bad_file("is a spreadsheet's own format or an archive; save it as CSV in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad_file(f"is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    # Every second byte of Latin letters in UTF-16 is 0, which is UTF-8 too.
    if "\0" in text[:4]:
        raise _bad_file("is not UTF-8 but looks like UTF-16; save it as UTF-8")
    return text


def _bad_file(problem: str) -> InvalidArgument:
    return InvalidArgument("BAD_FILE", f"The file {problem}.", fields={"content": problem})


def _csv_rows(text: str) -> Iterator[Row]:
    rows = csv_rows(text)
    try:
        _, header = next(rows, (1, []))
        fields = _header_fields(header)
        for line, cells in rows:
            yield line, _named(cells, fields)
    except csv.Error as error:
        raise _bad_file(f"is not CSV {error}") from None


def _header_fields(header: Sequence[str]) -> list[str]:
    for cell in header:
        refuse_secret(cell, "header")
    fields = [canonical(cell) for cell in header]
    known = [field for field in fields if field in KNOWN_FIELDS]
    if not known:
        raise _bad_file(
            "has no header line of field names, such as "
            "asset,side,entry_price_usd,size_usd,collateral_usd"
        )
    repeated = sorted({field for field in known if known.count(field) > 1})
    if repeated:
        raise _bad_file(f"names a column twice: {', '.join(repeated)}")
    missing = sorted(REQUIRED_FIELDS - set(known))
    if missing:
        raise _bad_file(f"lacks the columns {', '.join(missing)}")
    return fields


def _named(cells: Sequence[str], fields: Sequence[str]) -> Mapping[str, object]:
    if len(cells) > len(fields) and any(map(str.strip, cells[len(fields) :])):
        return {"": cells}
    return dict(zip(fields, cells, strict=False))


def _json_rows(text: str) -> Iterator[Row]:
    try:
        # NaN and Infinity are let in here so that they refuse their row, by name, and not the whole
        # file.
        document: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise _bad_file(f"is not JSON{place}") from None
    if isinstance(document, dict):
        document = document.get("positions")
    if not isinstance(document, list):
        raise _bad_file('is neither a JSON list nor an object {"positions": [...]}')
    if document and all(isinstance(item, int) for item in document[:3]):
        # A keypair's own file; of other numbers each is refused as a row.
        refuse_secret(text[:_KEY_FILE_LENGTH], "content")
    for place_from_one, item in enumerate(document, start=1):
        yield place_from_one, _canonical_keys(item)


def _canonical_keys(item: object) -> Mapping[str, object]:
    if not isinstance(item, dict):
        return {"": item}
    named: dict[str, object] = {}
    for key, cell in item.items():
        field = canonical(key[:64])
        # An unknown key keeps nothing of its text: it is not ours to repeat, and may itself be a
        # secret.
        if field in KNOWN_FIELDS and named.get(field) is None:
            named[field] = cell
        elif _secret(key) or _secret(cell):
            named["other"] = cell if _secret(cell) else key
    return named


def _secret(cell: object) -> bool:
    if isinstance(cell, str):
        return looks_secret(cell)
    return isinstance(cell, list | dict) and looks_secret(re.sub(r'["\s]', " ", json.dumps(cell)))


def _terms(cells: Mapping[str, object], line: int, default_wallet: str) -> ManualTerms:
    for field, cell in cells.items():
        if _secret(cell):
            raise RowProblem(
                field,
                "PRIVATE_KEY_REFUSED",
                "Looks like a private key or a seed phrase; take it out of the file.",
            )
    if "" in cells:
        raise RowProblem(
            "",
            "BAD_ROW",
            "Has more cells than the header, or is not an object; one value per field.",
        )
    venue_of(cells)
    entry_price_usd = price(cells, "entry_price_usd")
    size_usd, collateral_usd = _amounts(cells, entry_price_usd)
    return ManualTerms(
        id=label(cells, "id", limit=128) or None,
        wallet=label(cells, "wallet", limit=64) or default_wallet,
        asset=asset_name(cells),
        side=side_of(cells),
        entry_price_usd=entry_price_usd,
        liquidation_price_usd=optional_price(cells, "liquidation_price_usd"),
        mark_price_usd=optional_price(cells, "mark_price_usd"),
        size_usd=size_usd,
        collateral_usd=collateral_usd,
        note=label(cells, "note", limit=2000, is_kept_whole=True),
        line=line,
        status=status_of(cells),
        mark_time=moment(cells, "mark_time"),
    )


def _amounts(cells: Mapping[str, object], entry_price_usd: float) -> tuple[float, float]:
    size = _size_usd(cells, entry_price_usd)
    collateral = amount(cells, "collateral_usd")
    leverage = (
        None if size is not None and collateral is not None else amount(cells, "leverage_ratio")
    )
    if leverage is not None and leverage <= 0:
        raise RowProblem(
            "leverage_ratio", "NOT_POSITIVE", "Leverage is size / collateral and more than 0."
        )
    if size is None and collateral is not None and leverage is not None:
        size = collateral * leverage
    if collateral is None and size is not None and leverage is not None:
        collateral = size / leverage
    if size is None:
        raise RowProblem(
            "size_usd", "MISSING_FIELD", "Give the size in USD, or collateral and leverage."
        )
    if collateral is None:
        raise RowProblem(
            "collateral_usd", "MISSING_FIELD", "Give the collateral in USD, or size and leverage."
        )
    if size == 0:
        raise RowProblem("size_usd", "NOT_POSITIVE", "The size in USD must be more than 0.")
    for field, number in (("size_usd", size), ("collateral_usd", collateral)):
        if not isfinite(number):
            raise RowProblem(
                field, "NOT_FINITE", "The amount that follows from the leverage is too large."
            )
    if problem := leverage_problem(size, collateral):
        raise RowProblem("size_usd", "IMPLAUSIBLE", problem)
    return size, collateral


def _size_usd(cells: Mapping[str, object], entry_price_usd: float) -> float | None:
    """USD at entry; of a size in coins, coins times the entry price. A bare `size` says neither."""
    size_usd, size_tokens = amount(cells, "size_usd"), amount(cells, "size_tokens")
    if size_usd is not None and size_tokens is not None:
        raise RowProblem("size_tokens", "AMBIGUOUS_UNIT", "Give size_usd or size_tokens, not both.")
    if size_tokens is not None:
        return size_tokens * entry_price_usd
    if size_usd is None and cells.get("size") not in (None, ""):
        raise RowProblem(
            "size",
            "AMBIGUOUS_UNIT",
            "A bare size may be dollars or coins: name the column size_usd (dollars) or "
            "size_tokens (coins).",
        )
    return size_usd
