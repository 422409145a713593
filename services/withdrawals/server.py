"""Puts the withdrawals service together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from sonic.callers import CALLERS
from sonic.withdrawals.v1 import withdrawals_pb2_grpc as rpc

from services.withdrawals.assets.service.assets import AssetsService
from services.withdrawals.assets.service.config import ConfigService
from services.withdrawals.assets.servicer import AssetsServicer
from services.withdrawals.assets.store import AssetStore
from services.withdrawals.clients import (
    AlertsClient,
    PriceServiceSource,
    alerts_channel,
    price_channel,
)
from services.withdrawals.decisions.ports import AlertsPort, PriceSource
from services.withdrawals.decisions.service.evaluate import EvaluateService
from services.withdrawals.decisions.service.exposed import METRIC_NAMES, ExposedDecisions
from services.withdrawals.decisions.service.gathering import Gathering
from services.withdrawals.decisions.service.queries import DecisionQueries
from services.withdrawals.decisions.service.relay import NewsRelay
from services.withdrawals.decisions.service.upkeep import Clearing, Forgetting, ScheduleService
from services.withdrawals.decisions.servicer import AdvisorServicer
from services.withdrawals.decisions.store import DecisionStore
from services.withdrawals.loop import DecisionFeed, relay_loop, schedule_loop, sweep_loop
from services.withdrawals.series.service import SeriesService
from services.withdrawals.series.servicer import SeriesReader
from services.withdrawals.sources.greptime import GreptimeAccess, build_greptime
from services.withdrawals.sources.liqwid import DEFAULT_URL as LIQWID_URL
from services.withdrawals.sources.liqwid import build_liqwid
from services.withdrawals.sources.minswap import DEFAULT_URL as MINSWAP_URL
from services.withdrawals.sources.minswap import build_minswap
from services.withdrawals.supply.domain.demo import DEMO_ASSETS
from services.withdrawals.supply.ports import History, Venue
from services.withdrawals.supply.service.flows import FlowsService
from services.withdrawals.supply.service.history import HistoryService
from services.withdrawals.supply.service.imports import ImportsService
from services.withdrawals.supply.service.loading import SupplyRows
from services.withdrawals.supply.service.sync import SyncService
from services.withdrawals.supply.servicer import SupplyServicer
from services.withdrawals.supply.store.supply import SupplyStore
from shared import metrics
from shared.clock import Clock, SystemClock
from shared.config import HttpAddress, ServiceConfig
from shared.database.migrations import migrated
from shared.database.pool import Database
from shared.lifecycle import App, Part, run
from shared.rpc.server import GrpcServer
from shared.server_figures import of_server

_SERVICES = ("AdvisorService", "AssetsService", "SupplyService")
# A file of 16 MiB, as the schema allows, and its envelope.
_FILE_BYTES = 17 * 1024 * 1024
TEST_ROLE = "withdrawals_test"


class Config(ServiceConfig):
    """Settings of the withdrawals service."""

    service: ClassVar[str] = "withdrawals"
    listen_address: str = Field("127.0.0.1:50058", description="host:port to serve on")
    price_address: str = Field("127.0.0.1:50051", description="host:port of the price service")
    liqwid_url: HttpAddress = Field(LIQWID_URL, description="GraphQL address of Liqwid")
    minswap_url: HttpAddress = Field(MINSWAP_URL, description="address of Minswap's aggregator")
    greptimedb_url: HttpAddress | None = Field(
        None, description="address of a GreptimeDB whose history is read; empty: none"
    )
    greptimedb_database: str = Field("liqwid", description="database of samples and flows there")
    greptimedb_prices_database: str = Field("minswap", description="database of prices there")
    greptimedb_token: SecretStr = Field(SecretStr(""), description="bearer token for it")
    greptimedb_user: str = Field("", description="user for it, where there is no token")
    greptimedb_password: SecretStr = Field(SecretStr(""), description="password of that user")
    alerts_address: str = Field(
        "127.0.0.1:50054", description="host:port of the alerts service, which tells people"
    )
    sonic_live: bool = Field(
        False, description="1: no simulated supply while no asset is configured"
    )
    sonic_demo_seed: str = Field("sonic", min_length=1, description="seed of the simulation")
    withdrawals_test: bool = Field(
        False,
        validate_default=True,
        description="1: reads and writes the schema withdrawals_test alone",
    )
    withdrawals_metrics: tuple[str, ...] = Field(
        METRIC_NAMES, description="which wo_ series /metrics shows", examples=["wo_decision"]
    )
    withdrawals_metrics_address: str | None = Field(
        None, description="host:port of /metrics of this service alone, in place of METRICS_ADDRESS"
    )
    withdrawals_decisions_days: float = Field(
        400.0, ge=0, description="decisions stay so long, the last of an asset for ever; 0 = ever"
    )
    withdrawals_samples_days: float = Field(
        1100.0, ge=0, description="samples stay so long, the first of a wallet for ever; 0 = ever"
    )
    withdrawals_requests_days: float = Field(
        7.0, ge=0, description="answers of imports and news stay so long; 0 = ever"
    )

    @field_validator("withdrawals_test")
    @classmethod
    def _has_the_role_of_tests(cls, value: bool, others: ValidationInfo) -> bool:
        url = others.data.get("database_url")
        role = urlsplit(url.get_secret_value()).username if url is not None else TEST_ROLE
        if value and role != TEST_ROLE:
            raise ValueError(f"WITHDRAWALS_DATABASE_URL must name the role {TEST_ROLE}")
        return value

    @field_validator("withdrawals_metrics")
    @classmethod
    def _are_series(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if name not in METRIC_NAMES]:
            raise ValueError(f"no series {', '.join(unknown)[:60]}; {', '.join(METRIC_NAMES)}")
        return value


@dataclass(frozen=True, slots=True)
class Outside:
    """The world: the venue (None: none is asked), prices beside the venue's, who tells people, the
    history that another program keeps.
    """

    venue: Venue | None
    prices: Sequence[PriceSource]
    alerts: AlertsPort | None = None
    history: History | None = None
    parts: Sequence[Part] = ()


@dataclass(frozen=True, slots=True)
class _Services:
    """The use cases that others are made of."""

    assets: AssetsService
    schedule: ScheduleService
    config: ConfigService
    sync: SyncService
    rows: SupplyRows
    evaluations: EvaluateService
    queries: DecisionQueries


def outside(config: Config, clock: Clock) -> Outside:
    """As configured. Nothing is asked of the world while no asset is watched."""
    price = price_channel(config.price_address, config.identity)
    liqwid, venue = build_liqwid(config.liqwid_url, clock)
    minswap, tokens = build_minswap(config.minswap_url, clock)
    alerts = alerts_channel(config.alerts_address, config.identity)
    parts: list[Part] = [price, alerts, *venue, tokens]
    history = None
    if config.greptimedb_url:
        history, stored = build_greptime(_access(config, config.greptimedb_url), clock)
        parts.append(stored)
    prices: list[PriceSource] = [minswap, PriceServiceSource(price)]
    return Outside(liqwid, prices, AlertsClient(alerts), history=history, parts=parts)


def _access(config: Config, url: str) -> GreptimeAccess:
    return GreptimeAccess(
        url,
        config.greptimedb_database,
        config.greptimedb_prices_database,
        config.greptimedb_token.get_secret_value(),
        config.greptimedb_user,
        config.greptimedb_password.get_secret_value(),
    )


def build(config: Config, clock: Clock | None = None, world: Outside | None = None) -> App:
    """The service as an application; nothing is opened before it starts. `world`: of a test."""
    clock = clock or SystemClock()
    world = world or outside(config, clock)
    database = Database(config.database_url.get_secret_value(), application_name="withdrawals")
    services = _services(config, database, world, clock)
    exposed = ExposedDecisions(metrics.process(), config.withdrawals_metrics)
    feed = DecisionFeed(services.queries, clock)
    services.evaluations.on_change(exposed.show)
    services.evaluations.on_change(feed.wake)
    turns = schedule_loop(services.schedule, services.evaluations, clock)
    services.schedule.on_change(turns.wake)
    decisions = database.open(DecisionStore)
    forgetting = Forgetting(decisions, clock, _kept_days(config))
    server = GrpcServer(
        config.listen_address,
        [
            (rpc.add_AdvisorServiceServicer_to_server, _advisor(services, database, feed, clock)),
            (
                rpc.add_AssetsServiceServicer_to_server,
                AssetsServicer(services.assets, services.config),
            ),
            (rpc.add_SupplyServiceServicer_to_server, _supply(services, database, clock)),
        ],
        service_names=[f"sonic.withdrawals.v1.{name}" for name in _SERVICES],
        ready=migrated(database, Path(__file__).parent / "migrations"),
        clock=clock,
        channelz=config.channelz,
        identity=config.identity,
        callers=CALLERS,
        health_address=config.health_address,
        large=dict.fromkeys(("ImportFlows", "ImportSamples", "ImportTokenRegistry"), _FILE_BYTES),
    )
    side = metrics.serve(
        config.withdrawals_metrics_address or config.metrics_address,
        of_server("withdrawals", config.tls, [database]),
    )
    parts: list[Part] = [database, *world.parts, feed, side, server]
    parts += [turns, sweep_loop(forgetting.sweep, clock)]
    # Of a test nobody is told.
    if world.alerts is not None and not config.withdrawals_test:
        each = database.open(DecisionStore, isolation="AUTOCOMMIT")
        telling = relay_loop(NewsRelay(each, world.alerts, clock).relay, clock)
        services.evaluations.on_change(lambda made, _: telling.wake() if made else None)
        parts.append(telling)
    return App("withdrawals", parts, grace_seconds=config.shutdown_grace_seconds)


def _services(config: Config, database: Database, world: Outside, clock: Clock) -> _Services:
    begin, read = database.open(AssetStore), database.open(AssetStore, isolation="AUTOCOMMIT")
    supply = database.open(SupplyStore)
    decisions = database.open(DecisionStore)
    decided = database.open(DecisionStore, isolation="AUTOCOMMIT")
    schedule = ScheduleService(decisions, clock)
    assets = AssetsService(begin, read, () if config.sonic_live else DEMO_ASSETS)
    sync = SyncService(
        supply,
        database.open(SupplyStore, isolation="AUTOCOMMIT"),
        assets,
        world.venue,
        clock,
    )
    rows = SupplyRows(supply, database.open(SupplyStore, isolation="REPEATABLE READ"), clock)
    history = HistoryService(world.history, assets, rows, clock)
    seed = config.sonic_demo_seed
    gathering = Gathering(assets, sync, world.venue, world.prices, clock, seed)
    return _Services(
        assets,
        schedule,
        ConfigService(begin, read, schedule.set_seconds),
        sync,
        rows,
        EvaluateService(decisions, decided, assets, rows, history, sync, gathering, clock, seed),
        DecisionQueries(decided, clock),
    )


def _advisor(
    services: _Services, database: Database, feed: DecisionFeed, clock: Clock
) -> AdvisorServicer:
    return AdvisorServicer(
        services.evaluations,
        services.queries,
        services.schedule,
        Clearing(database.open(DecisionStore), services.rows.clear, clock),
        feed.watch,
        SeriesReader(SeriesService(services.assets, services.rows, clock)).get,
    )


def _supply(services: _Services, database: Database, clock: Clock) -> SupplyServicer:
    begin = database.open(SupplyStore)
    read = database.open(SupplyStore, isolation="AUTOCOMMIT")
    return SupplyServicer(
        FlowsService(begin, read, services.assets, clock),
        ImportsService(begin, clock),
        services.sync,
    )


def _kept_days(config: Config) -> dict[str, float]:
    return {
        "decisions": config.withdrawals_decisions_days,
        "samples": config.withdrawals_samples_days,
        "requests": config.withdrawals_requests_days,
        "outbox": config.withdrawals_requests_days,
    }


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
