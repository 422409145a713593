"""How long a provider asks us to wait, in the several dialects it is said in."""

import email.utils
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

SECONDS = "seconds"
MILLISECONDS = "milliseconds"

_LEAST_SECONDS = 1.0
# Whatever a provider says: a wait this long is looked at again, so that no slip of its blinds for
# hours.
MOST_SECONDS = 900.0
_LIMIT_SECONDS = 60.0
_BAN_SECONDS = 600.0


def rate_limit_wait(rule: str, headers: Mapping[str, str], now: datetime) -> timedelta:
    """How long after a 429; a minute when it is not said."""
    return _within(_said_seconds(rule, headers, now), _LIMIT_SECONDS)


def ban_wait(rule: str, headers: Mapping[str, str], now: datetime) -> timedelta:
    """How long after a 418; ten minutes when it is not said."""
    return _within(_said_seconds(rule, headers, now), _BAN_SECONDS)


def error_wait(rule: str, headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long after a 5xx, when it is said."""
    seconds = _said_seconds(rule, headers, now)
    return None if seconds is None else _within(seconds, _LIMIT_SECONDS)


def _said_seconds(rule: str, headers: Mapping[str, str], now: datetime) -> float | None:
    """`rule` is SECONDS or MILLISECONDS of Retry-After, else the header that holds a unix
    second."""
    if rule == MILLISECONDS:
        milliseconds = _number(headers.get("retry-after"))
        return None if milliseconds is None else milliseconds / 1000.0
    if rule != SECONDS:
        reset_second = _number(headers.get(rule.lower()))
        if reset_second is not None:
            return reset_second - now.timestamp()
    said = headers.get("retry-after")
    seconds = _number(said)
    return _seconds_to_date(said, now) if seconds is None else seconds


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _seconds_to_date(text: str | None, now: datetime) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text or "")
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - now).total_seconds()


def _within(seconds: float | None, unsaid_seconds: float) -> timedelta:
    wait_seconds = unsaid_seconds if seconds is None else seconds
    return timedelta(seconds=min(max(wait_seconds, _LEAST_SECONDS), MOST_SECONDS))
