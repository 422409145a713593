"""`sonic calibration`: what the touch probability said on files of candles, and what happened."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.calibration.record import show_record
from services.cli.output import command, console, print_json, table
from shared.errors import InvalidArgument

if TYPE_CHECKING:
    from services.cli.calibration.candle_files import CandleFile
    from services.cli.calibration.scoring import Bin, Statements

_FIRST_ASSET = "BTC"


@command
async def calibration(
    candles: Annotated[
        Path | None, typer.Option(help="Folder of CSV files (.csv, .csv.gz) with hourly candles.")
    ] = None,
    asset: Annotated[str, typer.Option(help="Of the live record, one asset.")] = "",
    days: Annotated[
        int, typer.Option(min=1, max=1100, help="Of the live record, the last days.")
    ] = 90,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Compare what the touch probability said with what happened: its live record.

    With --candles on files: of every hour after the first year, levels 1 to 20 % away on both
    sides, touched within 24 h or not, by both models. The last line is the Brier score of the
    longest BTC file.
    """
    if candles is None:
        await show_record(asset, days, json=json)
    else:
        await _on_files(candles, json=json)


async def _on_files(candles: Path, *, json: bool) -> None:
    # numpy is not for every command.
    from services.cli.calibration.candle_files import candle_files
    from services.cli.calibration.scoring import statements

    scored: list[tuple[CandleFile, Statements]] = []
    left_out: dict[str, str] = {}
    for file in await asyncio.to_thread(candle_files, candles):
        made = None if file.problem else await asyncio.to_thread(statements, file.hours)
        if made is None or not len(made):
            left_out[file.name] = file.problem or f"{len(file.hours)} hours are less than a year"
        else:
            scored.append((file, made))
    if not scored:
        said = "; ".join(f"{name}: {problem}" for name, problem in left_out.items())
        raise InvalidArgument("NO_CANDLES", f"no file holds more than a year of hours ({said})")
    scored.sort(key=lambda one: (one[0].name.upper().startswith(_FIRST_ASSET), len(one[0].hours)))
    if json:
        print_json({"files": [_as_json(file, made) for file, made in scored], "left_out": left_out})
        return
    for name, problem in left_out.items():
        console.print(f"{name}: left out, {problem}", style="bright_black")
    for file, made in scored:
        _show(file, made)


def _show(file: CandleFile, made: Statements) -> None:
    from services.cli.calibration.scoring import bins, brier_score

    hours = f"{file.name}: {len(file.hours):,} hours, {len(made):,} statements of 24 h"
    shown = table(hours, ("model", "bin", "said >", "happened >", "statements >"))
    for model, said in (("NORMAL", made.normal), ("EMPIRICAL", made.empirical)):
        for one in bins(said, made.happened):
            shown.add_row(model, *_row(one))
            model = ""
        shown.add_section()
    console.print(shown)
    for model, said in (("NORMAL", made.normal), ("EMPIRICAL", made.empirical)):
        print(f"Brier score {model} {file.name}: {brier_score(said, made.happened):.4f}")


def _row(one: Bin) -> list[str]:
    edges = f"{one.lowest_percent:g} to {one.highest_percent:g} %"
    means = (one.said_percent, one.happened_percent)
    return [edges, *(f"{mean:.2f} %" if one.count else "-" for mean in means), f"{one.count:,}"]


def _as_json(file: CandleFile, made: Statements) -> dict[str, Any]:
    from services.cli.calibration.scoring import bins, brier_score

    models = {
        model: {
            "brier_score": brier_score(said, made.happened),
            "bins": [
                {
                    "lowest_percent": one.lowest_percent,
                    "highest_percent": one.highest_percent,
                    "said_percent": one.said_percent if one.count else None,
                    "happened_percent": one.happened_percent if one.count else None,
                    "count": one.count,
                }
                for one in bins(said, made.happened)
            ],
        }
        for model, said in (("NORMAL", made.normal), ("EMPIRICAL", made.empirical))
    }
    return {"name": file.name, "hour_count": len(file.hours), "models": models}
