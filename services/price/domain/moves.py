"""The moves of an asset as they are handed on, and those of the demo market; pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from services.price.domain.prices import Market
from shared.touch import HORIZON_HOURS, KEPT_HOURS, History, Hours, history

_STEPS_AN_HOUR = 12
# Two regimes of hourly volatility, and the chance that an hour ends one.
_CALM_RATIO, _WILD_RATIO, _SWITCH_CHANCE = 0.005, 0.012, 0.004


@dataclass(frozen=True, slots=True)
class AssetMoves:
    """Sorted moves of one asset; `version` follows from them, so that no restart changes it."""

    asset: str
    market: Market
    version: int
    source: str
    newest_hour_time: datetime
    history: History
    horizon_hours: int = HORIZON_HOURS


def asset_moves(
    asset: str, market: Market, hours: Hours, sources: Sequence[str], newest_hour_time: datetime
) -> AssetMoves | None:
    """The moves of these hours; None when none of them counts."""
    found = history(hours)
    if not len(found):
        return None
    digest = hashlib.blake2b(digest_size=8)
    for part in (f"{market.value} {asset}".encode(), found.up.tobytes(), found.down.tobytes()):
        digest.update(part)
    version = int.from_bytes(digest.digest())
    return AssetMoves(asset, market, version, "+".join(sources), newest_hour_time, found)


def demo_hours(seed: str, asset: str) -> Hours:
    """A year of made-up hours, the same for the same seed and asset: two regimes of volatility with
    fat tails. The crashes of the demo market are not in it.
    """
    digest = hashlib.blake2b(f"{seed}|{asset}|hours".encode(), digest_size=8).digest()
    chance = np.random.default_rng(int.from_bytes(digest))
    is_wild = np.cumsum(chance.random(KEPT_HOURS) < _SWITCH_CHANCE) % 2 == 1
    sizes = np.where(is_wild, _WILD_RATIO, _CALM_RATIO) / np.sqrt(_STEPS_AN_HOUR)
    steps = chance.standard_t(5, (KEPT_HOURS, _STEPS_AN_HOUR)) * sizes[:, None]
    # As a walk that always comes back: a year of it stays within what a float holds.
    path = np.cumsum(steps.ravel() - steps.mean()).reshape(steps.shape)
    before = np.concatenate([[0.0], path[:-1, -1]])[:, None]
    inside = np.exp(np.hstack([before, path]))
    return Hours(np.arange(KEPT_HOURS), inside.max(axis=1), inside.min(axis=1), inside[:, -1])
