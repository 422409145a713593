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
from services.xcom.domain.messages import Level
from services.xcom.domain.settings import ChannelSetting, QuietHours
from services.xcom.servicer.mapping import to_channel
from shared.codec import apply_mask, fill, read

Context = grpc.aio.ServicerContext[Any, Any]


class ChannelsServicer(rpc.ChannelsServiceServicer):
    """The gRPC face of what people set about channels."""

    def __init__(self, channels: ChannelService, sounds: SoundService) -> None:
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


def _level_map(found: LevelMap) -> pb.LevelMap:
    return fill(pb.LevelMap, found, routes=[fill(pb.LevelRoute, route) for route in found.routes])
