"""The lease and the setting of the schedule; only the database's clock judges the lease."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.cyclone.domain.schedule import Lease, Setting
from services.cyclone.store.rows import FENCE, NOTIFY_CHANNEL
from shared import rows
from shared.database.fence import LATEST_EPOCH, NOW_EPOCH
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_LONGEST_SECONDS = 10
_TTL = (
    f"make_interval(secs => least({_LONGEST_SECONDS}, (select interval_seconds from setting) / 3))"
)
# Nobody holds one for longer: what is further ahead is of a clock that was set back since.
_IS_HELD = (
    "expires_time between clock_timestamp()"
    f" and clock_timestamp() + make_interval(secs => {_LONGEST_SECONDS})"
)
_LEFT = "cast(extract(epoch from {time} - clock_timestamp()) as float8)"

_ENSURE = Statement(
    "insert into setting (id, interval_seconds, enabled, next_time, missed_count, version)"
    " values (1, :interval_seconds, true, :now, 0, 1) on conflict (id) do nothing"
)
# An epoch is this moment, and above what was seen; what was seen of the future is as nothing seen.
_ABOVE = f"case when {{seen}} > {LATEST_EPOCH} then 0 else {{seen}} end + 1"
_NEXT_EPOCH = f"greatest({NOW_EPOCH}, {_ABOVE.format(seen='epoch')})"
_TAKE = Statement(
    f"with taken as (update lease set epoch = {_NEXT_EPOCH}, owner = :owner,"
    f" expires_time = clock_timestamp() + {_TTL} where not ({_IS_HELD})"
    " returning epoch, expires_time)"
    f" select taken.epoch, {_LEFT.format(time='coalesce(taken.expires_time, lease.expires_time)')}"
    " as left_seconds from lease left join taken on true"
)
# A lost renewal costs at worst a take-over, so it need not wait for the disk.
_RENEW = Statement(
    f"update lease set expires_time = clock_timestamp() + {_TTL} where epoch = :epoch and owner ="
    " :owner"
    f" returning {_LEFT.format(time='expires_time')} as left_seconds,"
    " exists (select from cycle where state = 1) as queued,"
    " coalesce((select id from cycle where state = 2 and cancel), '') as cancelled_id,"
    " set_config('synchronous_commit', 'off', true)"
)
_EXCEED = Statement(
    f"update lease set epoch = greatest({_NEXT_EPOCH},"
    f" {_ABOVE.format(seen='cast(:seen_epoch as int8)')})"
    " where epoch = :epoch and owner = :owner returning epoch"
)
_RELEASE = Statement(
    "update lease set expires_time = '-infinity', owner = '' where epoch = :epoch"
    f" returning pg_notify('{NOTIFY_CHANNEL}', 'lease')"
)
_SETTING = Statement(
    "select make_interval(secs => interval_seconds) as interval, enabled, next_time, missed_count,"
    " version from setting"
)
_SHIFT = Statement(f"update setting set next_time = next_time + :shift from {FENCE} returning 1")
_HOLDER = Statement(
    f"select epoch, case when {_IS_HELD} then owner else '' end as owner from lease"
)
# The next slot is moved here: the caller may have read it before the owner moved it on.
_EDIT = Statement(
    "update setting set interval_seconds = :interval_seconds, enabled = :enabled, version ="
    " version + 1,"
    " next_time = case when cast(:enabled as boolean) and not enabled then cast(:now as"
    " timestamptz)"
    " else least(next_time, cast(:now as timestamptz) + make_interval(secs => :interval_seconds))"
    " end"
    f" where version = :version returning pg_notify('{NOTIFY_CHANNEL}', 'schedule')"
)


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to an attempt: `epoch` when the lease is ours; seconds until it runs out."""

    epoch: int | None
    left_seconds: float


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewal learns too: a request waits, the running cycle is to stop (its id)."""

    left_seconds: float
    queued: bool
    cancelled_id: str


class LeaseStore:
    """Opened without a transaction: each method that writes is one statement."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def ensure(self, interval: timedelta, now: datetime) -> None:
        """The first start's setting; later ones keep what people set."""
        seconds = interval.total_seconds()
        await self._transaction.execute(_ENSURE, interval_seconds=seconds, now=now)

    async def take(self, owner: str) -> Grant:
        (row,) = await self._transaction.fetch(_TAKE, owner=owner)
        return rows.read(Grant, row)

    async def renew(self, epoch: int, owner: str) -> Renewal | None:
        """None: the lease is another's."""
        row = await self._transaction.first(_RENEW, epoch=epoch, owner=owner)
        return None if row is None else rows.read(Renewal, row)

    async def exceed(self, epoch: int, owner: str, seen_epoch: int) -> int | None:
        """A new epoch for the same owner, above `seen_epoch`; None: the lease is another's."""
        found: int | None = await self._transaction.scalar(
            _EXCEED, epoch=epoch, owner=owner, seen_epoch=seen_epoch
        )
        return found

    async def release(self, epoch: int) -> None:
        await self._transaction.execute(_RELEASE, epoch=epoch)

    async def holder(self) -> Lease:
        (row,) = await self._transaction.fetch(_HOLDER)
        return rows.read(Lease, row)

    async def setting(self) -> Setting:
        (row,) = await self._transaction.fetch(_SETTING)
        return rows.read(Setting, row)

    async def shift(self, epoch: int, by: timedelta) -> bool:
        """Moves the next slot with a wall clock that was set; False when fenced."""
        return bool(await self._transaction.fetch(_SHIFT, epoch=epoch, shift=by))

    async def edit(self, setting: Setting, now: datetime) -> bool:
        """Writes interval and enabled of the version they were read at; False when somebody else
        was faster.

        A shorter interval begins now; a schedule turned on begins at once.
        """
        found = await self._transaction.fetch(
            _EDIT,
            interval_seconds=setting.interval.total_seconds(),
            enabled=setting.enabled,
            now=now,
            version=setting.version,
        )
        return bool(found)
