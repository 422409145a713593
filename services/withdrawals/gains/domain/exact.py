"""Exact numbers: tokens as whole smallest units, moments as whole microseconds.

Both are int64 in columns, so that sums and differences of them are exact; `Decimal` and `datetime`
stand at the edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal

from shared.errors import invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# An eighth of what int64 holds, so that a position and all its flows add up inside it.
MAX_SMALLEST_UNITS = 2**60
MAX_DECIMALS = 18
# Enough for the product of two int64; the default of 28 digits is not.
EXACT = Context(prec=60)


def exact_micros(moment: datetime, field: str = "time") -> int:
    """Microseconds since 1970 UTC, whatever the zone. InvalidArgument for a naive moment."""
    if moment.utcoffset() is None:
        raise invalid(field, "a moment with a time zone")
    return (moment - _EPOCH) // _MICROSECOND


def span_micros(span: timedelta) -> int:
    """A span in microseconds, exactly."""
    return span // _MICROSECOND


def utc_moment(micros: int) -> datetime:
    """The UTC moment of microseconds since 1970."""
    return _EPOCH + int(micros) * _MICROSECOND


@dataclass(frozen=True, slots=True)
class UnitScale:
    """Between tokens and smallest units: `decimals` digits after the point, 0 to 18.

    What comes finer (a venue's float of a position) is rounded half to even, once a value: at most
    half a smallest unit each.
    """

    decimals: int = 6

    def __post_init__(self) -> None:
        if not 0 <= self.decimals <= MAX_DECIMALS:
            raise invalid("decimals", f"0 to {MAX_DECIMALS}")

    def smallest(self, tokens: Decimal, field: str = "units") -> int:
        """Smallest units of an amount of tokens. InvalidArgument: no number, or out of range."""
        if not tokens.is_finite():
            raise invalid(field, "a finite number")
        # An exponent beyond the context's own overflows before it can be compared.
        is_small = not tokens or tokens.adjusted() < MAX_DECIMALS + 2
        scaled = tokens.scaleb(self.decimals, EXACT) if is_small else tokens
        if not is_small or abs(scaled) > MAX_SMALLEST_UNITS:
            raise invalid(field, f"at most 2^60 of the smallest unit (10^-{self.decimals} tokens)")
        return int(scaled.to_integral_value(ROUND_HALF_EVEN, EXACT))

    def tokens(self, smallest: int) -> Decimal:
        """Tokens of a count of smallest units, exactly, without trailing zeros."""
        return _plain(Decimal(int(smallest)).scaleb(-self.decimals, EXACT))

    def rounded_down(self, tokens: Decimal) -> Decimal:
        """The most that whole smallest units make without passing `tokens`, which is >= 0."""
        step = Decimal(1).scaleb(-self.decimals)
        return _plain(tokens.quantize(step, ROUND_DOWN, EXACT))


# Cardano's stablecoins have six digits.
SIX_DECIMALS = UnitScale()


def _plain(value: Decimal) -> Decimal:
    """The same value with no trailing zeros and no exponent above 0."""
    short = value.normalize(EXACT)
    exponent = short.as_tuple().exponent
    return short.quantize(Decimal(1), context=EXACT) if int(exponent) > 0 else short


def decimal_of(number: float) -> Decimal:
    """The shortest decimal that reads back as this float: 0.9987 is 0.9987, not its binary tail."""
    return Decimal(repr(float(number)))
