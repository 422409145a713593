"""When an index trades: Monday to Friday, 9:30 to 16:00 in New York."""

from datetime import UTC, date, datetime, time, timedelta

_OPEN = time(9, 30)
_CLOSE = time(16, 0)
_SATURDAY = 5


def is_open(moment: datetime) -> bool:
    """Whether the exchange trades at the aware moment; a public holiday counts as open."""
    local = moment.astimezone(UTC) + _new_york_offset(moment.astimezone(UTC))
    return local.weekday() < _SATURDAY and _OPEN <= local.time() < _CLOSE


def _new_york_offset(moment: datetime) -> timedelta:
    """UTC-4 from the second Sunday of March, 7:00 UTC, to the first of November, 6:00, or UTC-5."""
    summer_start = datetime.combine(_first_sunday(moment.year, 3) + timedelta(days=7), time(7), UTC)
    summer_end = datetime.combine(_first_sunday(moment.year, 11), time(6), UTC)
    return timedelta(hours=-4 if summer_start <= moment < summer_end else -5)


def _first_sunday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7)
