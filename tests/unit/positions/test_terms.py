"""Positions that changed are not judged by what the price did before; looks after odd clocks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from services.positions.extremes.domain import (
    MINUTE_MICROS,
    MinuteColumns,
    basis,
    first_micros,
    look,
    since,
    unlooked,
)
from services.positions.extremes.service import ExtremesService
from shared.clock import PushedClock

START = 29_000_000 * MINUTE_MICROS


def columns(*rows: tuple[int, int, float, float]) -> dict[str, np.ndarray[Any, Any]]:
    keys, sides, entries, liquidations = zip(*rows, strict=True)
    return {
        "position_key": np.array(keys, np.int64),
        "side_sign": np.array(sides, np.int8),
        "entry_price_usd": np.array(entries, float),
        "risk_liquidation_price_usd": np.array(liquidations, float),
    }


@pytest.mark.parametrize(
    ("row", "is_other"),
    [
        ((1, 1, 100.0, 80.0), False),
        ((1, 1, 100.1, 80.1), False),
        ((1, 1, 100.0, 88.0), True),
        ((1, 1, 100.0, 60.0), True),
        ((1, 1, 104.0, 80.0), True),
        ((1, -1, 100.0, 80.0), True),
        ((1, 1, 100.0, float("nan")), True),
        ((2, 1, 100.0, 80.0), True),
    ],
)
def test_new_terms_hold_from_when_they_were_seen(
    row: tuple[int, int, float, float], is_other: bool
) -> None:
    before = basis(columns((1, 1, 100.0, 80.0)), None, START)
    assert before.since_micros.tolist() == [0]
    after = basis(columns(row), before, START + 1)
    assert after.since_micros.tolist() == [START + 1 if is_other else 0]


def test_many_small_steps_are_a_change() -> None:
    known = basis(columns((1, 1, 100.0, 80.0)), None, START)
    for step in range(4):
        known = basis(columns((1, 1, 100.0, 80.0 + 0.1 * step)), known, START + step)
    assert known.since_micros.tolist() == [START + 2]


def minutes(*rows: tuple[int, float, float]) -> MinuteColumns:
    number, high, low = zip(*rows, strict=True)
    minute = START // MINUTE_MICROS + np.array(number, np.int64)
    return MinuteColumns("test", "", minute, np.array(high, float), np.array(low, float))


def test_a_minute_that_the_provider_is_late_with_is_looked_at_by_the_next_look() -> None:
    now = START + 2 * MINUTE_MICROS + 1_000_000
    seen = look("BTC", unlooked(START), minutes((0, 101, 99)), now)
    assert since("BTC", seen, START, now).unseen[0].start_micros == START + MINUTE_MICROS
    later = now + MINUTE_MICROS
    assert first_micros(seen, later) == START + MINUTE_MICROS
    # Who has judged until then has not heard of it.
    second = look("BTC", seen, minutes((1, 101, 82), (2, 101, 99), (3, 101, 99)), later)
    found = since("BTC", second, now, later)
    assert found.low_usd[0] == 82 and not found.unseen
    nothing = look("BTC", seen, minutes((0, 101, 99)), later)
    assert nothing.failure == "NO_CANDLES" and nothing.until_micros == seen.until_micros


def test_a_clock_that_was_ahead_does_not_blind_the_looks() -> None:
    ahead = unlooked(START + 60 * MINUTE_MICROS)
    now = START + MINUTE_MICROS + 30_000_000
    assert first_micros(ahead, now) == now
    after = look("BTC", ahead, minutes((1, 101, 82)), now)
    assert after.until_micros == now and since("BTC", after, now - 1, now).low_usd[0] == 82
    failed = look("BTC", ahead, replace(minutes((1, 101, 82)), failure="DOWN"), now)
    assert all(one.start_micros <= one.end_micros for one in since("BTC", failed, now, now).unseen)
    known = basis(columns((1, 1, 100.0, 80.0)), basis(columns((2, 1, 9, 8)), None, 0), now + 9)
    again = basis(columns((1, 1, 100.0, 80.0)), known, now)
    assert known.since_micros.tolist() == [now + 9] and again.since_micros.tolist() == [now]


class Servers:
    """A frame that a test sets, and minutes of the market flat at 95 but for its lows."""

    def __init__(self) -> None:
        self.clock = PushedClock(datetime.fromtimestamp(START // 1_000_000, UTC))
        self.lows: dict[int, float] = {}
        self.shown: Any = None
        self.gate: asyncio.Event | None = None
        self.asked: list[tuple[tuple[str, ...], int]] = []
        self.blind: set[str] = set()
        self.service = ExtremesService(self, self, self.clock)  # type: ignore[arg-type]

    def micros(self) -> int:
        return int(self.clock.now().timestamp() * 1_000_000)

    def hold(self, *rows: tuple[int, int, float, float], assets: tuple[str, ...] = ("BTC",)) -> Any:
        held = columns(*rows)
        held["asset_index"] = np.arange(len(rows)) % len(assets)
        held["flag_bits"] = np.zeros(len(rows), np.int64)
        self.shown = _Frame(held, assets, self.clock.now())
        return self.shown

    async def minutes(self, assets: Any, start: datetime) -> dict[str, MinuteColumns]:
        if self.gate is not None:
            await self.gate.wait()
        first = int(start.timestamp()) // 60 - START // MINUTE_MICROS
        last = self.micros() // MINUTE_MICROS - START // MINUTE_MICROS
        rows = [(n, 96.0, self.lows.get(n, 95.0)) for n in range(first, last + 1)]
        self.asked.append((tuple(assets), len(rows)))
        none = MinuteColumns("", "NO_CANDLES", *(minutes((0, 1, 1)).minute[:0],) * 3)
        return {asset: none if asset in self.blind else minutes(*rows) for asset in assets}


class _Frame(SimpleNamespace):
    def __init__(self, held: Any, assets: tuple[str, ...], moment: datetime) -> None:
        super().__init__(columns=held, asset_names=assets, enriched_time=moment)

    def __len__(self) -> int:
        return len(self.columns["position_key"])


async def test_an_old_low_is_not_compared_with_a_liquidation_price_that_came_after_it() -> None:
    servers = Servers()
    before = servers.hold((1, 1, 100.0, 50.0), (2, 1, 100.0, 80.0))
    await servers.service.look({})
    evaluated = servers.micros()
    # Down for twenty minutes: a low, and then collateral of the first is taken out.
    servers.clock.advance(1200)
    servers.lows = {5: 82.5}
    await servers.service.look({})
    assert servers.service.of(before, evaluated).price_usd.tolist() == [82.5, 82.5]
    after = servers.hold((1, 1, 100.0, 80.0), (2, 1, 100.0, 80.0), (3, 1, 100.0, 80.0))
    found = servers.service.of(after, evaluated)
    assert np.isnan(found.price_usd[[0, 2]]).all() and found.price_usd[1] == 82.5
    assert found.time_micros[0] == 0
    # What comes later is compared with it, also by one who did not ask in between.
    servers.clock.advance(120)
    servers.lows[21] = 83.0
    await servers.service.look({})
    assert servers.service.of(after, evaluated).price_usd.tolist() == [83.0, 82.5, 83.0]


@pytest.mark.parametrize(("low_at", "touched"), [(2, 95.0), (4, 95.0), (5, 82.5), (8, 82.5)])
async def test_a_look_at_minutes_in_which_a_position_changed_says_nothing_of_those_before_it(
    low_at: int, touched: float
) -> None:
    servers = Servers()
    before = servers.hold((1, 1, 100.0, 50.0), (2, 1, 100.0, 80.0))
    await servers.service.look({})
    servers.lows, servers.blind = {low_at: 82.5}, {"BTC"}
    frame, judged = before, servers.micros()
    for minute in range(1, 11):
        servers.clock.advance(60)
        servers.blind = set() if minute == 10 else {"BTC"}
        await servers.service.look({})
        servers.clock.advance(2)
        if minute == 5:
            frame = servers.hold(*((key, 1, 100.0, 80.0) for key in (1, 2, 3)))
        found = servers.service.of(frame, judged)
        judged = found.until_micros
    assert found.price_usd.tolist() == [touched, 82.5, touched]


async def test_what_one_replica_looked_at_is_not_told_again_by_another() -> None:
    servers = Servers()
    other = ExtremesService(servers, servers, servers.clock)  # type: ignore[arg-type]
    frame = servers.hold((1, 1, 100.0, 80.0))
    for service in (servers.service, other):
        servers.clock.advance(30)
        await service.look({})
    judged, told = servers.micros(), []
    servers.lows = {1: 82.5}
    for turn in range(4):
        servers.clock.advance(60)
        service = (servers.service, other)[turn % 2]
        await service.look({})
        found = service.of(frame, judged)
        judged = found.until_micros
        told += found.price_usd.tolist()
    assert told == [82.5, 95.0, 95.0, 95.0]


async def test_what_was_before_a_pass_that_no_look_preceded_is_said_and_looked_at() -> None:
    servers = Servers()
    judged = servers.micros()
    servers.lows = {100: 82.5}
    # Everything was away for three hours; the pass that had begun is made, and judged, first.
    servers.clock.advance(3 * 3600)
    frame = servers.hold((1, 1, 100.0, 80.0))
    (unseen,) = servers.service.of(frame, judged).unseen
    assert (unseen.start_micros, unseen.end_micros) == (judged, servers.micros())
    servers.clock.advance(60)
    await servers.service.look({})
    found = servers.service.of(frame, judged)
    assert found.price_usd.tolist() == [82.5] and not found.unseen


async def test_what_was_before_an_edit_that_nobody_judged_is_said_and_then_looked_at() -> None:
    servers = Servers()
    judged = servers.micros()
    servers.lows = {100: 82.5}
    servers.clock.advance(3 * 3600)
    frame = servers.hold((1, 1, 100.0, 80.0))
    await servers.service.look({})
    found = servers.service.of(frame, judged)
    assert [one.reason for one in found.unseen] == ["NOT_ASKED"]
    assert found.unseen[0].start_micros == judged
    servers.clock.advance(60)
    await servers.service.look({})
    found = servers.service.of(frame, found.until_micros)
    assert found.price_usd.tolist() == [82.5] and not found.unseen


async def test_an_asset_that_is_new_was_not_left_out_before() -> None:
    servers = Servers()
    servers.hold((1, 1, 100.0, 80.0))
    await servers.service.look({})
    judged = servers.micros()
    servers.service.of(servers.shown, judged)
    servers.clock.advance(60)
    await servers.service.look({})
    opened = servers.hold((1, 1, 100.0, 80.0), (2, 1, 100.0, 80.0), assets=("BTC", "ETH"))
    servers.clock.advance(2)
    assert not servers.service.of(opened, judged).unseen


async def test_an_asset_that_was_opened_is_looked_at_from_the_pass_that_showed_it_on() -> None:
    servers = Servers()
    servers.hold((1, 1, 100.0, 80.0))
    await servers.service.look({})
    servers.hold((1, 1, 100.0, 80.0), (2, 1, 100.0, 80.0), assets=("BTC", "ETH"))
    opened = servers.micros()
    servers.clock.advance(150)
    servers.lows = {1: 82.5}
    await servers.service.look({})
    assert servers.service.of(servers.shown, opened).price_usd.tolist() == [82.5, 82.5]


async def test_two_looks_at_once_of_different_holdings_do_not_break_each_other() -> None:
    servers = Servers()
    servers.gate = asyncio.Event()
    servers.hold((1, 1, 100.0, 80.0), (2, 1, 100.0, 80.0), assets=("BTC", "ETH"))
    first = asyncio.create_task(servers.service.look({}))
    await asyncio.sleep(0)
    servers.hold((1, 1, 100.0, 80.0))
    second = asyncio.create_task(servers.service.look({}))
    await asyncio.sleep(0)
    servers.gate.set()
    await asyncio.gather(first, second)


async def test_looks_of_a_clock_that_was_ahead_are_not_told_again() -> None:
    servers = Servers()
    frame = servers.hold((1, 1, 100.0, 80.0))
    servers.clock.advance(3600)
    servers.lows = {60: 82.5}
    await servers.service.look({})
    servers.clock.set_time(servers.clock.now() - timedelta(seconds=3000))
    servers.lows = {}
    now = servers.micros()
    servers.clock.advance(60)
    await servers.service.look({})
    assert servers.service.of(frame, now).price_usd.tolist() == [95.0]


async def test_candles_far_from_the_markets_price_are_not_looked_at_and_asked_for_again() -> None:
    servers = Servers()
    frame = servers.hold((1, -1, 90.0, 96.5))
    evaluated = servers.micros()
    servers.clock.advance(60)
    # As in USDT when that is worth less: 3 % above the market.
    await servers.service.look({"BTC": 92.0})
    found = servers.service.of(frame, evaluated)
    assert np.isnan(found.price_usd).all() and found.unseen[0].reason == "DISAGREES"
    servers.clock.advance(60)
    await servers.service.look({"BTC": 95.0})
    found = servers.service.of(frame, evaluated)
    assert found.price_usd.tolist() == [96.0] and not found.unseen
    assert servers.asked[-1][1] == 4


async def test_an_asset_nobody_has_candles_of_does_not_have_a_day_of_the_others_asked_for() -> None:
    servers = Servers()
    servers.hold((1, 1, 100.0, 80.0), (2, 1, 100.0, 80.0), assets=("BTC", "SPX"))
    servers.blind = {"SPX"}
    for _ in range(5):
        servers.clock.advance(600)
        await servers.service.look({})
    assert servers.asked[-2:] == [(("BTC",), 11), (("SPX",), 52)]
