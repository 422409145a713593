"""`sonic alerts`: what was judged."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.cli.connection import connected
from services.cli.output import (
    LEVEL_STYLES,
    as_json,
    command,
    console,
    enum_name,
    number,
    print_json,
    show_more,
    table,
)
from shared.names import choose

app = typer.Typer(help="What was judged, and why.", no_args_is_help=True)

LEVELS = {name.removeprefix("LEVEL_"): number for name, number in pb.Level.items() if number}


@app.command("list")
@command
async def list_alerts(
    level: Annotated[
        str, typer.Option(help="Only this level or worse: normal, low, medium, high.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Rows at the most.")] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show alerts, the worst first."""
    aliases = {"WARNING": "MEDIUM", "CRITICAL": "HIGH"}
    least = LEVELS[choose(level, LEVELS, field="level", aliases=aliases)] if level else 0
    request = pb.ListAlertsRequest(min_level=pb.Level.ValueType(least))
    found: list[pb.Alert] = []
    async with connected() as system:
        alerts = await system.stub("alerts", rpc.AlertsServiceStub)
        while True:
            request.page_size = min(limit - len(found), 500)
            page = await alerts.ListAlerts(request)
            found.extend(page.alerts)
            if not page.next_page_token or len(found) >= limit:
                break
            request.page_token = page.next_page_token
    if json:
        print_json([dict(as_json(alert)) for alert in found])
        show_more(page, for_scripts=True)
        return
    made = table("Alerts", ["id", "level", "type", "about", "value>", "reading", "why"])
    for alert in found:
        name = enum_name(alert, "level")
        made.add_row(
            alert.id,
            Text(name, style=LEVEL_STYLES.get(name, "")),
            enum_name(alert, "type"),
            " ".join(filter(None, [alert.account, alert.asset, alert.side, alert.wallet]))
            or enum_name(alert, "alert_class").lower(),
            number(alert, "evaluated_value"),
            enum_name(alert, "reading_state").replace("UNSPECIFIED", "-"),
            Text(alert.why),
        )
    console.print(made)
    show_more(page)
