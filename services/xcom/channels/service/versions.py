"""Versions of the channel settings: kept with every edit, listed, compared, restored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from services.xcom.channels.domain import KIND, settings_content, settings_restored
from services.xcom.domain.settings import ChannelSetting, Settings
from services.xcom.senders.channel import Channel
from services.xcom.store.settings import SettingStore
from shared.clock import Clock
from shared.paging import Page
from shared.versions.domain import Comparison, Content, Version
from shared.versions.service import Versions

Begin = Callable[[], AbstractAsyncContextManager[SettingStore]]


class KeptSettings:
    """The one way by which people change settings of channels, levels and contacts."""

    def __init__(self, channels: Mapping[str, Channel], kept_days: float, clock: Clock) -> None:
        """See Versions."""
        self._channels = channels
        self._clock = clock
        self.versions = Versions(KIND, kept_days)

    @asynccontextmanager
    async def edit(self, store: SettingStore, reason: str) -> AsyncIterator[Settings]:
        """Settings as they are; what was put when it ends well is a version."""
        await store.hold_settings()
        before = await store.settings()
        yield before
        after = await store.settings()
        was, is_now = self.content(before), self.content(after)
        # Another address may look the same: who and when is kept all the same.
        is_other = replace(before, revisions=after.revisions) != after
        now = self._clock.now()
        await self.versions.keep(store.versions, was, is_now, reason, now, is_other=is_other)

    def content(self, settings: Settings) -> Content:
        """With every address masked."""
        return settings_content(settings, self._shown)

    def masked(self, channel: str, address: str) -> str:
        """KeyError for a channel that this release has not."""
        return self._channels[channel].masked(address)

    def _shown(self, channel: str, address: str) -> str:
        return self.masked(channel, address) if channel in self._channels else "***"


class ChannelVersions:
    """The versions."""

    def __init__(self, begin: Begin, kept: KeptSettings, clock: Clock) -> None:
        self._begin = begin
        self._kept = kept
        self._clock = clock

    async def list(self, page_size: int, page_token: str) -> Page[Version]:
        """Newest first, each with what it changed; BAD_PAGE_TOKEN."""
        async with self._begin() as store:
            return await self._kept.versions.list(store.versions, page_size, page_token)

    async def compare(self, number: int, other_number: int) -> Comparison:
        """From one version to another; number 0 is now. VERSION_NOT_FOUND."""
        async with self._begin() as store:
            present = self._kept.content(await store.settings())
            return await self._kept.versions.compare(store.versions, number, other_number, present)

    async def restore(self, number: int, last_number: int, *, dry_run: bool) -> Comparison:
        """The settings of a version, all or nothing, as a new version; `dry_run`: only what that
        would change. `last_number`: the newest one that the caller knows, 0 is not checked.

        VERSION_NOT_FOUND, ETAG_MISMATCH, VERSION_UNREADABLE, ADDRESS_NOT_KEPT.
        """
        kept = self._kept
        async with self._begin() as store, kept.edit(store, f"RESTORED {number}") as present:
            wanted = await kept.versions.wanted(store.versions, number, last_number)
            after = settings_restored(present, wanted, kept.masked)
            if not dry_run:
                await self._put(store, present, after)
        async with self._begin() as store:
            return await kept.versions.would_change(
                store.versions, kept.content(present), kept.content(after)
            )

    async def _put(self, store: SettingStore, before: Settings, after: Settings) -> None:
        now = self._clock.now()
        if after.levels != before.levels:
            await store.put_levels(after.levels, "", now)
        if after.chain != before.chain:
            await store.put_chain(after.chain, "", now)
        for name, setting in after.channels.items():
            if setting != before.channels.get(name, ChannelSetting()):
                await store.put_channel(name, setting, "", now)
