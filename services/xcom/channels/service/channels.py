"""Use cases of channels: how each one does, a test through one of them now, and what people set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields, replace
from functools import partial
from zoneinfo import ZoneInfo

from services.xcom.calls.service.calls import CallService
from services.xcom.channels.service.configured_channels import (
    ConfiguredChannels,
    refuse_bad_destination,
)
from services.xcom.channels.service.sending import send
from services.xcom.channels.service.versions import KeptSettings
from services.xcom.domain.messages import Answer, DeliveryAttempt, Level
from services.xcom.domain.settings import (
    LEVELS,
    ChannelSetting,
    LevelDefaults,
    LevelRoute,
    LevelSetting,
    QuietHours,
    Settings,
    SettingSource,
)
from services.xcom.senders.channel import Channel
from services.xcom.store.channels import ChannelHealth, ChannelRecord, ChannelStore
from services.xcom.store.settings import channel_document
from shared.clock import Clock
from shared.errors import Conflict, FailedPrecondition, InvalidArgument
from shared.names import choose, new_id

Begin = Callable[[], AbstractAsyncContextManager[ChannelStore]]

_SIGNS = (
    "Signs of an alert: SOL <long> my_main_wallet *1*, 92.10 USD <= limit 93 USD & -75 %, [x] "
    "\U0001f6a8"
)
CHANGEABLE = tuple(field.name for field in fields(ChannelSetting))


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """A channel with its settings, how it has done so far and how far it can be trusted."""

    name: str
    missing_settings: tuple[str, ...]
    destination: str
    source: SettingSource
    setting: ChannelSetting
    quiet_now: bool
    etag: str
    record: ChannelRecord
    health: ChannelHealth


@dataclass(frozen=True, slots=True)
class LevelMap:
    """What holds for each level."""

    routes: Sequence[LevelRoute]
    etag: str


class ChannelService:
    """The channels of this release, `by_name`."""

    def __init__(
        self,
        begin: Begin,
        channels: Mapping[str, Channel],
        levels: LevelDefaults,
        calls: CallService,
        kept: KeptSettings,
        clock: Clock,
    ) -> None:
        self._kept = kept
        self._begin = begin
        self._calls = calls
        self.by_name = channels
        self._levels = levels
        self._clock = clock

    async def statuses(self) -> list[ChannelStatus]:
        """Every channel, by name."""
        async with self._begin() as store:
            return await self._statuses(store, sorted(self.by_name))

    async def test(self, name: str) -> Answer:
        """Send one test message now, past the queue, and keep how it went.

        InvalidArgument UNKNOWN_NAME, FailedPrecondition CHANNEL_NOT_CONFIGURED naming what is
        missing.
        """
        channel = self.by_name[choose(name, self.by_name, field="channel")]
        async with self._begin() as store:
            configured = ConfiguredChannels(self.by_name, await store.settings())
        if missing := ", ".join(configured.missing(channel.name)):
            raise FailedPrecondition(
                "CHANNEL_NOT_CONFIGURED",
                f"{channel.name} needs {missing}",
                metadata={"channel": channel.name, "missing_settings": missing},
            )
        routes = configured.routes([channel.name])
        address = configured.address(channel.name)
        answers = await asyncio.gather(
            *(self._tested(channel, one.address or address) for one in routes)
        )
        failed = [one for one in answers if not one.accepted]
        answer = answers[0]
        if failed:
            answer = replace(failed[0], error="; ".join(one.error for one in failed))
        if all(one.unanswered for one in failed) and failed:
            # Not tried, for the limits of calls: nothing is known of the channel by that.
            return answer
        async with self._begin() as store:
            await store.note_test(channel.name, answer.error, self._clock.now())
        return answer

    async def _tested(self, channel: Channel, address: str) -> Answer:
        attempt = replace(self._attempt(channel.name), address=address)
        if self._calls.concern(channel.name):
            return await self._calls.test(attempt, partial(send, channel))
        return await send(channel, attempt)

    async def update(
        self, name: str, wanted: ChannelSetting, paths: Sequence[str], etag: str
    ) -> ChannelStatus:
        """Change the settings named by `paths`.

        InvalidArgument UNKNOWN_NAME, INVALID_FIELD, DESTINATION_REFUSED; Conflict ETAG_MISMATCH.
        """
        channel = self.by_name[choose(name, self.by_name, field="channel.name")]
        if "quiet_hours" in paths and wanted.quiet_hours is not None:
            _check_zone(wanted.quiet_hours)
        if "destination" in paths and wanted.destination:
            await refuse_bad_destination(channel, wanted.destination, "channel.destination")
        async with self._begin() as store:
            async with self._kept.edit(store, "CHANGED") as settings:
                await self._put(store, settings, channel.name, wanted, paths, etag)
            return (await self._statuses(store, [channel.name]))[0]

    async def _put(
        self,
        store: ChannelStore,
        settings: Settings,
        name: str,
        wanted: ChannelSetting,
        paths: Sequence[str],
        etag: str,
    ) -> None:
        changed = replace(settings.channel(name), **{path: getattr(wanted, path) for path in paths})
        # What was read is what is changed, also when the caller names no revision.
        seen = etag or settings.etag(channel_document(name))
        if not await store.put_channel(name, changed, seen, self._clock.now()):
            raise Conflict("ETAG_MISMATCH", "the channel was changed meanwhile")

    async def level_map(self) -> LevelMap:
        """What holds for each level now."""
        async with self._begin() as store:
            return await self._map(store)

    async def update_level_map(self, routes: Mapping[Level, Sequence[str]], etag: str) -> LevelMap:
        """Replace what is stored. InvalidArgument UNKNOWN_NAME, Conflict ETAG_MISMATCH."""
        known = {
            level.name: tuple(
                dict.fromkeys(
                    choose(name, self.by_name, field="level_map.routes.channels") for name in names
                )
            )
            for level, names in routes.items()
        }
        async with self._begin() as store:
            async with self._kept.edit(store, "CHANGED"):
                if not await store.put_levels(LevelSetting(known), etag, self._clock.now()):
                    raise Conflict("ETAG_MISMATCH", "the level map was changed meanwhile")
            return await self._map(store)

    async def _map(self, store: ChannelStore) -> LevelMap:
        settings = await store.settings()
        routes = [self._levels.route(level, settings.levels) for level in Level]
        return LevelMap(routes, settings.etag(LEVELS))

    async def _statuses(self, store: ChannelStore, names: list[str]) -> list[ChannelStatus]:
        settings = await store.settings()
        configured = ConfiguredChannels(self.by_name, settings)
        records, now = await store.records(names), self._clock.now()

        def health(name: str) -> ChannelHealth:
            usable = configured.setting(name).enabled and not configured.missing(name)
            return records[name].health(now) if usable else ChannelHealth.OFF

        return [
            ChannelStatus(
                name=name,
                missing_settings=configured.missing(name),
                destination=configured.destination(name),
                source=configured.source(name),
                setting=configured.setting(name),
                quiet_now=(hours := configured.setting(name).quiet_hours) is not None
                and hours.hold(now),
                etag=settings.etag(channel_document(name)),
                record=records[name],
                health=health(name),
            )
            for name in names
        ]

    def _attempt(self, channel: str) -> DeliveryAttempt:
        return DeliveryAttempt(
            delivery_id=new_id("test"),
            message_id=new_id("test"),
            channel=channel,
            level=Level.LOW,
            subject=f"Test of the {channel} channel",
            # The signs of a real alert: what a service takes for markup shows here and not at
            # night.
            body=f"This is a test. Messages on the {channel} channel reach you.\n{_SIGNS}",
            source="test",
            facts={},
            created_time=self._clock.now(),
        )


def _check_zone(hours: QuietHours) -> None:
    try:
        ZoneInfo(hours.time_zone)
    except (ValueError, OSError, LookupError):
        problem = "not a time zone like Europe/Berlin"
        raise InvalidArgument(
            "INVALID_FIELD", problem, fields={"channel.quiet_hours.time_zone": problem}
        ) from None
