"""Puts the gateway together."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from services.gateway.access import Access, TrustedProxy, is_in
from services.gateway.application import Application
from services.gateway.connection import Room
from services.gateway.events import Streams
from services.gateway.grpc_port import FILES_OF_ONE, MAX_CONNECTIONS, grpc_port
from services.gateway.guard import Guard
from services.gateway.hooks import keys_of
from services.gateway.listener import OTHER_FILES, HttpServer, most_connections
from services.gateway.peers import Peers
from services.gateway.surface import FILES
from shared import metrics, tokens
from shared.clock import Clock, SystemClock
from shared.config import ProcessConfig
from shared.lifecycle import App, run
from shared.loopback import is_loopback
from shared.rpc.server import GrpcServer
from shared.server_figures import of_server
from shared.tokens import Scope, TokenFile

# Of the connections one address has at most a quarter.
_SHARE = 4


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
    gateway_grpc_address: str = Field(
        default="",
        validate_default=True,
        description="host:port where people call by gRPC with a token, by TLS with TLS_CERT; empty:"
        " nowhere",
        examples=["127.0.0.1:50060"],
    )
    gateway_hosts: list[str] = Field(
        default_factory=list,
        description="names besides localhost under which a proxy asks",
        examples=["sonic.example"],
    )
    sonic_home: Path | None = Field(
        default=None, description="folder of the tokens' file when TOKENS_FILE does not name it"
    )
    tokens_file: Path | None = Field(
        default=None,
        description="file of `sonic token create`; by default tokens.json in SONIC_HOME",
        examples=["/run/secrets/tokens.json"],
    )
    gateway_user_header: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9-]{0,64}$",
        description="header in which a proxy names the person it has signed in",
        examples=["X-Forwarded-User"],
    )
    gateway_trusted_proxies: list[IPv4Network | IPv6Network] = Field(
        default_factory=list,
        validate_default=True,
        description="networks from which that header is believed; each is many clients",
        examples=["10.0.0.0/8"],
    )
    gateway_user_scope: Literal["read", "operate", "admin"] = Field(
        default="operate", description="what people whom the proxy names may do"
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

    @field_validator("gateway_grpc_address")
    @classmethod
    def _is_no_place_to_read_tokens(cls, listen: str, others: ValidationInfo) -> str:
        if listen and not listen.rpartition(":")[2].isdecimal():
            raise ValueError("not host:port")
        if listen and not _is_here(listen) and not others.data.get("tls_ca"):
            raise ValueError(
                f"{listen} can be reached by others, and without TLS whoever is between could read"
                " tokens: set TLS_CERT, TLS_KEY and TLS_CA, or listen on 127.0.0.1"
            )
        return listen

    @field_validator("gateway_hook_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr) -> SecretStr:
        keys_of(value.get_secret_value())
        return value

    @field_validator("gateway_trusted_proxies")
    @classmethod
    def _is_believed_from_somewhere(
        cls, networks: list[IPv4Network | IPv6Network], others: ValidationInfo
    ) -> list[IPv4Network | IPv6Network]:
        if others.data.get("gateway_user_header") and not networks:
            raise ValueError("without them anybody could write GATEWAY_USER_HEADER")
        return networks

    @field_validator("gateway_behind_proxy")
    @classmethod
    def _is_not_open_to_the_world(cls, behind_proxy: bool, others: ValidationInfo) -> bool:
        asks = any(
            others.data.get(field) for field in ("tokens_file", "sonic_home", "gateway_user_header")
        )
        for field in ("listen_address", "gateway_second_address"):
            listen = str(others.data.get(field, ""))
            if not (behind_proxy or asks) and listen and not _is_here(listen):
                raise ValueError(
                    f"{field.upper()} {listen} can be reached by others, and nobody would be asked "
                    "who they are: name TOKENS_FILE and make a token (`sonic token create`), listen"
                    " on 127.0.0.1, or stand behind a proxy that authenticates"
                )
        listen = str(others.data.get("gateway_grpc_address", ""))
        # No proxy signs people in there, and none names them.
        if (
            listen
            and not _is_here(listen)
            and not any(others.data.get(field) for field in ("tokens_file", "sonic_home"))
        ):
            raise ValueError(
                f"GATEWAY_GRPC_ADDRESS {listen} can be reached by others, and is asked with tokens"
                " alone: name TOKENS_FILE and make one (`sonic token create`)"
            )
        return behind_proxy

    @property
    def tokens_at(self) -> Path | None:
        """The tokens' file, whether it is there or not."""
        home = self.sonic_home
        return self.tokens_file or (home / tokens.FILE_NAME if home is not None else None)

    @property
    def is_open(self) -> bool:
        """Whether whoever reaches us was let in by the machine or by a proxy, until there are
        tokens.
        """
        ours = (self.listen_address, self.gateway_second_address)
        return self.gateway_behind_proxy or all(_is_here(at) for at in ours if at)

    @property
    def proxy(self) -> TrustedProxy | None:
        """Who names people to us."""
        if not self.gateway_user_header:
            return None
        scope = Scope[self.gateway_user_scope.upper()]
        return TrustedProxy(self.gateway_trusted_proxies, self.gateway_user_header, scope)

    def is_many(self, host: str) -> bool:
        """Whether this host stands for many clients: what this machine runs, and proxies, also
        those that name nobody.
        """
        is_proxy = self.gateway_behind_proxy or is_in(self.gateway_trusted_proxies, host)
        return is_proxy or is_loopback(host)


def _is_here(listen: str) -> bool:
    return is_loopback(listen.rpartition(":")[0])


def build(config: Config, clock: Clock | None = None) -> App:
    """The gateway as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    addresses = {name: str(getattr(config, f"{name}_address")) for name in FILES}
    peers = Peers(addresses, config.identity)
    streams = Streams()
    guard = Guard(config.gateway_hosts, behind_proxy=config.gateway_behind_proxy)
    keys = keys_of(config.gateway_hook_keys.get_secret_value())
    file = TokenFile(config.tokens_at, clock) if config.tokens_at is not None else None
    access = Access(file, clock, config.proxy, is_open=config.is_open)
    application = Application(peers, streams, guard, access, metrics.process(), keys, clock)
    room = _room(config)
    servers: list[HttpServer | GrpcServer] = [
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
    if at := config.gateway_grpc_address:
        # A proxy in front of HTTP lets nobody in here.
        asked = Access(file, clock, None, is_open=_is_here(at))
        servers.append(grpc_port(at, config.tls, peers, asked, config.is_many, clock))
    side = metrics.serve(config.metrics_address, of_server("gateway", config.tls))
    return App(
        "gateway", [*peers.parts, side, *servers], grace_seconds=config.shutdown_grace_seconds
    )


def _room(config: Config) -> Room:
    """For the connections of both HTTP ports."""
    files = OTHER_FILES + (FILES_OF_ONE * MAX_CONNECTIONS if config.gateway_grpc_address else 0)
    most = most_connections(files)
    return Room(most, most_of_one=most // _SHARE, is_many=config.is_many)


def main() -> None:
    """Start one process of the gateway."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
