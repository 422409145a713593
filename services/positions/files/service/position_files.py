"""Positions from a file: CSV or JSON in, terms and refused rows out.

A bad row is refused with line, field and reason and the rest is taken; an unreadable file raises
BAD_FILE.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Annotated, Final, Required

from pydantic import AfterValidator, BeforeValidator, StringConstraints, TypeAdapter
from typing_extensions import TypedDict

from services.positions.domain.position import MANUAL, MAX_TEXT_LENGTH
from services.positions.domain.venue_answer import Side, Status
from services.positions.files.domain.csv_text import csv_rows
from services.positions.files.domain.imports import Format, ManualTerms, Parsed
from services.positions.files.service.file_rows import (
    Row,
    RowProblem,
    bad_file,
    decoded,
    is_secret,
    json_items,
    taken,
    unread_keys_refused,
)
from services.positions.files.service.row_fields import Amount, name_of, problem, read_row, word
from services.positions.positions.domain import leverage_problem
from shared.secret_shapes import refuse_secret

# Names in other people's files, without case, spaces and punctuation, by the field they stand for.
_ALIASES: Final = {
    "id": "id positionid",
    "wallet": "wallet walletname",
    "asset": "asset assettype symbol coin",
    "side": "side direction positiontype",
    "entry_price_usd": "entry entryprice entrypriceusd",
    "size_usd": "sizeusd notionalusd positionsizeusd",
    "size_tokens": "sizetokens",
    # These do not say their unit: dollars in one program, coins in the next.
    "size": "size notional positionsize quantity qty amount",
    "collateral_usd": "collateral collateralusd",
    "leverage_ratio": "leverage leverageratio",
    "liquidation_price_usd": "liquidation liquidationprice liquidationpriceusd liqprice",
    "mark_price_usd": "mark markprice markpriceusd currentprice",
    "mark_time": "marktime",
    "note": "note notes",
    "venue": "venue",
    "status": "status",
}
_FIELDS: Final = {name: field for field, names in _ALIASES.items() for name in names.split()}
_REQUIRED: Final = frozenset({"asset", "side", "entry_price_usd"})
_SIDES: Final = {
    word: side
    for side, words in ((Side.LONG, "LONG BUY SIDE_LONG"), (Side.SHORT, "SHORT SELL SIDE_SHORT"))
    for word in words.split()
}
# STALE comes of a sync, which has no part in what is by hand.
_STATUSES: Final = {one.name: one for one in Status if one is not Status.STALE}
_SENTENCES: Final = {
    ("entry_price_usd", "missing"): "Give the price in USD per unit.",
    ("asset", "missing"): "Give the asset, such as BTC.",
    ("asset", "string_pattern_mismatch"): "A symbol has 1 to 32 letters, digits, dots, dashes.",
    ("side", "missing"): "Give the side: LONG or SHORT.",
    ("note", "string_pattern_mismatch"): "Must not hold a NUL character.",
}


def _by_hand(cell: object) -> str:
    """Only what is by hand comes in by a file; else it comes from its venue, or is a simulation."""
    venue = word(cell).lower()
    if venue == "demo":
        message = "A simulated position is not taken among real ones."
        raise problem("DEMO_REFUSED", message)
    if venue != MANUAL:
        raise problem(
            "NOT_BY_HAND",
            "Is read from its venue once its wallet is added; to enter it by hand, say venue "
            "manual.",
        )
    return venue


def _positive(price: float) -> float:
    if price == 0:
        raise problem("NOT_POSITIVE", "The price must be more than 0.")
    return price


def _side(cell: object) -> Side:
    side = _SIDES.get(word(cell).upper())
    if side is None:
        raise problem("UNKNOWN_NAME", "Known sides: LONG, SHORT.")
    return side


def _status(cell: object) -> Status:
    status = _STATUSES.get(word(cell).upper().removeprefix("STATUS_"))
    if status is None:
        raise problem("UNKNOWN_NAME", f"Known for a position by hand: {', '.join(_STATUSES)}.")
    return status


def _moment(cell: object) -> datetime:
    """RFC 3339 with its offset, as UTC."""
    text = word(cell)
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None and found.year >= 1970:
            return found.astimezone(UTC)
    except ValueError:
        pass
    except OverflowError:
        raise problem("NOT_A_TIME", "Lies outside of what a calendar holds.") from None
    raise problem("NOT_A_TIME", "Must be a time with its offset, as 2026-01-31T23:59:00Z.")


class _Worth(TypedDict, total=False):
    """What a row says it is worth; fields in the order in which they are found wrong."""

    venue: Annotated[str, BeforeValidator(_by_hand)]
    entry_price_usd: Required[Annotated[Amount, AfterValidator(_positive)]]
    size_usd: Amount
    size_tokens: Amount
    size: object
    collateral_usd: Amount
    leverage_ratio: object


class _Leverage(TypedDict):
    """Read where it is needed only."""

    leverage_ratio: Amount


class _Names(TypedDict, total=False):
    """The other fields."""

    id: Annotated[str, name_of(max_length=MAX_TEXT_LENGTH["id"])]
    wallet: Annotated[str, name_of(max_length=MAX_TEXT_LENGTH["wallet"])]
    asset: Required[
        Annotated[
            str,
            StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$"),
        ]
    ]
    side: Required[Annotated[Side, BeforeValidator(_side)]]
    liquidation_price_usd: Amount
    mark_price_usd: Amount
    note: Annotated[
        str, StringConstraints(max_length=MAX_TEXT_LENGTH["note"], pattern=r"^[^\x00]*$")
    ]
    status: Annotated[Status, BeforeValidator(_status)]
    mark_time: Annotated[datetime, BeforeValidator(_moment)]


_WORTH, _LEVERAGE, _NAMES = TypeAdapter(_Worth), TypeAdapter(_Leverage), TypeAdapter(_Names)


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
    text = decoded(content)

    def read(line: int, cells: Mapping[str, object]) -> ManualTerms:
        return _terms(cells, line, default_wallet)

    with unread_keys_refused(text):
        rows = _csv_rows(text) if format == "CSV" else _json_rows(text)
        found, refused = taken(rows, read, "id", "DUPLICATE_ID")
    return Parsed(tuple(found), tuple(refused))


def _terms(cells: Mapping[str, object], line: int, default_wallet: str) -> ManualTerms:
    for field, cell in cells.items():
        if is_secret(cell):
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
    worth = read_row(_WORTH, cells, _SENTENCES)
    size_usd, collateral_usd = _amounts(worth)
    names = read_row(_NAMES, cells, _SENTENCES)
    return ManualTerms(
        id=names.get("id"),
        wallet=names.get("wallet", default_wallet),
        asset=names["asset"],
        side=names["side"],
        entry_price_usd=worth["entry_price_usd"],
        # Zero means unknown, as exporters write it.
        liquidation_price_usd=names.get("liquidation_price_usd") or None,
        mark_price_usd=names.get("mark_price_usd") or None,
        size_usd=size_usd,
        collateral_usd=collateral_usd,
        note=names.get("note", ""),
        line=line,
        status=names.get("status"),
        mark_time=names.get("mark_time"),
    )


def _amounts(worth: _Worth) -> tuple[float, float]:
    """Size and collateral, USD, each as it is given or as it follows from the leverage."""
    size, collateral = _size(worth), worth.get("collateral_usd")
    if (size is None or collateral is None) and "leverage_ratio" in worth:
        leverage = read_row(_LEVERAGE, worth, _SENTENCES)["leverage_ratio"]
        if leverage <= 0:
            message = "Leverage is size / collateral and more than 0."
            raise RowProblem("leverage_ratio", "NOT_POSITIVE", message)
        if collateral is not None:
            size = collateral * leverage
        elif size is not None:
            collateral = size / leverage
    if size is None:
        message = "Give the size in USD, or collateral and leverage."
        raise RowProblem("size_usd", "MISSING_FIELD", message)
    if collateral is None:
        message = "Give the collateral in USD, or size and leverage."
        raise RowProblem("collateral_usd", "MISSING_FIELD", message)
    _check_amounts(size, collateral)
    return size, collateral + 0.0  # -0.0 becomes 0.0


def _check_amounts(size_usd: float, collateral_usd: float) -> None:
    if size_usd == 0:
        raise RowProblem("size_usd", "NOT_POSITIVE", "The size in USD must be more than 0.")
    for field, number in (("size_usd", size_usd), ("collateral_usd", collateral_usd)):
        if not isfinite(number):
            message = "The amount that follows from the leverage is too large."
            raise RowProblem(field, "NOT_FINITE", message)
    if implausible := leverage_problem(size_usd, collateral_usd):
        raise RowProblem("size_usd", "IMPLAUSIBLE", implausible)


def _size(worth: _Worth) -> float | None:
    """USD at entry; of a size in coins, coins times the entry price. A bare `size` says neither."""
    if "size_tokens" in worth:
        if "size_usd" in worth:
            message = "Give size_usd or size_tokens, not both."
            raise RowProblem("size_tokens", "AMBIGUOUS_UNIT", message)
        return worth["size_tokens"] * worth["entry_price_usd"]
    if "size" in worth and "size_usd" not in worth:
        raise RowProblem(
            "size",
            "AMBIGUOUS_UNIT",
            "A bare size may be dollars or coins: name the column size_usd (dollars) or "
            "size_tokens (coins).",
        )
    return worth.get("size_usd")


@lru_cache(maxsize=1024)
def _canonical(name: str) -> str:
    """The field a column or key stands for; an unknown name, shortened, stands for itself."""
    squeezed = re.sub(r"[\W_]+", "", name).lower()
    return _FIELDS.get(squeezed, f"other {squeezed[:32]}")


def _csv_rows(text: str) -> Iterator[Row]:
    rows = csv_rows(text)
    try:
        _, header = next(rows, (1, []))
        names = _header_fields(header)
        for line, cells in rows:
            yield line, _named(cells, names)
    except csv.Error as error:
        raise bad_file(f"is not CSV {error}") from None


def _header_fields(header: Sequence[str]) -> list[str]:
    for cell in header:
        refuse_secret(cell, "header")
    names = [_canonical(cell) for cell in header]
    known = [field for field in names if field in _ALIASES]
    if not known:
        raise bad_file(
            "has no header line of field names, such as "
            "asset,side,entry_price_usd,size_usd,collateral_usd"
        )
    repeated = sorted({field for field in known if known.count(field) > 1})
    if repeated:
        raise bad_file(f"names a column twice: {', '.join(repeated)}")
    missing = sorted(_REQUIRED - set(known))
    if missing:
        raise bad_file(f"lacks the columns {', '.join(missing)}")
    return names


def _named(cells: Sequence[str], names: Sequence[str]) -> Mapping[str, object]:
    if len(cells) > len(names) and any(map(str.strip, cells[len(names) :])):
        return {"": cells}
    return {
        field: cell
        for field, cell in zip(names, cells, strict=False)
        if cell and not cell.isspace()
    }


def _json_rows(text: str) -> Iterator[Row]:
    for place_from_one, item in enumerate(json_items(text, "positions"), start=1):
        yield place_from_one, _canonical_keys(item)


def _canonical_keys(item: object) -> Mapping[str, object]:
    if not isinstance(item, dict):
        return {"": item}
    named: dict[str, object] = {}
    for key, cell in item.items():
        field = _canonical(key[:64])
        # An unknown key keeps nothing of its text, which may itself be a secret.
        if field in _ALIASES and field not in named:
            if cell is not None and (not isinstance(cell, str) or (cell and not cell.isspace())):
                named[field] = cell
        elif is_secret(key) or is_secret(cell):
            named["other"] = cell if is_secret(cell) else key
    return named
