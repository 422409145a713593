"""Puts cyclone together."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cyclone.clients.channels import channels
from services.cyclone.clients.clearing import ClearingClient
from services.cyclone.clients.deaths import DeathClient
from services.cyclone.clients.heartbeat import Heartbeat
from services.cyclone.clients.levels import LevelClient
from services.cyclone.clients.steps import StepClient
from services.cyclone.domain.bounds import Caps
from services.cyclone.drills.service import DrillService
from services.cyclone.drills.servicer import DrillsServicer
from services.cyclone.loop.incident_notifier import IncidentNotifier
from services.cyclone.loop.lease_keeper import LeaseKeeper
from services.cyclone.loop.runner import Runner
from services.cyclone.loop.scheduler import Scheduler
from services.cyclone.service import CycloneService
from services.cyclone.servicer import CycloneServicer
from services.cyclone.store.drills import DrillStore
from services.cyclone.store.lease import LeaseStore
from services.cyclone.store.listener import Listener
from services.cyclone.store.progress import ProgressStore
from services.cyclone.store.requests import RequestStore
from shared import metrics
from shared.clock import Clock, SystemClock
from shared.config import ServiceConfig
from shared.database.migrations import migrated
from shared.database.pool import Database
from shared.lifecycle import App, Part, run
from shared.names import new_id
from shared.rpc.server import GrpcServer


class Config(ServiceConfig):
    """Settings of cyclone; interval and enabled are data afterwards, changed by UpdateSchedule."""

    service: ClassVar[str] = "cyclone"
    listen_address: str = "127.0.0.1:50057"
    price_address: str = Field("127.0.0.1:50051", description="host:port of the price service")
    positions_address: str = Field("127.0.0.1:50052", description="host:port of positions")
    hedges_address: str = Field("127.0.0.1:50053", description="host:port of the hedges service")
    alerts_address: str = Field("127.0.0.1:50054", description="host:port of the alerts service")
    monitor_address: str = Field("127.0.0.1:50055", description="host:port of the monitor service")
    xcom_address: str = Field("127.0.0.1:50056", description="host:port of the xcom service")
    withdrawals_address: str = Field(
        "", description="host:port of the withdrawals service; empty: its step is skipped"
    )
    sonic_cycle_interval_seconds: float = Field(
        60, ge=5, le=86_400, description="time between cycles at the very first start"
    )
    sonic_schedule: bool = Field(True, description="0: this process runs requested cycles only")
    heartbeat_url: SecretStr | None = Field(None, description="POSTed to after each good cycle")
    sync_timeout_seconds: float = Field(
        60, gt=0, le=600, description="most SYNC_POSITIONS may take; with short intervals less"
    )
    step_timeout_seconds: float = Field(
        20, gt=0, le=600, description="most any other step may take; with short intervals less"
    )
    cycles_kept_days: float = Field(
        30, gt=0, description="how long ended cycles and the log are kept"
    )

    @property
    def addresses(self) -> dict[str, str]:
        names = ("price", "positions", "hedges", "alerts", "monitor", "withdrawals", "xcom")
        return {name: getattr(self, f"{name}_address") for name in names}


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    interval = timedelta(seconds=config.sonic_cycle_interval_seconds)
    database = Database(
        config.database_url.get_secret_value(), pool_size=6, application_name="cyclone"
    )
    peers = channels(config.addresses)
    listener = Listener(database)
    requests = database.open(RequestStore)
    leases = database.open(LeaseStore, isolation="AUTOCOMMIT")
    progress = ProgressStore(database)
    url = config.heartbeat_url.get_secret_value() if config.heartbeat_url else ""
    heartbeat = Heartbeat(url, peers["alerts"]) if url else None
    is_high = LevelClient(peers["alerts"]).is_high
    drills = DrillService(database.open(DrillStore), is_high, clock, heartbeat_configured=bool(url))
    notifier = IncidentNotifier(progress, DeathClient(peers), heartbeat, drills, clock)
    caps = Caps(config.sync_timeout_seconds, config.step_timeout_seconds)
    runner = Runner(progress, StepClient(peers), notifier, clock, caps)
    kept = timedelta(days=config.cycles_kept_days)
    owner = Scheduler(progress, leases, runner, clock, scheduled=config.sonic_schedule, kept=kept)
    keeper = LeaseKeeper(leases, listener, owner.work, clock, _owner_name(), interval)
    service = CycloneService(
        requests,
        database.open(RequestStore, isolation="AUTOCOMMIT"),
        leases,
        listener,
        ClearingClient(peers),
        clock,
        interval=interval,
        scheduled=config.sonic_schedule,
    )
    servicer = CycloneServicer(service, heartbeat_configured=bool(url))
    server = GrpcServer(
        config.listen_address,
        [
            (rpc.add_CycloneServiceServicer_to_server, servicer),
            (rpc.add_DrillsServiceServicer_to_server, DrillsServicer(drills)),
        ],
        service_names=["sonic.cyclone.v1.CycloneService", "sonic.cyclone.v1.DrillsService"],
        ready=migrated(database, Path(__file__).parent / "migrations"),
        clock=clock,
        channelz=config.channelz,
    )
    outside: list[Part] = [heartbeat] if heartbeat else []
    side = metrics.serve(config.metrics_address)
    return App(
        "cyclone", [database, *peers.values(), *outside, notifier, listener, side, server, keeper]
    )


def _owner_name() -> str:
    """Unique for each start, and tells people which process it is."""
    return f"{socket.gethostname()}:{os.getpid()}:{new_id('owner')[-8:]}"


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
