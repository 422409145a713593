"""How much each channel may send now: quiet hours, budgets, and bursts made into one message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.xcom.domain.messages import Level
from services.xcom.domain.pacing import Budget
from services.xcom.domain.texts import digest_texts
from services.xcom.service.reach import Reach
from services.xcom.store.deliveries import Lane
from services.xcom.store.queueing import Band, Extra, QueueStore
from shared.names import new_id


class Pacer:
    """HIGH waits for no budget and no hour; only a channel that rests makes one message of several."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    async def paced(self, store: QueueStore, reach: Reach, lanes: list[Lane], band: Band) -> list[Lane]:
        """The lanes with the room they have now. Without the lock the paced ones wait for the next look."""
        quiet = band.lowest is not Level.HIGH
        paced = [lane for lane in lanes if self._is_paced(reach, lane, quiet)]
        free = [lane for lane in lanes if lane not in paced]
        if not paced or not await store.may_pace("quiet" if quiet else "high"):
            return free
        if not quiet:
            for lane in paced:
                for address in await store.crowds(lane.channel, band):
                    await self._gather(store, lane.channel, address, band)
            return lanes
        used = await store.used_counts(band.now - self._budget.window, band.now)
        held = [await self._quiet(store, reach, lane, band, used) for lane in paced]
        return free + [lane for lane in held if lane is not None]

    def _is_paced(self, reach: Reach, lane: Lane, quiet: bool) -> bool:
        channel = reach.channels[lane.channel]
        return channel.paced if quiet else bool(channel.cooldown_seconds)

    async def _quiet(
        self, store: QueueStore, reach: Reach, lane: Lane, band: Band, used: Mapping[str, int]
    ) -> Lane | None:
        setting = reach.setting(lane.channel)
        if setting.quiet_hours is not None and setting.quiet_hours.hold(band.now):
            return None
        left = self._budget.left(used.get(lane.channel, 0), setting.quiet_budget_count)
        if not left:
            return None
        if await store.fresh_count(lane.channel, band, left + 1) > left:
            await self._gather(store, lane.channel, "", band)
        return replace(lane, free_count=min(lane.free_count, left))

    async def _gather(self, store: QueueStore, channel: str, address: str, band: Band) -> None:
        """One message in the place of all that wait."""
        extra = Extra(new_id("dlv"), new_id("msg"), channel, band.now, address)
        group = await store.group(channel, address, band, extra.id)
        if group is not None:
            subject, body = digest_texts(group.member_count, channel, group.subjects)
            subject = f"{group.level.name}: {subject}"
            await store.add_digest(extra, group.level, subject, body, band.now)
