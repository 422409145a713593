"""Puts cyclone together."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from datetime import time, timedelta
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator
from sonic.callers import CALLERS
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cyclone.clients.channels import channels
from services.cyclone.clients.clearing import ClearingClient
from services.cyclone.clients.deaths import DeathClient
from services.cyclone.clients.evening import EveningClient
from services.cyclone.clients.heartbeat import Heartbeat
from services.cyclone.clients.levels import LevelClient
from services.cyclone.clients.light_line import LightLineClient
from services.cyclone.clients.monthly import MonthClient
from services.cyclone.clients.report_sections import SectionClient
from services.cyclone.clients.restores import RestoreClient
from services.cyclone.clients.results import ResultClient
from services.cyclone.clients.sleep_facts import SleepClient
from services.cyclone.clients.steps import StepClient
from services.cyclone.clients.streams import StreamClient
from services.cyclone.domain.ages import Ages
from services.cyclone.domain.bounds import Caps
from services.cyclone.drills.service import DrillService
from services.cyclone.drills.servicer import DrillsServicer
from services.cyclone.loop.counts import CycleCounts
from services.cyclone.loop.incident_notifier import IncidentNotifier
from services.cyclone.loop.lease_keeper import Begin as BeginLease
from services.cyclone.loop.lease_keeper import LeaseKeeper
from services.cyclone.loop.report_keeper import ReportKeeper
from services.cyclone.loop.runner import Runner
from services.cyclone.loop.scheduler import Scheduler
from services.cyclone.loop.stream_follower import StreamFollower
from services.cyclone.monthly.domain import Monthly
from services.cyclone.monthly.service import MonthTeller
from services.cyclone.report.service import ReportService
from services.cyclone.report.store import ReportStore
from services.cyclone.restores.service import RestoreTeller
from services.cyclone.restores.store import RestoreStore
from services.cyclone.results.service import ResultService
from services.cyclone.results.store import ResultStore
from services.cyclone.service import CycloneService
from services.cyclone.servicer import CycloneServicer
from services.cyclone.sleep.domain.evening import Evening
from services.cyclone.sleep.service import EveningTeller, SleepService
from services.cyclone.sleep.servicer import SleepServicer
from services.cyclone.store.drills import DrillStore
from services.cyclone.store.figures import FIGURES, FigureStore
from services.cyclone.store.lease import LeaseStore
from services.cyclone.store.listener import Listener
from services.cyclone.store.progress import ProgressStore
from services.cyclone.store.requests import RequestStore
from services.cyclone.store.rows import RESULT
from shared import metrics
from shared.clock import Clock, SystemClock
from shared.config import ServiceConfig
from shared.database.migrations import migrated
from shared.database.pool import Database
from shared.lifecycle import App, Loop, Part, run
from shared.names import new_id
from shared.rpc.client import Channel
from shared.rpc.server import GrpcServer
from shared.server_figures import of_server

_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class Config(ServiceConfig):
    """Settings of cyclone; interval and enabled are data afterwards, changed by UpdateSchedule."""

    service: ClassVar[str] = "cyclone"
    listen_address: str = "127.0.0.1:50057"
    price_address: str = Field("127.0.0.1:50051", description="host:port of the price service")
    positions_address: str = Field("127.0.0.1:50052", description="host:port of positions")
    hedges_address: str = Field("127.0.0.1:50053", description="host:port of the hedges service")
    alerts_address: str = Field("127.0.0.1:50054", description="host:port of the alerts service")
    monitor_address: str = Field("127.0.0.1:50055", description="host:port of the monitor service")
    xcom_address: str = Field("127.0.0.1:50056", description="host:port of the xcom service")
    withdrawals_address: str = Field(
        "", description="host:port of the withdrawals service; empty: its step is skipped"
    )
    sonic_cycle_interval_seconds: float = Field(
        60, ge=5, le=86_400, description="time between cycles at the very first start"
    )
    sonic_schedule: bool = Field(True, description="0: this process runs requested cycles only")
    sonic_streams: bool = Field(
        False, description="1: what streams of venues and prices tell pulls the next look forward"
    )
    heartbeat_url: SecretStr | None = Field(None, description="POSTed to after each good cycle")
    sync_timeout_seconds: float = Field(
        60, gt=0, le=600, description="most SYNC_POSITIONS may take; with short intervals less"
    )
    step_timeout_seconds: float = Field(
        20, gt=0, le=600, description="most any other step may take; with short intervals less"
    )
    cycles_kept_days: float = Field(
        30, gt=0, description="how long ended cycles and the log are kept"
    )
    cycle_step_lines_kept_days: float = Field(
        7, gt=0, description="how long lines of the log stay that only repeat a cycle's steps"
    )
    report_days: float = Field(
        30, gt=0, description="how long reports of eventful cycles stay, at most as the cycles"
    )
    report_light_url: SecretStr | None = Field(
        None,
        description="asked for one line of plain text at the top of each report; empty: no line",
        examples=["https://example.com/line.txt"],
    )

    result_addresses: tuple[str, ...] = Field(
        (),
        description="mail and web addresses, with commas between, that deliver_to of a cycle may"
        " name beside channels",
        examples=["jane@example.com,https://example.com/hook"],
    )
    public_url: str = Field(
        "",
        description="where people reach the page; results link to their report there",
        examples=["https://sonic.example.com"],
    )

    sleep_tell_at: str = Field(
        "",
        description="each day at this time (HH:MM of SLEEP_TELL_ZONE) sonic sleep is asked and"
        " told; empty: never",
        examples=["22:30"],
    )
    sleep_tell_zone: str = Field(
        "UTC", description="zone of SLEEP_TELL_AT, by name", examples=["Europe/Berlin"]
    )
    sleep_tell_hours: float = Field(8, gt=0, le=24, description="for how many hours it is asked")
    sleep_tell_channels: tuple[str, ...] = Field(
        (),
        description="channels it goes to, with commas between; empty: those of LOW when it is"
        " GREEN, else of MEDIUM",
        examples=["telegram,email"],
    )

    scorecard_tell_at: str = Field(
        "",
        description="on the first of each month at this time (HH:MM of SCORECARD_TELL_ZONE) the"
        " scorecard of the month before is told; empty: never",
        examples=["09:00"],
    )
    scorecard_tell_zone: str = Field(
        "UTC", description="zone of SCORECARD_TELL_AT, by name", examples=["Europe/Berlin"]
    )
    scorecard_tell_channels: tuple[str, ...] = Field(
        (),
        description="channels it goes to, with commas between; empty: those of LOW",
        examples=["email"],
    )

    @field_validator("sleep_tell_at", "scorecard_tell_at")
    @classmethod
    def _is_time(cls, value: str) -> str:
        if value and not _TIME_OF_DAY.fullmatch(value):
            raise ValueError("HH:MM, such as 22:30")
        return value

    @field_validator("sleep_tell_zone", "scorecard_tell_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("a name such as Europe/Berlin") from error

    @field_validator("public_url")
    @classmethod
    def _is_page_address(cls, value: str) -> str:
        address = urlsplit(value)
        if value and (address.scheme not in {"http", "https"} or not address.hostname):
            raise ValueError("no http or https address")
        return value

    @field_validator("report_light_url")
    @classmethod
    def _is_web_address(cls, value: SecretStr | None) -> SecretStr | None:
        address = urlsplit(value.get_secret_value() if value else "")
        if value and (address.scheme not in {"http", "https"} or not address.hostname):
            raise ValueError("no http or https address")
        return value

    @property
    def caps(self) -> Caps:
        return Caps(self.sync_timeout_seconds, self.step_timeout_seconds)

    @property
    def light_url(self) -> str:
        return self.report_light_url.get_secret_value() if self.report_light_url else ""

    @property
    def evening(self) -> Evening | None:
        if not self.sleep_tell_at:
            return None
        at = time.fromisoformat(self.sleep_tell_at)
        return Evening(at, ZoneInfo(self.sleep_tell_zone), self.sleep_tell_hours)

    @property
    def monthly(self) -> Monthly | None:
        if not self.scorecard_tell_at:
            return None
        return Monthly(
            time.fromisoformat(self.scorecard_tell_at), ZoneInfo(self.scorecard_tell_zone)
        )

    @property
    def addresses(self) -> dict[str, str]:
        names = ("price", "positions", "hedges", "alerts", "monitor", "withdrawals", "xcom")
        return {name: getattr(self, f"{name}_address") for name in names}


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    interval = timedelta(seconds=config.sonic_cycle_interval_seconds)
    database = _database(config)
    peers = channels(config.addresses, config.identity)
    listener = Listener(database)
    leases = database.open(LeaseStore, isolation="AUTOCOMMIT")
    progress = ProgressStore(database)
    url = config.heartbeat_url.get_secret_value() if config.heartbeat_url else ""
    heartbeat = Heartbeat(url, peers["alerts"]) if url else None
    is_high, is_set = LevelClient(peers["alerts"]).is_high, bool(url)
    drills = DrillService(database.open(DrillStore), is_high, clock, heartbeat_configured=is_set)
    notifier = IncidentNotifier(progress, DeathClient(peers), heartbeat, drills, clock)
    reports, outside = _reports(config, database, peers, clock)
    outside += [heartbeat] if heartbeat else []
    keeping, counts = ReportKeeper(reports), CycleCounts(metrics.process())
    streams = StreamFollower(_streams(config, peers), progress, clock)
    client = StepClient(peers, streams.standing)
    runner = Runner(progress, client, notifier, clock, config.caps, keeping, counts)
    owner = _owner(config, progress, leases, runner, streams, clock)
    keeper = LeaseKeeper(leases, listener, owner.work, clock, _owner_name(), interval, counts)
    outbox = ResultClient(peers["xcom"], config.result_addresses)
    service = CycloneService(
        database.open(RequestStore),
        database.open(RequestStore, isolation="AUTOCOMMIT"),
        leases,
        listener,
        ClearingClient(peers),
        outbox,
        clock,
        interval=interval,
        scheduled=config.sonic_schedule,
    )
    servicer = CycloneServicer(
        service, reports, heartbeat_configured=is_set, follows_streams=config.sonic_streams
    )
    sleep = _sleep(config, peers, service, clock)
    server = _server(config, servicer, drills, sleep, database, clock)
    results = ResultService(database.open(ResultStore), reports, outbox, clock, config.public_url)
    telling = Loop("cyclone results", results.turn, clock)
    listener.on(("", RESULT), telling.wake)
    side = _side(config, database, clock)
    loops: list[Part] = [notifier, keeping, listener, telling, side, server, keeper]
    loops += _telling(config, sleep, database, peers, clock)
    return App("cyclone", [database, *peers.values(), *outside, *loops])


def _streams(config: Config, peers: Mapping[str, Channel]) -> StreamClient | None:
    return StreamClient(peers) if config.sonic_streams else None


def _owner(
    config: Config,
    progress: ProgressStore,
    leases: BeginLease,
    runner: Runner,
    streams: StreamFollower,
    clock: Clock,
) -> Scheduler:
    return Scheduler(
        progress,
        leases,
        runner,
        streams,
        clock,
        scheduled=config.sonic_schedule,
        ages=Ages.of_days(
            config.cycles_kept_days, config.cycle_step_lines_kept_days, config.report_days
        ),
    )


def _database(config: Config) -> Database:
    address = config.database_url.get_secret_value()
    return Database(address, pool_size=6, application_name="cyclone")


def _sleep(
    config: Config, peers: Mapping[str, Channel], cycles: CycloneService, clock: Clock
) -> SleepService:
    facts = SleepClient(peers, config.sleep_tell_channels)
    is_set = bool(config.heartbeat_url)
    return SleepService(facts.read, cycles, clock, heartbeat_configured=is_set)


def _evening(config: Config, sleep: SleepService, xcom: Channel, clock: Clock) -> list[Part]:
    """The loop that asks each evening, when one is set."""
    if config.evening is None:
        return []
    outbox = EveningClient(xcom, config.sleep_tell_channels)
    teller = EveningTeller(sleep, outbox, clock, config.evening)
    return [Loop("cyclone evening", teller.turn, clock)]


def _monthly(config: Config, peers: Mapping[str, Channel], clock: Clock) -> list[Part]:
    """The loop that tells the scorecard each month, when a time is set."""
    if config.monthly is None:
        return []
    client = MonthClient(peers["alerts"], peers["xcom"], config.scorecard_tell_channels)
    teller = MonthTeller(client, clock, config.monthly)
    return [Loop("cyclone month", teller.turn, clock)]


def _telling(
    config: Config,
    sleep: SleepService,
    database: Database,
    peers: Mapping[str, Channel],
    clock: Clock,
) -> list[Part]:
    """The loops that tell people by themselves: before sleep, each month, after a restore."""
    restores = RestoreTeller(database.open(RestoreStore), RestoreClient(peers["xcom"]), clock)
    loops = _evening(config, sleep, peers["xcom"], clock) + _monthly(config, peers, clock)
    return [*loops, Loop("cyclone restore", restores.turn, clock)]


def _side(config: Config, database: Database, clock: Clock) -> metrics.SidePort:
    store = FigureStore(database, clock, heartbeat_configured=bool(config.heartbeat_url))
    return metrics.serve(
        config.metrics_address,
        of_server("cyclone", config.tls, [database]),
        metrics.Reading("cyclone", FIGURES, store.read),
    )


def _reports(
    config: Config, database: Database, peers: Mapping[str, Channel], clock: Clock
) -> tuple[ReportService, list[Part]]:
    """And the parts it needs."""
    light = LightLineClient(config.light_url) if config.light_url else None
    sections = SectionClient(peers, clock)
    reports = ReportService(database.open(ReportStore), sections, light, clock)
    return reports, [light] if light else []


def _server(
    config: Config,
    servicer: CycloneServicer,
    drills: DrillService,
    sleep: SleepService,
    database: Database,
    clock: Clock,
) -> GrpcServer:
    return GrpcServer(
        config.listen_address,
        [
            (rpc.add_CycloneServiceServicer_to_server, servicer),
            (rpc.add_DrillsServiceServicer_to_server, DrillsServicer(drills)),
            (rpc.add_SleepServiceServicer_to_server, SleepServicer(sleep)),
        ],
        service_names=[
            f"sonic.cyclone.v1.{name}Service" for name in ("Cyclone", "Drills", "Sleep")
        ],
        ready=migrated(database, Path(__file__).parent / "migrations"),
        clock=clock,
        channelz=config.channelz,
        identity=config.identity,
        callers=CALLERS,
        health_address=config.health_address,
    )


def _owner_name() -> str:
    """Unique for each start, and tells people which process it is."""
    return f"{socket.gethostname()}:{os.getpid()}:{new_id('owner')[-8:]}"


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
