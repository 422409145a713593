"""`sonic ledger verify`: the chain in the running system, or sealed files wherever they lie."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.cli import database, system
from services.cli.connection import connected
from services.cli.output import command, console, print_json, table
from services.cli.plan import Plan
from services.cli.schema.render import show_message
from services.cli.system import JudgedFile
from shared.errors import FailedPrecondition, invalid

app = typer.Typer()
_KEY = "ALERTS_LEDGER_KEY"
_SECONDS = 600.0


@app.command()
@command
async def verify(
    anchor: Annotated[
        str, typer.Option(help="Head last sent outside, hexadecimal; else the last one known.")
    ] = "",
    database_only: Annotated[
        bool, typer.Option("--database-only", help="Do not look at sealed files.")
    ] = False,
    file: Annotated[
        list[Path] | None,
        typer.Option(help="Sealed file, or a folder of them; no system need run. Repeatable."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(help=f"File with the ledger's key; else {_KEY}, or ledger.key of the home."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> int:
    """Check that nothing of the ledger was changed, in the database and in sealed files.

    With --file only these files: each by itself, and as what follows the one before it. Exit code 1
    when something does not fit.
    """
    if file:
        key = _key(key_file)
        judged = await asyncio.to_thread(system.judged_files, list(_files(file)), key)
        _show(judged, as_list=json)
        return 1 if any(one.problem for one in judged) else 0
    request = pb.VerifyLedgerRequest(anchor_hash=anchor, database_only=database_only)
    async with connected() as found:
        ledger = await found.stub("alerts", rpc.LedgerServiceStub)
        answer = await ledger.VerifyLedger(request, timeout=_SECONDS)
    if json:
        print_json(answer)
    else:
        show_message(answer, "Ledger verify")
    return 0 if answer.intact else 1


def _files(given: Sequence[Path]) -> Iterator[Path]:
    for path in given:
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.glob("ledger-*.jsonl.gz"))
        if not found:
            raise invalid("file", f"{path} holds no sealed file (ledger-*.jsonl.gz)")
        yield from found


def _key(file: Path | None) -> bytes:
    """LEDGER_KEY_MISSING says where it is looked for."""
    given = "" if file else database.given(_KEY)
    path = file or Plan().home / "ledger.key"
    try:
        key = given.encode() or path.read_bytes().strip()
    except OSError as error:
        words = f"{path}: {error.strerror}; set {_KEY}, or say --key-file FILE"
        raise FailedPrecondition("LEDGER_KEY_MISSING", words) from error
    if not key:
        raise FailedPrecondition("LEDGER_KEY_MISSING", f"{path} is empty")
    return key


def _show(judged: Sequence[JudgedFile], *, as_list: bool) -> None:
    if as_list:
        print_json([one.as_dict() for one in judged])
        return
    made = table("Sealed files", ["file", "first>", "last>", "rows>", "", "problem"])
    for one in judged:
        said = Text("does not fit", style="bold red") if one.problem else Text("ok", style="green")
        row = f"row {one.first_bad_sequence}: " if one.first_bad_sequence else ""
        figures = (one.first_sequence, one.last_sequence, one.row_count)
        made.add_row(one.file, *map(str, figures), said, f"{row}{one.problem}")
    console.print(made)
