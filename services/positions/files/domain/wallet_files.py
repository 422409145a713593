"""Wallets from a file: CSV or JSON in, values and refused rows out."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.positions.domain.venue_answer import Chain, WalletType
from services.positions.files.domain.csv_text import csv_rows
from services.positions.files.domain.exports import WALLET_FIELDS
from services.positions.files.domain.import_fields import RowProblem, amount
from services.positions.files.domain.imports import Format, RefusedTerms, unread_keys_refused
from shared.errors import InvalidArgument
from shared.secret_shapes import looks_secret, refuse_secret
from shared.texts import holds_control

_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})


@dataclass(frozen=True, slots=True)
class WalletRow:
    """A wallet of a file: `values` holds the fields that the file says, chain and type as enums."""

    line: int
    name: str
    chain: Chain
    values: Mapping[str, Any]


def parse_wallets(content: bytes, kind: Format) -> tuple[list[WalletRow], list[RefusedTerms]]:
    """Every row, taken or refused; `line` is the CSV's (the header is 1) or the place in the list
    (from 1).

    Raises InvalidArgument BAD_FILE, or PRIVATE_KEY_REFUSED when the file is a key.
    """
    with unread_keys_refused(content.decode(errors="replace")):
        rows = _cells(content, kind)
    taken: list[WalletRow] = []
    refused: list[RefusedTerms] = []
    names: set[str] = set()
    for line, cells in rows:
        try:
            row = _row(line, cells)
            if row.name in names:
                raise RowProblem(
                    "name", "DUPLICATE_NAME", "An earlier row has the same name; keep one."
                )
            names.add(row.name)
            taken.append(row)
        except RowProblem as problem:
            refused.append(RefusedTerms(line, problem.field, problem.reason, problem.message))
    return taken, refused


def _cells(content: bytes, kind: Format) -> list[tuple[int, Mapping[str, object]]]:
    try:
        text = content.decode("utf-8-sig")
        return list(_csv_rows(text) if kind == "CSV" else _json_rows(text))
    except (ValueError, RecursionError, csv.Error):
        raise _bad_file(f"is no {kind} file in UTF-8") from None


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    rows = csv_rows(text)
    _, header = next(rows, (1, ()))
    fields = [cell.strip().lower() for cell in header]
    if "name" not in fields:
        raise _bad_file("has no header line with a column name")
    for line, cells in rows:
        if len(cells) > len(fields):
            yield line, {"": cells}
        else:
            yield (
                line,
                {field: cell for field, cell in zip(fields, cells, strict=False) if cell != ""},
            )


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    document: object = json.loads(text)
    if isinstance(document, dict):
        document = document.get("wallets")
    if not isinstance(document, list):
        raise _bad_file('is neither a JSON list nor an object {"wallets": [...]}')
    if not any(isinstance(item, dict) for item in document):
        refuse_secret(text, "content")
    for place, item in enumerate(document, start=1):
        yield place, item if isinstance(item, dict) else {}


def _row(line: int, cells: Mapping[str, object]) -> WalletRow:
    for field, cell in cells.items():
        if looks_secret(str(cell)) or looks_secret(str(field)):
            known = field if field in WALLET_FIELDS else "other"
            raise RowProblem(
                known, "PRIVATE_KEY_REFUSED", "Looks like a private key or a seed phrase."
            )
    if "" in cells:
        raise RowProblem("", "BAD_ROW", "Has more cells than the header; one value a field.")
    name = str(cells.get("name", "")).strip()
    if not name:
        raise RowProblem("name", "MISSING_FIELD", "Give the wallet a name.")
    if holds_control(name):
        raise RowProblem("name", "INVALID_FIELD", "Must not hold control characters.")
    values = {field: _read(field, cells[field]) for field in WALLET_FIELDS[2:] if field in cells}
    return WalletRow(line, name, _member(Chain, cells.get("chain"), "chain"), values)


def _read(field: str, cell: object) -> object:
    if field == "type":
        return _member(WalletType, cell, field)
    if field == "tags":
        return _tags(cell)
    if field == "active":
        word = str(cell).strip().lower()
        if word not in _TRUE | _FALSE:
            raise RowProblem(field, "NOT_A_BOOLEAN", "Must be true or false.")
        return word in _TRUE
    return amount({field: cell}, field) if field.startswith("balance") else str(cell)


def _tags(cell: object) -> tuple[str, ...]:
    if isinstance(cell, str) and cell.startswith("["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            raise RowProblem(
                "tags", "INVALID_FIELD", "Must be labels with ; between, or a JSON list."
            ) from None
    parts = cell if isinstance(cell, list) else str(cell).split(";")
    if not all(isinstance(part, str) for part in parts):
        raise RowProblem("tags", "INVALID_FIELD", "Each label must be a text.")
    if any(map(holds_control, parts)):
        raise RowProblem("tags", "INVALID_FIELD", "Must not hold control characters.")
    is_listed = isinstance(cell, list)
    return tuple(part for part in (part if is_listed else part.strip() for part in parts) if part)


def _member(kind: Any, cell: object, field: str) -> Any:
    try:
        return kind[str(cell).strip().upper().removeprefix("CHAIN_").removeprefix("WALLET_TYPE_")]
    except KeyError:
        known = ", ".join(kind.__members__)
        raise RowProblem(field, "UNKNOWN_NAME", f"Must be one of {known}.") from None


def _bad_file(problem: str) -> InvalidArgument:
    return InvalidArgument("BAD_FILE", f"The file {problem}.", fields={"content": problem})
