"""Betas are waited for a second, and found out beside whoever wanted them."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest

from services.positions.accounts.domain.account import Betas
from services.positions.accounts.domain.betas import HourlyCloses
from services.positions.accounts.service.beta_estimates import BetaEstimates
from shared.clock import PushedClock
from shared.errors import Unavailable

RETURNS = np.random.default_rng(7).normal(0.0, 0.01, 300)
RATIOS = {"BTC": 1.0, "SOL": 2.0, "ETH": 1.5}


class Market:
    """Answers once it may, or fails; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.may_answer = asyncio.Event()
        self.fails = False

    async def closes(self, asset: str) -> HourlyCloses:
        self.asked[asset] += 1
        await self.may_answer.wait()
        if self.fails:
            raise Unavailable("DOWN", "nobody is there")
        logs = np.cumsum(RATIOS[asset] * RETURNS)
        return HourlyCloses(400_000 + np.arange(len(logs)), 100.0 * np.exp(logs))


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
def clock() -> PushedClock:
    return PushedClock(datetime(2026, 11, 30, 3, tzinfo=UTC))


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def wanted(betas: BetaEstimates, clock: PushedClock, *assets: str) -> Betas:
    """The answer after a second, of whoever asks last."""
    asking = asyncio.ensure_future(betas.of(assets))
    await turns()
    assert not asking.done()
    clock.advance(1.0)
    async with asyncio.timeout(60):
        return await asking


async def test_whoever_looks_has_what_is_known_after_a_second_and_the_rest_comes_beside(
    market: Market, clock: PushedClock
) -> None:
    betas = BetaEstimates(market, clock)
    for _ in range(3):
        assert not (await wanted(betas, clock, "SOL", "ETH")).by_asset
    assert market.asked == Counter(["BTC", "ETH", "SOL"]), "once, whoever waits"
    market.may_answer.set()
    await turns()
    found = await betas.of(["SOL", "ETH"])
    assert found.by_asset == {"SOL": pytest.approx(2.0), "ETH": pytest.approx(1.5)}
    assert market.asked == Counter(["BTC", "ETH", "SOL"])


async def test_what_was_known_is_said_while_it_is_asked_for_anew(
    market: Market, clock: PushedClock
) -> None:
    betas = BetaEstimates(market, clock)
    market.may_answer.set()
    assert (await betas.of(["SOL"])).by_asset == {"SOL": pytest.approx(2.0)}
    market.may_answer.clear()
    clock.advance(3600)
    assert (await wanted(betas, clock, "SOL")).by_asset == {"SOL": pytest.approx(2.0)}
    market.fails = True
    market.may_answer.set()
    await turns()
    assert (await betas.of(["SOL"])).by_asset == {"SOL": pytest.approx(2.0)}
    assert market.asked["SOL"] == 2, "what failed is asked again after a minute"
    clock.advance(60)
    await betas.of(["SOL"])
    assert market.asked["SOL"] == 3


async def test_an_asset_that_hangs_holds_up_nobody_who_asks_for_another(
    market: Market, clock: PushedClock
) -> None:
    betas = BetaEstimates(market, clock)
    market.may_answer.set()
    await betas.of(["SOL"])
    market.may_answer.clear()
    hanging = asyncio.ensure_future(betas.of(["ETH"]))
    await turns()
    assert (await betas.of(["SOL"])).by_asset == {"SOL": pytest.approx(2.0)}
    assert not hanging.done()
    await betas.stop()
    async with asyncio.timeout(60):
        assert not (await hanging).by_asset
