"""What is known of each channel: last sent, last failure, verified when, how much waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from services.xcom.calls.domain import CallState
from services.xcom.store.settings import SettingStore
from shared import rows
from shared.database.statement import Statement

_RECORDS = Statement(
    "select name as channel, last_sent_time, coalesce(last_error, '') as last_error,"
    " last_error_time, verified_time,"
    " (select count(*) from delivery where delivery.channel = name and state in (1, 6)) as"
    " queued_count,"
    # Also those that are tried anew for want of another way: they rest until they are due.
    " dead.count as dead_count, dead.last_time as gave_up_time"
    " from unnest(cast(:channels as text[])) as known(name)"
    " left join channel_record on channel_record.channel = name"
    " cross join lateral (select count(*) as count, max(due_time) as last_time from delivery"
    "  where delivery.channel = name and (state = 3 or state = 1 and spent_tries > 0)"
    # Calls that were followed to their end were placed: that nobody took them is no fault of it.
    "  and not exists (select from call where call.delivery_id = delivery.id"
    f"   and call.state = {CallState.ENDED.value})) as dead"
)
_VERIFIED = Statement(
    "insert into channel_record (channel, last_error, verified_time) values (:channel, '', :now)"
    " on conflict (channel) do update set verified_time = excluded.verified_time"
)
_FAILED = Statement(
    "insert into channel_record (channel, last_error, last_error_time) values (:channel, :error,"
    " :now)"
    " on conflict (channel) do update set"
    " last_error = excluded.last_error, last_error_time = excluded.last_error_time"
)


_NEVER = datetime.min.replace(tzinfo=UTC)
# The clocks of two replicas differ by less.
_CLOCKS_APART = timedelta(minutes=1)


class ChannelHealth(IntEnum):
    """How far a channel can be trusted; the numbers are those of the protocol."""

    OFF = 1
    UNPROVEN = 2
    PROVEN = 3
    FAILING = 4
    DEAD = 5


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """How a channel has done so far."""

    last_sent_time: datetime | None
    last_error: str
    last_error_time: datetime | None
    verified_time: datetime | None
    queued_count: int
    dead_count: int
    gave_up_time: datetime | None = None

    def health(self, now: datetime) -> ChannelHealth:
        """Of a channel that is configured and switched on. A receipt of the future, left by a clock
        that was ahead, proves nothing: it hid every failure until it had come.
        """
        receipts = (self.last_sent_time, self.verified_time)
        worked = [one for one in receipts if one is not None and one <= now + _CLOCKS_APART]
        proven_time = max(worked, default=_NEVER)
        if self.gave_up_time is not None and self.gave_up_time > proven_time:
            return ChannelHealth.DEAD
        if self.last_error_time is not None and self.last_error_time > proven_time:
            return ChannelHealth.FAILING
        return ChannelHealth.PROVEN if worked else ChannelHealth.UNPROVEN


class ChannelStore(SettingStore):
    """Channel records of one transaction."""

    async def records(self, channels: list[str]) -> dict[str, ChannelRecord]:
        """By channel name; one that never sent has one too."""
        found = await self._transaction.fetch(_RECORDS, channels=channels)
        return {row["channel"]: rows.read(ChannelRecord, row) for row in found}

    async def note_test(self, channel: str, error: str, now: datetime) -> None:
        """A test went well (no error) or not."""
        if error:
            await self._transaction.execute(_FAILED, channel=channel, error=error, now=now)
        else:
            await self._transaction.execute(_VERIFIED, channel=channel, now=now)
