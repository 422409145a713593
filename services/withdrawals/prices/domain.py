"""Prices of one asset by several sources: which one is used, and whether they agree."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.errors import broken_rules

# Clocks of providers drift; a price further ahead is a wrong clock or a wrong field.
FUTURE_TOLERANCE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class PriceQuote:
    """What one source says: USD a token, true at `price_time`.

    `problem` for people: why it does not count; empty: it does. `ada_usd`: USD an ADA, where the
    source goes by it.
    """

    source: str
    price_usd: float | None
    price_time: datetime | None
    problem: str = ""
    ada_usd: float | None = None


@dataclass(frozen=True, slots=True)
class PriceRules:
    """When prices disagree. InvalidArgument INVALID_FIELD where one breaks its bounds.

    `sources`: the first that has a price gives the one that is used; others are not compared.
    `epsilon` >= 0: more is a mismatch, as a share of the highest price (`relative`) or in USD; 0 is
    a limit too. `persistence` >= 1: mismatches in a row that hold. `age_limit` > 0, of each price;
    `age_limits`: of single sources, by name.
    """

    sources: tuple[str, ...]
    relative: bool = True
    epsilon: float = 0.01
    persistence: int = 3
    age_limit: timedelta = timedelta(hours=1)
    age_limits: tuple[tuple[str, timedelta], ...] = ()

    def __post_init__(self) -> None:
        problems = {}
        if len(set(self.sources)) < len(self.sources):
            problems["sources"] = "each once"
        if not 0 <= self.epsilon < math.inf:
            problems["epsilon"] = "at least 0"
        if self.persistence < 1:
            problems["persistence"] = "at least 1"
        if min((self.age_limit, *(limit for _, limit in self.age_limits))) <= timedelta(0):
            problems["age_limit"] = "above 0"
        if problems:
            raise broken_rules("price", problems)

    def age_limit_of(self, source: str) -> timedelta:
        return dict(self.age_limits).get(source, self.age_limit)


@dataclass(frozen=True, slots=True)
class PriceComparison:
    """How the sources compare; deltas (USD, share of the highest) are None with fewer than two.

    `mismatch_count`: comparisons in a row, this one included, that did not fit; the state that the
    next comparison is given. `holds`: there were as many as it takes.
    """

    quotes: tuple[PriceQuote, ...]
    delta_abs: float | None
    delta_rel: float | None
    is_mismatch: bool
    mismatch_count: int
    holds: bool

    @property
    def is_unavailable(self) -> bool:
        """Fewer than two sources answered: nothing was compared."""
        return self.delta_abs is None

    @property
    def chosen(self) -> PriceQuote | None:
        """The first quote that counts, in the order of the rules; its price is used."""
        return next((quote for quote in self.quotes if not quote.problem), None)


def compare(
    quotes: Iterable[PriceQuote], rules: PriceRules, now: datetime, mismatch_count: int
) -> PriceComparison:
    """The quotes of the rules' sources, in their order, whatever the order given.

    `mismatch_count`: that of the comparison before, 0 at first. One where fewer than two answered
    is no mismatch and holds nothing, and does not end a row of them either: the count stays.
    """
    given = {quote.source: quote for quote in quotes}
    missing = PriceQuote("", None, None)
    judged = tuple(
        _judged(replace(given.get(source, missing), source=source), rules, now)
        for source in rules.sources
    )
    prices = [quote.price_usd for quote in judged if not quote.problem]
    delta_abs, delta_rel = _deltas([price for price in prices if price is not None])
    delta = delta_rel if rules.relative else delta_abs
    is_mismatch = delta is not None and delta > rules.epsilon
    if is_mismatch:
        mismatch_count += 1
    elif delta is not None:
        mismatch_count = 0
    holds = is_mismatch and mismatch_count >= rules.persistence
    return PriceComparison(judged, delta_abs, delta_rel, is_mismatch, mismatch_count, holds)


def _deltas(prices_usd: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    if len(prices_usd) < 2:
        return None, None
    delta_abs = max(prices_usd) - min(prices_usd)
    return delta_abs, delta_abs / max(prices_usd)


def _judged(quote: PriceQuote, rules: PriceRules, now: datetime) -> PriceQuote:
    return quote if quote.problem else replace(quote, problem=_problem(quote, rules, now))


def _problem(quote: PriceQuote, rules: PriceRules, now: datetime) -> str:
    price, moment = quote.price_usd, quote.price_time
    if price is None:
        return "no price"
    if not (math.isfinite(price) and price > 0):
        return "not a price above 0"
    if moment is None or moment.tzinfo is None:
        return "no time"
    if moment > now + FUTURE_TOLERANCE:
        return "of the future"
    limit = rules.age_limit_of(quote.source)
    return f"older than {limit}" if moment < now - limit else ""
