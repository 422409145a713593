"""Strict reading of what providers answer: a number is a number, a time has its day and zone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from services.withdrawals.gains.domain.exact import decimal_of
from shared.http import FailureKind, ProviderFailure

_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
# No token has so many; what is larger is a wrong field, and too large for columns of units.
MOST = Decimal(10) ** 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_ADDRESS = re.compile(r"\b(addr|stake)(_test)?1[0-9a-z]+")
_SHOWN_WORDS = 160


class RowRefused(Exception):
    """A row that cannot be taken; says the field and never the value."""


def at(body: object, *path: str) -> object:
    """What lies there, None where nothing does or something on the way is no object."""
    for name in path:
        body = body.get(name) if isinstance(body, Mapping) else None
    return body


def listed(body: object, provider: str, *path: str) -> Sequence[object]:
    """The list that lies there. Raises ProviderFailure BAD_BODY."""
    found = at(body, *path)
    if not isinstance(found, list):
        raise bad_body(provider, f"no list of {path[-1]}")
    return found


def text(row: object, name: str) -> str:
    """A text that must be there. Raises RowRefused."""
    value = at(row, name)
    if not isinstance(value, str) or not value.strip():
        raise RowRefused(f"{name}: missing")
    return value.strip()


def shown(row: object, name: str) -> str:
    """A text that may be missing."""
    value = at(row, name)
    return value.strip() if isinstance(value, str) else ""


def amount(row: object, name: str) -> Decimal | None:
    """A number, written as one or as text; None for null. Raises RowRefused."""
    value = at(row, name)
    if value is None:
        return None
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        found = Decimal(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = Decimal(value) if isinstance(value, int) else decimal_of(value)
    else:
        raise RowRefused(f"{name}: not a number")
    if abs(found) > MOST:
        raise RowRefused(f"{name}: out of range")
    return found


def needed(row: object, name: str) -> Decimal:
    """A number that must be there. Raises RowRefused."""
    found = amount(row, name)
    if found is None:
        raise RowRefused(f"{name}: missing")
    return found


def positive(row: object, name: str) -> Decimal:
    """A number that must be there and above 0. Raises RowRefused."""
    found = needed(row, name)
    if found <= 0:
        raise RowRefused(f"{name}: not above 0")
    return found


def readable(row: object, name: str) -> Decimal | None:
    """A number, 0 or more, that nothing else rests on: None also when it cannot be read."""
    try:
        found = amount(row, name)
    except RowRefused:
        return None
    return None if found is None or found < 0 else found


def above_zero(row: object, name: str) -> float | None:
    """A price or a rate; None for what is none."""
    found = readable(row, name)
    return float(found) if found else None


def moment(value: object, ticks_a_second: int = 1000) -> datetime:
    """An ISO 8601 time, UTC without a zone, or whole ticks since 1970. Raises RowRefused."""
    found = None
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value.strip())
        elif isinstance(value, int) and not isinstance(value, bool):
            found = _EPOCH + timedelta(microseconds=value * 1_000_000 // ticks_a_second)
    except (ValueError, OverflowError) as error:
        raise RowRefused("time: not a time") from error
    if found is None:
        raise RowRefused("time: missing" if value is None else "time: not a time")
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    if not _EARLIEST <= found < _LATEST:
        raise RowRefused("time: out of range")
    return found


def written(time: datetime) -> str:
    """A moment as providers take it, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def bad_body(provider: str, problem: str) -> ProviderFailure:
    """The provider answered something else than what was asked for."""
    return ProviderFailure(FailureKind.BAD_BODY, f"{provider} answered {problem}", status=200)


def masked(words: str) -> str:
    """A provider's own words, short and without addresses."""
    return _ADDRESS.sub("(address)", words)[:_SHOWN_WORDS]
