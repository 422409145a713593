"""Which marks are a market price whose sources contradict each other: those lower no level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from services.positions.domain.venue_answer import Flag
from services.positions.enrichment.domain.enrichment import enrich
from services.positions.enrichment.domain.metrics import bit
from tests.unit.positions.test_frozen_marks import GOOD, context, held


def test_a_mark_by_a_disputed_price_is_stale_and_one_that_somebody_states_is_not() -> None:
    rows = held([1, 1, 3, 3])
    rows["mark_price_usd"][3] = np.nan
    rows["flag_bits"][1] = bit(Flag.SPOT)
    rows["in_last_answer"][2:] = False
    rows["mark_time"][:] = round(GOOD.price_time.timestamp() * 1e6)
    for disputed, expected in ((False, [False] * 4), (True, [False, True, False, True])):
        found = enrich(rows, context(replace(GOOD, disputed=disputed))).results
        # A perpetual and a spot balance of a venue; an entered mark, and none.
        assert found["mark_price_usd"].tolist() == [100.0, 100.0, 100.0, 90.0]
        assert (found["flag_bits"] & bit(Flag.MARK_STALE) != 0).tolist() == expected
        # It is still good enough to contradict a mark.
        disagrees = (found["flag_bits"] & bit(Flag.MARK_PRICE_DISAGREES) != 0).tolist()
        assert disagrees == [True, True, True, False]
