"""Messages of the backtest from and to domain values. Decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.alerts.domain.at_price import distance_percent
from services.alerts.backtest.domain.candles import Candles, Side
from services.alerts.backtest.domain.outcomes import Lead, TopUp
from services.alerts.backtest.service import Backtested, BacktestRequest, Limits, LimitsOutcomes
from services.alerts.domain.kinds import AlertType
from shared.codec import fill, from_duration, number


def request_of(message: pb.RunBacktestRequest) -> BacktestRequest:
    candles = message.candles
    return BacktestRequest(
        candles=Candles(
            np.fromiter(candles.start_seconds, np.int64, len(candles.start_seconds)),
            *(
                np.fromiter(column, np.float64, len(column))
                for column in (candles.high_usd, candles.low_usd, candles.close_usd)
            ),
        ),
        asset=message.asset.strip(),
        side=Side(message.side),
        distance_percent=number(message, "liquidation_distance_percent"),
        entry_usd=number(message, "entry_price_usd"),
        liquidation_usd=number(message, "liquidation_price_usd"),
        type=AlertType(message.type or AlertType.LIQUIDATION_DISTANCE),
        limits=_limits(message.limits) if message.HasField("limits") else None,
        sweep=[_limits(one) for one in message.sweep],
        start_every_seconds=_seconds(message, "start_every"),
        horizon_seconds=_seconds(message, "horizon"),
        told_ahead_seconds=_seconds(message, "told_ahead"),
        time_zone=message.time_zone.strip(),
    )


def _limits(message: pb.BacktestLimits) -> Limits:
    return number(message, "low"), number(message, "medium"), number(message, "high")


def _seconds(message: Message, field: str) -> float | None:
    span = from_duration(message, field)
    return None if span is None else span.total_seconds()


def backtest_message(found: Backtested) -> pb.Backtest:
    candles, paths, best = found.candles, found.paths, found.top_up
    ends = candles.end_seconds
    gone = found.liquidated_candle
    return fill(
        pb.Backtest,
        found,
        cadence=timedelta(seconds=candles.cadence_seconds),
        candle_count=len(candles),
        missing_count=candles.missing_count,
        start_time=_moment(candles.start_seconds[0]),
        end_time=_moment(ends[-1]),
        outcomes=_outcomes(found.judged),
        alerts=_alerts(found),
        alert_count=found.change_count,
        liquidated_time=None if gone < 0 else _moment(ends[gone]),
        entry_price_usd=float(paths.entry_usd[0]),
        liquidation_price_usd=float(paths.liquidation_usd[0]),
        top_up=None if best is None else _top_up(best, int(ends[best.candle])),
        prices=_prices(found),
        curve=map(_outcomes, found.curve),
    )


def _moment(seconds: int | np.int64) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _top_up(best: TopUp, end_seconds: int) -> pb.BacktestTopUp:
    return fill(
        pb.BacktestTopUp,
        best,
        time=_moment(end_seconds),
        worst_price_usd=best.worst_usd,
    )


def _alerts(found: Backtested) -> list[pb.BacktestAlert]:
    changes, paths = found.changes, found.paths
    distance = distance_percent(changes.price_usd, paths.liquidation_usd[:1], paths.side.sign)
    moments = found.candles.end_seconds[changes.candle]
    columns = (
        moments,
        changes.before,
        changes.after,
        changes.notified,
        changes.price_usd,
        changes.value,
        distance,
    )
    return [
        pb.BacktestAlert(
            time=Timestamp(seconds=end),
            level_before=before,
            level_after=after,
            notified=notified,
            price_usd=price,
            value=value,
            distance_percent=away,
        )
        for end, before, after, notified, price, value, away in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _prices(found: Backtested) -> list[pb.BacktestPrice]:
    strip = found.strip
    columns = strip.end_seconds, strip.low_usd, strip.high_usd, strip.close_usd
    return [
        pb.BacktestPrice(time=Timestamp(seconds=end), low_usd=low, high_usd=high, close_usd=close)
        for end, low, high, close in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _outcomes(judged: LimitsOutcomes) -> pb.BacktestOutcomes:
    low, medium, high = judged.limits
    return fill(
        pb.BacktestOutcomes,
        judged.outcomes,
        limits=pb.BacktestLimits(low=low, medium=medium, high=high),
        leads=map(_lead, judged.outcomes.leads),
    )


def _lead(lead: Lead) -> pb.BacktestLead:
    return fill(
        pb.BacktestLead,
        lead,
        p10=_span(lead.p10_seconds),
        median=_span(lead.median_seconds),
        p90=_span(lead.p90_seconds),
    )


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
