"""Columns of what is held, as hedges reads them. NaN is absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.signedinteger[Any]]
Truths = NDArray[np.bool_]

LONG = 1
SHORT = -1


@dataclass(frozen=True, slots=True)
class Holdings:
    """Columns of ACTIVE and STALE positions, all of the same length; NaN is absent.

    `wallet` and `asset` are indices into the names, `side` is +1 long, -1 short, 0 unknown; money
    in USD. `stale`: missing in its venue's last answer or refused in it, so that it may be gone.
    """

    wallet_names: Sequence[str]
    asset_names: Sequence[str]
    wallet: Integers
    asset: Integers
    side: Integers
    position_key: Integers
    entry_price_usd: Floats
    mark_price_usd: Floats
    size_usd: Floats
    value_usd: Floats
    pnl_usd: Floats
    heat_index: Floats
    stale: Truths

    def __len__(self) -> int:
        return len(self.side)


@dataclass(frozen=True, slots=True)
class Legs:
    """The members of one hedge in order of their ids; `side`: +1 long, -1 short; USD per unit.
    `wallets`, `venues`: where each is held, `spot`: which is a spot balance, that nothing
    liquidates, `stale`: as in Holdings; none = not asked.
    """

    position_ids: tuple[str, ...]
    side: Integers
    entry_price_usd: Floats
    mark_price_usd: Floats
    liquidation_price_usd: Floats
    size_usd: Floats
    collateral_usd: Floats
    mark_time_micros: Integers
    wallets: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    spot: tuple[bool, ...] = ()
    stale: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.position_ids)

    def is_spot(self, row: int) -> bool:
        """Whether this leg is a spot balance."""
        return bool(self.spot) and self.spot[row]

    @property
    def stale_ids(self) -> list[str]:
        """Members that count as held, and may be gone."""
        return [id for id, stale in zip(self.position_ids, self.stale, strict=False) if stale]

    @property
    def tokens(self) -> Floats:
        """Size / entry price; NaN unless both are > 0."""
        usable = (self.entry_price_usd > 0) & (self.size_usd > 0)
        quotient = np.full(len(self), np.nan)
        np.divide(self.size_usd, self.entry_price_usd, out=quotient, where=usable)
        return quotient

    @property
    def marks(self) -> Floats:
        """Each leg's own mark as one row of prices."""
        return np.where(self.mark_price_usd > 0, self.mark_price_usd, np.nan)[np.newaxis, :]

    def at(self, prices_usd: Sequence[float] | Floats) -> Floats:
        """Prices for every leg: one row per price, one column per leg."""
        column = np.asarray(prices_usd, dtype=np.float64)[:, np.newaxis]
        return np.repeat(column, len(self), axis=1)
