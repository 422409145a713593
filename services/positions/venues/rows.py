"""Reading a venue's rows: strict numbers, records with addresses masked, the check of units."""

import json
import math
import re
from collections.abc import Mapping
from datetime import timedelta

FUTURE_TOLERANCE = timedelta(minutes=5)  # The venue's clock and ours may differ by this much.
MASKED_BODY_LIMIT = 2000

DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
INTEGER = re.compile(r"-?[0-9]+")
_LONG_KEY = re.compile(
    r"(?:0x)?[1-9A-HJ-NP-Za-km-z]{32,}|0x[0-9a-fA-F]{32,}|dydx1[02-9ac-hj-np-z]{30,}", re.IGNORECASE
)


class NotThat(Exception):
    """A body that is not what was asked for; says in a few words what it is."""


class RowRefused(Exception):
    """A row that cannot be taken: an upper-case reason and the field,
    named as the venue names it."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(f"{reason} {field}")
        self.reason = reason
        self.field = field


def stated(row: Mapping[str, object], field: str, form: re.Pattern[str] = DECIMAL) -> float | None:
    """A number written as text, None when it is null or missing. Raises RowRefused for anything
    else.
    """
    text = row.get(field)
    if text is None:
        return None
    if not isinstance(text, str):
        raise RowRefused("NOT_A_NUMBER", field)
    try:
        number = float(text)
    except ValueError:
        raise RowRefused("NOT_A_NUMBER", field) from None
    if not math.isfinite(number):
        raise RowRefused("NOT_FINITE", field)
    if form.fullmatch(text) is None:
        raise RowRefused("NOT_A_NUMBER", field)
    return number + 0.0  # -0.0 becomes 0.0


def needed(row: Mapping[str, object], field: str) -> float:
    """A number that must be there. Raises RowRefused."""
    number = stated(row, field)
    if number is None:
        raise RowRefused("MISSING_FIELD", field)
    return number


def positive(row: Mapping[str, object], field: str) -> float:
    """A number that must be there and > 0. Raises RowRefused."""
    number = needed(row, field)
    if number <= 0:
        raise RowRefused("NEGATIVE" if number < 0 else "NOT_POSITIVE", field)
    return number


def masked(body: object, wallet_address: str) -> str:
    """The body as JSON text: the wallet's address left out, other keys shortened,
    2,000 characters."""
    return masked_text(json.dumps(body, separators=(",", ":")), wallet_address)


def masked_text(text: str, wallet_address: str) -> str:
    """Text without the wallet's address, other keys shortened, 2,000 characters."""
    if wallet_address:
        text = re.sub(re.escape(wallet_address), "(wallet)", text, flags=re.IGNORECASE)
    shortened = _LONG_KEY.sub(lambda key: f"{key.group()[:4]}...{key.group()[-4:]}", text)
    return shortened[:MASKED_BODY_LIMIT]
