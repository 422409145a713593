"""Settings of channels in and out, and sounds out; decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
from sonic.xcom.v1 import xcom_pb2 as pb
from sonic.xcom.v1 import xcom_pb2_grpc as rpc

from services.xcom.channels.service.channels import CHANGEABLE, ChannelService, LevelMap
from services.xcom.channels.service.sounds import SoundService
from services.xcom.channels.service.versions import ChannelVersions
from services.xcom.domain.messages import Level
from services.xcom.domain.settings import ChannelSetting, QuietHours
from services.xcom.servicer.mapping import to_channel
from shared.codec import apply_mask, fill, read
from shared.versions.domain import Comparison, Version

Context = grpc.aio.ServicerContext[Any, Any]


class ChannelsServicer(rpc.ChannelsServiceServicer):
    """The gRPC face of what people set about channels."""

    def __init__(
        self, channels: ChannelService, sounds: SoundService, versions: ChannelVersions
    ) -> None:
        self._versions = versions
        self._channels = channels
        self._sounds = sounds

    async def GetLevelMap(self, request: pb.GetLevelMapRequest, context: Context) -> pb.LevelMap:
        return _level_map(await self._channels.level_map())

    async def UpdateLevelMap(
        self, request: pb.UpdateLevelMapRequest, context: Context
    ) -> pb.LevelMap:
        routes = {Level(route.level): list(route.channels) for route in request.level_map.routes}
        return _level_map(await self._channels.update_level_map(routes, request.level_map.etag))

    async def UpdateChannel(self, request: pb.UpdateChannelRequest, context: Context) -> pb.Channel:
        wanted = request.channel
        paths = apply_mask(wanted, request.update_mask, CHANGEABLE)
        hours = wanted.quiet_hours
        quiet_hours = (
            read(QuietHours, hours, time_zone=hours.time_zone or "UTC")
            if wanted.HasField("quiet_hours")
            else None
        )
        setting = read(ChannelSetting, wanted, quiet_hours=quiet_hours)
        return to_channel(await self._channels.update(wanted.name, setting, paths, wanted.etag))

    async def WatchSounds(
        self, request: pb.WatchSoundsRequest, context: Context
    ) -> AsyncIterator[pb.Sound]:
        async with aclosing(self._sounds.listen()) as sounds:
            async for delivery in sounds:
                sent_time = delivery.handed_over_time or delivery.sent_time
                yield fill(pb.Sound, delivery, delivery_id=delivery.id, sent_time=sent_time)

    async def ListChannelVersions(
        self, request: pb.ListChannelVersionsRequest, context: Context
    ) -> pb.ListChannelVersionsResponse:
        page = await self._versions.list(request.page_size, request.page_token)
        return pb.ListChannelVersionsResponse(
            versions=map(_version, page.rows), next_page_token=page.next_page_token
        )

    async def CompareChannelVersions(
        self, request: pb.CompareChannelVersionsRequest, context: Context
    ) -> pb.VersionComparison:
        return _comparison(await self._versions.compare(request.number, request.other_number))

    async def RestoreChannels(
        self, request: pb.RestoreChannelsRequest, context: Context
    ) -> pb.VersionComparison:
        restored = await self._versions.restore(
            request.number, request.last_number, dry_run=request.dry_run
        )
        return _comparison(restored)


def _version(version: Version) -> pb.SettingVersion:
    changes = [fill(pb.SettingChange, change) for change in version.changes]
    return fill(pb.SettingVersion, version, changes=changes)


def _comparison(found: Comparison) -> pb.VersionComparison:
    changes = [fill(pb.SettingChange, change) for change in found.changes]
    return fill(pb.VersionComparison, found, changes=changes)


def _level_map(found: LevelMap) -> pb.LevelMap:
    return fill(pb.LevelMap, found, routes=[fill(pb.LevelRoute, route) for route in found.routes])
