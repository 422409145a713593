"""Puts the xcom service together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import Field, ValidationInfo, field_validator
from sonic.callers import CALLERS
from sonic.xcom.v1 import calls_pb2_grpc as calls_rpc
from sonic.xcom.v1 import unrecorded_pb2_grpc as unrecorded_rpc
from sonic.xcom.v1 import xcom_pb2_grpc as rpc

from services.xcom.calls.service.calls import CallService
from services.xcom.calls.service.keys import Keys
from services.xcom.calls.servicer import CallsServicer
from services.xcom.channels.service.channels import ChannelService
from services.xcom.channels.service.sounds import SoundService
from services.xcom.channels.service.versions import ChannelVersions, KeptSettings
from services.xcom.channels.servicer import ChannelsServicer
from services.xcom.deliveries.domain.capacity import Budget
from services.xcom.deliveries.service.counts import DeliveryCounts
from services.xcom.deliveries.service.deliveries import DeliveryService, QueueRules
from services.xcom.deliveries.service.edits import EditService
from services.xcom.deliveries.service.following import FollowService
from services.xcom.domain.messages import Level
from services.xcom.domain.settings import LevelDefaults
from services.xcom.escalation.service.escalation import EscalationService
from services.xcom.escalation.service.links import Links
from services.xcom.escalation.servicer import EscalationServicer
from services.xcom.loop import Worker
from services.xcom.messages.service.documents import DocumentService
from services.xcom.messages.service.messages import MessageService
from services.xcom.messages.service.retention import Retention
from services.xcom.messages.service.unrecorded import UnrecordedService
from services.xcom.messages.servicer.messages import XComServicer
from services.xcom.messages.servicer.unrecorded import UnrecordedServicer
from services.xcom.replies.service.replies import ReplyService
from services.xcom.senders import registry
from services.xcom.senders.channel import Channel
from services.xcom.store.calls import CallStore
from services.xcom.store.channels import ChannelStore
from services.xcom.store.deliveries import DeliveryStore
from services.xcom.store.escalation import EscalationStore
from services.xcom.store.figures import FIGURES, FigureStore
from services.xcom.store.listener import HIGH, QUIET, SOUNDS, Listener
from services.xcom.store.messages import MessageStore
from services.xcom.store.posted import PostedStore
from services.xcom.store.queue import Queue
from services.xcom.store.replies import ReplyStore
from services.xcom.store.retention import RetentionStore
from services.xcom.store.windows import WindowStore
from services.xcom.windows.service import WindowService
from services.xcom.windows.servicer import WindowsServicer
from shared import metrics
from shared.clock import Clock, SystemClock
from shared.config import ServiceConfig
from shared.database.migrations import migrated
from shared.database.pool import Database
from shared.lifecycle import App, Loop, Part, run
from shared.log import get_logger
from shared.names import new_id
from shared.rpc.server import GrpcServer, Registration
from shared.server_figures import of_server

Turn = Callable[[], Awaitable[float]]

_SERVICES = ("XCom", "Channels", "Escalation", "Windows", "Calls", "Unrecorded")


class Config(registry.ChannelSettings, ServiceConfig):
    """Settings of the xcom service."""

    service: ClassVar[str] = "xcom"
    listen_address: str = "127.0.0.1:50056"
    xcom_low_channels: tuple[str, ...] = Field(("email",), description="channels of LOW messages")
    xcom_medium_channels: tuple[str, ...] = Field(
        ("sms",), description="channels of MEDIUM messages"
    )
    xcom_high_channels: tuple[str, ...] = Field(
        ("sms", "voice", "sound"),
        description="channels of HIGH messages",
        examples=["webhook,email"],
    )
    xcom_action_channels: tuple[str, ...] = Field(
        ("webhook",), description="channels of ACTION messages"
    )
    xcom_dedupe_seconds: float = Field(300.0, ge=0, le=86400, description="window of a dedupe key")
    xcom_poll_seconds: float = Field(
        5.0, gt=0, le=60, description="look at the queue at least this often"
    )
    xcom_claim_margin_seconds: float = Field(
        10.0, gt=0, le=600, description="a claim holds this much longer than a try may last"
    )

    xcom_budget_count: int = Field(
        120, ge=1, le=10000, description="sends of a channel within its window"
    )
    xcom_budget_reserve: int = Field(
        10, ge=0, le=9999, description="sends of the budget left for HIGH"
    )
    xcom_budget_seconds: float = Field(60.0, gt=0, le=86400, description="window of the budgets")
    xcom_escalation_seconds: float = Field(
        300.0, ge=10, le=86400, description="HIGH that reached nobody so long goes to every channel"
    )
    xcom_messages_kept_days: float = Field(
        90.0,
        ge=7,
        le=3650,
        description="how long settled messages are kept, with their deliveries and request ids",
    )
    xcom_version_kept_days: float = Field(
        400,
        ge=0,
        description="days after which versions of channel settings are forgotten, but the newest "
        "20; 0 = never",
    )
    xcom_link_url: str = Field(
        "",
        description="page of the links in messages, the token is appended; empty: no links",
        examples=["https://sonic.example.com/link"],
    )
    xcom_replies: bool = Field(
        True, description="fetch what people answer by SMS and Telegram; 0: do not"
    )
    xcom_link_seconds: float = Field(86400.0, ge=60, le=2592000, description="lifetime of a link")

    @field_validator("xcom_budget_reserve")
    @classmethod
    def _is_below_the_budget(cls, value: int, info: ValidationInfo) -> int:
        if value >= info.data.get("xcom_budget_count", value + 1):
            raise ValueError("not below XCOM_BUDGET_COUNT")
        return value

    @field_validator("xcom_link_url")
    @classmethod
    def _is_link_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("not an http or https URL")
        return value

    @field_validator(*(f"xcom_{level.name.lower()}_channels" for level in Level))
    @classmethod
    def _are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(name.strip().lower() for name in value)
        if unknown := [name for name in names if name not in registry.NAMES]:
            raise ValueError(
                f"unknown {', '.join(unknown)[:60]}; known are {', '.join(registry.NAMES)}"
            )
        return names

    @property
    def levels(self) -> LevelDefaults:
        """Channels by level; what the environment says wins over what calls store."""
        fields = {level: f"xcom_{level.name.lower()}_channels" for level in Level}
        fixed = frozenset(level for level, name in fields.items() if name in self.model_fields_set)
        return LevelDefaults({level: getattr(self, name) for level, name in fields.items()}, fixed)


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    _warn_of_old_settings(config)
    url = config.database_url.get_secret_value()
    database = Database(url, application_name="xcom")
    # HIGH has connections and a worker of its own: nothing quieter can be in its way.
    high_database = Database(url, pool_size=2, application_name="xcom-high")
    listening = Database(url, pool_size=1, application_name="xcom-listener")
    registered = registry.Channels(config, clock)
    by_name, own_name = registered.by_name, new_id("xcom")
    calls = CallService(high_database.open(CallStore), by_name, clock)
    counts = DeliveryCounts(metrics.process(), by_name)
    quiet = _worker("quiet", config, database, by_name, calls, counts, clock, urgent=False)
    high = _worker("high", config, high_database, by_name, calls, counts, clock, urgent=True)
    wakes = (quiet.wake, high.wake)
    messages = _messages(config, database, by_name, counts, wakes, clock, own_name)
    kept = KeptSettings(by_name, config.xcom_version_kept_days, clock)
    begin = database.open(ChannelStore)
    channels = ChannelService(begin, by_name, config.levels, calls, kept, clock)
    escalation = _escalation(config, high_database, by_name, kept, clock)
    sounds = SoundService(database.open(DeliveryStore), clock)
    unrecorded = UnrecordedService(begin, by_name, config.levels, messages.send, clock)
    windows = WindowService(database.open(WindowStore), messages.send, clock)
    settle, poll_seconds = calls.ending(high.deliveries.settle), config.xcom_poll_seconds
    following = FollowService(Queue(high_database), by_name, settle, poll_seconds, clock)
    listener = Listener(
        listening, own_name, {QUIET: quiet.wake, HIGH: high.wake, SOUNDS: sounds.feed.wake}
    )
    stores = [database, high_database, listening]
    editing = EditService(PostedStore(database), by_name, clock)
    turns: dict[str, Turn] = {"following": following.turn, "settings": unrecorded.turn}
    turns |= {"escalation": escalation.turn, "edits": editing.turn, "windows": windows.turn}
    turns |= _reading(config, high_database, registered, escalation, own_name, clock)
    loops = [Loop(f"xcom {name}", turn, clock) for name, turn in turns.items()]
    forgetting = _retention(config, database, clock)
    workers: list[Part] = [quiet, high, *loops, sounds.feed, listener, forgetting]
    side = _side(config, stores, clock)
    keys = _keys(config, high_database, escalation, clock)
    servicers = _servicers(config, messages, channels, escalation, unrecorded, keys)
    channel_settings = ChannelsServicer(channels, sounds, ChannelVersions(begin, kept, clock))
    servicers += [
        (rpc.add_ChannelsServiceServicer_to_server, channel_settings),
        (rpc.add_WindowsServiceServicer_to_server, WindowsServicer(windows, clock)),
    ]
    server = _server(config, clock, database, servicers)
    return App("xcom", [*stores, registered, *workers, side, server])


def _warn_of_old_settings(config: Config) -> None:
    if config.voice_cooldown_seconds is not None:
        get_logger().warning("VOICE_COOLDOWN_SECONDS is no longer used: see docs/waking.md")


def _side(config: Config, databases: Sequence[Database], clock: Clock) -> metrics.SidePort:
    return metrics.serve(
        config.metrics_address,
        of_server("xcom", config.tls, databases),
        metrics.Reading("xcom", FIGURES, FigureStore(databases[0], clock).read),
    )


def _retention(config: Config, database: Database, clock: Clock) -> Loop:
    """Its first run is minutes after the start, when the system is calm."""
    kept = timedelta(days=config.xcom_messages_kept_days)
    retention = Retention(database.open(RetentionStore), kept, clock)
    return Loop("xcom retention", retention.turn, clock, first_delay_seconds=300)


def _messages(
    config: Config,
    database: Database,
    channels: Mapping[str, Channel],
    counts: DeliveryCounts,
    wakes: tuple[Callable[[], None], Callable[[], None]],
    clock: Clock,
    own_name: str,
) -> MessageService:
    return MessageService(
        database.open(MessageStore),
        database.open(MessageStore, isolation="REPEATABLE READ"),
        channels,
        config.levels,
        timedelta(seconds=config.xcom_dedupe_seconds),
        timedelta(seconds=config.xcom_escalation_seconds),
        lambda urgent: wakes[urgent](),
        clock,
        own_name,
        kept=timedelta(days=config.xcom_messages_kept_days),
        accepted=counts.accepted,
    )


def _reading(
    config: Config,
    database: Database,
    registered: registry.Channels,
    escalation: EscalationService,
    own_name: str,
    clock: Clock,
) -> dict[str, Turn]:
    """One for each place where people answer, unless that is switched off."""
    return {
        f"replies {source.name}": ReplyService(
            database.open(ReplyStore), source, registered.by_name, escalation, own_name, clock
        ).turn
        for source in (registered.reply_sources if config.xcom_replies else ())
    }


def _escalation(
    config: Config,
    database: Database,
    channels: Mapping[str, Channel],
    kept: KeptSettings,
    clock: Clock,
) -> EscalationService:
    return EscalationService(
        database.open(EscalationStore),
        channels,
        timedelta(seconds=config.xcom_escalation_seconds),
        config.xcom_poll_seconds,
        kept,
        clock,
    )


def _keys(config: Config, database: Database, escalation: EscalationService, clock: Clock) -> Keys:
    return Keys(
        database.open(CallStore),
        config.public_url,
        config.twilio_auth_token.get_secret_value(),
        lambda message_id, by: escalation.acknowledge(message_id, by, None),
        clock,
    )


def _servicers(
    config: Config,
    messages: MessageService,
    channels: ChannelService,
    escalation: EscalationService,
    unrecorded: UnrecordedService,
    keys: Keys,
) -> list[Registration]:
    only_local = not config.allow_insecure_listen
    documents = DocumentService(messages, channels.by_name)
    return [
        (rpc.add_XComServiceServicer_to_server, XComServicer(messages, documents, channels)),
        (rpc.add_EscalationServiceServicer_to_server, EscalationServicer(escalation, messages)),
        (calls_rpc.add_CallsServiceServicer_to_server, CallsServicer(keys)),
        (
            unrecorded_rpc.add_UnrecordedServiceServicer_to_server,
            UnrecordedServicer(unrecorded, only_local=only_local),
        ),
    ]


def _server(
    config: Config,
    clock: Clock,
    database: Database,
    servicers: Sequence[Registration],
) -> GrpcServer:
    return GrpcServer(
        config.listen_address,
        servicers,
        service_names=[f"sonic.xcom.v1.{name}Service" for name in _SERVICES],
        ready=migrated(database, Path(__file__).parent / "migrations"),
        channelz=config.channelz,
        identity=config.identity,
        callers=CALLERS,
        health_address=config.health_address,
        clock=clock,
    )


def _worker(
    name: str,
    config: Config,
    database: Database,
    channels: Mapping[str, Channel],
    calls: CallService,
    counts: DeliveryCounts,
    clock: Clock,
    *,
    urgent: bool,
) -> Worker:
    rules = QueueRules(
        urgent,
        claim_margin_seconds=config.xcom_claim_margin_seconds,
        poll_seconds=config.xcom_poll_seconds,
        budget=Budget(
            config.xcom_budget_count,
            timedelta(seconds=config.xcom_budget_seconds),
            config.xcom_budget_reserve,
        ),
    )
    links = Links(config.xcom_link_url, timedelta(seconds=config.xcom_link_seconds))
    begin, queue = database.open(DeliveryStore), Queue(database)
    deliveries = DeliveryService(begin, queue, channels, rules, links, calls, counts, clock)
    return Worker(name, deliveries, clock)


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
