"""What the price service says of a stablecoin, as a quote among others."""

from __future__ import annotations

import pytest
from sonic.price.v1 import price_pb2 as pb

from services.withdrawals.clients import _quote


@pytest.mark.parametrize(
    ("quality", "price_usd", "problem"),
    [
        (pb.QUALITY_GOOD, 0.999, ""),
        (pb.QUALITY_SINGLE, 0.999, ""),
        (pb.QUALITY_DISAGREE, None, "says that its sources disagree"),
        (pb.QUALITY_STALE, None, "gave no price"),
        (pb.QUALITY_NONE, None, "gave no price"),
    ],
)
def test_a_price_that_its_own_sources_contradict_vouches_for_no_peg(
    quality: pb.Quality.ValueType, price_usd: float | None, problem: str
) -> None:
    quote = _quote(pb.Price(asset="DJED", price_usd=0.999, quality=quality))
    assert (quote.price_usd, quote.problem) == (price_usd, problem)
