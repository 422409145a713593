"""Charts as files, by matplotlib: the extra sonic[plots]."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from shared.errors import FailedPrecondition, InvalidArgument

FORMATS = (".png", ".svg")
_MARKS = {pb.FLOW_KIND_DEPOSIT: ("^", "deposit"), pb.FLOW_KIND_WITHDRAWAL: ("v", "withdrawal")}


@dataclass(frozen=True, slots=True)
class Charts:
    """Series of one asset, tokens; `demo`: simulated, which is written above them."""

    asset: str
    position: pb.Series
    corrected: pb.Series
    residual: pb.Series
    demo: bool


def need_plots() -> None:
    """FailedPrecondition PLOTS_MISSING, which says how they are had."""
    _matplotlib("figure")


def draw(charts: Charts, file: Path) -> None:
    """Three charts below one another; PNG or SVG by the file's ending. InvalidArgument BAD_FILE."""
    figure = _matplotlib("figure").Figure(figsize=(10, 11), layout="constrained")
    above, middle, below = figure.subplots(3, 1)
    figure.suptitle(f"{charts.asset}{' (DEMO: simulated)' if charts.demo else ''}")
    _positions(above, charts)
    _residuals(middle, charts.residual)
    _distribution(below, charts.residual.distribution)
    dates = _matplotlib("dates")
    for axes in (above, middle):
        locator = dates.AutoDateLocator(tz=UTC)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=UTC))
    try:
        figure.savefig(file, format=file.suffix[1:].lower(), dpi=120)
    except OSError as error:
        raise InvalidArgument("BAD_FILE", f"{file}: {error.strerror}") from error


def _positions(axes: Any, charts: Charts) -> None:
    axes.plot(*_columns(charts.position.points), label="position")
    axes.plot(*_columns(charts.corrected.points), label="corrected position", linestyle="--")
    times, values = _columns(charts.position.points)
    for kind, (mark, word) in _MARKS.items():
        flows = [one for one in charts.position.flows if one.kind == kind]
        moments = [one.flow_time.ToDatetime(UTC) for one in flows]
        if times and moments:
            heights = [_before(moment, times, values) for moment in moments]
            axes.plot(moments, heights, marker=mark, linestyle="", label=word)
    axes.set(title="Position", ylabel="tokens")
    _legend(axes)


def _residuals(axes: Any, series: pb.Series) -> None:
    axes.plot(*_columns(series.points), marker=".", linestyle="", label="residual")
    gate = series.gate
    if gate.HasField("low") and gate.HasField("high"):
        axes.axhspan(gate.low, gate.high, alpha=0.15, label="band of the last point")
    axes.axhline(0, linewidth=0.8, color="grey")
    axes.set(title="Residual", ylabel="tokens")
    _legend(axes)


def _distribution(axes: Any, distribution: pb.Distribution) -> None:
    if len(distribution.edges) > 1:
        counts, edges = distribution.counts, distribution.edges
        axes.stairs(counts, edges, fill=True, alpha=0.4, label="residuals")
        scale = (edges[1] - edges[0]) * sum(counts)
        heights = [density * scale for density in distribution.density]
        axes.plot(list(distribution.at), heights, label="kernel density")
    axes.set(title="Distribution of the residuals", xlabel="tokens", ylabel="count")
    _legend(axes)


def _columns(points: Iterable[pb.Point]) -> tuple[list[datetime], list[float]]:
    """Moments and values; what is not known is a gap."""
    rows = list(points)
    values = [row.value if row.HasField("value") else math.nan for row in rows]
    return [row.time.ToDatetime(UTC) for row in rows], values


def _before(moment: datetime, times: list[datetime], values: list[float]) -> float:
    """Where a flow's mark stands: on the line, at the last sample before it."""
    return next(
        (
            value
            for time, value in zip(reversed(times), reversed(values), strict=True)
            if time <= moment
        ),
        values[0],
    )


def _legend(axes: Any) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize="small")
    else:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center")


def _matplotlib(part: str) -> Any:
    try:
        return importlib.import_module(f"matplotlib.{part}")
    except ImportError as error:
        raise FailedPrecondition(
            "PLOTS_MISSING",
            "plots need matplotlib, the extra sonic[plots]; install it with:"
            f" {sys.executable} -m pip install 'matplotlib~=3.11'",
        ) from error
