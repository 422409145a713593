"""`sonic replay`: what was judged, judged again; or by other thresholds."""

from __future__ import annotations

import json as json_text
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.cli.connection import connected
from services.cli.output import LEVEL_STYLES, command, console, enum_name, print_json, table
from services.cli.schema.fields import moment
from shared.errors import invalid

_SECONDS = 300.0
_WHERE = {
    pb.PRESENCE_BOTH: ("", ""),
    pb.PRESENCE_RECORDED: ("would not have been", "yellow"),
    pb.PRESENCE_REPLAYED: ("would have been", "bold"),
}
_AS_RECORDED = {pb.PRESENCE_RECORDED: "only recorded", pb.PRESENCE_REPLAYED: "only replayed"}

Cycle = Annotated[str, typer.Argument(help="A cycle, by its id; else what --since says.")]
Since = Annotated[str, typer.Option(help="All recordings since then: 8h ago, 2026-11-29T22:00Z.")]
Until = Annotated[str, typer.Option(help="Until then; else now.")]
Limits = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help='Judge by other limits: "liquidation_distance=10,7,5", of one asset'
        ' "liquidation_distance:ETH=16,11,8", HIGH alone "liquidation_distance=5". Repeatable.',
    ),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--thresholds",
        exists=True,
        dir_okay=False,
        help="Judge by those of a file of `sonic thresholds export`.",
    ),
]
Every = Annotated[bool, typer.Option("--all", help="Also what is the same.")]
Shown = Annotated[int, typer.Option("--limit", min=0, help="Changes shown at the most.")]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@command
async def replay(
    cycle: Cycle = "",
    since: Since = "",
    until: Until = "",
    limits: Limits = None,
    file: File = None,
    every: Every = False,
    limit: Shown = 40,
    json: Json = False,
) -> int:
    """Judge recorded cycles again: the same bit for bit, or what differs.

    With --set or --thresholds: what would have been told instead. Exit code 1 when something
    differs without them.
    """
    request = request_of(cycle, since, until, limits or [])
    if file is not None:
        request.thresholds.extend(thresholds_of(file.read_text(encoding="utf-8")))
    async with connected() as found:
        stub = await found.stub("alerts", rpc.RecorderServiceStub)
        answer = await stub.Replay(request, timeout=_SECONDS)
    if json:
        print_json(answer)
    else:
        _show(answer, limit, is_what_if=bool(request.thresholds), every=every)
    return 1 if answer.differing_count and not request.thresholds else 0


def request_of(cycle: str, since: str, until: str, limits: list[str]) -> pb.ReplayRequest:
    """INVALID_FIELD for a time or limits that cannot be read."""
    request = pb.ReplayRequest(cycle_id=cycle)
    if not cycle and not since:
        raise invalid("since", 'say a cycle, or --since: sonic replay --since "8h ago"')
    for name, text in (("start_time", since), ("end_time", until)):
        if text:
            getattr(request, name).FromDatetime(_moment(name, text))
    request.thresholds.extend(threshold_of(text) for text in limits)
    return request


def threshold_of(text: str) -> pb.ReplayThreshold:
    """`liquidation_distance:ETH=16,11,8`; a dash is no limit, one number is HIGH alone."""
    scope, _, numbers = text.partition("=")
    name, _, asset = scope.partition(":")
    kind = f"ALERT_TYPE_{name.strip().upper().replace('-', '_')}"
    if kind not in pb.AlertType.keys():  # noqa: SIM118  # an enum of protobuf is no mapping
        raise invalid("set", f"{name!r} is no metric: liquidation_distance, heat_index, ...")
    parts = [part.strip() for part in numbers.replace("/", ",").split(",")]
    parts = ["-", "-", *parts] if len(parts) == 1 else parts
    try:
        low, medium, high = (None if part in ("-", "") else float(part) for part in parts)
    except ValueError as error:
        raise invalid("set", f"{text!r} is not METRIC=LOW,MEDIUM,HIGH or METRIC=HIGH") from error
    return pb.ReplayThreshold(
        type=pb.AlertType.Value(kind), asset=asset.strip(), low=low, medium=medium, high=high
    )


