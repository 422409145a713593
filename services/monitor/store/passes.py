"""What a pass reads first and writes last, each in one statement: a cycle waits for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.monitor.domain.findings import Badge, KeptBadge, Level, Run, Runs, RunStatus
from services.monitor.domain.settings import Chosen
from services.monitor.domain.states import Beat, Standing
from shared.database import fence
from shared.database.fence import Step

_STANDINGS = text(
    "select names.name, setting.enabled, setting.interval_seconds, setting.threshold_percent,"
    " setting.notification_level, setting.channels, setting.snooze_seconds, setting.snoozed_until_time,"
    " setting.version, incident.id as incident_id,"
    " looked.id, looked.started_time, looked.duration_seconds, looked.status, looked.metadata, looked.error,"
    " looked.cycle_id, newest.started_time as last_time, newest.status as last_status,"
    " newest.error as last_error,"
    " (select jsonb_agg(to_jsonb(badge)) from badge where badge.monitor = names.name) as badges,"
    " (select call_time from beat) as call_time,"
    " (select cycle_interval_seconds from beat) as cycle_interval_seconds"
    " from unnest(cast(:names as text[])) as names(name)"
    " left join setting on setting.monitor = names.name"
    " left join incident on incident.monitor = names.name"
    " left join lateral (select * from run where run.monitor = names.name and run.status <> 3"
    "  order by run.id desc limit 1) looked on true"
    " left join lateral (select * from run where run.monitor = names.name"
    "  order by run.id desc limit 1) newest on true"
)

# A lost second of runs is run again; what must be told is never written in a hurry.
_WRITE = text(
    "with written as ("
    " insert into run (monitor, started_time, duration_seconds, status, metadata, error, cycle_id)"
    " select monitor, started_time, duration_seconds, status, metadata, error, cycle_id"
    " from jsonb_to_recordset(cast(:runs as jsonb)) as one(monitor text, started_time timestamptz,"
    "  duration_seconds float8, status int2, metadata jsonb, error text, cycle_id text)"
    " returning id, monitor),"
    " shown as ("
    " insert into badge (name, value, level, stale, monitor, badge_time)"
    " select name, value, level, stale, monitor, :now"
    " from jsonb_to_recordset(cast(:badges as jsonb)) as one(name text, value text, level text,"
    "  stale boolean, monitor text)"
    " on conflict (name) do update set value = excluded.value, level = excluded.level,"
    "  stale = excluded.stale, badge_time = excluded.badge_time where badge.monitor = excluded.monitor),"
    " gone as ("
    " delete from badge using jsonb_to_recordset(cast(:gone as jsonb)) as one(name text, monitor text)"
    " where badge.name = one.name and badge.monitor = one.monitor),"
    " beaten as ("
    " insert into beat (id, call_time, cycle_interval_seconds)"
    " select 1, :now, cast(:cycle_interval_seconds as float8) where cast(:is_beat as boolean)"
    " on conflict (id) do update set call_time = excluded.call_time, cycle_interval_seconds ="
    "  coalesce(excluded.cycle_interval_seconds, beat.cycle_interval_seconds))"
    " select id, monitor,"
    " case when cast(:in_a_hurry as boolean) then set_config('synchronous_commit', 'off', true) end"
    " from written"
)

_CLAIM = text(
    "insert into claim (monitor, until_time)"
    " select * from unnest(cast(:names as text[]), cast(:ends as timestamptz[]))"
    " on conflict (monitor) do update set until_time = excluded.until_time"
    # A claim from beyond any claim's length was made by a clock that was wrong.
    " where claim.until_time <= :now or claim.until_time > excluded.until_time"
    " returning monitor"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass writes: runs, badges that changed and badges that are gone, by monitor."""

    runs: Sequence[Run]
    badges: Sequence[tuple[str, Badge]] = ()
    gone: Sequence[tuple[str, str]] = ()
    is_beat: bool = False
    cycle_interval: timedelta | None = None
    in_a_hurry: bool = False


