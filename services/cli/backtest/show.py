"""A backtest as people read it."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text
from sonic.alerts.v1 import alerts_pb2 as pb

from services.cli.output import LEVEL_STYLES, console, enum_name, table


def show(found: pb.Backtest, most: int) -> None:
    """Outcomes, the first position's alerts, and the curve when there is one."""
    _show_outcomes(found)
    _show_first(found, most)
    if found.curve:
        _show_curve(found)


def _show_outcomes(found: pb.Backtest) -> None:
    one = found.outcomes
    gaps = f", {found.missing_count:,} missing" if found.missing_count else ""
    title = (
        f"{_time(found.start_time)} to {_time(found.end_time)}: {found.candle_count:,} candles"
        f" of {_span(found.cadence)}{gaps}"
    )
    console.print(title, style="bold")
    made = table("", ["", ">"])
    made.add_row("limits", limits(one.limits))
    made.add_row("positions", f"{one.position_count:,}")
    made.add_row("liquidated", _share(one.liquidated_count, one.position_count))
    made.add_row("told HIGH", _share(one.alarmed_count, one.position_count))
    made.add_row("of those liquidated", _share(one.alarmed_liquidated_count, one.alarmed_count))
    made.add_row("liquidations told ahead", _share(one.told_ahead_count, one.liquidated_count))
    for lead in one.leads:
        name = enum_name(lead, "level")
        made.add_row(f"lead of {name}, p10 / median / p90", _lead(lead))
    made.add_row("alarms a week", f"{one.alarms_per_week:.2f}")
    made.add_row("alarms for nothing", _share(one.false_alarm_count, one.alarm_count))
    made.add_row("nights woken a week", f"{one.nights_per_week:.2f}")
    console.print(made)


def _show_first(found: pb.Backtest, most: int) -> None:
    gone = found.HasField("liquidated_time")
    end = f"liquidated by {_time(found.liquidated_time)}" if gone else "not liquidated"
    title = (
        f"The first position: entry {found.entry_price_usd:,.2f}, liquidation"
        f" {found.liquidation_price_usd:,.2f}, {end}; {found.alert_count:,} alerts"
    )
    console.print(title, style="bold")
    made = table("", ["time", "level", "told", "price>", "value>", "away>"])
    for alert in found.alerts[:most]:
        before, after = enum_name(alert, "level_before"), enum_name(alert, "level_after")
        made.add_row(
            _time(alert.time),
            Text(f"{before} > {after}", style=LEVEL_STYLES.get(after, "")),
            "yes" if alert.notified else "no",
            f"{alert.price_usd:,.2f}",
            f"{alert.value:.2f} %",
            f"{alert.distance_percent:.2f} %",
        )
    console.print(made)
    if found.alert_count > len(made.rows):
        console.print(f"{found.alert_count - len(made.rows):,} more", style="bright_black")
    if found.HasField("top_up"):
        best = found.top_up
        console.print(
            f"Best moment to add collateral: {_time(best.time)}, at {best.price_usd:,.2f},"
            f" {best.distance_percent:.2f} % away. A liquidation price beyond"
            f" {best.worst_price_usd:,.2f} would have lived on."
        )


def _show_curve(found: pb.Backtest) -> None:
    columns = ["limits", "alarms a week>", "nights a week>", "for nothing>", "told ahead>"]
    made = table("More alarms against longer lead", [*columns, "lead p10>", "median>", ""])
    for place, one in enumerate(found.curve):
        lead = one.leads[-1]
        is_knee = found.HasField("knee") and found.knee == place
        made.add_row(
            limits(one.limits),
            f"{one.alarms_per_week:.2f}",
            f"{one.nights_per_week:.2f}",
            _share(one.false_alarm_count, one.alarm_count),
            _share(one.told_ahead_count, one.liquidated_count),
            _span(lead.p10) if lead.HasField("p10") else "-",
            _span(lead.median) if lead.HasField("median") else "-",
            Text("knee", style="bold") if is_knee else "",
        )
    console.print(made)
    if found.HasField("knee"):
        console.print("knee: from here on more alarms buy least further lead.")


def limits(one: pb.BacktestLimits) -> str:
    """`10 / 7 / 5`, a dash where a level has no limit."""
    known = [
        f"{getattr(one, name):g}" if one.HasField(name) else "-"
        for name in ("low", "medium", "high")
    ]
    return " / ".join(known)


def _lead(lead: pb.BacktestLead) -> str:
    if not lead.HasField("median"):
        return "-"
    return " / ".join(_span(span) for span in (lead.p10, lead.median, lead.p90))


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({100 * part / whole:.0f} %)" if whole else "-"


def _span(duration: Duration) -> str:
    seconds = duration.ToTimedelta().total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:g} s"


def _time(moment: Timestamp) -> str:
    return moment.ToDatetime().strftime("%Y-%m-%d %H:%M")
