"""How much each channel may send now: quiet hours, budgets, and bursts made into one message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.xcom.channels.channel import Channel
from services.xcom.domain.digests import digest_of
from services.xcom.domain.pacing import Budget
from services.xcom.service.reach import Reach
from services.xcom.store.queue import Band, Lane, Pace, Queue
from services.xcom.store.queueing import Extra, QueueStore
from shared.names import new_id


class Pacer:
    """Danger at HIGH waits for no budget and no hour; a channel that rests makes one message of several."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def paces(self, channel: Channel, band: Band) -> bool:
        """Whether it decides about this channel at all."""
        return channel.paced if _is_quiet(band) else bool(channel.cooldown_seconds)

    async def paced(
        self,
        store: QueueStore,
        queue: Queue,
        channels: Mapping[str, Channel],
        lanes: list[Lane],
        band: Band,
    ) -> list[Lane]:
        """The lanes with the room they have now. Without the lock the paced ones wait for the next look."""
        paced = [lane for lane in lanes if self.paces(channels[lane.channel], band)]
        free = [lane for lane in lanes if lane not in paced]
        name = "quiet" if _is_quiet(band) else "high"
        pace = await queue.pace(name, [lane.channel for lane in paced], band, band.now - self._budget.window)
        if not pace.may:
            return free
        for lane in paced:
            if cooldown_seconds := channels[lane.channel].cooldown_seconds:
                await store.rest(lane.channel, band, cooldown_seconds)
        if _is_quiet(band):
            reach = Reach(channels, pace.settings)
            held = [await self._quiet(store, reach, lane, band, pace) for lane in paced]
            paced = [lane for lane in held if lane is not None]
        for lane in paced:
            # Where a rest follows each send, what waits is told at once.
            if channels[lane.channel].cooldown_seconds and pace.fresh_counts[lane.channel] > 1:
                for address in await store.crowds(lane.channel, band):
                    await self._gather(store, lane.channel, address, band)
        return free + paced

    async def _quiet(
        self, store: QueueStore, reach: Reach, lane: Lane, band: Band, pace: Pace
    ) -> Lane | None:
        setting = reach.setting(lane.channel)
        if setting.quiet_hours is not None and setting.quiet_hours.hold(band.now):
            return None
        left = self._budget.left(pace.used_counts[lane.channel], setting.quiet_budget_count)
        if not left:
            return None
        if pace.fresh_counts[lane.channel] > left:
            for way in reach.ways([lane.channel]):
                await self._gather(store, lane.channel, way.address, band)
        return replace(lane, free_count=min(lane.free_count, left))

    async def _gather(self, store: QueueStore, channel: str, address: str, band: Band) -> None:
        """One message in the place of all that wait."""
        extra = Extra(new_id("dlv"), new_id("msg"), channel, band.now, address)
        group = await store.group(channel, address, band, extra.id)
        if group is not None:
            digest = digest_of(group.member_count, group.worst, group.is_demo)
            await store.add_digest(extra, group, digest, band.now)


def _is_quiet(band: Band) -> bool:
    return not band.urgent
