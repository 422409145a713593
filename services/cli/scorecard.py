"""`sonic scorecard`: what followed each alert, and what each rule was good for."""

from __future__ import annotations

from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from rich.text import Text
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.cli.connection import connected
from services.cli.output import (
    LEVEL_STYLES,
    command,
    console,
    enum_name,
    print_json,
    short,
    table,
)

_SECONDS = 60.0
_TELLINGS = {
    pb.TELLING_TOLD: ("told", ""),
    pb.TELLING_NOT_TOLD: ("NOBODY TOLD", "bold red"),
    pb.TELLING_UNKNOWN: ("not known", "yellow"),
}


@command
async def scorecard(
    days: Annotated[int, typer.Option(min=1, max=400, help="Of the last days.")] = 30,
    hours: Annotated[
        int, typer.Option(min=1, max=168, help="So long something is held to have followed.")
    ] = 24,
    limit: Annotated[int, typer.Option(min=0, max=500, help="Incidents shown.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """What alerts were good for: what followed each, how fast people heard, and each rule's record.

    Rules that only made noise and liquidations nobody was told of come first.
    """
    request = pb.GetScorecardRequest(days=days, horizon_hours=hours)
    async with connected() as found:
        stub = await found.stub("alerts", rpc.ScorecardServiceStub)
        card = await stub.GetScorecard(request, timeout=_SECONDS)
    if json:
        print_json(card)
        return
    begin = card.start_time.ToDatetime().strftime("%Y-%m-%d %H:%M UTC")
    more = "; earlier rows were too many to read" if card.cut else ""
    title = f"Since {begin}: {card.incident_count:,} incidents, {card.liquidation_count:,}"
    console.print(f"{title} liquidations{more}", style="bold")
    if card.liquidations:
        _show_liquidations(card)
    if card.rules:
        _show_rules(card)
    if card.incidents and limit:
        _show_incidents(card, limit)


def _show_liquidations(card: pb.Scorecard) -> None:
    made = table("Liquidations", ["time", "position", "level before", "HIGH before >", ""])
    for one in card.liquidations:
        level = enum_name(one, "level")
        words, style = _TELLINGS[one.telling]
        made.add_row(
            one.time.ToDatetime().strftime("%Y-%m-%d %H:%M"),
            f"{one.asset} {one.position_id} {one.wallet}".strip(),
            Text(level, style=LEVEL_STYLES.get(level, "")),
            short(one.time.ToDatetime() - one.high_time.ToDatetime())
            if one.HasField("high_time")
            else "-",
            Text(words, style=style),
        )
    console.print(made)


def _show_rules(card: pb.Scorecard) -> None:
    columns = (
        *("rule", "HIGH >", "useful >", "noise >", "pending >", "unknown >", "precision >"),
        *("recall >", "lead >", "told after >", "answered after >", "a week >"),
    )
    made = table("Rules", columns)
    for one in card.rules:
        name = one.rule_id or enum_name(one, "type").lower()
        made.add_row(
            Text(f"{name}: only noise" if one.only_noise else name, "red" * one.only_noise),
            *(
                f"{count:,}"
                for count in (
                    *(one.high_count, one.useful_count, one.noise_count, one.pending_count),
                    one.unknown_count,
                )
            ),
            *(
                f"{100 * getattr(one, share):.0f} %" if one.HasField(share) else "-"
                for share in ("precision", "recall")
            ),
            *(
                _span(one, name)
                for name in ("median_lead", "median_told_after", "median_acknowledged_after")
            ),
            f"{one.alarms_per_week:.1f}",
        )
    console.print(made)


def _show_incidents(card: pb.Scorecard, limit: int) -> None:
    columns = ("began", "alert", "level", "followed", "after >", "told after >", "answered after >")
    made = table("Incidents, newest first", columns)
    for one in card.incidents[:limit]:
        level = enum_name(one, "level")
        words, style = _TELLINGS[one.telling]
        made.add_row(
            one.begin_time.ToDatetime().strftime("%Y-%m-%d %H:%M"),
            f"{enum_name(one, 'type').lower()} {one.asset} {one.wallet}".strip(),
            Text(level, style=LEVEL_STYLES.get(level, "")),
            enum_name(one, "followed").lower(),
            _span(one, "lead"),
            _span(one, "told_after") if one.HasField("told_after") else Text(words, style=style),
            _span(one, "acknowledged_after"),
        )
    console.print(made)
    if card.incident_count > limit:
        console.print(f"{card.incident_count - limit:,} more", style="bright_black")


def _span(message: Message, name: str) -> str:
    if not message.HasField(name):
        return "-"
    span: Duration = getattr(message, name)
    return short(span.ToTimedelta())
