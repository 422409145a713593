"""Puts the hedges service together."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from sonic.callers import CALLERS
from sonic.hedges.v1 import hedges_pb2_grpc as rpc

from services.hedges.clients import PositionsClient, positions_channel
from services.hedges.loop import HedgeFeed
from services.hedges.service.hedges import HedgesService
from services.hedges.service.linking import LinkingService
from services.hedges.service.modifiers import ModifiersService
from services.hedges.service.what_ifs import WhatIfs
from services.hedges.servicer.hedges import HedgesServicer
from services.hedges.store.hedges import Store
from shared import metrics
from shared.clock import Clock, SystemClock
from shared.config import ServiceConfig
from shared.database.migrations import migrated
from shared.database.pool import Database
from shared.lifecycle import App, run
from shared.rpc.server import GrpcServer
from shared.server_figures import of_server


class Config(ServiceConfig):
    """Settings of the hedges service."""

    service: ClassVar[str] = "hedges"
    listen_address: str = Field("127.0.0.1:50053", description="host:port to serve on")
    positions_address: str = Field(
        "127.0.0.1:50052", description="host:port of the positions service"
    )
    hedges_scope: Literal["wallet", "portfolio"] = Field(
        "wallet", description="who hedges whom: the positions of a wallet, or of a portfolio"
    )
    hedges_history_days: float = Field(
        90.0, gt=0, le=3650, description="how long changes of groups are kept"
    )


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    database = Database(config.database_url.get_secret_value(), application_name="hedges")
    begin, read = database.open(Store), database.open(Store, isolation="AUTOCOMMIT")
    channel = positions_channel(config.positions_address, config.identity)
    positions = PositionsClient(channel, is_by_portfolio=config.hedges_scope == "portfolio")
    hedges = HedgesService(begin, read, positions, clock)
    feed = HedgeFeed(hedges, clock)
    hedges.on_change(feed.wake)
    kept = timedelta(days=config.hedges_history_days)
    linking = LinkingService(begin, read, positions, clock, kept, feed.wake)
    modifiers = ModifiersService(begin, read)
    what_ifs = WhatIfs(hedges, modifiers, positions)
    servicer = HedgesServicer(linking, hedges, what_ifs, modifiers, feed.watch)
    server = GrpcServer(
        config.listen_address,
        [(rpc.add_HedgesServiceServicer_to_server, servicer)],
        service_names=["sonic.hedges.v1.HedgesService"],
        ready=migrated(database, Path(__file__).parent / "migrations"),
        clock=clock,
        channelz=config.channelz,
        identity=config.identity,
        callers=CALLERS,
        health_address=config.health_address,
    )
    side = metrics.serve(config.metrics_address, of_server("hedges", config.tls, [database]))
    return App("hedges", [database, channel, feed, side, server])


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
