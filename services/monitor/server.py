"""Puts the monitor service together."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from sonic.monitor.v1 import monitor_pb2_grpc as rpc

from services.monitor import checks
from services.monitor.clients import PeerReadings, XComClient, connect
from services.monitor.service import MonitorService
from services.monitor.servicer import MonitorServicer
from services.monitor.store import Store
from shared import metrics
from shared.clock import Clock, SystemClock
from shared.config import ServiceConfig
from shared.database.engine import Database
from shared.lifecycle import App, run
from shared.rpc.server import GrpcServer


class Config(ServiceConfig):
    """Settings of the monitor service."""

    service: ClassVar[str] = "monitor"
    listen_address: str = "127.0.0.1:50055"
    price_address: str = "127.0.0.1:50051"
    positions_address: str = "127.0.0.1:50052"
    alerts_address: str = "127.0.0.1:50054"
    xcom_address: str = "127.0.0.1:50056"


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    database = Database(config.database_url.get_secret_value(), application_name="monitor")
    peers = connect(
        price=config.price_address,
        positions=config.positions_address,
        alerts=config.alerts_address,
        xcom=config.xcom_address,
    )
    service = MonitorService(
        database.bind(Store), checks.registry(), partial(PeerReadings, peers), XComClient(peers.xcom), clock
    )
    server = GrpcServer(
        config.listen_address,
        [(rpc.add_MonitorServiceServicer_to_server, MonitorServicer(service))],
        service_names=["sonic.monitor.v1.MonitorService"],
        ready=database.ping,
        clock=clock,
    )
    side = metrics.serve(config.metrics_address, healthy=lambda: server.serving)
    return App("monitor", [database, peers.price, peers.positions, peers.alerts, peers.xcom, side, server])


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