def thresholds_of(text: str) -> list[pb.ReplayThreshold]:
    """Those of an exported file; one that is switched off has no limits."""
    try:
        listed = json_text.loads(text)["thresholds"]
        return [_exported(one) for one in listed]
    except (ValueError, KeyError, TypeError) as error:
        problem = f"no file of sonic thresholds export: {error}"
        raise invalid("thresholds", problem, problem) from error


def _exported(one: dict[str, Any]) -> pb.ReplayThreshold:
    is_on = one.get("enabled", True)
    limits = {name: one.get(name) if is_on else None for name in ("low", "medium", "high")}
    return pb.ReplayThreshold(
        type=pb.AlertType.Value(f"ALERT_TYPE_{one['type']}"),
        condition=pb.Condition.Value(f"CONDITION_{one['condition']}"),
        asset=one.get("asset", ""),
        **limits,
    )


def _moment(field: str, text: str) -> datetime:
    try:
        return moment(text, datetime.now(UTC))
    except ValueError as error:
        raise invalid(field, f"{text!r} is not a time: 2026-11-29T14:00Z, 2h ago") from error


def _show(found: pb.Replayed, most: int, *, is_what_if: bool, every: bool) -> None:
    title = (
        f"{found.recording_count:,} recordings, {_time(found.first_time)} to"
        f" {_time(found.last_time)}: {found.alert_count:,} alerts judged again"
    )
    console.print(title, style="bold")
    if is_what_if:
        _show_told(found)
    else:
        _show_equal(found)
    _show_changes(found, most, is_what_if=is_what_if, every=every)
    for id in found.unjudged_thresholds:
        console.print(f"{id}: no alert was of this metric, so nothing was judged by it")


def _show_equal(found: pb.Replayed) -> None:
    unread = found.unread_message_count
    left = f", {unread:,} are in sealed files and were not compared" if unread else ""
    if not found.differing_count:
        words = "Levels, changes and messages are the same, bit for bit"
        console.print(Text(f"{words}; {found.message_count:,} rows of the ledger{left}.", "green"))
        return
    cycles = ", ".join(id or "by hand" for id in found.differing_cycles[:5])
    words = f"{found.differing_count:,} recordings differ: {cycles}"
    more = f"; {found.differing_message_count:,} of {found.message_count:,} rows of the ledger"
    console.print(Text(f"{words}{more} differ{left}.", "bold red"))


def _show_told(found: pb.Replayed) -> None:
    made = table("Dangers told", ["level", "as it was>", "by these>"])
    for one in found.told:
        level = enum_name(one, "level")
        style = LEVEL_STYLES.get(level, "")
        row = (Text(level, style=style), f"{one.recorded_count:,}", f"{one.replayed_count:,}")
        made.add_row(*row)
    console.print(made)


def _show_changes(found: pb.Replayed, most: int, *, is_what_if: bool, every: bool) -> None:
    chosen = [one for one in found.changes if every or one.presence != pb.PRESENCE_BOTH]
    if not chosen:
        if is_what_if:
            console.print("Nothing would have been otherwise.")
        return
    made = table("", ["time", "alert", "level", "told", "value>", ""])
    for one in chosen[:most]:
        before, after = enum_name(one, "level_before"), enum_name(one, "level_after")
        words, style = _WHERE[one.presence]
        words = words if is_what_if else _AS_RECORDED.get(one.presence, "")
        made.add_row(
            _time(one.time),
            f"{enum_name(one, 'type').lower()} {one.subject}",
            Text(f"{before} > {after}", style=LEVEL_STYLES.get(after, "")),
            "yes" if one.notified else "no",
            f"{one.value:.6g}" if one.HasField("value") else "-",
            Text(words, style=style),
        )
    console.print(made)
    left = max(found.change_count - len(found.changes), 0) + max(len(chosen) - most, 0)
    if left:
        console.print(f"{left:,} more", style="bright_black")


def _time(moment: Timestamp) -> str:
    return moment.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
