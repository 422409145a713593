"""Puts the price service together. The only file that reads configuration."""

from datetime import timedelta
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from sonic.price.v1 import price_pb2, price_pb2_grpc

from services.price.domain.prices import SYMBOL
from services.price.loop import PriceFeed
from services.price.service import PriceService, Settings
from services.price.servicer import PriceServicer
from services.price.sources.panel import Panel
from services.price.sources.registry import REGISTRY
from services.price.sources.source import Connected, SourceSetup
from services.price.store import Store
from shared.clock import Clock, SystemClock
from shared.config import ServiceConfig
from shared.database.engine import Database
from shared.lifecycle import App, run
from shared.metrics import process, serve
from shared.rpc.server import GrpcServer

NAME = price_pb2.DESCRIPTOR.services_by_name["PriceService"].full_name


class Config(ServiceConfig):
    """Every knob of the price service."""

    service: ClassVar[str] = "price"

    listen_address: str = Field("127.0.0.1:50051", description="host:port to serve on")
    sonic_live: bool = Field(
        False, description="1 = live prices from the start, 0 = the demo market until told"
    )
    sonic_demo_seed: str = Field(
        "sonic", min_length=1, description="makes the demo market; same seed, same prices"
    )
    price_assets: tuple[str, ...] = Field(
        ("BTC", "ETH", "SOL"),
        min_length=1,
        max_length=100,
        description="tracked assets",
        examples=["BTC,ETH"],
    )
    price_sources: tuple[str, ...] = Field(
        tuple(REGISTRY), description=f"live sources, of {', '.join(REGISTRY)}", examples=["coingecko,pyth"]
    )
    price_min_refresh_seconds: float = Field(
        30.0, ge=0, le=3600, description="a younger refresh answers instead of asking the sources again"
    )
    price_call_timeout_seconds: float = Field(
        10.0, gt=0, le=60, description="bound of a whole call to a source"
    )
    coingecko_url: str = Field(
        "https://api.coingecko.com", description="scheme, host and optional path prefix"
    )
    coingecko_api_key: SecretStr = Field(SecretStr(""), description="demo key, lifts 5 calls a minute to 30")
    pyth_hermes_url: str = Field(
        "https://hermes.pyth.network", description="scheme, host and optional prefix"
    )

    @field_validator("coingecko_url", "pyth_hermes_url")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        address = urlsplit(value)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError("no http or https address")
        return value

    @field_validator("price_assets")
    @classmethod
    def _are_symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        symbols = tuple(dict.fromkeys(symbol.strip().upper() for symbol in value))
        if wrong := [symbol for symbol in symbols if not SYMBOL.fullmatch(symbol)]:
            raise ValueError(f"no asset symbol: {', '.join(wrong)[:60]}")
        return symbols

    @field_validator("price_sources")
    @classmethod
    def _are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip().lower() for name in value))
        if unknown := [name for name in names if name not in REGISTRY]:
            raise ValueError(f"unknown source {', '.join(unknown)[:60]}; known are {', '.join(REGISTRY)}")
        return names


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    database = Database(config.database_url.get_secret_value(), application_name="price")
    live = connected(config, clock)
    panel = Panel([one.source for one in live], config.sonic_demo_seed, clock, process())
    settings = Settings(
        config.price_assets,
        config.sonic_live,
        config.sonic_demo_seed,
        timedelta(seconds=config.price_min_refresh_seconds),
    )
    service = PriceService(
        database.bind(Store), database.bind(Store, isolation="AUTOCOMMIT"), panel, clock, settings
    )
    feed = PriceFeed(service.revision, service.changes, clock)
    service.on_change(feed.wake)
    server = GrpcServer(
        config.listen_address,
        [(price_pb2_grpc.add_PriceServiceServicer_to_server, PriceServicer(service, feed.watch, clock))],
        service_names=[NAME],
        ready=database.ping,
        clock=clock,
    )
    side = serve(config.metrics_address, healthy=lambda: server.serving)
    return App("price", [database, *(one.http for one in live), feed, server, side])


def connected(config: Config, clock: Clock) -> list[Connected]:
    """The enabled live sources, each with its own address."""
    addresses = {
        "coingecko": (config.coingecko_url, config.coingecko_api_key.get_secret_value()),
        "pyth": (config.pyth_hermes_url, ""),
    }
    return [
        REGISTRY[name](SourceSetup(*addresses[name], config.price_call_timeout_seconds, clock))
        for name in config.price_sources
    ]


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
