"""A past whose outcomes are known: alarms of positions at a venue of the tests, and what came of
each. Every server is the real one; only the venue, the prices and the mailbox are ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from tests.browser.visit import Visit, sitting
from tests.e2e.world import Held, World, base58_address, world

_CALM: Mapping[str, float] = {"BTC": 97_000.0, "ETH": 3_400.0, "SOL": 150.0}
# Each position below is within 4 % of its liquidation then.
_FALLEN: Mapping[str, float] = {"BTC": 88_500.0, "ETH": 3_080.0, "SOL": 138.0}
_AT_LIQUIDATION_OF_ETH: Mapping[str, float] = {"BTC": 90_000.0, "ETH": 3_003.0, "SOL": 139.0}
_chance = Random(12)
# One gets more collateral, two are gone after they were near liquidation, one is left alone.
_SAVED, _GONE_AT_IT, _GONE, _LEFT = (
    Held(base58_address(_chance), asset, "long", entry, size, collateral, liquidation)
    for asset, entry, size, collateral, liquidation in (
        ("SOL", 150.0, 6_000.0, 900.0, 133.0),
        ("ETH", 3_400.0, 9_000.0, 1_200.0, 3_000.0),
        ("BTC", 97_000.0, 12_000.0, 1_500.0, 86_500.0),
        ("SOL", 152.0, 2_500.0, 320.0, 134.5),
    )
)
_TRIES, _TRY_SECONDS, _LOOK_SECONDS = 300, 0.2, 5.0
_SETTINGS = {"SONIC_BACKUP_HOURS": "0"}


@asynccontextmanager
async def known_past(home: Path) -> AsyncIterator[tuple[Visit, Callable[[], Awaitable[object]]]]:
    """The system after it, and one more cycle of it."""
    home.mkdir(mode=0o711)
    async with world(0) as outside:
        outside.marks, outside.held = dict(_CALM), [_SAVED, _GONE_AT_IT, _GONE, _LEFT]
        outside.publish()
        async with sitting(home, outside.environment() | _SETTINGS) as visit:
            address = base58_address(_chance)
            wallet = {"name": "main", "chain": "CHAIN_SOLANA", "public_address": address}
            await visit.post("/v1/wallets", wallet)
            await _happens(visit, outside)
            yield visit, lambda: _looks(visit, outside, outside.marks)


async def _happens(visit: Visit, outside: World) -> None:
    await _looks(visit, outside, _CALM)
    await _looks(visit, outside, _FALLEN)
    await _told(visit)
    (alert, *_) = (await visit.get(f"/v1/alerts?min_level=LEVEL_HIGH&position_id={_SAVED.key}"))[
        "alerts"
    ]
    await visit.post(f"/v1/alerts/{alert['id']}:acknowledge", {})
    saved = replace(_SAVED, collateral=2_700.0, liquidation=90.0)
    outside.held = [saved, _GONE_AT_IT, _GONE, _LEFT]
    await _looks(visit, outside, _AT_LIQUIDATION_OF_ETH)
    outside.held = [saved, _LEFT]
    # What an answer lacks is gone when another one lacks it half a minute later.
    for number in range(_TRIES):
        marks = {asset: price * (1 + number / 10_000) for asset, price in _CALM.items()}
        await _looks(visit, outside, marks)
        if number and (await visit.get("/v1/totals"))["stale_count"] == "0":
            return
        await asyncio.sleep(_LOOK_SECONDS)
    raise AssertionError("what is gone stays stale")


async def _looks(visit: Visit, outside: World, marks: Mapping[str, float]) -> None:
    outside.marks = dict(marks)
    outside.publish()
    await visit.post("/v1/cycles:run", {})


async def _told(visit: Visit) -> None:
    """Until a mail has arrived."""
    for _ in range(_TRIES):
        found = (await visit.get("/v1/deliveries?channel=email&page_size=50"))["deliveries"]
        if found and all(one["state"] == "DELIVERY_STATE_SENT" for one in found):
            return
        await asyncio.sleep(_TRY_SECONDS)
    raise AssertionError("no mail arrived")
