"""Strict reading of provider values: a number is a number. Knows no provider's shape."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from services.price.domain.prices import Dropped, Quote

# Within these an int64 scaled by a power of ten stays a price and not an attack on the arithmetic.
_EXPONENT_LIMIT = 30
_INTEGER = re.compile(r"-?[0-9]{1,20}")


class Refused(Exception):
    """One value of an answer is not what it should be; the rest may be used."""

    def __init__(self, reason: Dropped) -> None:
        super().__init__(reason)
        self.reason = reason


def quote_or_reason(source: str, read: Callable[[], Quote]) -> Quote:
    """The quote, or an empty one that carries the reason why it was refused."""
    try:
        return read()
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


def moment(value: object) -> datetime:
    """Whole or broken seconds since 1970 as an aware time; milliseconds or text are refused."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(Dropped.BAD_TIME)
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Refused(Dropped.BAD_TIME) from error
