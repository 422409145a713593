"""Puts the positions service together."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, SecretStr
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.clients import PriceClient, price_channel
from services.positions.domain.holding import Chain
from services.positions.service.anchors import KeptAnchors
from services.positions.service.balances import BalanceKeeper
from services.positions.service.imports import ImportService
from services.positions.service.needs import Begin
from services.positions.service.passes import Passes
from services.positions.service.portfolio import PortfolioService
from services.positions.service.positions import PositionsService
from services.positions.service.sync import SyncService
from services.positions.service.wallets import WalletsService
from services.positions.servicer.portfolio import PortfolioServicer
from services.positions.servicer.positions import PositionsServicer
from services.positions.servicer.wallets import WalletsServicer
from services.positions.store import Store
from services.positions.venues import (
    VENUES,
    Built,
    ChainBalances,
    DemoVenue,
    Surroundings,
    Venue,
    build_balances,
)
from services.positions.venues.demo import DEMO_WALLETS
from shared.clock import Clock, SystemClock
from shared.config import ServiceConfig
from shared.database.engine import Database
from shared.lifecycle import App, run
from shared.rpc.server import GrpcServer

# A file of 64 MiB, as the schema allows, and its envelope.
_MAX_MESSAGE_BYTES = 65 * 1024 * 1024
_SERVICES = ("PositionsService", "PortfolioService", "WalletsService")


class Config(ServiceConfig):
    """Settings of the positions service."""

    service: ClassVar[str] = "positions"
    listen_address: str = Field("127.0.0.1:50052", description="host:port to serve on")
    price_address: str = Field("127.0.0.1:50051", description="host:port of the price service")
    sonic_live: bool = Field(False, description="1: real positions even before a wallet exists")
    sonic_demo_seed: int = Field(7, description="seed of the simulation")
    jupiter_api_base: str = Field("https://perps-api.jup.ag", description="base URL of Jupiter Perps")
    jupiter_api_version: Literal["auto", "v1", "v2"] = Field("auto", description="shape of Jupiter's answers")
    dydx_indexer_url: str = Field("https://indexer.dydx.trade", description="base URL, empty: not asked")
    hyperliquid_url: str = Field("https://api.hyperliquid.xyz", description="base URL, empty: not asked")
    solana_rpc_url: SecretStr = Field(SecretStr(""), description="node for SOL balances, empty: not read")
    ethereum_rpc_url: SecretStr = Field(SecretStr(""), description="node for ETH balances, empty: not read")
    mark_max_age_seconds: float = Field(120.0, gt=0, description="a mark older than this is stale")
    max_concurrent_fetches: int = Field(8, ge=1, le=100, description="wallets fetched at a time")


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    database = Database(config.database_url.get_secret_value(), application_name="positions")
    begin, read = database.bind(Store), database.bind(Store, isolation="AUTOCOMMIT")
    price = price_channel(config.price_address)
    passes = Passes(
        begin,
        read,
        database.bind(Store, isolation="REPEATABLE READ"),
        PriceClient(price),
        clock,
        config.mark_max_age_seconds,
    )
    built, balances = _venues(config, clock), _balances(config, clock)
    venues = [one.venue for one in built]
    sync = _sync(config, begin, read, passes, venues, BalanceKeeper(begin, balances, clock), clock)
    positions = PositionsServicer(
        PositionsService(begin, read, passes, clock), passes, sync, ImportService(begin, passes, clock)
    )
    server = GrpcServer(
        config.listen_address,
        [
            (rpc.add_PositionsServiceServicer_to_server, positions),
            (
                rpc.add_PortfolioServiceServicer_to_server,
                PortfolioServicer(PortfolioService(begin, read, clock)),
            ),
            (
                rpc.add_WalletsServiceServicer_to_server,
                WalletsServicer(WalletsService(begin, read, passes), clock),
            ),
        ],
        service_names=[f"sonic.positions.v1.{name}" for name in _SERVICES],
        ready=database.ping,
        clock=clock,
        max_message_bytes=_MAX_MESSAGE_BYTES,
    )
    asked = [*(part for one in built for part in one.parts), *balances.parts]
    return App("positions", [database, price, *asked, server], grace_seconds=config.shutdown_grace_seconds)


def _sync(
    config: Config,
    begin: Begin,
    read: Begin,
    passes: Passes,
    venues: Sequence[Venue],
    balances: BalanceKeeper,
    clock: Clock,
) -> SyncService:
    return SyncService(
        begin,
        read,
        passes,
        [*venues, DemoVenue(config.sonic_demo_seed, KeptAnchors(begin))],
        balances,
        clock,
        live=config.sonic_live,
        demo_wallets=DEMO_WALLETS,
        max_concurrent_fetches=config.max_concurrent_fetches,
        mark_max_age_seconds=config.mark_max_age_seconds,
    )


def _venues(config: Config, clock: Clock) -> list[Built]:
    settings = {
        "jupiter_api_base": config.jupiter_api_base,
        "jupiter_api_version": config.jupiter_api_version,
        "dydx_indexer_url": config.dydx_indexer_url,
        "hyperliquid_url": config.hyperliquid_url,
    }
    asked = {"jupiter": True, "dydx": config.dydx_indexer_url, "hyperliquid": config.hyperliquid_url}
    return [make(Surroundings(clock, settings)) for name, make in VENUES.items() if asked[name]]


def _balances(config: Config, clock: Clock) -> ChainBalances:
    nodes = {Chain.SOLANA: config.solana_rpc_url, Chain.ETHEREUM: config.ethereum_rpc_url}
    return build_balances(clock, {chain: url.get_secret_value() for chain, url in nodes.items()})


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
