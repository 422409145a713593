"""`sonic report`: what happened in a cycle and how things stand, as text, a file or JSON."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cli.connection import System, connected
from services.cli.output import LEVEL_STYLES, STATE_STYLES, command, console, print_json, table
from shared.errors import InvalidArgument

LATEST = "latest"
_SECONDS = 60.0
# A terminal is no sheet of paper; all columns are in the file.
_MOST_COLUMNS, _MOST_ROWS = 8, 20
_STYLES = {**STATE_STYLES, **LEVEL_STYLES}
app = typer.Typer()
_NUMBERS = frozenset({"usd", "percent", "ratio", "seconds", "milliseconds", "count", "number"})


@app.command()
@command
async def report(
    cycle: Annotated[
        str, typer.Argument(help="Id of the cycle; the newest ended one if not said.")
    ] = LATEST,
    open_: Annotated[bool, typer.Option("--open", help="Open the file in the browser.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write one self-contained HTML file; - is standard output.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Report what happened in a cycle, what changed first.

    Example: sonic report --output report.html
    """
    if json and (open_ or output):
        raise InvalidArgument("INVALID_FIELD", "--json prints; --open and --output are of the file")
    async with connected() as system:
        found = await fetched(system, cycle, with_page=open_ or output is not None)
    if json:
        print_json(found)
    elif output is not None or open_:
        _write(found, output, is_opened=open_)
    else:
        console.print(report_tables(found))


async def fetched(system: System, cycle: str, *, with_page: bool = False) -> pb.Report:
    """The report of a cycle from the running system."""
    stub = await system.stub("cyclone", rpc.CycloneServiceStub)
    wanted = pb.REPORT_FORMAT_HTML if with_page else pb.REPORT_FORMAT_DATA
    request = pb.GetReportRequest(cycle_id=cycle, format=wanted)
    answer: pb.Report = await stub.GetReport(request, timeout=_SECONDS)
    return answer


def report_tables(found: pb.Report) -> Group:
    """The parts one after the other, each with the moment it is of."""
    top = [Text(found.headline, style="bold")]
    if found.trace_id:
        top.append(Text(f"Trace {found.trace_id}", style="bright_black"))
    if found.light_line:
        top.append(Text(found.light_line, style="bright_black"))
    return Group(*top, *(_part(part) for part in found.sections))


def _part(part: pb.ReportSection) -> Table | Text:
    if part.basis == pb.REPORT_BASIS_NOT_READ:
        return Text(f"\n{part.title}: not read: {part.problem}", style="bold red")
    basis = "as of the cycle" if part.basis == pb.REPORT_BASIS_CYCLE else "as read"
    heading = f"{part.title} ({'; '.join(filter(None, [basis, part.note]))})"
    if not part.rows:
        return Text(f"\n{heading}: none")
    columns = list(part.columns)[:_MOST_COLUMNS]
    heads = [one.title + (">" if one.unit in _NUMBERS else "") for one in columns]
    made = table(heading, heads)
    for row in list(part.rows)[:_MOST_ROWS]:
        known = dict(row.items())
        made.add_row(*(_cell(known.get(one.name), one.unit) for one in columns))
    left = len(part.rows) - _MOST_ROWS
    if part.more or left > 0:
        of = f" of {part.total_count:,}" if part.HasField("total_count") else ""
        made.caption = f"the worst {min(len(part.rows), _MOST_ROWS)}{of}; more in the file"
    return made


def _cell(value: object, unit: str) -> Text:
    if value is None or value == "":
        return Text("-", style="bright_black")
    if isinstance(value, float):
        shown = f"{value:,.0f}" if unit == "count" else f"{value:,.2f}"
        past = ", past liquidation" if unit == "travel" and value <= -100 else ""
        return Text(shown + past)
    return Text(str(value)[:19] if unit == "time" else str(value), _STYLES.get(str(value), ""))


def _write(found: pb.Report, output: Path | None, *, is_opened: bool) -> None:
    if output is not None and str(output) == "-":
        typer.echo(found.html, nl=False)
        return
    if output is None:
        folder = Path(tempfile.mkdtemp(prefix="sonic-report-"))
        output = folder / f"{found.cycle_id}.html"
    # Positions and wallets are nobody else's business.
    output.touch(mode=0o600)
    output.write_text(found.html, encoding="utf-8")
    console.print(Text(str(output)))
    if is_opened:
        webbrowser.open(output.resolve().as_uri())
