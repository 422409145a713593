"""Puts the monitor service together. The only file that reads configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, create_model
from sonic.callers import CALLERS
from sonic.monitor.v1 import monitor_pb2_grpc as rpc

from services.monitor.checks.heartbeat import HeartbeatCheck
from services.monitor.checks.latency import LatencyCheck
from services.monitor.checks.registry import NAMES, plugins, registry
from services.monitor.clients.probes import Account, Probes
from services.monitor.clients.readings import PeerReadings, Peers, channels
from services.monitor.clients.upkeep import Upkeep
from services.monitor.clients.xcom import XComClient
from services.monitor.domain.settings import VARIABLES, Override, prefixes
from services.monitor.loop import MonitorFeed, notifier, retention, scheduler
from services.monitor.service.check_runs import CheckRuns, Limits
from services.monitor.service.configured_checks import ConfiguredChecks
from services.monitor.service.database_outage import DatabaseOutage
from services.monitor.service.notifier import NotificationSender
from services.monitor.service.queries import MonitorQueries
from services.monitor.service.run_counts import RunCounts
from services.monitor.servicer import MonitorServicer
from services.monitor.store import Store
from services.monitor.store.figures import FIGURES, FigureStore
from services.monitor.store.storage import StorageSizes
from shared import metrics
from shared.clock import Clock, SystemClock
from shared.config import HttpAddress, ServiceConfig
from shared.database.migrations import migrated
from shared.database.pool import Database
from shared.http.client import ProviderHttp
from shared.lifecycle import App, Loop, run
from shared.log import get_logger
from shared.rpc.client import Channel
from shared.rpc.server import GrpcServer
from shared.server_figures import of_server

_SHAPES: Mapping[str, Any] = {
    "threshold_percent": Annotated[float, Field(ge=0, le=100_000)],
    "snooze_seconds": Annotated[float, Field(ge=0, le=30 * 86_400)],
    "interval_seconds": Annotated[float, Field(ge=5, le=7 * 86_400)],
    "enabled": bool,
}


def overridable(below: type[ServiceConfig], names: Iterable[str]) -> type[ServiceConfig]:
    """A Config that also reads `<MONITOR>_MON_THRESHOLD_PERCENT`, `_SNOOZE_SECONDS`,
    `_INTERVAL_SECONDS` and `_ENABLED` of these monitors; the prefix is the name in upper case, and
    LIQ_MON too for liquidation.
    """
    fields: dict[str, Any] = {
        f"{prefix}_{variable}": (
            shape | None,
            Field(None, description=f"decides {VARIABLES[variable]} of the {name} monitor"),
        )
        for name in names
        for prefix in prefixes(name)
        for variable, shape in _SHAPES.items()
    }
    made: type[ServiceConfig] = create_model("Overridable", __base__=below, **fields)
    return made


if TYPE_CHECKING:
    Overridable = ServiceConfig
else:
    Overridable = overridable(ServiceConfig, [*NAMES, *(point.name for point in plugins())])


class Config(Overridable):
    """Settings of the monitor service; an empty address of hedges, cyclone or
    withdrawals: not watched."""

    service: ClassVar[str] = "monitor"
    listen_address: str = "127.0.0.1:50055"
    price_address: str = Field("127.0.0.1:50051", description="host:port of the price service")
    positions_address: str = Field("127.0.0.1:50052", description="host:port of positions")
    alerts_address: str = Field("127.0.0.1:50054", description="host:port of the alerts service")
    xcom_address: str = Field("127.0.0.1:50056", description="host:port of the xcom service")
    hedges_address: str = Field("", description="host:port of the hedges service, for its health")
    cyclone_address: str = Field("", description="host:port of the cyclone service, for its health")
    withdrawals_address: str = Field(
        "", description="host:port of the withdrawals service; empty: none"
    )
    sonic_cycle_interval_seconds: float = Field(
        60, ge=5, le=86_400, description="time between cycles until Cyclone tells its own"
    )
    sonic_home: Path | None = Field(
        None, description="state directory, whose disk is watched; empty: none"
    )
    monitor_backup_folder: Path | None = Field(
        None,
        description="folder in which a backup is to appear every SONIC_BACKUP_HOURS; empty: none;"
        " with the embedded database sonic up sets its own",
    )
    sonic_backup_hours: float = Field(
        24.0, ge=0, le=24 * 365, description="hours between these backups; 0: none"
    )
    sonic_schedule: bool = Field(
        True, description="0: cycles run by request only, no heartbeat is expected"
    )
    latency_limit_seconds: float = Field(
        2.0, gt=0, le=60, description="a round trip that is too slow"
    )
    latency_provider_urls: tuple[HttpAddress, ...] = Field(
        (),
        max_length=50,
        description="provider hosts to time, as addresses",
        examples=["https://hermes.pyth.network"],
    )
    twilio_account_sid: str = Field("", pattern=r"^\w{0,64}$", description="account to verify")
    twilio_auth_token: SecretStr = Field(SecretStr(""), description="its token")
    twilio_url: HttpAddress = "https://api.twilio.com"
    monitor_runs_kept_days: float = Field(30, gt=0, le=3650, description="how long runs are kept")
    monitor_quiet_runs_kept_days: float = Field(
        7,
        gt=0,
        le=3650,
        description="how long runs are kept that found nothing, at most as long as the others; the"
        " last one of each monitor stays as long as they",
    )
    monitor_cycle_limit_seconds: float = Field(10, gt=0, le=60, description="one check in a cycle")
    monitor_limit_seconds: float = Field(
        50, gt=0, le=600, description="one check outside of a cycle"
    )


def overrides(config: ServiceConfig, name: str) -> dict[str, Override]:
    """What the environment decides for a monitor, by field; of two names the first one wins."""
    found: dict[str, Override] = {}
    for prefix in prefixes(name):
        for variable, field in VARIABLES.items():
            value = getattr(config, f"{prefix}_{variable}", None)
            if value is not None:
                found.setdefault(field, Override(value, f"{prefix}_{variable}".upper()))
    return found


def _peers(
    services: Mapping[str, Channel], xcom: XComClient, around: Probes, upkeep: Upkeep
) -> Peers:
    price, positions, alerts = (services[name] for name in ("price", "positions", "alerts"))
    return Peers(price, positions, alerts, xcom, around, upkeep, services.get("withdrawals"))


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    database = Database(config.database_url.get_secret_value(), application_name="monitor")
    begin, read = database.open(Store), database.open(Store, isolation="AUTOCOMMIT")
    watched = ("price", "positions", "hedges", "alerts", "xcom", "cyclone", "withdrawals")
    services = channels(
        {name: getattr(config, f"{name}_address") for name in watched}, config.identity
    )
    hosts = _hosts(config, clock)
    account = _account(config, clock)
    xcom = XComClient(services["xcom"])
    around = Probes(services, hosts, account, StorageSizes(database).by_service, config.sonic_home)
    upkeep = _upkeep(config, clock)
    peers = _peers(services, xcom, around, upkeep)
    configured = _configured(config)
    notification = notifier(NotificationSender(begin, read, xcom, clock).notify, clock)
    queries = MonitorQueries(begin, read, configured, xcom, clock)
    feed = MonitorFeed(queries.view, clock)
    queries.on_change(feed.wake)
    check_runs = CheckRuns(
        begin,
        read,
        configured,
        partial(PeerReadings, peers),
        clock,
        Limits(config.monitor_cycle_limit_seconds, config.monitor_limit_seconds),
        changed=feed.wake,
        notify=notification.wake,
        counted=RunCounts(metrics.process(), configured.names).counted,
    )
    servicer = MonitorServicer(check_runs, queries, feed.news, clock)
    server = GrpcServer(
        config.listen_address,
        [(rpc.add_MonitorServiceServicer_to_server, servicer)],
        service_names=["sonic.monitor.v1.MonitorService"],
        ready=migrated(database, Path(__file__).parent / "migrations"),
        clock=clock,
        channelz=config.channelz,
        identity=config.identity,
        callers=CALLERS,
        health_address=config.health_address,
    )
    figures = FigureStore(StorageSizes(database), read, around.disk, upkeep.backup, clock)
    side = _side(config, database, figures)
    database_outage = DatabaseOutage(database.has_room, read, xcom)
    loops = [scheduler(partial(database_outage.watch, check_runs.run_outside), clock), notification]
    loops.append(_retention(config, queries, clock))
    outside = [*hosts, *([account.http] if account else [])]
    return App("monitor", [database, *services.values(), *outside, feed, *loops, side, server])


def _retention(config: Config, queries: MonitorQueries, clock: Clock) -> Loop:
    kept = timedelta(days=config.monitor_runs_kept_days)
    quiet_kept = timedelta(days=config.monitor_quiet_runs_kept_days)
    return retention(queries.forget, clock, kept, quiet_kept)


def _hosts(config: Config, clock: Clock) -> list[ProviderHttp]:
    return [
        ProviderHttp(
            urlsplit(url).hostname or url, url, clock=clock, timeout_seconds=5.0, retries=0
        )
        for url in config.latency_provider_urls
    ]


def _side(config: Config, database: Database, figures: FigureStore) -> metrics.SidePort:
    return metrics.serve(
        config.metrics_address,
        of_server("monitor", config.tls, [database]),
        metrics.Reading("monitor", FIGURES, figures.read),
    )


def _upkeep(config: Config, clock: Clock) -> Upkeep:
    folder, hours = config.monitor_backup_folder, config.sonic_backup_hours
    backups = (folder, timedelta(hours=hours)) if folder is not None and hours > 0 else None
    return Upkeep(backups, config.sonic_home, config.tls_cert, clock)


def _configured(config: Config) -> ConfiguredChecks:
    checks = registry(
        LatencyCheck(config.latency_limit_seconds),
        HeartbeatCheck(
            timedelta(seconds=config.sonic_cycle_interval_seconds), scheduled=config.sonic_schedule
        ),
        plugins(),
    )
    decided = {name: overrides(config, name) for name in checks}
    for name, one in checks.items():
        if not one.defaults.takes_threshold and "threshold_percent" in decided[name]:
            variable = decided[name].pop("threshold_percent").variable
            get_logger().warning("a variable decides nothing", variable=variable, monitor=name)
    return ConfiguredChecks(checks, decided)


def _account(config: Config, clock: Clock) -> Account | None:
    token = config.twilio_auth_token.get_secret_value()
    if not (config.twilio_account_sid and token):
        return None
    return Account(
        config.twilio_account_sid, token, ProviderHttp("twilio", config.twilio_url, clock=clock)
    )


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
