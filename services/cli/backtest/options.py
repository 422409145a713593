"""Options of `sonic backtest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Asset = Annotated[str, typer.Argument(help="Asset; of a --position its own.")]
Side = Annotated[str, typer.Option(help="long or short.")]
Distance = Annotated[
    float | None, typer.Option(help="Liquidation so many percent away at each start.")
]
LiquidationPrice = Annotated[float | None, typer.Option(help="Or a known liquidation price, USD.")]
EntryPrice = Annotated[
    float | None, typer.Option(help="With it the entry price; else the first close.")
]
Position = Annotated[str, typer.Option(help="Or a position that is held, by its id.")]
File = Annotated[
    Path | None, typer.Option(help="CSV file (.csv, .csv.gz) of candles; else price's own.")
]
Interval = Annotated[str, typer.Option(help="Length of price's candles.")]
Since = Annotated[str, typer.Option(help="First candle; else 30d ago, or the first of the file.")]
Until = Annotated[str, typer.Option(help="End; else now, or the last of the file.")]
Metric = Annotated[str, typer.Option("--type", help="liquidation_distance or travel_percent.")]
Limits = Annotated[
    str, typer.Option(help='"LOW,MEDIUM,HIGH" or "HIGH"; else the thresholds in force.')
]
Sweep = Annotated[str, typer.Option(help='Limits to compare, e.g. "2,3,5,8" or "10/7/5 8/6/4".')]
StartEvery = Annotated[str, typer.Option(help="A start so often; else one.")]
Horizon = Annotated[str, typer.Option(help="How long each is followed.")]
ToldAhead = Annotated[str, typer.Option(help="Count liquidations told so long before.")]
TimeZone = Annotated[str, typer.Option(help="Zone of the nights.")]
Shown = Annotated[int, typer.Option(min=0, help="Alerts shown at the most.")]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
