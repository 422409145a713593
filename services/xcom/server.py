"""Puts the xcom service together."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field, field_validator
from sonic.xcom.v1 import xcom_pb2_grpc as rpc

from services.xcom.channels import registry
from services.xcom.domain import PLANNED_CHANNELS, Level
from services.xcom.loop import Worker
from services.xcom.service.channels import ChannelService
from services.xcom.service.deliveries import DeliveryService, QueueRules
from services.xcom.service.messages import MessageService
from services.xcom.servicer import XComServicer
from services.xcom.store.bell import Bell
from services.xcom.store.channels import ChannelStore
from services.xcom.store.deliveries import DeliveryStore
from services.xcom.store.messages import MessageStore
from shared import metrics
from shared.clock import Clock, SystemClock
from shared.config import ServiceConfig
from shared.database.engine import Database
from shared.lifecycle import App, run
from shared.rpc.server import GrpcServer

CHANNEL_NAMES = (*registry.REGISTRY, *PLANNED_CHANNELS)


class Config(registry.ChannelSettings, ServiceConfig):
    """Settings of the xcom service."""

    service: ClassVar[str] = "xcom"
    listen_address: str = "127.0.0.1:50056"
    xcom_low_channels: tuple[str, ...] = Field(("email",), description="channels of LOW messages")
    xcom_medium_channels: tuple[str, ...] = Field(("sms",), description="channels of MEDIUM messages")
    xcom_high_channels: tuple[str, ...] = Field(
        ("sms", "voice", "sound"), description="channels of HIGH messages", examples=["webhook,email"]
    )
    xcom_dedupe_seconds: float = Field(300.0, ge=0, le=86400, description="window of a dedupe key")
    xcom_poll_seconds: float = Field(5.0, gt=0, le=60, description="look at the queue at least this often")
    xcom_claim_margin_seconds: float = Field(
        10.0, gt=0, le=600, description="a claim holds this much longer than a try may last"
    )

    @field_validator("xcom_low_channels", "xcom_medium_channels", "xcom_high_channels")
    @classmethod
    def _are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(name.strip().lower() for name in value)
        if unknown := [name for name in names if name not in CHANNEL_NAMES]:
            raise ValueError(f"unknown {', '.join(unknown)[:60]}; known are {', '.join(CHANNEL_NAMES)}")
        return names

    @property
    def level_map(self) -> dict[Level, tuple[str, ...]]:
        """Channels by level."""
        return {
            Level.LOW: self.xcom_low_channels,
            Level.MEDIUM: self.xcom_medium_channels,
            Level.HIGH: self.xcom_high_channels,
        }


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    url = config.database_url.get_secret_value()
    database = Database(url, application_name="xcom")
    # HIGH has connections and a worker of its own: nothing quieter can be in its way.
    high_database = Database(url, pool_size=2, application_name="xcom-high")
    bell_database = Database(url, pool_size=1, application_name="xcom-bell")
    reach = registry.Channels(config, clock)
    quiet = _worker("quiet", config, database, reach, (Level.LOW, Level.MEDIUM), clock)
    high = _worker("high", config, high_database, reach, (Level.HIGH, Level.HIGH), clock)
    messages = MessageService(
        database.bind(MessageStore),
        database.bind(MessageStore, isolation="REPEATABLE READ"),
        reach.by_name,
        config.level_map,
        timedelta(seconds=config.xcom_dedupe_seconds),
        lambda level: (high if level is Level.HIGH else quiet).wake(),
        clock,
    )
    channels = ChannelService(database.bind(ChannelStore), reach.by_name, clock)
    server = GrpcServer(
        config.listen_address,
        [(rpc.add_XComServiceServicer_to_server, XComServicer(messages, channels))],
        service_names=["sonic.xcom.v1.XComService"],
        ready=database.ping,
        clock=clock,
    )
    bell = Bell(bell_database, quiet.wake, high.wake)
    side = metrics.serve(config.metrics_address, healthy=lambda: server.serving)
    return App("xcom", [database, high_database, bell_database, reach, quiet, high, bell, side, server])


def _worker(
    name: str,
    config: Config,
    database: Database,
    reach: registry.Channels,
    levels: tuple[Level, Level],
    clock: Clock,
) -> Worker:
    rules = QueueRules(
        *levels,
        claim_margin_seconds=config.xcom_claim_margin_seconds,
        poll_seconds=config.xcom_poll_seconds,
    )
    return Worker(name, DeliveryService(database.bind(DeliveryStore), reach.by_name, rules, clock), clock)


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
