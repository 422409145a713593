"""`sonic logs`: what cycles said, oldest first, and what they say from now on."""

from __future__ import annotations

import asyncio
import json as json_text
from typing import Annotated

import typer
from rich.text import Text
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cli.connection import connected
from services.cli.output import as_json, command, console
from services.cli.schema.render import cell

_STYLES = {"ERROR": "bold red", "WARNING": "yellow"}
_LOOK_SECONDS = 1.0
_PAGE = 500


@command
async def logs(
    cycle: Annotated[str, typer.Option(help="Only this cycle.")] = "",
    level: Annotated[str, typer.Option(help="Only this severity: info, warning, error.")] = "",
    source: Annotated[str, typer.Option(help="Only this step or service.")] = "",
    text: Annotated[str, typer.Option(help="Only lines that hold this text.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=_PAGE, help="Lines at the most.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="A JSON document a line.")] = False,
) -> None:
    """Show what the cycles said."""
    request = pb.ListEventsRequest(
        page_size=_PAGE, cycle_id=cycle, severity=level.upper(), source=source, text=text
    )
    last, wanted = 0, limit
    async with connected() as system:
        cyclone = await system.stub("cyclone", rpc.CycloneServiceStub)
        while True:
            page = await cyclone.ListEvents(request)
            for event in reversed(page.events[:wanted]):
                _show(event, json=json)
            last, wanted = max([last, *(one.id for one in page.events)]), _PAGE
            request.after_id = last
            if not follow:
                return
            await asyncio.sleep(_LOOK_SECONDS)


def _show(event: pb.Event, *, json: bool) -> None:
    if json:
        print(json_text.dumps(as_json(event)), flush=True)
        return
    severity = Text(f"{event.severity:<8}", style=_STYLES.get(event.severity, ""))
    console.print(
        Text.assemble(cell(event, "event_time"), "  ", severity, f"{event.source}  {event.message}")
    )
