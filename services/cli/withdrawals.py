"""`sonic withdrawals plot`: the charts of an asset as a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from sonic.withdrawals.v1 import withdrawals_pb2 as pb
from sonic.withdrawals.v1 import withdrawals_pb2_grpc as rpc

from services.cli.connection import connected
from services.cli.output import command, console
from services.cli.plots import FORMATS, Charts, draw, need_plots
from services.cli.schema.fields import put
from services.cli.schema_of_tests import in_test_schema
from shared.errors import invalid

app = typer.Typer()


@app.command()
@command
async def plot(
    asset: Annotated[str, typer.Argument(help="Asset name, or total.")],
    output: Annotated[
        Path | None, typer.Option(help="File to write, .png or .svg; else ASSET.png here.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Not before.")] = None,
    until: Annotated[str | None, typer.Option(help="Before; else until now.")] = None,
    wallet: Annotated[str | None, typer.Option(help="Only this wallet.")] = None,
    test: Annotated[bool, typer.Option("--test", help="Of the schema of tests.")] = False,
) -> None:
    """Draw an asset's position, its residuals with the gate's band, and how they are distributed.

    Needs the extra sonic[plots]. Times are UTC.
    """
    file = Path(f"{asset}.png") if output is None else output
    if file.suffix.lower() not in FORMATS:
        raise invalid("output", f"a file that ends in {' or '.join(FORMATS)}")
    need_plots()
    request = pb.GetSeriesRequest(asset=asset)
    for path, value in (("start_time", since), ("end_time", until), ("wallet", wallet)):
        if value is not None:
            put(request, path, value)
    async with in_test_schema() if test else connected() as system:
        advisor = await system.stub("withdrawals", rpc.AdvisorServiceStub)
        views = (pb.VIEW_POSITION, pb.VIEW_CORRECTED, pb.VIEW_RESIDUAL)
        position, corrected, residual = await asyncio.gather(
            *(advisor.GetSeries(_viewed(request, view)) for view in views)
        )
        assets = await system.stub("withdrawals", rpc.AssetsServiceStub)
        demo = any(one.demo for one in (await assets.ListAssets(pb.ListAssetsRequest())).assets)
    await asyncio.to_thread(draw, Charts(asset, position, corrected, residual, demo), file)
    console.print(f"Wrote {file}")


def _viewed(request: pb.GetSeriesRequest, view: pb.View.ValueType) -> pb.GetSeriesRequest:
    wanted = pb.GetSeriesRequest(view=view)
    wanted.MergeFrom(request)
    return wanted
