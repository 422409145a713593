"""Puts the gateway together."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from services.gateway.application import Application
from services.gateway.connection import Room
from services.gateway.events import Streams
from services.gateway.guard import Guard
from services.gateway.hooks import keys_of
from services.gateway.listener import HttpServer, most_connections
from services.gateway.peers import Peers
from services.gateway.surface import FILES
from shared import metrics
from shared.clock import Clock, SystemClock
from shared.config import ProcessConfig
from shared.lifecycle import App, run
from shared.loopback import is_loopback


class Config(ProcessConfig):
    """Settings of the gateway."""

    service: ClassVar[str] = "gateway"
    listen_address: str = "127.0.0.1:8080"
    price_address: str = "127.0.0.1:50051"
    positions_address: str = "127.0.0.1:50052"
    hedges_address: str = "127.0.0.1:50053"
    alerts_address: str = "127.0.0.1:50054"
    monitor_address: str = "127.0.0.1:50055"
    xcom_address: str = "127.0.0.1:50056"
    cyclone_address: str = "127.0.0.1:50057"
    withdrawals_address: str = "127.0.0.1:50058"
    gateway_second_address: str = Field(
        default="",
        description="listened on as well, e.g. where the first tool was asked; empty: nowhere else",
        examples=["127.0.0.1:9808"],
    )
    gateway_hosts: list[str] = Field(
        default_factory=list,
        description="names besides localhost under which a proxy asks",
        examples=["sonic.example"],
    )
    gateway_behind_proxy: bool = Field(
        default=False,
        validate_default=True,
        description="1 when a proxy in front authenticates everybody",
        examples=["1"],
    )

    gateway_hook_keys: SecretStr = Field(
        default=SecretStr(""),
        description="id:secret of who may start cycles by /hooks/cycle, several with spaces"
        " between; empty: nobody, it is not there",
        examples=["ci:a-long-random-secret"],
    )

    @field_validator("gateway_hook_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr) -> SecretStr:
        keys_of(value.get_secret_value())
        return value

    @field_validator("gateway_behind_proxy")
    @classmethod
    def _is_not_open_to_the_world(cls, behind_proxy: bool, others: ValidationInfo) -> bool:
        for field in ("listen_address", "gateway_second_address"):
            listen = str(others.data.get(field, ""))
            if not behind_proxy and listen and not is_loopback(listen.rpartition(":")[0]):
                raise ValueError(
                    f"{field.upper()} {listen} can be reached by others, and the gateway knows no "
                    "users: listen on 127.0.0.1, or stand behind a proxy that authenticates"
                )
        return behind_proxy


def build(config: Config, clock: Clock | None = None) -> App:
    """The gateway as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    peers = Peers({name: str(getattr(config, f"{name}_address")) for name in FILES})
    streams = Streams()
    guard = Guard(config.gateway_hosts, behind_proxy=config.gateway_behind_proxy)
    keys = keys_of(config.gateway_hook_keys.get_secret_value())
    application = Application(peers, streams, guard, metrics.process(), keys, clock)
    room = Room(most_connections())
    servers = [
        HttpServer(
            address,
            application,
            leaving=streams.end,
            grace_seconds=config.shutdown_grace_seconds * 0.8,
            room=room,
        )
        for address in (config.listen_address, config.gateway_second_address)
        if address
    ]
    side = metrics.serve(config.metrics_address)
    return App(
        "gateway", [*peers.parts, side, *servers], grace_seconds=config.shutdown_grace_seconds
    )


def main() -> None:
    """Start one process of the gateway."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
