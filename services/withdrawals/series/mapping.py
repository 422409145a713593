"""Series between messages and the domain."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from services.withdrawals.decisions.mapping import gate_message
from services.withdrawals.series.domain import PERCENTILES, SeriesBins, View
from services.withdrawals.series.service import DrawnSeries, SeriesRequest
from services.withdrawals.supply.mapping import flow_message
from shared.codec import from_duration, from_timestamp


def series_request(message: pb.GetSeriesRequest) -> SeriesRequest:
    """BAD_TIME, BAD_DURATION."""
    return SeriesRequest(
        message.asset,
        View(pb.View.Name(message.view).removeprefix("VIEW_")),
        from_timestamp(message, "start_time"),
        from_timestamp(message, "end_time"),
        from_duration(message, "bin") or None,
        message.wallet,
        message.points_per_bin,
    )


def series_message(drawn: DrawnSeries) -> pb.Series:
    points, trend = drawn.points, drawn.trend
    made = pb.Series(
        asset=drawn.request.asset,
        view=pb.View.Value(f"VIEW_{drawn.request.view}"),
        points=[
            pb.Point(time=_stamp(micros), value=value)
            for micros, value in zip(
                points.time_micros.tolist(), points.values.tolist(), strict=True
            )
        ],
        bins=[] if drawn.bins is None else _bins(drawn.bins),
        flows=map(flow_message, drawn.flows),
    )
    if points.gate is not None:
        made.gate.CopyFrom(gate_message(points.gate))
    if drawn.histogram is not None:
        made.distribution.edges.extend(drawn.histogram.edges.tolist())
        made.distribution.counts.extend(drawn.histogram.counts.tolist())
    if drawn.density is not None:
        made.distribution.at.extend(drawn.density.at.tolist())
        made.distribution.density.extend(drawn.density.density.tolist())
    if trend is not None:
        made.trend_per_month, made.trend_per_year = trend.per_month, trend.per_year
    return made


def _bins(bins: SeriesBins) -> list[pb.Bin]:
    names = [f"p{percent}" for percent in PERCENTILES]
    rows = zip(
        bins.start_micros.tolist(),
        bins.point_count.tolist(),
        bins.percentiles.tolist(),
        strict=True,
    )
    return [
        pb.Bin(start_time=_stamp(micros), count=count, **dict(zip(names, values, strict=True)))
        for micros, count, values in rows
    ]


def _stamp(micros: int) -> Timestamp:
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)
