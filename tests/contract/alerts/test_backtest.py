"""RunBacktest against the cycle itself, its limits and its refusals."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.price.v1 import price_pb2

from shared.errors import InvalidArgument, NotFound
from tests.contract.alerts.conftest import START, Servers

DISTANCE = pb.ALERT_TYPE_LIQUIDATION_DISTANCE
TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
FIRST_SECOND = int(START.timestamp())


def series(count: int, seed: int) -> tuple[list[float], list[float], list[float]]:
    """High, low, close of minutes between 82 and 101: every level is reached and left again."""
    rng = np.random.default_rng(seed)
    path = 90 + 7 * np.sin(np.arange(count) / 4.0) + rng.normal(0, 1.2, count)
    close = np.round(path.clip(82.5, 100), 2)
    low = np.round((close - np.abs(rng.normal(0, 1.5, count))).clip(81), 2)
    high = np.round(close + np.abs(rng.normal(0, 1.0, count)), 2)
    return high.tolist(), low.tolist(), close.tolist()


class Minutes:
    """The minutes of SOL as price shows them, up to now."""

    def __init__(self, servers: Servers, high: list[float], low: list[float]) -> None:
        self._house, self._high, self._low = servers, high, low
        servers.market.told["price.ReadMinutes"] = self

    async def __call__(self, request, context) -> None:
        first, now = request.start_time.seconds // 60, int(self._house.clock.now().timestamp())
        begin = FIRST_SECOND // 60
        minutes = [
            minute
            for minute in range(first, now // 60 + 1)
            if begin <= minute < begin + len(self._low)
        ]
        await context.write(
            price_pb2.Minutes(
                asset="SOL",
                source="binance",
                minute=minutes,
                high_usd=[self._high[minute - begin] for minute in minutes],
                low_usd=[self._low[minute - begin] for minute in minutes],
            )
        )


def asked(
    high: list[float], low: list[float], close: list[float], **more: object
) -> pb.RunBacktestRequest:
    """A long of SOL entered at 100 that liquidates at 80, over minutes from START."""
    candles = pb.BacktestCandles(
        start_seconds=[FIRST_SECOND + 60 * number for number in range(len(close))],
        high_usd=high,
        low_usd=low,
        close_usd=close,
    )
    terms = {"entry_price_usd": 100.0, "liquidation_price_usd": 80.0, "asset": "SOL", **more}
    return pb.RunBacktestRequest(candles=candles, **{"side": pb.BACKTEST_SIDE_LONG, **terms})


@pytest.mark.slow
@pytest.mark.parametrize("kind", [DISTANCE, TRAVEL])
async def test_the_cycle_gives_the_same_alerts_at_the_same_candles(
    servers: Servers, kind: int
) -> None:
    high, low, close = series(45, 11)
    Minutes(servers, high, low)
    await servers.only(kind)
    servers.clock.advance(30)
    position = await servers.hold(close[0])
    await servers.create()
    seen: list[tuple[int, int, int, bool]] = []
    known = 0
    for number, price in enumerate(close):
        await servers.mark(position, price)
        servers.clock.advance(15)
        await servers.positions.SyncPositions(positions_pb.SyncPositionsRequest(epoch=1))
        await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest(epoch=1))
        moved = (await servers.evaluate()).transitions
        changes = [entry for entry in await servers.entries() if entry.actor == "evaluation"]
        for entry in changes[known:]:
            # What is recorded without a move is a notice that waited for its cooldown.
            told = moved[0].told if moved else True
            seen.append((number, entry.level_before, entry.level_after, told))
        known = len(changes)
        servers.clock.advance(35)
    answer = await servers.backtests.RunBacktest(asked(high, low, close, type=kind))
    assert not answer.HasField("liquidated_time")
    assert [
        (
            (one.time.seconds - FIRST_SECOND) // 60 - 1,
            one.level_before,
            one.level_after,
            one.notified,
        )
        for one in answer.alerts
    ] == seen
    assert {after for _, _, after, _ in seen} == {
        pb.LEVEL_NORMAL,
        pb.LEVEL_LOW,
        pb.LEVEL_MEDIUM,
        pb.LEVEL_HIGH,
    }
    assert answer.alert_count == len(seen) >= 10


async def test_without_limits_those_in_force_judge(servers: Servers) -> None:
    answer = await servers.backtests.RunBacktest(asked(*([[95.0, 95.0, 90.0]] * 3)))
    limits = answer.outcomes.limits
    assert (limits.low, limits.medium, limits.high) == (14, 10, 7)
    assert [one.level_after for one in answer.alerts] == [pb.LEVEL_LOW][: answer.alert_count]
    await servers.only(TRAVEL)
    with pytest.raises(NotFound) as refused:
        await servers.backtests.RunBacktest(asked(*([[95.0, 95.0, 90.0]] * 3)))
    assert refused.value.reason == "THRESHOLD_NOT_FOUND"


async def test_starts_and_a_sweep_give_a_curve_with_a_knee(servers: Servers) -> None:
    rng = np.random.default_rng(4)
    close = (100 * np.exp(np.cumsum(rng.normal(0, 0.004, 600)))).tolist()
    low, high = [one * 0.998 for one in close], [one * 1.002 for one in close]
    request = asked(
        high,
        low,
        close,
        sweep=[pb.BacktestLimits(high=one) for one in (0.5, 1.0, 2.0, 3.0, 4.5)],
        limits=pb.BacktestLimits(low=4, medium=3, high=2),
        start_every=Duration(seconds=300),
        horizon=Duration(seconds=7200),
        time_zone="Europe/Berlin",
    )
    request.ClearField("entry_price_usd")
    request.ClearField("liquidation_price_usd")
    request.liquidation_distance_percent = 5
    answer = await servers.backtests.RunBacktest(request)
    assert answer.outcomes.position_count == 96
    assert answer.cadence.seconds == 60 and answer.missing_count == 0
    assert [one.limits.high for one in answer.curve] == [0.5, 1.0, 2.0, 3.0, 4.5]
    leads = [one.leads[-1].median.ToTimedelta() for one in answer.curve]
    assert leads == sorted(leads) and leads[-1] > leads[0]
    told = [one.told_ahead_count for one in answer.curve]
    assert told == sorted(told)
    assert answer.outcomes.liquidated_count == answer.curve[0].liquidated_count > 10
    assert answer.HasField("knee")
    assert len(answer.prices) == 121


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"liquidation_price_usd": 96.0}, "LIQUIDATED_AT_START", "liquidation_price_usd"),
        ({"liquidation_distance_percent": 5.0}, "INVALID_FIELD", "liquidation_distance_percent"),
        ({"entry_price_usd": -1.0}, "INVALID_FIELD", "entry_price_usd"),
        ({"liquidation_price_usd": float("nan")}, "NOT_FINITE", "liquidation_price_usd"),
        ({"start_every": Duration(seconds=60)}, "INVALID_FIELD", "start_every"),
        ({"time_zone": "Mars/Olympus"}, "INVALID_FIELD", "time_zone"),
        ({"type": pb.ALERT_TYPE_HEAT_INDEX}, "INVALID_FIELD", "type"),
        ({"limits": pb.BacktestLimits()}, "INVALID_FIELD", "limits.high"),
        ({"limits": pb.BacktestLimits(low=5, high=9)}, "LIMITS_OUT_OF_ORDER", "limits.low"),
        ({"sweep": [pb.BacktestLimits(high=101)]}, "INVALID_FIELD", "sweep[0].high"),
        ({"side": 0}, "INVALID_FIELD", "side"),
    ],
)
async def test_what_cannot_be_walked_is_refused_by_its_field(
    servers: Servers, change: dict[str, object], reason: str, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await servers.backtests.RunBacktest(asked(*([[95.0, 95.0, 90.0]] * 3), **change))
    assert refused.value.reason == reason and field in refused.value.fields


async def test_one_candle_is_none(servers: Servers) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await servers.backtests.RunBacktest(asked([95.0], [95.0], [95.0]))
    assert refused.value.reason == "BAD_CANDLES"
