"""The first pane: totals, what is nearest to liquidation, what is raised."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from sonic.monitor.v1 import monitor_pb2, monitor_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from services.cli.connection import System
from services.cli.output import LEVEL_STYLES, enum_name, heat, known, number, table, travel
from services.cli.worst import unread_words

_NEAREST = 8
_BAR_WIDTH = 20
# Where the bar is full: this far from liquidation nothing is near.
_FAR_PERCENT = 50.0


async def totals(system: System) -> RenderableType:
    """What is held in sum; raises SonicError when positions does not answer, like those below."""
    portfolio = await system.stub("positions", positions_pb2_grpc.PortfolioServiceStub)
    return _totals(await portfolio.GetTotals(positions_pb2.GetTotalsRequest()))


async def nearest(system: System) -> RenderableType:
    """What is nearest to liquidation."""
    positions = await system.stub("positions", positions_pb2_grpc.PositionsServiceStub)
    found = await positions.ListPositions(
        positions_pb2.ListPositionsRequest(
            page_size=_NEAREST, order_by="liquidation_distance_percent"
        )
    )
    return _positions(list(found.positions))


async def badges(system: System) -> RenderableType:
    """What is raised."""
    monitors = await system.stub("monitor", monitor_pb2_grpc.MonitorServiceStub)
    return _badges(await monitors.ListBadges(monitor_pb2.ListBadgesRequest()))


# Read each by itself: of a service that is down only its own part grows old.
PARTS = {"totals": totals, "nearest": nearest, "badges": badges}


def bar(distance_percent: float | None) -> Text:
    """How far liquidation is: full is 50 percent or more; words where it is past."""
    if distance_percent is None:
        return Text("unknown", style="bright_black")
    if distance_percent <= 0:
        return Text("PAST LIQUIDATION", style="bold red")
    filled = max(1, round(min(distance_percent / _FAR_PERCENT, 1) * _BAR_WIDTH))
    style = "red" if distance_percent < 5 else "yellow" if distance_percent < 15 else "green"
    rest = Text("." * (_BAR_WIDTH - filled), style="bright_black")
    return Text("#" * filled, style=style).append_text(rest)


def _totals(found: positions_pb2.Totals) -> Text:
    if unread := unread_words(found):
        return Text(f"{unread}\n", style="yellow")
    blind = found.absent_count.get("liquidation_distance_percent", 0)
    parts = [
        f"{found.position_count} positions",
        f"{blind} CANNOT BE JUDGED" if blind else "",
        f"value {found.total_value_usd:,.2f} USD",
        f"profit {found.total_pnl_usd:+,.2f} USD",
        f"leverage {number(found, 'avg_leverage_ratio')}",
        f"heat {number(found, 'avg_heat_index', '{:.1f}')}",
        "STALE" if found.stale else "",
    ]
    return Text("   ".join(filter(None, parts)) + "\n")


def _positions(found: list[positions_pb2.Position]) -> Table:
    columns = ["position", "away>", "", "travel>", "heat>", "pnl USD>"]
    made = table("Nearest to liquidation", columns)
    for one in found:
        made.add_row(
            f"{one.asset} {enum_name(one, 'side')} {one.wallet}",
            number(one, "liquidation_distance_percent", "{:.2f} %"),
            bar(known(one, "liquidation_distance_percent")),
            travel(one),
            heat(one),
            number(one, "pnl_usd", "{:+,.2f}"),
        )
    return made


def _badges(found: monitor_pb2.ListBadgesResponse) -> Text:
    line = Text("\n")
    for badge in found.badges:
        style = LEVEL_STYLES.get(badge.level, "")
        line.append(f" {badge.name.removesuffix('_badge')} ", style=f"{style} reverse")
        line.append(f" {badge.value}{' (stale)' if badge.stale else ''}   ", style=style)
    return line
