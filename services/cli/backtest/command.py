"""`sonic backtest`: what thresholds would have told of a position in the past."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2_grpc

from services.cli.backtest import options
from services.cli.backtest.show import show
from services.cli.connection import System, connected
from services.cli.output import command, complaints, print_json
from services.cli.schema.fields import moment, put
from shared.errors import InvalidArgument, invalid

_SECONDS = 120.0
_SIDES = {
    positions_pb2.SIDE_LONG: pb.BACKTEST_SIDE_LONG,
    positions_pb2.SIDE_SHORT: pb.BACKTEST_SIDE_SHORT,
}


@command
async def backtest(
    asset: options.Asset = "",
    side: options.Side = "long",
    distance: options.Distance = None,
    liquidation_price: options.LiquidationPrice = None,
    entry_price: options.EntryPrice = None,
    position: options.Position = "",
    candles: options.File = None,
    interval: options.Interval = "hour",
    since: options.Since = "",
    until: options.Until = "",
    metric: options.Metric = "liquidation_distance",
    limits: options.Limits = "",
    sweep: options.Sweep = "",
    start_every: options.StartEvery = "",
    horizon: options.Horizon = "",
    told_ahead: options.ToldAhead = "1h",
    time_zone: options.TimeZone = "UTC",
    limit: options.Shown = 30,
    json: options.Json = False,
) -> None:
    """Judge past candles as the cycle judges: alerts, leads, false alarms, nights woken.

    With --start-every over many starts, with --sweep a curve of alarms against lead and its knee.
    """
    request = _request(
        asset, limits, sweep,
        side=side,
        type=metric,
        liquidation_distance_percent=distance,
        liquidation_price_usd=liquidation_price,
        entry_price_usd=entry_price,
        start_every=start_every,
        horizon=horizon,
        told_ahead=told_ahead,
        time_zone=time_zone,
    )  # fmt: skip
    async with connected() as found:
        if position:
            await _held(found, position, request)
        elif distance is None and liquidation_price is None:
            raise invalid("distance", "say --distance, --liquidation-price or --position")
        if candles is not None:
            request.candles.CopyFrom(await asyncio.to_thread(_read, candles, since, until))
        else:
            await _fetch(found, request, interval, since or "30d ago", until, quiet=json)
        alerts = await found.stub("alerts", rpc.BacktestServiceStub)
        answer = await alerts.RunBacktest(request, timeout=_SECONDS)
    print_json(answer) if json else show(answer, limit)


def _request(
    asset: str, limits: str, sweep: str, **given: str | float | None
) -> pb.RunBacktestRequest:
    request = pb.RunBacktestRequest(asset=asset)
    for name, value in given.items():
        if value not in (None, ""):
            put(request, name, value)
    if limits:
        request.limits.CopyFrom(limits_of(limits.replace(",", "/"), "limits"))
    words = sweep.split() if "/" in sweep else sweep.split(",") if sweep else []
    request.sweep.extend(limits_of(word, "sweep") for word in words)
    return request


def limits_of(text: str, field: str) -> pb.BacktestLimits:
    """`10/7/5`, or `5` for HIGH alone; a dash is no limit."""
    parts = [part.strip() for part in text.split("/")]
    if len(parts) == 1:
        parts = ["-", "-", *parts]
    try:
        numbers = [None if part == "-" else float(part) for part in parts]
        low, medium, high = numbers
    except ValueError as error:
        raise invalid(field, f"{text!r} is not LOW/MEDIUM/HIGH or HIGH") from error
    return pb.BacktestLimits(low=low, medium=medium, high=high)


async def _held(found: System, id: str, request: pb.RunBacktestRequest) -> None:
    """The position's asset, side and prices; a distance asked for replaces its prices."""
    stub = await found.stub("positions", positions_pb2_grpc.PositionsServiceStub)
    held = await stub.GetPosition(positions_pb2.GetPositionRequest(id=id))
    if held.side not in _SIDES or not held.HasField("risk_liquidation_price_usd"):
        raise invalid("position", "its side or liquidation price is not known")
    request.asset, request.side = held.asset, _SIDES[held.side]
    if not request.HasField("liquidation_distance_percent"):
        request.liquidation_price_usd = held.risk_liquidation_price_usd
        if held.HasField("entry_price_usd"):
            request.entry_price_usd = held.entry_price_usd


async def _fetch(
    found: System,
    request: pb.RunBacktestRequest,
    interval: str,
    since: str,
    until: str,
    *,
    quiet: bool,
) -> None:
    from services.cli.backtest.history import price_candles

    if not request.asset:
        raise invalid("asset", "say whose candles: sonic backtest BTC --distance 10")
    prices = await found.stub("price", price_pb2_grpc.PriceServiceStub)
    with complaints.status(Text("candles"), spinner="line") as shown:

        def told(count: int) -> None:
            if not quiet:
                shown.update(Text(f"{count:,} candles of {request.asset}"))

        request.candles.CopyFrom(
            await price_candles(prices, request.asset, interval, since, until, told)
        )


def _read(path: Path, since: str, until: str) -> pb.BacktestCandles:
    """The candles of a file that start within these times."""
    from services.cli.backtest.history import MOST_CANDLES
    from services.cli.calibration.candle_files import candle_file

    rows = candle_file(path)
    inside = (rows.seconds >= _seconds("since", since, 0.0)) & (
        rows.seconds < _seconds("until", until, math.inf)
    )
    count = int(inside.sum())
    if count > MOST_CANDLES:
        problem = f"{count:,} candles, at most {MOST_CANDLES:,}: say --since and --until"
        raise InvalidArgument("BAD_CANDLES", f"{path}: {problem}", fields={"candles": problem})
    return pb.BacktestCandles(
        start_seconds=rows.seconds[inside].astype(int).tolist(),
        high_usd=rows.high[inside].tolist(),
        low_usd=rows.low[inside].tolist(),
        close_usd=rows.close[inside].tolist(),
    )


def _seconds(field: str, text: str, unsaid: float) -> float:
    if not text:
        return unsaid
    try:
        return moment(text, datetime.now(UTC)).timestamp()
    except ValueError as error:
        raise invalid(field, f"{text!r} is not a time: 2026-11-29T14:00Z, 2h ago") from error
