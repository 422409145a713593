"""How far prices moved, and how much of a day's range would reach a liquidation price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.monitor.checks import (
    Check,
    CheckContext,
    JudgedReading,
    PastPrice,
    PriceReading,
    metric,
)
from services.monitor.domain.findings import Badge, Finding, Level, Part, RunStatus

# Percent moved, either way, that is a breach; by hours back.
MOVE_LIMITS: Mapping[int, float] = {1: 2.0, 6: 2.0, 24: 5.0}
_DAY = timedelta(hours=24)
# A price up to this much older than a moment still stands for it: history may be hourly.
_OLDER = timedelta(hours=2)
_UNUSABLE = ("STALE", "NONE")
# A breach stays one down to this share of its limit: a value that flaps is one notification.
_STAYS_SHARE = 0.8
_BADGE = "market_badge"
# Ends what names the encroachment of an asset.
_SHARE = " encroachment"


@dataclass(frozen=True, slots=True)
class Market:
    """One asset: moves by hours, blast radius, encroachment, all in percent; None = not known."""

    moves: Mapping[int, float | None]
    blast_radius_percent: float | None
    encroachment_percent: float | None


class MarketCheck(Check):
    """Says what moved. Threshold: encroachment that is a breach."""

    name = "market"
    description = "Moves over 1 h, 6 h, 24 h; a day's range against the nearest liquidation"
    interval = timedelta(minutes=5)
    threshold_percent = 50.0
    takes_threshold = True
    remembers = True

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when an asset moved by a limit, or its range encroaches on a liquidation; what was
        one stays one while it is not known.
        """
        prices = await context.readings.prices()
        judged = await context.readings.judged()
        reading = metric(judged, "LIQUIDATION_DISTANCE")
        distances = reading.worst_by_asset if reading else {}
        found: dict[str, Market] = {}
        disputed = {price.asset for price in prices if price.quality == "DISAGREE"}
        for price in prices:
            if price.price_usd is not None and price.quality not in _UNUSABLE:
                past = await context.readings.history(price.asset, context.now - _DAY - _OLDER)
                found[price.asset] = survey(price, past, distances.get(price.asset), context.now)
        limit = 50.0 if context.threshold_percent is None else context.threshold_percent
        stored = context.last.metadata.get("breaches") if context.last else None
        before = stored if isinstance(stored, dict) else {}
        breaches: dict[str, str] = {}
        measured: set[str] = set()
        for asset, market in sorted(found.items()):
            breaches |= breaches_of(asset, market, limit, before)
            # A price whose sources contradict each other may begin a move, and ends none.
            if asset not in disputed:
                measured |= _measured(asset, market)
        possible = _move_subjects(prices, before) | _share_subjects(judged)
        unknown = {
            about: str(words)
            for about, words in before.items()
            if about in possible and about not in measured and about not in breaches
        }
        metadata: dict[str, object] = {
            "assets": {asset: _market_metadata(market) for asset, market in sorted(found.items())},
            "breaches": breaches | unknown,
            "unknown": sorted(unknown),
        }
        return _finding(metadata, breaches, unknown)


def _finding(
    metadata: Mapping[str, object], breaches: Mapping[str, str], unknown: Mapping[str, str]
) -> Finding:
    members = {
        **breaches,
        **{about: f"{words}, not known now" for about, words in unknown.items()},
    }
    if not members:
        return Finding(RunStatus.SUCCESS, metadata, {_BADGE: None})
    words = list(members.values())
    parts = tuple(
        Part(about, word, Level.MEDIUM, about in unknown) for about, word in members.items()
    )
    badge = Badge(_BADGE, words[0], Level.MEDIUM, stale=bool(unknown), parts=parts)
    return Finding(
        RunStatus.BREACH, metadata, {_BADGE: badge}, concern=", ".join(words), members=members
    )


def _move_subjects(prices: Sequence[PriceReading], before: Mapping[str, object]) -> set[str]:
    """Moves that there may be: of tracked assets; without any price the list is not known."""
    if not prices:
        return {about for about in before if not about.endswith(_SHARE)}
    return {_move(price.asset, hours) for price in prices for hours in MOVE_LIMITS}


def _share_subjects(judged: Sequence[JudgedReading]) -> set[str]:
    """Encroachments that there may be: of assets of which anything is held."""
    assets = {
        asset
        for one in judged
        if one.scope == "POSITION"
        for asset in (*one.worst_by_asset, *(raised.asset for raised in one.raised))
    }
    return {f"{asset}{_SHARE}" for asset in assets}


def survey(
    price: PriceReading, past: Sequence[PastPrice], distance_percent: float | None, now: datetime
) -> Market:
    """`past` is oldest first; `distance_percent` is that of the nearest liquidation price."""
    usd = price.price_usd or 0.0
    day = [one.price_usd for one in past if one.price_time >= now - _DAY]
    radius = blast_radius_percent([*day, usd]) if day else None
    return Market(
        moves={
            hours: move_percent(usd, past, now - timedelta(hours=hours)) for hours in MOVE_LIMITS
        },
        blast_radius_percent=radius,
        encroachment_percent=encroachment_percent(radius, distance_percent),
    )


def move_percent(usd: float, past: Sequence[PastPrice], moment: datetime) -> float | None:
    """From the last price at `moment` to now; None when the history has none near enough."""
    before = [one for one in past if moment - _OLDER <= one.price_time <= moment]
    return 100 * (usd - before[-1].price_usd) / before[-1].price_usd if before else None


def blast_radius_percent(prices: Sequence[float]) -> float:
    """`100 * (high - low) / low`."""
    low = min(prices)
    return 100 * (max(prices) - low) / low


def encroachment_percent(
    radius_percent: float | None, distance_percent: float | None
) -> float | None:
    """`100 * (radius - distance) / radius`, 0 to 100: the share of a day's range beyond."""
    if not radius_percent or distance_percent is None:
        return None
    return min(max(100 * (radius_percent - distance_percent) / radius_percent, 0.0), 100.0)


def breaches_of(
    asset: str, market: Market, limit_percent: float, before: Mapping[str, object]
) -> dict[str, str]:
    """Words by what they are about; `before` holds those of the last run."""
    found: dict[str, str] = {}
    for hours, move in market.moves.items():
        about = _move(asset, hours)
        if move is not None and abs(move) >= MOVE_LIMITS[hours] * (
            _STAYS_SHARE if about in before else 1
        ):
            found[about] = f"{asset} {move:+.1f} % in {hours} h"
    share, about = market.encroachment_percent, f"{asset}{_SHARE}"
    if share is not None and share >= limit_percent * (_STAYS_SHARE if about in before else 1):
        found[about] = f"{asset} liquidation within a day's range (encroachment {share:.0f} %)"
    return found


def _measured(asset: str, market: Market) -> set[str]:
    """What is known well enough to end a breach."""
    known = {_move(asset, hours) for hours, move in market.moves.items() if move is not None}
    # The range of a day whose prices are missing in part may be wider than it seems.
    if market.encroachment_percent is not None and _move(asset, 24) in known:
        known.add(f"{asset}{_SHARE}")
    return known


def _move(asset: str, hours: int) -> str:
    return f"{asset} {hours} h"


def _market_metadata(market: Market) -> dict[str, object]:
    return {
        "move_percent_by_hours": {str(hours): move for hours, move in market.moves.items()},
        "blast_radius_percent": market.blast_radius_percent,
        "encroachment_percent": market.encroachment_percent,
    }
