"""`sonic cycle`: one pass over the steps, live, in the running system or in one started for it."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cli import certificates, database, system
from services.cli.connection import System, connected
from services.cli.output import (
    STATE_STYLES,
    command,
    complaints,
    console,
    enum_name,
    print_json,
    table,
)
from services.cli.plan import Plan
from shared import log
from shared.names import new_id

EXIT_CODES = {pb.CYCLE_STATE_SUCCEEDED: 0, pb.CYCLE_STATE_PARTIAL: 2}
CYCLE_SECONDS = 300.0


@command
async def cycle(
    steps: Annotated[
        str,
        typer.Option(
            help="Only these steps, separated by commas; the order is always that of the cycle."
        ),
    ] = "",
    deliver_to: Annotated[
        list[str] | None,
        typer.Option(
            help="Tell how it ended: a channel, or an address of RESULT_ADDRESSES; may be repeated."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the finished cycle as JSON.")] = False,
) -> int:
    """Run one cycle. Exit code 0 SUCCEEDED, 2 PARTIAL, 1 otherwise."""
    names = [name.strip() for name in steps.split(",") if name.strip()]
    async with _some_system(quiet=json) as found:
        cyclone = await found.stub("cyclone", rpc.CycloneServiceStub)
        # With an id of its own, so that a connection that breaks asks for no second one.
        request = pb.RunCycleRequest(
            steps=names, request_id=new_id("cli"), deliver_to=deliver_to or ()
        )
        stream = cyclone.RunCycle(request, timeout=CYCLE_SECONDS)
        last = await (_follow(stream) if json else _show(stream))
    if json:
        print_json(last)
    return EXIT_CODES.get(last.state, 1)


@asynccontextmanager
async def _some_system(*, quiet: bool) -> AsyncIterator[System]:
    """The running system, or one in this process that lives for one cycle."""
    plan = Plan()
    # One that is not ready says why: a second system beside it would only be in its way.
    if await system.runs(plan, "cyclone"):
        async with connected() as found:
            yield found
        return
    say = complaints.print if quiet else console.print
    say("Sonic is not running; starting one for this cycle")
    log.configure("sonic", "WARNING", json=False)
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(database.opened(plan))
        urls = await database.prepare(opened, plan.home, leaves_newer=plan.sonic_allow_newer_schema)
        # No schedule: this system runs what it was started for and nothing else.
        system.certify(plan)
        addresses = await stack.enter_async_context(
            system.in_one_process(
                plan,
                urls,
                lambda _: None,
                listens=system.free_ports(),
                extra={"SONIC_SCHEDULE": "0"},
                tls=plan.tls_folder,
            )
        )
        tls = certificates.operators(plan.tls_folder)
        yield await stack.enter_async_context(connected(addresses, tls))


async def _follow(stream: AsyncIterable[pb.RunCycleResponse]) -> pb.Cycle:
    last = pb.Cycle()
    async for progress in stream:
        last = progress.cycle
    return last


async def _show(stream: AsyncIterable[pb.RunCycleResponse]) -> pb.Cycle:
    last = pb.Cycle()
    # Redrawn in place on a terminal; a file or a pipe gets the finished table alone.
    with Live(console=console, refresh_per_second=12, transient=True) as live:
        async for progress in stream:
            last = progress.cycle
            if console.is_terminal:
                live.update(steps_table(last))
    console.print(steps_table(last))
    console.print(_verdict(last))
    return last


def steps_table(cycle: pb.Cycle) -> Table:
    """Steps of a cycle: name, state, counts, milliseconds."""
    made = table(
        f"Cycle {cycle.id}" + ("  DEMO" if cycle.demo else ""), ["step", "state", "ms>", "counts"]
    )
    for step in cycle.steps:
        state = enum_name(step, "state")
        taken = (
            f"{step.duration.ToTimedelta().total_seconds() * 1000:.1f}"
            if step.HasField("duration")
            else ""
        )
        made.add_row(
            step.name, Text(state, style=STATE_STYLES.get(state, "")), taken, _counts(step)
        )
    return made


def _counts(step: pb.Step) -> Text:
    counts = "  ".join(f"{name} {value}" for name, value in sorted(step.counts.items()))
    return Text("  ".join(filter(None, [counts, step.reason, step.message])))


def _verdict(cycle: pb.Cycle) -> Text:
    state = enum_name(cycle, "state")
    taken = cycle.duration.ToTimedelta().total_seconds() * 1000
    return Text(
        f"{state} in {taken:.0f} ms  {cycle.message}".rstrip(), style=STATE_STYLES.get(state, "")
    )
