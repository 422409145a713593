"""The lease and the setting of the schedule; only the database's clock judges the lease."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.cyclone.domain.schedule import Lease, Setting
from services.cyclone.store.rows import FENCE, NOTIFY_CHANNEL, setting_of
from shared.database.fence import LATEST_EPOCH, NOW_EPOCH

_TTL = "make_interval(secs => least(10, (select interval_seconds from setting) / 3))"
_LEFT = "cast(extract(epoch from {time} - clock_timestamp()) as float8)"

_ENSURE = text(
    "insert into setting (id, interval_seconds, enabled, next_time, missed_count, version)"
    " values (1, :interval_seconds, true, :now, 0, 1) on conflict (id) do nothing"
)
# An epoch is this moment, and above what was seen; what was seen of the future is as nothing seen.
_ABOVE = f"case when {{seen}} > {LATEST_EPOCH} then 0 else {{seen}} end + 1"
_NEXT_EPOCH = f"greatest({NOW_EPOCH}, {_ABOVE.format(seen='epoch')})"
_TAKE = text(
    f"with taken as (update lease set epoch = {_NEXT_EPOCH}, owner = :owner,"
    f" expires_time = clock_timestamp() + {_TTL} where expires_time < clock_timestamp()"
    " returning epoch, expires_time)"
    f" select taken.epoch, {_LEFT.format(time='coalesce(taken.expires_time, lease.expires_time)')}"
    " as left_seconds from lease left join taken on true"
)
# A lost renewal costs at worst a take-over, so it need not wait for the disk.
_RENEW = text(
    f"update lease set expires_time = clock_timestamp() + {_TTL} where epoch = :epoch and owner ="
    " :owner"
    f" returning {_LEFT.format(time='expires_time')} as left_seconds,"
    " exists (select from cycle where state = 1) as queued,"
    " (select id from cycle where state = 2 and cancel) as cancelled_id,"
    " set_config('synchronous_commit', 'off', true)"
)
_EXCEED = text(
    f"update lease set epoch = greatest({_NEXT_EPOCH},"
    f" {_ABOVE.format(seen='cast(:seen_epoch as int8)')})"
    " where epoch = :epoch and owner = :owner returning epoch"
)
_RELEASE = text(
    "update lease set expires_time = '-infinity', owner = '' where epoch = :epoch"
    f" returning pg_notify('{NOTIFY_CHANNEL}', 'lease')"
)
_SETTING = text("select interval_seconds, enabled, next_time, missed_count, version from setting")
_SHIFT = text(f"update setting set next_time = next_time + :shift from {FENCE} returning 1")
_HOLDER = text(
    "select epoch, case when expires_time > clock_timestamp() then owner else '' end as owner from"
    " lease"
)
# The next slot is moved here and not by the caller, who may have read it before the owner moved it
# on.
_EDIT = text(
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
    """The answer to an attempt: `epoch` when the lease is now ours, else None; seconds until it
    runs out.
    """

    epoch: int | None
    left_seconds: float


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewal learns on the way: a request waits, or the running cycle is to stop (its
    id)."""

    left_seconds: float
    queued: bool
    cancelled_id: str


class LeaseStore:
    """On an autocommit connection: each method that writes is one statement."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ensure(self, interval: timedelta, now: datetime) -> None:
        """The first start's setting; later ones keep what people set."""
        await self._connection.execute(
            _ENSURE, {"interval_seconds": interval.total_seconds(), "now": now}
        )

    async def take(self, owner: str) -> Grant:
        row = (await self._connection.execute(_TAKE, {"owner": owner})).one()
        return Grant(row.epoch, row.left_seconds)

    async def renew(self, epoch: int, owner: str) -> Renewal | None:
        """None: the lease is another's."""
        row = (
            await self._connection.execute(_RENEW, {"epoch": epoch, "owner": owner})
        ).one_or_none()
        return (
            None if row is None else Renewal(row.left_seconds, row.queued, row.cancelled_id or "")
        )

    async def exceed(self, epoch: int, owner: str, seen_epoch: int) -> int | None:
        """A new epoch for the same owner, above `seen_epoch`; None: the lease is another's."""
        values = {"epoch": epoch, "owner": owner, "seen_epoch": seen_epoch}
        row = (await self._connection.execute(_EXCEED, values)).one_or_none()
        return None if row is None else int(row.epoch)

    async def release(self, epoch: int) -> None:
        await self._connection.execute(_RELEASE, {"epoch": epoch})

    async def holder(self) -> Lease:
        row = (await self._connection.execute(_HOLDER)).one()
        return Lease(row.epoch, row.owner)

    async def setting(self) -> Setting:
        return setting_of((await self._connection.execute(_SETTING)).mappings().one())

    async def shift(self, epoch: int, by: timedelta) -> bool:
        """Moves the next slot with a wall clock that was set; False when fenced."""
        done = await self._connection.execute(_SHIFT, {"epoch": epoch, "shift": by})
        return done.one_or_none() is not None

    async def edit(self, setting: Setting, now: datetime) -> bool:
        """Writes interval and enabled of the version they were read at; False when somebody else
        was faster.

        A shorter interval begins now; a schedule turned on begins at once.
        """
        values = {
            "interval_seconds": setting.interval.total_seconds(),
            "enabled": setting.enabled,
            "now": now,
            "version": setting.version,
        }
        return (await self._connection.execute(_EDIT, values)).one_or_none() is not None
