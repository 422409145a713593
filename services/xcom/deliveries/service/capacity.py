"""How much each channel may send now: quiet hours, budgets, and bursts made into one message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.xcom.channels.service.configured_channels import ConfiguredChannels
from services.xcom.deliveries.domain.capacity import Budget
from services.xcom.deliveries.domain.digests import digest_of
from services.xcom.senders.channel import Channel
from services.xcom.store.deliveries import DeliveryStore
from services.xcom.store.enqueue import ExtraDelivery
from services.xcom.store.queue import Capacity, LevelRange, Usage
from shared.names import new_id


class RateLimiter:
    """Danger at HIGH waits for no budget and no hour; a channel that rests makes one message of
    several.
    """

    def __init__(self, budget: Budget, channels: Mapping[str, Channel]) -> None:
        self._budget = budget
        self._channels = channels

    def limits(self, capacity: Capacity, level_range: LevelRange) -> bool:
        """Whether it decides about this channel at all."""
        channel = self._channels[capacity.channel]
        return bool(channel.cooldown_seconds) if level_range.urgent else channel.rate_limited

    async def allowed(
        self, store: DeliveryStore, capacities: list[Capacity], level_range: LevelRange
    ) -> list[Capacity] | None:
        """Limited capacities as they are now; None while another process decides about them."""
        name = "high" if level_range.urgent else "quiet"
        after = level_range.now - self._budget.window
        names = [capacity.channel for capacity in capacities]
        usage = await store.waiting.usage(name, names, level_range, after)
        if not usage.may:
            return None
        for capacity in capacities:
            if cooldown_seconds := self._channels[capacity.channel].cooldown_seconds:
                await store.rest(capacity.channel, level_range, cooldown_seconds)
        if not level_range.urgent:
            configured = ConfiguredChannels(self._channels, usage.settings)
            held = [
                await self._quiet(store, configured, capacity, level_range, usage)
                for capacity in capacities
            ]
            capacities = [capacity for capacity in held if capacity is not None]
        for capacity in capacities:
            # Where a rest follows each send, what waits is sent at once.
            if (
                self._channels[capacity.channel].cooldown_seconds
                and usage.fresh_counts[capacity.channel] > 1
            ):
                for address in await store.bursts(capacity.channel, level_range):
                    await self._gather(store, capacity.channel, address, level_range)
            # A digest may have been put off, or is being sent by the other worker.
            await store.put_ends_behind(capacity.channel, level_range.now)
        return capacities

    async def _quiet(
        self,
        store: DeliveryStore,
        configured: ConfiguredChannels,
        capacity: Capacity,
        level_range: LevelRange,
        usage: Usage,
    ) -> Capacity | None:
        setting = configured.setting(capacity.channel)
        if setting.quiet_hours is not None and setting.quiet_hours.hold(level_range.now):
            return None
        left = self._budget.left(usage.used_counts[capacity.channel], setting.quiet_budget_count)
        if not left:
            return None
        if usage.fresh_counts[capacity.channel] > left:
            for route in configured.routes([capacity.channel]):
                await self._gather(store, capacity.channel, route.address, level_range)
        return replace(capacity, free_count=min(capacity.free_count, left))

    async def _gather(
        self, store: DeliveryStore, channel: str, address: str, level_range: LevelRange
    ) -> None:
        """One message in the place of all that wait."""
        extra = ExtraDelivery(new_id("dlv"), new_id("msg"), channel, level_range.now, address)
        group = await store.group(channel, address, level_range, extra.id)
        if group is not None:
            digest = digest_of(group.member_count, group.worst, group.is_demo)
            await store.add_digest(extra, group, digest, level_range.now)
