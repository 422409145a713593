"""Puts the alerts service together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, SecretStr, field_validator
from sonic.alerts.v1 import alerts_pb2_grpc as rpc
from sonic.callers import CALLERS

from services.alerts.alerts.service.advice import Advice
from services.alerts.alerts.service.alert_edits import AlertEdits
from services.alerts.alerts.service.by_hand import AlertsByHand
from services.alerts.alerts.service.deaths import Deaths
from services.alerts.alerts.service.delete import DeleteAlerts
from services.alerts.alerts.service.demo_end import DemoEnd
from services.alerts.alerts.service.ensure import EnsureAlerts
from services.alerts.alerts.service.evaluate import EvaluateAlerts
from services.alerts.alerts.service.previews import Previews
from services.alerts.alerts.service.queries import AlertQueries
from services.alerts.alerts.service.watch import AlertWatch
from services.alerts.alerts.servicer import AlertsServicer, ReportsServicer, UseCases
from services.alerts.backtest.service import Backtests
from services.alerts.backtest.servicer import BacktestServicer
from services.alerts.clients.events import EventsClient
from services.alerts.clients.notifications import XComClient
from services.alerts.clients.positions import POSITIONS_READS, PositionsClient
from services.alerts.ledger.domain.segments import Kept
from services.alerts.ledger.service.overview import LedgerOverview
from services.alerts.ledger.service.queries import LedgerQueries
from services.alerts.ledger.service.retention import Retention
from services.alerts.ledger.service.verification import Verification
from services.alerts.ledger.servicer import LedgerCases, LedgerServicer
from services.alerts.ledger.store.files import SegmentFiles
from services.alerts.ledger.store.key import GivenKey, KeyFile
from services.alerts.loop import (
    AcknowledgementLoop,
    HoldLoop,
    RecorderLoop,
    RelayLoop,
    RetentionLoop,
)
from services.alerts.notifications.service.gathering import Gathering
from services.alerts.notifications.service.relay import Relay
from services.alerts.position_events.domain import SWITCHABLE, EventKind
from services.alerts.position_events.service import PositionNews
from services.alerts.price_rules.service.edits import KeptRules, PriceRules
from services.alerts.price_rules.service.versions import RuleVersions
from services.alerts.price_rules.servicer import RulesServicer
from services.alerts.recorder.service.recorder import Recorder, RecordingsAge
from services.alerts.recorder.service.replays import Replays
from services.alerts.recorder.servicer import RecorderServicer
from services.alerts.scorecard.service import Scorecards
from services.alerts.scorecard.servicer import ScorecardServicer
from services.alerts.service.commits import Commits
from services.alerts.service.figures import FIGURES, AlertFigures
from services.alerts.service.known_names import Channels
from services.alerts.service.ledger_writer import Keys, LedgerWriter
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.silences.service import Silences
from services.alerts.silences.servicer import SilencesServicer
from services.alerts.store.unit_of_work import Store
from services.alerts.threshold_versions.service import ThresholdVersions, VersionKeeper
from services.alerts.thresholds.service.edits import KeptEdits, ThresholdEdits
from services.alerts.thresholds.service.files import ThresholdFiles
from services.alerts.thresholds.servicer import ThresholdsServicer
from shared import metrics
from shared.clock import Clock, SystemClock
from shared.config import ServiceConfig
from shared.database.migrations import migrated
from shared.database.pool import Database
from shared.lifecycle import App, run
from shared.rpc.client import Channel
from shared.rpc.server import GrpcServer
from shared.server_figures import of_server

_SERVICE_NAMES = tuple(
    f"sonic.alerts.v1.{noun}Service"
    for noun in (
        "Alerts",
        "Thresholds",
        "Ledger",
        "Attention",
        "Rules",
        "Reports",
        "Backtest",
        "Recorder",
        "Scorecard",
    )
)
_COLUMN_MESSAGE_BYTES = 64 * 1024 * 1024


class Config(ServiceConfig):
    """Settings of the alerts service."""

    service: ClassVar[str] = "alerts"
    listen_address: str = Field("127.0.0.1:50054", description="host:port to serve on")
    positions_address: str = Field("127.0.0.1:50052", description="host:port of positions")
    xcom_address: str = Field("127.0.0.1:50056", description="host:port of xcom")
    alerts_ledger_key: SecretStr | None = Field(
        None,
        description="key of the ledger's hashes; empty: ledger.key of the state directory, made "
        "once",
    )
    alerts_burst_count: int = Field(
        20,
        ge=1,
        le=1000,
        description="changes of one commit that are told one by one; more of one kind are a digest",
    )
    alerts_position_news: tuple[str, ...] = Field(
        tuple(kind.name.lower() for kind in SWITCHABLE),
        description="what happens to positions is told as news of these kinds, of "
        f"{', '.join(kind.name.lower() for kind in SWITCHABLE)}; empty: none; a liquidation is "
        "always told",
        examples=["opened,closed"],
    )
    alerts_version_kept_days: float = Field(
        400,
        ge=0,
        description="days after which versions of thresholds and of price rules are forgotten, but "
        "the newest 20; 0 = never",
    )
    alerts_ledger_folder: Path | None = Field(
        None,
        description="folder for sealed files of the ledger; empty: no row ever leaves the database;"
        " with the embedded database sonic up sets `ledger` of the state directory",
    )
    alerts_ledger_kept_days: float = Field(
        400,
        ge=0,
        description="days after which rows of the ledger leave for sealed files, at least 8; "
        "0 = for ever",
    )
    alerts_ledger_kept_rows: int = Field(
        3_000_000,
        ge=0,
        description="rows of the ledger of which more leave too, once they are 8 days old (about "
        "2 GB); 0 = any number stays",
    )
    alerts_recorder_days: float = Field(
        7,
        ge=0,
        le=400,
        description="days for which what every evaluation read is kept, to be replayed; 0 = "
        "nothing is recorded",
    )
    alerts_recorder_bytes: int = Field(
        1024**3,
        ge=1,
        description="bytes of recordings of which the oldest leave earlier",
    )
    sonic_home: Path = Field(Path(".sonic"), description="state directory")

    @field_validator("alerts_position_news")
    @classmethod
    def _are_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip().upper() for name in value))
        known = [kind.name for kind in SWITCHABLE]
        if unknown := [name for name in names if name not in known]:
            raise ValueError(
                f"unknown kind {', '.join(unknown)[:60].lower()}; known are "
                f"{', '.join(known).lower()}"
            )
        return names


def ledger_keys(config: Config) -> Keys:
    """The key given, or the one of the state directory."""
    given = config.alerts_ledger_key.get_secret_value() if config.alerts_ledger_key else ""
    return GivenKey(given.encode()) if given else KeyFile(config.sonic_home)


def ledger_kept(config: Config) -> Kept:
    """How long rows of the ledger stay."""
    days = config.alerts_ledger_kept_days
    return Kept(timedelta(days=days) if days else None, config.alerts_ledger_kept_rows)


def recordings_kept(config: Config) -> RecordingsAge:
    """How long what evaluations read stays, and how much of it."""
    days = config.alerts_recorder_days
    return RecordingsAge(timedelta(days=days) if days else None, config.alerts_recorder_bytes)


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    database = Database(config.database_url.get_secret_value(), application_name="alerts")
    positions, xcom = _channels(config)
    cache = SnapshotCache(
        database.open(Store),
        database.open(Store, isolation="REPEATABLE READ"),
        database.open(Store, isolation="AUTOCOMMIT"),
        clock,
    )
    commits = Commits(cache, LedgerWriter(ledger_keys(config), cache.begin_reading))
    peer, notifier = PositionsClient(positions), XComClient(xcom)
    relay = Relay(cache, notifier)
    told = [EventKind[name] for name in config.alerts_position_news]
    news = PositionNews(cache, EventsClient(positions), peer, told, config.alerts_burst_count)
    queries, gathering = AlertQueries(cache, peer), Gathering(config.alerts_burst_count)
    recorder = Recorder(cache.begin, clock, recordings_kept(config))
    silences = Silences(cache, commits, peer, queries, gathering)
    watch, kept_days = AlertWatch(cache, queries), config.alerts_version_kept_days
    channels, ledger = Channels(notifier, clock), _ledger_cases(config, cache, commits)
    attention = SilencesServicer(silences, watch, ledger.queries, clock)
    servicers: list[tuple[Callable[[Any, Any], None], object]] = [
        (rpc.add_AttentionServiceServicer_to_server, attention),
        (rpc.add_LedgerServiceServicer_to_server, LedgerServicer(ledger)),
        _scorecard(cache, notifier),
        *_servicers(
            cache, commits, peer, relay, queries, channels, gathering, news, recorder, kept_days
        ),
    ]
    server = GrpcServer(
        config.listen_address,
        servicers,
        service_names=_SERVICE_NAMES,
        ready=_ready(database, commits.ledger),
        clock=clock,
        channelz=config.channelz,
        identity=config.identity,
        callers=CALLERS,
        health_address=config.health_address,
    )
    side = _side(config, database, cache)
    loops = [
        RelayLoop(relay, cache, clock),
        HoldLoop(silences, clock),
        AcknowledgementLoop(silences, notifier, clock),
        RetentionLoop(ledger.retention, clock),
        RecorderLoop(recorder, clock),
    ]
    return App("alerts", [database, positions, xcom, watch, *loops, side, server])


def _side(config: Config, database: Database, cache: SnapshotCache) -> metrics.SidePort:
    return metrics.serve(
        config.metrics_address,
        of_server("alerts", config.tls, [database]),
        metrics.Reading("alerts", FIGURES, AlertFigures(cache).read),
    )


def _ledger_cases(config: Config, cache: SnapshotCache, commits: Commits) -> LedgerCases:
    folder = config.alerts_ledger_folder
    files = None if folder is None else SegmentFiles(folder)
    retention = Retention(cache, commits, files, ledger_kept(config))
    return LedgerCases(
        LedgerQueries(cache),
        Verification(cache, commits.ledger, files),
        retention,
        LedgerOverview(cache, retention),
    )


def _channels(config: Config) -> tuple[Channel, Channel]:
    positions = Channel(
        config.positions_address,
        max_message_bytes=_COLUMN_MESSAGE_BYTES,
        retry=POSITIONS_READS,
        identity=config.identity,
        peer="positions",
    )
    # Without retries: the relay itself comes back.
    return positions, Channel(config.xcom_address, identity=config.identity, peer="xcom")


def _scorecard(
    cache: SnapshotCache, notifier: XComClient
) -> tuple[Callable[[Any, Any], None], object]:
    servicer = ScorecardServicer(Scorecards(cache, notifier))
    return rpc.add_ScorecardServiceServicer_to_server, servicer


def _ready(database: Database, ledger: LedgerWriter) -> Callable[[], Awaitable[None]]:
    """The schema is there, and the ledger's key is the one that wrote it."""
    is_migrated = migrated(database, Path(__file__).parent / "migrations")

    async def ready() -> None:
        await is_migrated()
        await ledger.proven()

    return ready


