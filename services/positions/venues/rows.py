"""Reading a venue's rows: strict numbers, records with addresses masked, the check of units."""

import json
import math
import re
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256

from services.positions.domain.venue_answer import Side
from services.positions.sync.domain.leaps import entry_fault
from shared.http import FailureKind, ProviderFailure

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
    """A row that cannot be taken: an upper-case reason and the venue's name of the field."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(f"{reason} {field}")
        self.reason = reason
        self.field = field


def at(body: object, *path: str) -> object:
    """What lies there, None where nothing does or something on the way is no object."""
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body


def within(body: object, *path: str) -> Mapping[str, object]:
    """The object that lies there, an empty one where none does."""
    found = at(body, *path)
    return found if isinstance(found, dict) else {}


def listed(body: object, field: str, problem: str) -> list[object]:
    """The list that lies there. Raises NotThat with these words."""
    found = at(body, field)
    if not isinstance(found, list):
        raise NotThat(problem)
    return found


def whole(value: object, least: int, below: int) -> int | None:
    """A whole number in this range, None for anything else."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if least <= value < below else None


def stated(row: Mapping[str, object], field: str, form: re.Pattern[str] = DECIMAL) -> float | None:
    """A number written as text, None when null or missing. Raises RowRefused for anything else."""
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


def readable(row: object, field: str) -> float | None:
    """A number that nothing else rests on: None also when it cannot be read."""
    try:
        return stated(row, field) if isinstance(row, dict) else None
    except RowRefused:
        return None


def finite(number: float) -> float | None:
    """None for what is no number."""
    return number if math.isfinite(number) else None


def side_of(base: float) -> Side:
    """Of a signed size."""
    return Side.LONG if base > 0 else Side.SHORT


def check_entry(
    sign: float,
    size_usd: float,
    entry_price_usd: float,
    mark_price_usd: float | None,
    profit_usd: float | None,
    fields: tuple[str, str],
) -> None:
    """Whether entry, mark and profit agree. Raises RowRefused; `fields`: of entry and profit."""
    fault = entry_fault(sign, size_usd, entry_price_usd, mark_price_usd, profit_usd)
    if fault:
        raise RowRefused(fault, fields[fault != "ENTRY_SCALE"])


def made_id(venue: str, address: str, *names: object) -> str:
    """Of a position that its venue does not name: the address shows in it by hash only."""
    digest = sha256(address.lower().encode()).hexdigest()[:12]
    return "-".join([venue, digest, *map(str, names)])


def bad_body(venue: str, problem: str) -> ProviderFailure:
    """The venue answered something else than what was asked for."""
    return ProviderFailure(FailureKind.BAD_BODY, f"{venue} answered {problem}", status=200)


def worded(failure: ProviderFailure, words: str) -> ProviderFailure:
    """The failure with the venue's own words at the end of its sentence."""
    return ProviderFailure(
        failure.kind,
        failure.message + words,
        status=failure.status,
        retry_after=failure.retry_after,
        body=failure.body,
    )


def masked(body: object, wallet_address: str) -> str:
    """The body as JSON text without the wallet's address, other keys cut, 2,000 characters."""
    return masked_text(json.dumps(body, separators=(",", ":")), wallet_address)


def masked_text(text: str, wallet_address: str) -> str:
    """Text without the wallet's address, other keys shortened, 2,000 characters."""
    if wallet_address:
        text = re.sub(re.escape(wallet_address), "(wallet)", text, flags=re.IGNORECASE)
    shortened = _LONG_KEY.sub(lambda key: f"{key.group()[:4]}...{key.group()[-4:]}", text)
    return shortened[:MASKED_BODY_LIMIT]
