"""A past that a test or a picture needs, put into a system that runs."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from tests.browser.visit import Visit

_DAYS = 12


async def wave(visit: Visit) -> None:
    """SOL every three hours of twelve days: it falls by 16 % and comes back, again and again."""
    now = datetime.now(UTC)
    for number in range(_DAYS * 8):
        moment = now - timedelta(days=_DAYS) + timedelta(hours=3 * number)
        price = 100 - 8 * (1 - math.cos(2 * math.pi * number / 24))
        body = {"price_usd": round(price, 3), "price_time": moment.isoformat()}
        await visit.post("/v1/prices/SOL/history", body)
