"""Legs for tests: the pair of the oracle, and any that hypothesis makes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from services.hedges.domain.holdings import Legs

ORACLE = json.loads(
    (Path(__file__).parents[2] / "oracle" / "portfolio_hedges_alerts.json").read_text()
)["hedge_pair"]
NAN = float("nan")
LONG_ROW, SHORT_ROW = 0, 1

# side, entry, mark, liquidation, size, collateral
Row = tuple[int, float, float, float, float, float]


def legs(*rows: Row) -> Legs:
    """Ids are p0, p1, ... in order."""
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), 6).T
    return Legs(
        tuple(f"p{number}" for number in range(len(rows))),
        columns[0].astype(np.int64),
        *columns[1:],
        mark_time_micros=np.zeros(len(rows), dtype=np.int64),
    )


def oracle_pair(mark: float = 105.0) -> Legs:
    return legs(
        *(
            (
                sign,
                float(leg["entry"]),
                mark,
                NAN,
                float(leg["size_usd"]),
                float(leg["collateral_usd"]),
            )
            for sign, leg in ((1, ORACLE["long"]), (-1, ORACLE["short"]))
        )
    )


PRICES = st.floats(1.0, 1e5)
SIZES = st.floats(10.0, 1e6)


@st.composite
def hedges(draw: st.DrawFn) -> Legs:
    """Both sides held; every figure known."""
    sides = [1, -1, *draw(st.lists(st.sampled_from((1, -1)), max_size=5))]
    return legs(
        *((side, *(draw(PRICES) for _ in range(3)), draw(SIZES), draw(SIZES)) for side in sides)
    )
