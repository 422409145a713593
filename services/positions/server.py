"""Puts the positions service together."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr
from sonic.callers import CALLERS
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.accounts.service.accounts import AccountsService
from services.positions.accounts.service.beta_estimates import BetaEstimates
from services.positions.accounts.servicer import AccountsServicer
from services.positions.clients import PriceClient, price_channel
from services.positions.domain.venue_answer import Chain
from services.positions.enrichment.service import EnrichmentService
from services.positions.events.service import EventsService
from services.positions.extremes.service import ExtremesService
from services.positions.files.service.files import FilesService
from services.positions.files.service.imports import ImportService
from services.positions.files.servicer import FilesServicer
from services.positions.loop import retention_loop
from services.positions.portfolio.service.net_worth import NetWorthService
from services.positions.portfolio.service.portfolio import PortfolioService
from services.positions.portfolio.servicer import PortfolioServicer
from services.positions.positions.service.positions import PositionsService
from services.positions.positions.service.watch import Watch
from services.positions.positions.servicer import PositionsServicer, ReadingCases
from services.positions.risk.service import RiskService
from services.positions.risk.servicer import RiskServicer
from services.positions.service.ports import Begin
from services.positions.service.retention import Retention
from services.positions.sessions.service.brokers import BrokersService
from services.positions.sessions.service.sessions import SessionsService
from services.positions.sessions.servicer.brokers import BrokersServicer
from services.positions.sessions.servicer.sessions import SessionsServicer
from services.positions.store import Store
from services.positions.store.figures import FIGURES, FigureStore
from services.positions.streams.service import FollowedAccounts, VenueSource
from services.positions.streams.servicer import StreamsServicer
from services.positions.sync.service.demo_prices import StoredDemoPrices
from services.positions.sync.service.sync import SyncService
from services.positions.touch_record.service import TouchRecordService
from services.positions.touch_record.servicer import TouchesServicer
from services.positions.venues import (
    STREAMS,
    VENUES,
    Built,
    ChainBalances,
    DemoVenue,
    Venue,
    VenueContext,
    build_balances,
)
from services.positions.venues.demo import DEMO_WALLETS
from services.positions.wallets.service.balances import BalanceKeeper
from services.positions.wallets.service.wallets import WalletsService
from services.positions.wallets.servicer import WalletsServicer
from shared import metrics
from shared.clock import Clock, SystemClock
from shared.config import ServiceConfig, WebsocketAddress
from shared.database.migrations import migrated
from shared.database.pool import Database
from shared.lifecycle import App, Loop, Part, run
from shared.rpc.server import GrpcServer, Registration
from shared.server_figures import of_server
from shared.streams import StreamHub

# A file of 64 MiB, as the schema allows, and its envelope.
_FILE_BYTES = 65 * 1024 * 1024
_SERVICES = (
    *("PositionsService", "PortfolioService", "WalletsService", "RiskService"),
    *("FilesService", "SessionsService", "BrokersService", "AccountsService"),
    *("TouchesService", "StreamsService"),
)


class Config(ServiceConfig):
    """Settings of the positions service."""

    service: ClassVar[str] = "positions"
    listen_address: str = Field("127.0.0.1:50052", description="host:port to serve on")
    price_address: str = Field("127.0.0.1:50051", description="host:port of the price service")
    sonic_live: bool = Field(False, description="1: real positions even before a wallet exists")
    sonic_demo_seed: int = Field(7, description="seed of the simulation")
    jupiter_api_base: str = Field(
        "https://perps-api.jup.ag", description="base URL of Jupiter Perps"
    )
    jupiter_api_version: Literal["auto", "v1", "v2"] = Field(
        "auto", description="shape of Jupiter's answers"
    )
    dydx_indexer_url: str = Field(
        "https://indexer.dydx.trade", description="base URL, empty: not asked"
    )
    hyperliquid_url: str = Field(
        "https://api.hyperliquid.xyz", description="base URL, empty: not asked"
    )
    hyperliquid_spot_legs: bool = Field(
        False, description="1: Hyperliquid's spot balances are legs of hedges; see docs/hedges.md"
    )
    sonic_streams: bool = Field(
        False, description="1: streams of venues pull the next look forward; polling goes on"
    )
    hyperliquid_stream_url: WebsocketAddress = Field(
        "wss://api.hyperliquid.xyz/ws", description="its websocket, empty: no stream"
    )
    dydx_stream_url: WebsocketAddress = Field(
        "wss://indexer.dydx.trade/v4/ws", description="its indexer's websocket, empty: no stream"
    )
    stream_move_percent: float = Field(
        0.5, ge=0.05, le=50, description="a mark that moved so much since the last look is news"
    )
    solana_rpc_url: SecretStr = Field(
        SecretStr(""), description="node for SOL balances, empty: not read"
    )
    ethereum_rpc_url: SecretStr = Field(
        SecretStr(""), description="node for ETH balances, empty: not read"
    )
    mark_max_age_seconds: float = Field(120.0, gt=0, description="a mark older than this is stale")
    max_concurrent_fetches: int = Field(8, ge=1, le=100, description="wallets fetched at a time")
    closed_retention_days: float = Field(
        90.0, ge=0, description="closed positions stay so long; 0 = ever"
    )
    request_retention_days: float = Field(
        7.0, ge=0, description="ids of requests stay so long; 0 = ever"
    )
    refused_retention_days: float = Field(
        30.0, ge=0, description="refused rows stay so long; 0 = ever"
    )
    event_retention_days: float = Field(
        400.0, ge=0, description="what happened to positions stays so long; 0 = ever"
    )
    touch_record_days: float = Field(
        180.0, ge=0, description="what the touch probability said stays so long; 0 = ever"
    )
    touch_history_days: float = Field(
        30.0, ge=0, description="what it said of each position stays so long; 0 = ever"
    )
    snapshot_retention_days: float = Field(
        400.0, ge=0, description="snapshots stay so long, but those of an open session; 0 = ever"
    )
    session_retention_days: float = Field(
        1100.0,
        ge=0,
        description="ended sessions, and any snapshot, also by hand, stay so long; 0 = ever",
    )


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    database = Database(config.database_url.get_secret_value(), application_name="positions")
    begin, read = database.open(Store), database.open(Store, isolation="AUTOCOMMIT")
    price = price_channel(config.price_address, config.identity)
    market = PriceClient(price)
    enrichment = EnrichmentService(
        begin,
        read,
        database.open(Store, isolation="REPEATABLE READ"),
        market,
        clock,
        config.mark_max_age_seconds,
    )
    extremes = ExtremesService(enrichment, market, clock)
    built, balances = _venues(config, clock), _balances(config, clock)
    venues, keeper = [one.venue for one in built], BalanceKeeper(begin, balances, clock)
    sync = _sync(config, begin, read, enrichment, extremes, venues, keeper, clock)
    watch = Watch(read, enrichment, clock)
    betas = BetaEstimates(market, clock)
    accounts = AccountsService(read, enrichment, clock, config.mark_max_age_seconds, betas)
    touches = TouchRecordService(begin, read, enrichment, market, clock)
    streams = _streams(config, read, enrichment, clock)
    server = GrpcServer(
        config.listen_address,
        [
            *_registrations(
                begin, read, enrichment, extremes, sync, watch, accounts, touches, clock
            ),
            (rpc.add_StreamsServiceServicer_to_server, StreamsServicer(streams.watch)),
        ],
        service_names=[f"sonic.positions.v1.{name}" for name in _SERVICES],
        ready=migrated(database, Path(__file__).parent / "migrations"),
        clock=clock,
        channelz=config.channelz,
        identity=config.identity,
        callers=CALLERS,
        health_address=config.health_address,
        large=dict.fromkeys(("ImportPositions", "ImportPositionsStream"), _FILE_BYTES),
    )
    asked = [*(part for one in built for part in one.parts), *balances.parts]
    side = _side(config, database, enrichment, clock)
    loops = [
        retention_loop(Retention(begin, clock, _kept_days(config)), clock),
        Loop("positions moves", market.refresh_moves, clock),
        Loop("positions touch record", touches.keep, clock),
    ]
    parts: list[Part] = [database, price, betas, *asked, extremes, watch, streams, side, server]
    return App("positions", [*parts, *loops], grace_seconds=config.shutdown_grace_seconds)


def _streams(config: Config, read: Begin, enrichment: EnrichmentService, clock: Clock) -> StreamHub:
    """Without SONIC_STREAMS none."""
    accounts = FollowedAccounts(read, enrichment, clock, config.stream_move_percent)
    urls = {"hyperliquid": config.hyperliquid_stream_url, "dydx": config.dydx_stream_url}
    sources = [VenueSource(one, url, accounts) for one in STREAMS if (url := urls[one.name])]
    return StreamHub(sources if config.sonic_streams else (), clock, metrics.process())


def _side(
    config: Config, database: Database, enrichment: EnrichmentService, clock: Clock
) -> metrics.SidePort:
    figures = FigureStore(database, enrichment.nearest, clock)
    return metrics.serve(
        config.metrics_address,
        of_server("positions", config.tls, [database]),
        metrics.Reading("positions", FIGURES, figures.read),
    )


def _sync(
    config: Config,
    begin: Begin,
    read: Begin,
    enrichment: EnrichmentService,
    extremes: ExtremesService,
    venues: Sequence[Venue],
    balances: BalanceKeeper,
    clock: Clock,
) -> SyncService:
    return SyncService(
        begin,
        read,
        enrichment,
        [*venues, DemoVenue(config.sonic_demo_seed, StoredDemoPrices(begin))],
        balances,
        clock,
        live=config.sonic_live,
        demo_wallets=DEMO_WALLETS,
        extremes=extremes,
        max_concurrent_fetches=config.max_concurrent_fetches,
        mark_max_age_seconds=config.mark_max_age_seconds,
    )


def _registrations(
    begin: Begin,
    read: Begin,
    enrichment: EnrichmentService,
    extremes: ExtremesService,
    sync: SyncService,
    watch: Watch,
    accounts: AccountsService,
    touches: TouchRecordService,
    clock: Clock,
) -> list[Registration]:
    imports = ImportService(begin, enrichment, clock)
    by_hand = PositionsService(begin, read, enrichment, clock)
    wallets = WalletsService(begin, read, enrichment)
    events = EventsService(read)
    reading = ReadingCases(enrichment, extremes, watch, wallets, events, accounts)
    positions = PositionsServicer(by_hand, reading, sync, imports)
    portfolio = PortfolioServicer(
        PortfolioService(begin, read, clock),
        enrichment,
        NetWorthService(read, enrichment, wallets),
        wallets,
    )
    files = FilesServicer(FilesService(begin, read, enrichment, clock), imports)
    risk = RiskServicer(RiskService(read, enrichment, by_hand))
    return [
        (rpc.add_PositionsServiceServicer_to_server, positions),
        (rpc.add_PortfolioServiceServicer_to_server, portfolio),
        (rpc.add_WalletsServiceServicer_to_server, WalletsServicer(wallets, clock)),
        (rpc.add_RiskServiceServicer_to_server, risk),
        (rpc.add_AccountsServiceServicer_to_server, AccountsServicer(accounts)),
        (rpc.add_TouchesServiceServicer_to_server, TouchesServicer(touches)),
        (rpc.add_FilesServiceServicer_to_server, files),
        (
            rpc.add_SessionsServiceServicer_to_server,
            SessionsServicer(SessionsService(begin, read, clock)),
        ),
        (
            rpc.add_BrokersServiceServicer_to_server,
            BrokersServicer(BrokersService(begin, read, clock)),
        ),
    ]


def _kept_days(config: Config) -> dict[str, float]:
    return {
        "closed": config.closed_retention_days,
        "requests": config.request_retention_days,
        "refused_rows": config.refused_retention_days,
        "touch_statements": config.touch_record_days,
        "touch_history": config.touch_history_days,
        "events": config.event_retention_days,
        "snapshots": config.snapshot_retention_days,
        "old_snapshots": config.session_retention_days,
        "sessions": config.session_retention_days,
    }


def _venues(config: Config, clock: Clock) -> list[Built]:
    settings = {
        "jupiter_api_base": config.jupiter_api_base,
        "jupiter_api_version": config.jupiter_api_version,
        "dydx_indexer_url": config.dydx_indexer_url,
        "hyperliquid_url": config.hyperliquid_url,
        "hyperliquid_spot_legs": "1" if config.hyperliquid_spot_legs else "",
    }
    asked = {
        "jupiter": True,
        "dydx": config.dydx_indexer_url,
        "hyperliquid": config.hyperliquid_url,
    }
    return [make(VenueContext(clock, settings)) for name, make in VENUES.items() if asked[name]]


def _balances(config: Config, clock: Clock) -> ChainBalances:
    nodes = {Chain.SOLANA: config.solana_rpc_url, Chain.ETHEREUM: config.ethereum_rpc_url}
    return build_balances(clock, {chain: url.get_secret_value() for chain, url in nodes.items()})


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
