"""`sonic dashboard`: the page of the running system, in the browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer
from rich.text import Text

from services.cli.output import command, console
from services.cli.plan import Plan
from services.cli.system import serves_pages
from shared.errors import Unavailable


@command
async def dashboard(
    no_open: Annotated[bool, typer.Option("--no-open", help="Only say where it is.")] = False,
) -> None:
    """Open the page of the running system."""
    listens = Plan().http_address
    address = f"http://{listens}/"
    if not await serves_pages(listens):
        raise Unavailable("PEER_UNAVAILABLE", f"no page answers at {address}")
    console.print(Text(address))
    if not no_open:
        webbrowser.open(address)
