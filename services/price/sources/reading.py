"""Strict reading of provider values: a number is a number."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from services.price.domain.prices import Dropped, Quote
from shared.http import Answer

Value = TypeVar("Value")

# Within these an int64 scaled by a power of ten stays a price and not an attack on the arithmetic.
_EXPONENT_LIMIT = 30
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
# The longest a shared cache may honestly have kept an answer.
_MOST_CACHED_SECONDS = 86_400


class Refused(Exception):
    """One value of an answer is not what it should be; the rest may be used."""

    def __init__(self, reason: Dropped) -> None:
        super().__init__(reason)
        self.reason = reason


def quote_or_reason(source: str, read: Callable[[Value], Quote], value: Value) -> Quote:
    """The quote `read` makes of the value, or an empty one with the reason of its refusal."""
    try:
        return read(value)
    except Refused as refused:
        return Quote(source, dropped_reason=refused.reason)


def number(value: object) -> float:
    """A JSON number; a numeric string is type drift and refused."""
    if value is None:
        raise Refused(Dropped.MISSING)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(Dropped.NOT_A_NUMBER)
    try:
        converted = float(value)
    except OverflowError as error:
        raise Refused(Dropped.NOT_FINITE) from error
    if not math.isfinite(converted):
        raise Refused(Dropped.NOT_FINITE)
    return converted


def decimal(value: object) -> float:
    """A JSON string that holds a plain decimal number; a JSON number is type drift and refused."""
    if value is None:
        raise Refused(Dropped.MISSING)
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise Refused(Dropped.NOT_A_NUMBER)
    return float(value)


def bound(read: Callable[[object], float], value: object) -> float | None:
    """A high or a low by `read`; absent when it is no price, which costs the quote nothing."""
    try:
        found = read(value)
    except Refused:
        return None
    return found if found > 0 else None


def scaled(value: object, exponent: object) -> float:
    """An integer, written as JSON string or number, times ten to the exponent."""
    if value is None or exponent is None:
        raise Refused(Dropped.MISSING)
    if isinstance(value, bool) or isinstance(exponent, bool) or not isinstance(exponent, int):
        raise Refused(Dropped.NOT_A_NUMBER)
    if not isinstance(value, int | str) or not _INTEGER.fullmatch(str(value)):
        raise Refused(Dropped.NOT_A_NUMBER)
    if abs(exponent) > _EXPONENT_LIMIT:
        raise Refused(Dropped.NOT_FINITE)
    return float(Decimal(int(value)).scaleb(exponent))


def written_moment(value: object) -> datetime:
    """An ISO 8601 time with its zone, as text."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        if found is None or found.tzinfo is None:
            raise Refused(Dropped.BAD_TIME)
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Refused(Dropped.BAD_TIME) from error


def answer_moment(answer: Answer) -> datetime:
    """When a source that states no time can have said it: on arrival, less the Age a cache adds."""
    age = answer.headers.get("age", "")
    seconds = int(age) if age.isascii() and age.isdigit() and len(age) < 9 else 0
    return answer.received_time - timedelta(seconds=min(seconds, _MOST_CACHED_SECONDS))


def milliseconds_moment(value: object) -> datetime:
    """Whole milliseconds since 1970 as an aware time; seconds would be a time of 1970."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(Dropped.BAD_TIME)
    return moment(value / 1000)


def moment(value: object) -> datetime:
    """Whole or broken seconds since 1970 as an aware time; milliseconds or text are refused."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(Dropped.BAD_TIME)
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Refused(Dropped.BAD_TIME) from error
