"""The command that opens the console."""

from __future__ import annotations

import sys

from services.cli import system
from services.cli.output import command
from services.cli.plan import Plan, known_addresses
from shared.errors import FailedPrecondition, Unavailable


@command
async def console() -> None:
    """Open the full-screen console of the running system; ? lists its keys."""
    # The library of the console takes longer to load than most commands to run.
    from services.cli.terminal.app import Console

    if not sys.stdout.isatty():
        raise FailedPrecondition("NO_TERMINAL", "the console needs a terminal; see sonic status")
    plan = Plan()
    if not await system.runs(plan, "cyclone"):
        address = known_addresses(plan)["cyclone"]
        raise Unavailable("PEER_UNAVAILABLE", f"no system answers at {address}")
    await Console().run_async()
