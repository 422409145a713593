"""Wallets from a file: CSV or JSON in, values and refused rows out."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Final, Required

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, WrapValidator
from typing_extensions import TypedDict

from services.positions.domain.venue_answer import Chain, WalletType
from services.positions.files.domain.csv_text import csv_rows
from services.positions.files.domain.exports import WALLET_FIELDS
from services.positions.files.domain.imports import Format, RefusedTerms
from services.positions.files.service.file_rows import (
    Row,
    RowProblem,
    bad_file,
    decoded,
    json_items,
    taken,
    unread_keys_refused,
)
from services.positions.files.service.row_fields import Amount, name_of, problem, read_row
from shared.secret_shapes import looks_secret, refuse_secret
from shared.texts import holds_control

_BOOLEANS: Final = {
    **dict.fromkeys(("true", "1", "yes"), True),
    **dict.fromkeys(("false", "0", "no"), False),
}
_SENTENCES: Final = dict.fromkeys(
    (("name", "missing"), ("name", "string_too_short")), "Give the wallet a name."
)


@dataclass(frozen=True, slots=True)
class WalletRow:
    """A wallet of a file: `values` holds the fields that the file says, chain and type as enums."""

    line: int
    name: str
    chain: Chain
    values: Mapping[str, Any]


def _balance(cell: object, read: Callable[[object], float]) -> float | None:
    is_empty = cell is None or (isinstance(cell, str) and not cell.strip())
    return None if is_empty else read(cell) + 0.0  # -0.0 becomes 0.0


def _boolean(cell: object) -> bool:
    known = _BOOLEANS.get(str(cell).strip().lower())
    if known is None:
        raise problem("NOT_A_BOOLEAN", "Must be true or false.")
    return known


def _tags(cell: object) -> tuple[str, ...]:
    if isinstance(cell, str) and cell.startswith("["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            message = "Must be labels with ; between, or a JSON list."
            raise problem("INVALID_FIELD", message) from None
    parts = cell if isinstance(cell, list) else list(map(str.strip, str(cell).split(";")))
    if not all(isinstance(part, str) for part in parts):
        raise problem("INVALID_FIELD", "Each label must be a text.")
    if any(map(holds_control, parts)):
        raise problem("INVALID_FIELD", "Must not hold control characters.")
    return tuple(filter(None, parts))


def _member_of(kind: type[IntEnum]) -> BeforeValidator:
    def member(cell: object) -> IntEnum:
        word = str(cell).strip().upper().removeprefix("CHAIN_").removeprefix("WALLET_TYPE_")
        if word not in kind.__members__:
            raise problem("UNKNOWN_NAME", f"Must be one of {', '.join(kind.__members__)}.")
        return kind[word]

    return BeforeValidator(member)


class _Wallet(TypedDict, total=False):
    """The fields of a row in the order in which they are found wrong."""

    __pydantic_config__ = ConfigDict(coerce_numbers_to_str=True)  # type: ignore[misc]  # pydantic's

    name: Required[Annotated[str, name_of(min_length=1)]]
    public_address: str
    image_path: str
    type: Annotated[WalletType, _member_of(WalletType)]
    tags: Annotated[tuple[str, ...], BeforeValidator(_tags)]
    active: Annotated[bool, BeforeValidator(_boolean)]
    balance_native: Annotated[Amount | None, WrapValidator(_balance)]
    balance_usd: Annotated[Amount | None, WrapValidator(_balance)]
    chain: Required[Annotated[Chain, _member_of(Chain)]]


_WALLET = TypeAdapter(_Wallet)


def parse_wallets(content: bytes, kind: Format) -> tuple[list[WalletRow], list[RefusedTerms]]:
    """Every row, taken or refused; `line` is the CSV's (the header is 1) or the place in the list
    (from 1).

    Raises InvalidArgument BAD_FILE, or PRIVATE_KEY_REFUSED when the file is a key.
    """
    with unread_keys_refused(content.decode(errors="replace")):
        text = decoded(content)
        rows = list(_csv_rows(text) if kind == "CSV" else _json_rows(text))
    return taken(rows, _wallet, "name", "DUPLICATE_NAME")


def _csv_rows(text: str) -> Iterator[Row]:
    rows = csv_rows(text)
    try:
        _, header = next(rows, (1, ()))
        names = [cell.strip().lower() for cell in header]
        if "name" not in names:
            raise bad_file("has no header line with a column name")
        for line, cells in rows:
            named = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
            yield line, named if len(cells) <= len(names) else {"": cells}
    except csv.Error as error:
        raise bad_file(f"is not CSV {error}") from None


def _json_rows(text: str) -> Iterator[Row]:
    items = json_items(text, "wallets")
    if not any(isinstance(item, dict) for item in items):
        refuse_secret(text, "content")
    for place_from_one, item in enumerate(items, start=1):
        yield place_from_one, item if isinstance(item, dict) else {}


def _wallet(line: int, cells: Mapping[str, object]) -> WalletRow:
    for field, cell in cells.items():
        if looks_secret(str(cell)) or looks_secret(str(field)):
            known = field if field in WALLET_FIELDS else "other"
            message = "Looks like a private key or a seed phrase."
            raise RowProblem(known, "PRIVATE_KEY_REFUSED", message)
    if "" in cells:
        raise RowProblem("", "BAD_ROW", "Has more cells than the header; one value a field.")
    values = read_row(_WALLET, {"chain": None, **cells}, _SENTENCES)
    stated = {name: value for name, value in values.items() if name not in ("name", "chain")}
    return WalletRow(line, values["name"], values["chain"], stated)
