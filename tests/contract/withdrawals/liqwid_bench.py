"""Liqwid on a fake server of real HTTP: what its tests begin with."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.withdrawals.sources.liqwid import Liqwid, build_liqwid
from shared.clock import PushedClock
from shared.lifecycle import App
from tests.fakes.liqwid import FakeLiqwid

FIXTURES = Path(__file__).parents[2] / "fixtures"
START = datetime(2026, 11, 21, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
# Of the examples of CIP-19.
ADDRESS = (
    "addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wktcd8cc3sq835lu7drv2xwl"
    "2wywfgse35a3x"
)
STAKE_ADDRESS = "stake1uyehkck0lajq8gr28t9uxnuvgcqrc6070x3k9r8048z8y5gh6ffgw"
KEY = "9493315cd92eb5d8c4304e67b7e16ae36d61d34502694657811a2c8e"
OTHER = "addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl8"


def fixture(name: str) -> dict:
    return json.loads((FIXTURES / name).read_text())


def markets() -> list[dict]:
    return fixture("liqwid_markets.json")["data"]["liqwid"]["data"]["markets"]["results"]


def history() -> list[dict]:
    return fixture("liqwid_historical_transactions.json")["data"]["historical"]["transactions"][
        "results"
    ]


class HurriedClock(PushedClock):
    """A back-off is over at once."""

    async def sleep(self, seconds: float) -> None:
        if seconds >= 5:
            await super().sleep(seconds)


def many(count: int) -> list[dict]:
    """A transaction an hour, of one token each."""
    return [
        {
            "id": f"{row:064x}",
            "type": "SUPPLY",
            "displayName": "DJED",
            "time": (LONG_AGO + timedelta(hours=row)).isoformat(timespec="milliseconds")[:-6] + "Z",
            "amount": 1,
            "exchangeRate": 0.02,
            "qAmount": 50,
        }
        for row in range(count)
    ]


@asynccontextmanager
async def asked(provider: FakeLiqwid, clock: PushedClock) -> AsyncIterator[Liqwid]:
    """The venue on a provider."""
    venue, parts = build_liqwid(provider.url + "/graphql", clock)
    async with App("venue", parts):
        yield venue
