"""Who alerts are about: positions that are held, and the texts of every subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.readings import NOTHING_HELD, Positions


class Subject(NamedTuple):
    """`name` is the id of the position or account, the asset of a price, or the incident; `summary`
    what died, or the account in words.

    The key is the position's, 0 for the portfolio, negative for accounts, prices and incidents.
    """

    subject_key: int
    name: str
    wallet: str
    side_sign: int
    summary: str


@dataclass(frozen=True, slots=True)
class Members:
    """Who is held at one membership epoch; columns ascending by key, NaN absent."""

    membership_epoch: int
    position_key: NDArray[np.int64]
    position_id: Sequence[str]
    asset_names: Sequence[str]
    asset_index: NDArray[np.int64]
    wallet_names: Sequence[str]
    wallet_index: NDArray[np.int64]
    side_sign: NDArray[np.int64]
    positions: Positions


_NO_NUMBERS = np.empty(0, np.int64)
NOBODY = Members(-1, _NO_NUMBERS, (), (), _NO_NUMBERS, (), _NO_NUMBERS, _NO_NUMBERS, NOTHING_HELD)
