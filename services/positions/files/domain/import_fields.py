"""The fields of an imported row: the names they go by, how each value is read. Guesses nothing."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from services.positions.domain.position import MANUAL
from services.positions.domain.venue_answer import Side, Status
from services.positions.files.domain.csv_text import DottedNumber
from shared.texts import holds_control

REQUIRED_FIELDS = frozenset({"asset", "side", "entry_price_usd"})
KNOWN_FIELDS = REQUIRED_FIELDS | {
    "id",
    "wallet",
    "size_usd",
    "collateral_usd",
    "leverage_ratio",
    "liquidation_price_usd",
    "mark_price_usd",
    "note",
    "size",
    "size_tokens",
    "venue",
    "status",
    "mark_time",
}

# Names in other people's files, without case, spaces and punctuation.
_ALIASES = {
    "id": "id",
    "positionid": "id",
    "wallet": "wallet",
    "walletname": "wallet",
    "asset": "asset",
    "assettype": "asset",
    "symbol": "asset",
    "coin": "asset",
    "side": "side",
    "direction": "side",
    "positiontype": "side",
    "entry": "entry_price_usd",
    "entryprice": "entry_price_usd",
    "entrypriceusd": "entry_price_usd",
    "sizeusd": "size_usd",
    "notionalusd": "size_usd",
    "positionsizeusd": "size_usd",
    "sizetokens": "size_tokens",
    # These do not say their unit: dollars in one program, coins in the next.
    "size": "size",
    "notional": "size",
    "positionsize": "size",
    "quantity": "size",
    "qty": "size",
    "amount": "size",
    "collateral": "collateral_usd",
    "collateralusd": "collateral_usd",
    "leverage": "leverage_ratio",
    "leverageratio": "leverage_ratio",
    "liquidation": "liquidation_price_usd",
    "liquidationprice": "liquidation_price_usd",
    "liquidationpriceusd": "liquidation_price_usd",
    "liqprice": "liquidation_price_usd",
    "mark": "mark_price_usd",
    "markprice": "mark_price_usd",
    "markpriceusd": "mark_price_usd",
    "currentprice": "mark_price_usd",
    "marktime": "mark_time",
    "note": "note",
    "notes": "note",
    "venue": "venue",
    "status": "status",
}
_SIDES = {
    "LONG": Side.LONG,
    "BUY": Side.LONG,
    "SIDE_LONG": Side.LONG,
    "SHORT": Side.SHORT,
    "SELL": Side.SHORT,
    "SIDE_SHORT": Side.SHORT,
}
_ASSET = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,31}")
_NOT_NUMERIC = re.compile(r"[^0-9.eE+-]")


class RowProblem(Exception):
    """Why a row is not taken. The message never repeats the value."""

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
        self.message = message


@lru_cache(maxsize=1024)
def canonical(name: str) -> str:
    """The field a column or key stands for; an unknown name, shortened, stands for itself."""
    squeezed = re.sub(r"[\W_]+", "", name).lower()
    return _ALIASES.get(squeezed, f"other {squeezed[:32]}")


def amount(cells: Mapping[str, object], field: str) -> float | None:
    """USD or a ratio, finite and >= 0; None when the cell is empty."""
    number = _number(cells.get(field), field)
    if number is not None and number < 0:
        raise RowProblem(field, "NEGATIVE", "Must not be below 0.")
    return number


def optional_price(cells: Mapping[str, object], field: str) -> float | None:
    """USD per unit, > 0. Zero means unknown, as exporters write it."""
    return amount(cells, field) or None


def price(cells: Mapping[str, object], field: str) -> float:
    """USD per unit, > 0, needed."""
    number = amount(cells, field)
    if number is None:
        raise RowProblem(field, "MISSING_FIELD", "Give the price in USD per unit.")
    if number == 0:
        raise RowProblem(field, "NOT_POSITIVE", "The price must be more than 0.")
    return number


def asset_name(cells: Mapping[str, object]) -> str:
    """A symbol in upper case; never another one than was written."""
    asset = _text(cells.get("asset"), "asset").upper()
    if not asset:
        raise RowProblem("asset", "MISSING_FIELD", "Give the asset, such as BTC.")
    if _ASSET.fullmatch(asset) is None:
        raise RowProblem(
            "asset", "INVALID_FIELD", "A symbol has 1 to 32 letters, digits, dots, dashes."
        )
    return asset


def side_of(cells: Mapping[str, object]) -> Side:
    """LONG or SHORT; a position entered by hand has a known side."""
    text = _text(cells.get("side"), "side").upper()
    if not text:
        raise RowProblem("side", "MISSING_FIELD", "Give the side: LONG or SHORT.")
    side = _SIDES.get(text)
    if side is None:
        raise RowProblem("side", "UNKNOWN_NAME", "Known sides: LONG, SHORT.")
    return side


def venue_of(cells: Mapping[str, object]) -> None:
    """Only what is by hand comes in by a file; anything else comes from its venue, or is a
    simulation.
    """
    venue = _text(cells.get("venue"), "venue").lower()
    if venue in ("", MANUAL):
        return
    if venue == "demo":
        raise RowProblem(
            "venue", "DEMO_REFUSED", "A simulated position is not taken among real ones."
        )
    raise RowProblem(
        "venue",
        "NOT_BY_HAND",
        "Is read from its venue once its wallet is added; to enter it by hand, say venue manual.",
    )


def status_of(cells: Mapping[str, object]) -> Status | None:
    """None when the file does not say. STALE comes of a sync, which has no part in what is by
    hand."""
    text = _text(cells.get("status"), "status").upper().removeprefix("STATUS_")
    if not text:
        return None
    if text not in Status.__members__ or text == Status.STALE.name:
        known = ", ".join(status.name for status in Status if status is not Status.STALE)
        raise RowProblem("status", "UNKNOWN_NAME", f"Known for a position by hand: {known}.")
    return Status[text]


def moment(cells: Mapping[str, object], field: str) -> datetime | None:
    """RFC 3339 with its offset, as UTC; None when the cell is empty."""
    text = _text(cells.get(field), field)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or found.year < 1970:
        raise RowProblem(
            field, "NOT_A_TIME", "Must be a time with its offset, as 2026-01-31T23:59:00Z."
        )
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise RowProblem(field, "NOT_A_TIME", "Lies outside of what a calendar holds.") from None


def label(
    cells: Mapping[str, object], field: str, *, limit: int, is_kept_whole: bool = False
) -> str:
    """A name without surrounding space, or free text kept whole; empty when the cell is."""
    text = _text(cells.get(field), field)
    if is_kept_whole and text:
        text = str(cells[field])
    if len(text) > limit:
        raise RowProblem(field, "INVALID_FIELD", f"Must not be longer than {limit} characters.")
    if "\0" in text:
        raise RowProblem(field, "INVALID_FIELD", "Must not hold a NUL character.")
    if not is_kept_whole and holds_control(text):
        raise RowProblem(field, "INVALID_FIELD", "Must not hold control characters.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RowProblem(field, "INVALID_FIELD", "Holds half of a character pair.") from None
    return text


def _text(cell: object, field: str) -> str:
    if cell is None:
        return ""
    if not isinstance(cell, str):
        raise RowProblem(field, "INVALID_FIELD", "Must be a text.")
    return cell.strip()


def _number(cell: object, field: str) -> float | None:
    if cell is None or cell == "":
        return None
    if isinstance(cell, DottedNumber):
        raise RowProblem(
            field,
            "AMBIGUOUS_NUMBER",
            "The dot may be a decimal or a thousand sign: write 1250, or 1.25 for one and a "
            "quarter.",
        )
    if isinstance(cell, str):
        return _number_of_text(cell.strip(), field)
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise _not_a_number(field)
    try:
        return _finite(float(cell), field)
    except OverflowError:
        raise _not_finite(field) from None


def _number_of_text(text: str, field: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        raise _not_a_number(field) from None
    # float() also reads "1_000" and digits of other scripts.
    if math.isfinite(number) and _NOT_NUMERIC.search(text):
        raise _not_a_number(field)
    return _finite(number, field)


def _finite(number: float, field: str) -> float:
    if not math.isfinite(number):
        raise _not_finite(field)
    return number + 0.0  # -0.0 becomes 0.0


def _not_finite(field: str) -> RowProblem:
    return RowProblem(field, "NOT_FINITE", "Must be a finite number.")


def _not_a_number(field: str) -> RowProblem:
    return RowProblem(
        field,
        "NOT_A_NUMBER",
        "Must be a plain number with a dot, without signs for money or thousands.",
    )