class PassRows:
    """Reading where monitors stand and keeping what a pass found."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def enter(self, step: Step) -> Runs | None:
        """See shared.database.fence.enter."""
        return await fence.enter(self._connection, step, Runs)

    async def record(self, step: Step, answer: Runs, now: datetime) -> None:
        """See shared.database.fence.record."""
        await fence.record(self._connection, step, Runs, answer, now)

    async def standings(self, names: Sequence[str]) -> tuple[dict[str, Standing], Beat]:
        """Where each of the monitors stands, and the heartbeat; `names` is not empty."""
        rows = (await self._connection.execute(_STANDINGS, {"names": list(names)})).all()
        interval = rows[0].cycle_interval_seconds
        beat = Beat(rows[0].call_time, None if interval is None else timedelta(seconds=interval))
        return {row.name: _standing(row) for row in rows}, beat

    async def claim(self, ends: Mapping[str, datetime], now: datetime) -> set[str]:
        """Those of the monitors that no other process runs now; ours until the times given."""
        values = {"names": list(ends), "ends": list(ends.values()), "now": now}
        return set(await self._connection.scalars(_CLAIM, values))

    async def write(self, outcome: Outcome, now: datetime) -> dict[str, int]:
        """Append the runs, set the badges; the number of each monitor's row."""
        badges = [
            {
                "name": one.name,
                "value": one.value,
                "level": one.level.value,
                "stale": one.stale,
                "monitor": monitor,
            }
            for monitor, one in outcome.badges
        ]
        interval = outcome.cycle_interval
        rows = await self._connection.execute(
            _WRITE,
            {
                "runs": json.dumps([_values(run) for run in outcome.runs]),
                "badges": json.dumps(badges),
                "gone": json.dumps([{"monitor": monitor, "name": name} for monitor, name in outcome.gone]),
                "is_beat": outcome.is_beat,
                "cycle_interval_seconds": None if interval is None else interval.total_seconds(),
                "in_a_hurry": outcome.in_a_hurry,
                "now": now,
            },
        )
        return {row.monitor: row.id for row in rows}


def read_run(row: Row[Any], monitor: str) -> Run:
    """A run from columns of the run table."""
    return Run(
        id=row.id,
        monitor=monitor,
        started_time=row.started_time,
        duration_seconds=row.duration_seconds,
        status=RunStatus(row.status),
        metadata=row.metadata,
        error=row.error,
        cycle_id=row.cycle_id,
    )


def read_chosen(row: Row[Any]) -> Chosen:
    """What was chosen from columns of the setting table."""
    return Chosen(
        row.enabled,
        row.interval_seconds,
        row.threshold_percent,
        None if row.notification_level is None else Level(row.notification_level),
        tuple(row.channels),
        row.snooze_seconds,
        row.snoozed_until_time,
        row.version,
    )


def _standing(row: Row[Any]) -> Standing:
    return Standing(
        chosen=Chosen() if row.version is None else read_chosen(row),
        last_run=None if row.id is None else read_run(row, row.name),
        last_time=row.last_time,
        last_skipped=row.last_error if row.last_status == RunStatus.SKIPPED else "",
        incident_id=row.incident_id,
        badges=tuple(_badge(one) for one in row.badges or ()),
    )


def _badge(one: Mapping[str, Any]) -> KeptBadge:
    return KeptBadge(
        badge=Badge(one["name"], one["value"], Level(one["level"]), one["stale"]),
        monitor=one["monitor"],
        badge_time=datetime.fromisoformat(one["badge_time"]),
        dismissed_level=Level(one["dismissed_level"]) if one["dismissed_level"] else None,
    )


def _values(run: Run) -> dict[str, object]:
    return {
        "monitor": run.monitor,
        "started_time": run.started_time.isoformat(),
        "duration_seconds": run.duration_seconds,
        "status": run.status.value,
        "metadata": dict(run.metadata),
        "error": run.error,
        "cycle_id": run.cycle_id,
    }
