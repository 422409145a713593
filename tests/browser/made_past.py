"""A past that a test or a picture needs, put into a system that runs."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from tests.browser.visit import Visit

_DAYS = 12


async def wave_before_the_demo(visit: Visit) -> None:
    """The same wave, ending where the demo's own history of SOL begins, at its price."""
    path = "/v1/prices/SOL/candles?page_size=500"
    first = (await visit.get(path))["candles"][0]
    await wave(visit, first["open_usd"], datetime.fromisoformat(first["start_time"]))


async def wave(visit: Visit, top_usd: float = 100.0, end: datetime | None = None) -> None:
    """SOL every three hours of twelve days: it falls by 16 % and comes back, again and again."""
    now = end or datetime.now(UTC)
    for number in range(_DAYS * 8):
        moment = now - timedelta(days=_DAYS) + timedelta(hours=3 * number)
        price = top_usd * (1 - 0.08 * (1 - math.cos(2 * math.pi * number / 24)))
        body = {"price_usd": round(price, 3), "price_time": moment.isoformat()}
        await visit.post("/v1/prices/SOL/history", body)
