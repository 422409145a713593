"""`sonic status`: who is serving, what the last cycle said, what is held, how bad it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import typer
from rich.text import Text
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from sonic.positions.v1 import positions_pb2

from services.cli import system
from services.cli.backup.schedule import made_time, overdue
from services.cli.connection import System, connected
from services.cli.notices import gather, notices
from services.cli.output import (
    LEVEL_STYLES,
    STATE_STYLES,
    ago,
    as_json,
    command,
    complaints,
    console,
    enum_name,
    number,
    print_json,
    show_notices,
    table,
)
from services.cli.plan import Plan
from services.cli.room import LOW_BYTES, MIB, free_bytes, written_folders
from services.cli.storage import Storage, storage
from services.cli.worst import calm_line, told_words, unread_words, worst_alert, worst_line
from shared.backup_place import trouble
from shared.codec import from_timestamp
from shared.errors import SonicError
from shared.rpc.health import Problem

Ready = tuple[bool, Problem | None]


@command
async def status(
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> int:
    """Show the state of the system. Exit code 0 when every service is serving, else 1."""
    async with connected() as found:
        ready = await _ready(found)
        serving = {name: is_ready for name, (is_ready, _) in ready.items()}
        facts = await _facts(found, serving)
    words: str = facts.pop("told", "")
    if json:
        kept: Storage | None = facts.pop("storage", None)
        told = {name: as_json(fact) for name, fact in facts.items()}
        also: dict[str, Any] = {"storage": kept.as_dict()} if kept else {}
        also |= {"told": words} if words else {}
        said = notices(facts) + _room(kept)
        print_json({"services": serving, "notices": said} | also | told)
    else:
        _show(found.addresses, ready, facts, words)
    return 0 if all(serving.values()) else 1


async def _ready(found: System) -> dict[str, Ready]:
    async with system.HealthClient(found.identity, found.addresses) as asking:
        answers = await asyncio.gather(*map(asking.readiness, found.addresses.values()))
    return dict(zip(found.addresses, answers, strict=True))


async def _facts(found: System, serving: Mapping[str, bool]) -> dict[str, Any]:
    """What the services that serve have to say; one that fails on the way is left out, not
    invented.
    """
    facts: dict[str, Any] = {}
    try:
        facts |= await gather(found, [name for name, is_up in serving.items() if is_up])
        if serving["alerts"]:
            alerts = await found.stub("alerts", alerts_pb2_grpc.AlertsServiceStub)
            facts["alerts"] = await alerts.GetSummary(alerts_pb2.GetSummaryRequest())
            if (worst := await worst_alert(found)) is not None:
                facts |= {"worst": worst, "told": await told_words(found, worst)}
        if serving["cyclone"]:
            cyclone = await found.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
            cycles = await cyclone.ListCycles(cyclone_pb2.ListCyclesRequest(page_size=1))
            if cycles.cycles:
                facts["cycle"] = cycles.cycles[0]
        if serving["monitor"] and (kept := await storage(found)) is not None:
            facts["storage"] = kept
    except SonicError as error:
        complaints.print(Text(f"{error.reason}: {error.message}", style="red"))
    return facts


def _show(
    addresses: Mapping[str, str],
    ready: Mapping[str, Ready],
    facts: Mapping[str, Any],
    told: str,
) -> None:
    made = table("Services", ["service", "address", "state"])
    for name, address in addresses.items():
        is_ready, problem = ready[name]
        words = f"not ready: {problem.words}" if problem else "down"
        state = Text("serving", style="green") if is_ready else Text(words, style="bold red")
        made.add_row(name, address, state)
    console.print(made)
    for name, show in (
        ("mode", _mode),
        ("totals", _totals),
        ("alerts", _alerts),
        ("worst", partial(_worst, told)),
        ("cycle", _cycle),
        ("storage", _storage),
    ):
        if name in facts:
            show(facts[name])
    show_notices(notices(facts) + _room(facts.get("storage")))


def _room(kept: Storage | None) -> list[str]:
    """What is left on the disk of a system of this machine, now and in a month; what stays."""
    stuck = kept.ledger_problem() if kept else ""
    plan = Plan()
    now, since = datetime.now(UTC), made_time(plan.home)
    gone = trouble(plan.backup_folder, plan.home) if plan.sonic_backup_hours > 0 else ""
    words = f"No backup is taken: {gone}." if gone else ""
    old = words or overdue(plan.backup_folder, plan.sonic_backup_hours, now, since)
    return [*_disk(kept), *(words for words in (stuck, old) if words)]


def _disk(kept: Storage | None) -> list[str]:
    folders = [folder for folder in written_folders(Plan().home) if folder.exists()]
    free = min(map(free_bytes, folders), default=None)
    if free is None:
        return []
    if free < LOW_BYTES:
        return [f"Only {free / MIB:,.0f} MiB free on the disk: make room."]
    if kept is not None and kept.grows_over(free):
        return ["At this pace the disk is full within a month: make room, or keep less."]
    return []


def _mode(mode: positions_pb2.GetModeResponse) -> None:
    name = enum_name(mode, "mode")
    console.print(Text(f"{name}  {mode.reason}", style="yellow" if name == "DEMO" else "green"))


def _totals(totals: positions_pb2.Totals) -> None:
    if unread := unread_words(totals):
        console.print(Text(unread, style="yellow"))
    else:
        _sums(totals)
    for words in totals.unwatched:
        console.print(Text(f"  {words}", style="yellow"))


def _sums(totals: positions_pb2.Totals) -> None:
    line = Text(f"{totals.position_count} positions  value {totals.total_value_usd:,.2f} USD  ")
    line.append(
        f"collateral {totals.total_collateral_usd:,.2f} USD  profit {totals.total_pnl_usd:+,.2f} "
        "USD  "
    )
    line.append(f"leverage {number(totals, 'avg_leverage_ratio')}")
    console.print(line)
    if totals.stale:
        stale = (
            "  STALE: a wallet could not be read, or a mark is old or disputed; no level is lowered"
            " by these"
        )
        console.print(Text(stale, style="yellow"))


def _alerts(summary: alerts_pb2.Summary) -> None:
    line = (
        Text("alerts evaluated ")
        .append_text(ago(from_timestamp(summary, "evaluated_time")))
        .append(" ago")
    )
    console.print(line)
    raised = [metric for metric in summary.metrics if metric.level > alerts_pb2.LEVEL_NORMAL]
    # Danger before good news, then the worse level: HIGH alone does not say whether to get up.
    for metric in sorted(raised, key=lambda metric: (metric.is_news, -metric.level)):
        level, kind = enum_name(metric, "level"), enum_name(metric, "type")
        news = "  (news)" if metric.is_news else ""
        worst = f"{number(metric, 'worst_value')} {metric.worst_asset}".rstrip()
        line = Text(f"  {level:<6} ", style=LEVEL_STYLES[level]).append(
            f"{kind}  {worst}{news}", style=""
        )
        console.print(line)
    if not raised:
        console.print(Text("  ").append_text(calm_line(summary)))


def _worst(told: str, worst: alerts_pb2.Alert) -> None:
    console.print(worst_line(worst, told))
    deeds = f"  sonic alerts ack {worst.id}   sonic alerts silence {worst.id} --for 1h"
    if worst.position_id:
        deeds += f"   sonic positions show {worst.position_id}"
    console.print(Text(deeds, style="bright_black"))


def _storage(kept: Storage) -> None:
    console.print(Text(f"storage {kept.sentence()}"))
    if said := kept.ledger_sentence():
        console.print(Text(f"ledger {said}"))


def _cycle(cycle: cyclone_pb2.Cycle) -> None:
    state = enum_name(cycle, "state")
    line = (
        Text("last cycle ")
        .append(state, style=STATE_STYLES.get(state, ""))
        .append(f"  {cycle.message}  ")
    )
    console.print(line.append_text(ago(from_timestamp(cycle, "ended_time"))).append(" ago"))
