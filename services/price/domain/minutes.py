"""What an asset did minute by minute, and the simulated market's own minutes; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.price.domain import demo
from services.price.domain.candles import Interval, Kline
from shared.errors import invalid

MOST_MINUTES = 24 * 60
_LOOK_SECONDS = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Minutes:
    """High and low of minutes that rise, and whose they are; `failure`: why there are none."""

    asset: str
    source: str = ""
    failure: str = ""
    klines: Sequence[Kline] = ()

    @property
    def minute(self) -> list[int]:
        """Minutes since 1970 UTC."""
        return [(one.start_time - _EPOCH) // Interval.MINUTE.span for one in self.klines]


def stretch(start: datetime, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Whole minutes that hold this time. Raises InvalidArgument INVALID_FIELD."""
    first, until = Interval.MINUTE.start_of(start), Interval.MINUTE.end_of(min(end or now, now))
    if until < first:
        raise invalid("end_time", "after start_time", "end_time is not after start_time")
    if until - first > (MOST_MINUTES + 1) * Interval.MINUTE.span:
        problem = f"at most {MOST_MINUTES} minutes before end_time"
        raise invalid("start_time", problem, "the stretch is too long")
    return first, until


def demo_minutes(
    seed: str, asset: str, start_time: datetime, first: datetime, until: datetime, now: datetime
) -> list[Kline]:
    """Minutes of the simulated market up to now, looked at every five seconds."""
    found = []
    while first < until:
        looks = [first + timedelta(seconds=at) for at in range(0, 61, _LOOK_SECONDS)]
        prices = [
            demo.price_usd(seed, asset, start_time, moment)
            for moment in [one for one in looks if one < now] or [first]
        ]
        found.append(Kline(first, prices[0], max(prices), min(prices), prices[-1]))
        first += Interval.MINUTE.span
    return found
