"""Accounts whose positions share a margin, as they are judged: columns by a key that the id of an
account alone gives, so that its alerts are found without asking for their texts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DISTANCE = "account_distance_percent"
# `beta_move_percent`: of BTC, < 0 down, at which the account is liquidated when the others follow
# it as they lately did; nothing is judged by it.
ACCOUNT_FIGURES = (DISTANCE, "exposure_ratio", "equity_usd", "notional_usd", "beta_move_percent")
# Those that marks that stand still put in question, in order of `Account.at_worst`.
AT_WORST = ACCOUNT_FIGURES[:2]
# Below every key of a price or an incident.
_FIRST_KEY = -(1 << 56)
_KEY_BYTES = 7
_NO_NUMBERS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `label`: as people know it, venue and name; `figures` as ACCOUNT_FIGURES, NaN is
    not known, and a distance is infinite where no common move liquidates it. `at_worst`: of one
    that is stale only by marks that stand still, the figures of AT_WORST by the worst of those.
    """

    id: str
    label: str
    wallet: str
    figures: Sequence[float]
    observed_micros: int
    stale: bool
    at_worst: Sequence[float] | None = None

    @property
    def key(self) -> int:
        """Of its subject: the same for ever, and of no other account."""
        digest = hashlib.sha256(self.id.encode()).digest()
        return _FIRST_KEY - int.from_bytes(digest[:_KEY_BYTES], "big")


@dataclass(frozen=True, slots=True)
class Accounts:
    """Columns ascending by key, `figures` as ACCOUNT_FIGURES."""

    rows: Sequence[Account] = ()
    key: Integers = field(default_factory=lambda: _NO_NUMBERS)
    observed_micros: Integers = field(default_factory=lambda: _NO_NUMBERS)
    stale: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    figures: Mapping[str, Floats] = field(
        default_factory=lambda: {name: np.empty(0) for name in ACCOUNT_FIGURES}
    )
    # By the id of an account, of those that have it.
    at_worst: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, accounts: Iterable[Account]) -> Accounts:
        """In order of their keys."""
        rows = sorted(accounts, key=lambda one: one.key)
        return cls(
            rows,
            np.array([one.key for one in rows], np.int64),
            np.array([one.observed_micros for one in rows], np.int64),
            np.array([one.stale for one in rows], bool),
            {
                name: np.array([one.figures[place] for one in rows], np.float64)
                for place, name in enumerate(ACCOUNT_FIGURES)
            },
            {one.id: one.at_worst for one in rows if one.at_worst is not None},
        )

    def __len__(self) -> int:
        return len(self.rows)

    def rows_of(self, keys: Integers) -> Integers:
        """Row of each key; -1 for one that is not here."""
        if not len(self):
            return np.full(len(keys), -1)
        rows = np.searchsorted(self.key, keys).clip(max=len(self) - 1)
        return np.where(self.key[rows] == keys, rows, -1)


NO_ACCOUNTS = Accounts()


def exposure(ratio: float | None, equity_usd: float | None, notional_usd: float | None) -> float:
    """The exposure that is judged: positions over an equity at or below 0 are without end, and
    what is not known is NaN.
    """
    if ratio is not None:
        return ratio
    if equity_usd is None or notional_usd is None or equity_usd > 0:
        return math.nan
    return math.inf if notional_usd > 0 else 0.0


def common_move(percent: float | None, reason: str) -> float:
    """The distance that is judged: what is not known is NaN, and where no common move liquidates
    the account it is infinite.
    """
    if percent is not None:
        return percent
    return math.nan if reason else math.inf
