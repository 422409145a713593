"""What the touch probability says of each position at one moment; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.touch import TouchModel

Column = NDArray[Any]


@dataclass(frozen=True, slots=True)
class AssetProbabilities:
    """Of all positions of one asset at one moment, columns of one length; 0 to 1."""

    market: int
    asset: str
    stated_time: datetime
    model: TouchModel
    position_keys: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TouchProbability:
    """What was said of one position in one hour (whole hours since 1970); 0 to 1."""

    hour: int
    stated_time: datetime
    probability: float
    model: TouchModel


def probabilities(
    columns: Mapping[str, Column],
    asset_names: Sequence[str],
    asset_models: Sequence[TouchModel | None],
    market: int,
    now: datetime,
) -> list[AssetProbabilities]:
    """What a pass says, by asset. Left out: positions without a probability and stale ones, which
    speak of an older moment. Unlike a statement of the record, one at its level is kept, as 1.
    """
    chance = columns["liquidation_probability"]
    with np.errstate(invalid="ignore"):
        said = (chance >= 0) & (chance <= 1) & ~columns["stale"].astype(bool)
    found = []
    for place in np.unique(columns["asset_index"][said]).tolist():
        rows = said & (columns["asset_index"] == place)
        found.append(
            AssetProbabilities(
                market,
                asset_names[place],
                now,
                asset_models[place] or TouchModel.NORMAL,
                columns["position_key"][rows].astype(np.int64),
                chance[rows].astype(np.float32),
            )
        )
    return found
