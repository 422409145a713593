"""`sonic positions`: what is held, and files brought in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text
from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.cli.connection import connected
from services.cli.nouns.positions import WHAT_IF_COLUMNS
from services.cli.output import (
    as_json,
    command,
    console,
    enum_name,
    heat,
    number,
    print_json,
    show_more,
    table,
    travel,
)
from services.cli.schema.render import show_message, show_rows
from shared.errors import InvalidArgument

app = typer.Typer(help="What is held, and how near it is to liquidation.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
FORMATS = {".csv": pb.FILE_FORMAT_CSV, ".json": pb.FILE_FORMAT_JSON}
IMPORT_SECONDS = 120.0
_WANTED_PERCENT = 20.0
# Of the mark.
_MOVES_PERCENT = (-10, -5, 5, 10)
# Less than the first is a narrow screen, less than the second a very narrow one.
WIDE_COLUMNS = 105
NARROW_COLUMNS = 72
MAX_FILE_BYTES = 64 * 1024 * 1024


@app.command("list")
@command
async def list_positions(
    wallet: Annotated[str, typer.Option(help="Only this wallet.")] = "",
    asset: Annotated[str, typer.Option(help="Only this asset.")] = "",
    order_by: Annotated[str, typer.Option(help='For example "heat_index desc".')] = "worst",
    limit: Annotated[int, typer.Option(min=1, help="Rows at the most.")] = 100,
    everything: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    json: Json = False,
) -> None:
    """Show positions: first what cannot be judged, then the nearest to liquidation."""
    found: list[pb.Position] = []
    request = pb.ListPositionsRequest(
        wallet=wallet,
        asset=asset,
        order_by=order_by,
        all_statuses=everything,
    )
    async with connected() as system:
        positions = await system.stub("positions", rpc.PositionsServiceStub)
        while True:
            request.page_size = min(limit - len(found), 500)
            page = await positions.ListPositions(request)
            found.extend(page.positions)
            if not page.next_page_token or len(found) >= limit:
                break
            request.page_token = page.next_page_token
    if json:
        print_json([dict(as_json(position)) for position in found])
        show_more(page, for_scripts=True)
    else:
        _show(found)
        show_more(page)
        for words in page.unwatched:
            console.print(Text(words, style="yellow"))


@app.command("show")
@command
async def show_position(
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of the position.")],
    distance: Annotated[
        float, typer.Option(help="Wanted distance to liquidation of the advice, percent.")
    ] = _WANTED_PERCENT,
    json: Json = False,
) -> None:
    """Show a position: all its numbers, what it takes to be further away, what would be at other
    prices.

    As JSON the position alone; `top-up` and `what-if` have theirs.

    Example: sonic positions show POSITION
    """
    async with connected() as system:
        positions = await system.stub("positions", rpc.PositionsServiceStub)
        found = await positions.GetPosition(pb.GetPositionRequest(id=id))
        if json:
            print_json(found)
            return
        risk = await system.stub("positions", rpc.RiskServiceStub)
        advice = await risk.AdviseTopUp(
            pb.AdviseTopUpRequest(position_id=id, wanted_distance_percent=distance)
        )
        mark = found.mark_price_usd
        prices = [mark * (1 + move / 100) for move in _MOVES_PERCENT] if mark else []
        evaluations: Sequence[pb.Evaluation] = []
        if prices:
            answer = await positions.EvaluateAtPrice(
                pb.EvaluateAtPriceRequest(position_id=id, prices_usd=prices)
            )
            evaluations = answer.evaluations
    show_message(found, "Position")
    show_message(advice, "What it takes")
    show_rows("What if", evaluations, WHAT_IF_COLUMNS)


def _show(found: list[pb.Position]) -> None:
    """Where there is no room for all, whole columns give way, so that no figure is cut."""
    wide, narrow = console.width >= WIDE_COLUMNS, console.width < NARROW_COLUMNS
    # Heading, the cell, whether it is worth its room.
    columns: list[tuple[str, Callable[[pb.Position], str | Text], bool]] = [
        ("position", _name, True),
        ("size USD>", partial(number, field="size_usd"), wide),
        ("entry>", partial(number, field="entry_price_usd"), wide),
        ("mark>", partial(number, field="mark_price_usd"), not narrow),
        ("liquidation>", partial(number, field="risk_liquidation_price_usd"), True),
        ("away>", partial(number, field="liquidation_distance_percent", pattern="{:.2f} %"), True),
        ("travel>", travel, not narrow),
        ("heat>", heat, not narrow),
    ]
    shown = [(name, cell) for name, cell, is_shown in columns if is_shown]
    made = table("Positions", [name for name, _ in shown])
    for position in found:
        made.add_row(*(cell(position) for _, cell in shown))
    console.print(made)


def _name(position: pb.Position) -> Text:
    side = enum_name(position, "side")
    named = Text(f"{position.asset} ").append(
        side, style={"LONG": "green", "SHORT": "red"}.get(side, "yellow")
    )
    return named.append(f"\n{position.wallet} {_remarks(position)}".rstrip())


def _remarks(position: pb.Position) -> str:
    flags = [pb.Flag.Name(flag).removeprefix("FLAG_") for flag in position.flags]
    status = enum_name(position, "status")
    index = [f"ADL {position.adl_index:.1f}"] if position.HasField("adl_index") else []
    estimate = []
    if position.HasField("estimated_liquidation_distance_percent"):
        far = position.estimated_liquidation_distance_percent
        estimate = [f"{far:.2f} % by market price, ESTIMATED"]
    elif position.HasField("mark_frozen_since_time"):
        estimate = ["not known by market price"]
    return " ".join(([] if status == "ACTIVE" else [status]) + flags + index + estimate)


@app.command("import")
@command
async def import_positions(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A .csv or .json file.")
    ],
    wallet: Annotated[str, typer.Option(help="Wallet for rows that name none.")] = "manual",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and report only.")] = False,
    json: Json = False,
) -> int:
    """Bring in positions. Bad rows are refused one by one; exit code 2 when there were any."""
    kind = FORMATS.get(file.suffix.lower())
    if kind is None:
        raise InvalidArgument("BAD_FILE", f"{file.name} is neither .csv nor .json")
    if file.stat().st_size > MAX_FILE_BYTES:
        raise InvalidArgument("BAD_FILE", f"{file.name} is larger than 64 MiB; split it")
    request = pb.ImportPositionsRequest(
        format=kind, content=file.read_bytes(), wallet=wallet, dry_run=dry_run
    )
    async with connected() as system:
        positions = await system.stub("positions", rpc.PositionsServiceStub)
        answer = await positions.ImportPositions(request, timeout=IMPORT_SECONDS)
    if json:
        print_json(answer)
    else:
        verb = "would be" if dry_run else "were"
        kept = f"{answer.created_count} {verb} created, {answer.updated_count} updated"
        console.print(f"{kept}, {answer.refused_count} refused")
        for refusal in answer.refusals:
            console.print(
                Text(f"  line {refusal.line}  {refusal.field}  {refusal.reason}  {refusal.message}")
            )
    return 2 if answer.refused_count else 0