def _servicers(
    cache: SnapshotCache,
    commits: Commits,
    peer: PositionsClient,
    relay: Relay,
    queries: AlertQueries,
    channels: Channels,
    gathering: Gathering,
    news: PositionNews,
    recorder: Recorder,
    version_kept_days: float,
) -> list[tuple[Callable[[Any, Any], None], object]]:
    kept_rules, keeper = KeptRules(version_kept_days), VersionKeeper(version_kept_days)
    kept = KeptEdits(keeper)
    edits = AlertEdits(cache, commits, channels, queries)
    cases = UseCases(
        DemoEnd(cache, commits, peer),
        EnsureAlerts(cache, commits, peer, gathering),
        EvaluateAlerts(cache, commits, peer, gathering, news, recorder),
        DeleteAlerts(cache, commits, peer, gathering, is_closing_told=news.tells(EventKind.CLOSED)),
        queries,
        Deaths(cache, commits, peer),
        relay,
        edits,
        AlertsByHand(cache, commits, peer, channels, edits, queries),
    )
    thresholds = ThresholdsServicer(
        ThresholdEdits(cache, commits, channels, kept),
        ThresholdFiles(cache, commits, channels, kept),
        Previews(cache),
        ThresholdVersions(cache, commits, kept, keeper.versions),
    )
    rules = RulesServicer(
        PriceRules(cache, commits, channels, kept_rules),
        RuleVersions(cache, commits, kept_rules),
    )
    return [
        (rpc.add_AlertsServiceServicer_to_server, AlertsServicer(cases, cache.clock)),
        (rpc.add_ThresholdsServiceServicer_to_server, thresholds),
        (rpc.add_RulesServiceServicer_to_server, rules),
        (rpc.add_ReportsServiceServicer_to_server, ReportsServicer(Advice(cache, commits))),
        (rpc.add_BacktestServiceServicer_to_server, BacktestServicer(Backtests(cache))),
        (rpc.add_RecorderServiceServicer_to_server, RecorderServicer(Replays(cache))),
    ]


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
