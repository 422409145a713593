"""The smallest distance to liquidation among the metrics: absent where it is not known."""

from __future__ import annotations

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from shared import metrics

SERIES = "sonic_liquidation_distance_percent_min"


@pytest.fixture(autouse=True)
def own_metrics(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shared.metrics._FRESH_SECONDS", 0.0)
    metrics.process.cache_clear()
    yield
    metrics.process.cache_clear()


async def shown() -> float | None:
    process = metrics.process()
    await process.refresh()
    return process.registry.get_sample_value(SERIES)


async def enrich(servers, cycle: str) -> None:
    await servers.positions.EnrichPositions(pb.EnrichPositionsRequest(cycle_id=cycle, epoch=1))


async def test_the_smallest_known_distance_is_shown_and_none_is_absent(servers) -> None:
    assert await shown() is None
    await servers.create(id="blind", liquidation_price_usd=None)
    await enrich(servers, "c0")
    assert await shown() is None
    await servers.create(id="far")
    await enrich(servers, "c1")
    assert await shown() == pytest.approx(100 * 25 / 75)
    await servers.create(id="near", liquidation_price_usd=74.0)
    await enrich(servers, "c2")
    assert await shown() == pytest.approx(100 * 1 / 75)
