"""`sonic backup` and `sonic restore`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli import database
from services.cli.backup.archive import Manifest
from services.cli.backup.schedule import forget
from services.cli.backup.take import take_usual, words_of_missing
from services.cli.output import command, console, print_json
from services.cli.plan import Plan

if TYPE_CHECKING:
    from services.cli.backup.restore import Restored


@command
async def backup(
    to: Annotated[
        Path | None,
        typer.Option(help="A .tar file, or a folder; else SONIC_BACKUP_FOLDER."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Save everything that is kept into one file, also while Sonic runs.

    The database as of one moment, sealed files of the ledger, its key, and tokens. The file holds
    the ledger's key: keep it where only you can read. Example: sonic backup --to /mnt/backups
    """
    plan = Plan()
    async with database.joined(plan) as opened:
        file, manifest = await take_usual(opened.url, plan, to)
    if to is None:
        forget(plan.backup_folder, plan.sonic_backups_kept, datetime.now(UTC))
    size = file.stat().st_size
    if json:
        print_json(_as_json(manifest) | {"file": str(file), "bytes": size})
        return
    console.print(f"{file}  {size / 1e6:,.1f} MB")
    console.print(_rows(manifest.rows))
    if words := words_of_missing(manifest):
        console.print(words, style="yellow")


@command
async def restore(
    file: Annotated[Path, typer.Argument(help="A file of `sonic backup`.")],
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Move what the home holds into a folder beside; without it refuse."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> int:
    """Fill an empty home, or the empty database of DATABASE_URL, from a backup.

    Every part is proven first, tables are brought to this version, and the ledger is verified up to
    the backup's head. Exit code 1 when something does not fit. Stop Sonic before.
    """
    # Servers are not for every command.
    from services.cli.backup.restore import fill_from

    def say(words: str) -> None:
        if not json:
            console.print(words, style="bright_black")

    done = await fill_from(Plan(), file, say, replace=replace)
    differing = {
        name: f"{done.rows.get(name, 0):,} of {count:,}"
        for name, count in done.manifest.rows.items()
        if done.rows.get(name, 0) != count
    }
    if json:
        told = {
            "restored_rows": dict(done.rows),
            "ledger_verified": not done.ledger_problem,
            "ledger_problem": done.ledger_problem,
            "set_aside": str(done.set_aside or ""),
            "held_messages": dict(done.past.counts),
            "held_change_count": done.past.change_count,
        }
        print_json(_as_json(done.manifest) | told)
    else:
        _show(done, differing)
    return 1 if done.ledger_problem or differing else 0


def _show(done: Restored, differing: Mapping[str, str]) -> None:
    console.print(f"As of {done.manifest.taken_time:%Y-%m-%d %H:%M:%S} UTC: {_rows(done.rows)}")
    for name, words in differing.items():
        console.print(f"{name}: {words} rows are back", style="bold red")
    if done.ledger_problem:
        console.print(f"The ledger does not fit: {done.ledger_problem}", style="bold red")
    else:
        console.print(f"The ledger fits: {done.ledger_row_count:,} rows up to the backup's head")
    if words := str(done.past):
        console.print(
            f"Of the past, and told to nobody: {words}; what still stands is told anew. The first"
            " cycle says so to people"
        )
    if done.set_aside:
        console.print(f"What was here before lies in {done.set_aside}")
    console.print("Start with `sonic up`")


def _rows(rows: Any) -> str:
    return ", ".join(f"{count:,} {name.partition('.')[2]}" for name, count in rows.items())


def _as_json(manifest: Manifest) -> dict[str, Any]:
    return manifest.model_dump(mode="json", exclude={"members"})
