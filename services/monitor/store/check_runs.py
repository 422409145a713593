"""What a pass reads first and writes last, each in one statement: a cycle waits for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.monitor.domain.badges import Dismissal, KeptBadge
from services.monitor.domain.findings import Badge, Level, Part, Run, Runs, RunStatus, counted
from services.monitor.domain.incidents import Incident
from services.monitor.domain.settings import Chosen
from services.monitor.domain.states import Heartbeat, StoredMonitor
from shared.database import fence
from shared.database.engine import raw
from shared.database.fence import Step
from shared.database.statement import Row

_STORED_MONITORS = (
    "select names.name, setting.enabled, setting.interval_seconds, setting.threshold_percent,"
    " setting.notification_level, setting.channels, setting.snooze_seconds,"
    " setting.snoozed_until_time,"
    " setting.version, incident.id as incident_id, incident.members::text as members,"
    " incident.notified,"
    " last_run.id, last_run.started_time, last_run.duration_seconds, last_run.status,"
    " last_run.metadata::text as metadata, last_run.error,"
    " last_run.cycle_id, newest.started_time as last_time, newest.status as last_status,"
    " newest.error as last_error,"
    " (select jsonb_agg(to_jsonb(badge) || jsonb_build_object('dismissals', coalesce("
    "  (select jsonb_agg(to_jsonb(seen)) from dismissal seen where seen.badge = badge.name),"
    " '[]')))::text"
    "  from badge where badge.monitor = names.name) as badges,"
    " (select call_time from beat) as call_time,"
    " (select cycle_interval_seconds from beat) as cycle_interval_seconds,"
    " (select demo from beat) as demo"
    " from unnest($1::text[]) as names(name)"
    " left join setting on setting.monitor = names.name"
    " left join incident on incident.monitor = names.name"
    " left join lateral (select * from run where run.monitor = names.name and run.status <> 3"
    "  order by run.id desc limit 1) last_run on true"
    " left join lateral (select * from run where run.monitor = names.name"
    "  order by run.id desc limit 1) newest on true"
)

# JSON goes as text: who made the connection decides how the driver shows the type itself.
# A lost second of runs is run again; a notification is always flushed.
_KEEP = fence.single_statement(
    "written as ("
    " insert into run (monitor, started_time, duration_seconds, status, metadata, error, cycle_id)"
    " select monitor, started_time, duration_seconds, status, metadata, error, cycle_id"
    " from allowed, jsonb_to_recordset($8::text::jsonb) as one(monitor text, started_time"
    " timestamptz,"
    "  duration_seconds float8, status int2, metadata jsonb, error text, cycle_id text)"
    " returning id, monitor),"
    " shown as ("
    " insert into badge (name, value, level, stale, parts, listed, monitor, badge_time)"
    " select name, value, level, stale, parts, listed, monitor, $7::timestamptz"
    " from allowed, jsonb_to_recordset($9::text::jsonb) as one(name text, value text, level text,"
    "  stale boolean, parts jsonb, listed boolean, monitor text)"
    " on conflict (name) do update set value = excluded.value, level = excluded.level,"
    "  stale = excluded.stale, parts = excluded.parts, listed = excluded.listed,"
    "  badge_time = excluded.badge_time where badge.monitor = excluded.monitor),"
    " gone as ("
    " delete from badge using allowed, jsonb_to_recordset($10::text::jsonb) as one(name text,"
    " monitor text)"
    " where badge.name = one.name and badge.monitor = one.monitor),"
    " forgotten as ("
    " delete from dismissal"
    " using allowed, jsonb_to_recordset($14::text::jsonb) as one(badge text, subject text)"
    " where dismissal.badge = one.badge and (one.subject is null or dismissal.subject ="
    " one.subject)),"
    " lowered as ("
    " update dismissal set level = one.level"
    " from allowed, jsonb_to_recordset($15::text::jsonb) as one(badge text, subject text, level"
    " text)"
    " where dismissal.badge = one.badge and dismissal.subject = one.subject),"
    " beaten as ("
    " insert into beat (id, call_time, cycle_interval_seconds, demo)"
    " select 1, $7::timestamptz, $11::float8, $16::boolean from allowed where $12::boolean"
    " on conflict (id) do update set call_time = excluded.call_time, cycle_interval_seconds ="
    "  coalesce(excluded.cycle_interval_seconds, beat.cycle_interval_seconds),"
    "  demo = coalesce(excluded.demo, beat.demo)),"
    " done as (select case when $13::boolean then set_config('synchronous_commit', 'off', true) end"
    "  from allowed)",
    returned="(select jsonb_object_agg(monitor, id)::text from written)",
)
_NUMBERS = "select monitor, id from run where cycle_id = $1"

_CLAIM = text(
    "insert into claim (monitor, until_time)"
    " select * from unnest(cast(:names as text[]), cast(:ends as timestamptz[]))"
    " on conflict (monitor) do update set until_time = excluded.until_time"
    # A claim from beyond any claim's length was made by a clock that was wrong.
    " where claim.until_time <= :now or claim.until_time > excluded.until_time"
    " returning monitor"
)


_DROP_BADGES = text("delete from badge where monitor <> all(:names) returning name")
_DROP_DISMISSALS = text("delete from dismissal where badge not in (select name from badge)")
_DROP_INCIDENTS = text("delete from incident where monitor <> all(:names)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass writes: runs, badges that changed and badges that are gone, by monitor.

    `forgotten` are dismissals by badge and subject, None = all of the badge's; `lowered` by badge.
    """

    runs: Sequence[Run]
    badges: Sequence[tuple[str, Badge]] = ()
    gone: Sequence[tuple[str, str]] = ()
    is_beat: bool = False
    cycle_interval: timedelta | None = None
    without_flush: bool = False
    forgotten: Sequence[tuple[str, str | None]] = ()
    lowered: Sequence[tuple[str, Dismissal]] = ()
    demo: bool | None = None


class CheckRunStore:
    """Both as single statements. `run`: fetch of the driver, in a transaction or committed by
    itself.
    """

    def __init__(self, run: fence.Run) -> None:
        self._run = run

    async def stored(self, names: Sequence[str]) -> tuple[dict[str, StoredMonitor], Heartbeat]:
        """Where each of the monitors stands, and the heartbeat; `names` is not empty."""
        rows = await self._run(_STORED_MONITORS, list(names))
        interval = rows[0]["cycle_interval_seconds"]
        cycle_interval = None if interval is None else timedelta(seconds=interval)
        beat = Heartbeat(rows[0]["call_time"], cycle_interval, rows[0]["demo"])
        return {row["name"]: _stored_monitor(row) for row in rows}, beat

    async def keep(self, step: Step, outcome: Outcome, now: datetime) -> tuple[Runs, bool]:
        """Append the runs, set the badges, remember the answer; the answer, and False when it was
        known.

        What is remembered is without metadata. Raises Conflict STALE_EPOCH.
        """
        badges = [_badge_values(monitor, badge) for monitor, badge in outcome.badges]
        gone = [{"monitor": monitor, "name": name} for monitor, name in outcome.gone]
        interval = outcome.cycle_interval
        answer = counted([replace(run, metadata={}) for run in outcome.runs])
        made = await fence.attempt(
            self._run,
            _KEEP,
            step,
            answer,
            now,
            json.dumps([_values(run) for run in outcome.runs]),
            json.dumps(badges),
            json.dumps(gone),
            None if interval is None else interval.total_seconds(),
            outcome.is_beat,
            outcome.without_flush,
            json.dumps(
                [{"badge": name, "subject": subject} for name, subject in outcome.forgotten]
            ),
            json.dumps(
                [
                    {"badge": name, "subject": one.subject, "level": one.level.value}
                    for name, one in outcome.lowered
                ]
            ),
            outcome.demo,
        )
        if made.recorded is None:
            return _numbered(counted(outcome.runs), json.loads(made.returned or "{}")), True
        numbers = {row["monitor"]: row["id"] for row in await self._run(_NUMBERS, step.cycle_id)}
        return _numbered(made.recorded, numbers), False


class CheckRunRows:
    """The same on a transaction, and claims."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def stored(self, names: Sequence[str]) -> tuple[dict[str, StoredMonitor], Heartbeat]:
        """See CheckRunStore.stored."""
        return await CheckRunStore((await raw(self._connection)).fetch).stored(names)

    async def keep(self, step: Step, outcome: Outcome, now: datetime) -> tuple[Runs, bool]:
        """See CheckRunStore.keep."""
        return await CheckRunStore((await raw(self._connection)).fetch).keep(step, outcome, now)

    async def drop_uninstalled(self, names: Sequence[str]) -> list[str]:
        """Delete badges, dismissals and incidents of monitors not among `names`;
        the badges' names."""
        gone = list(await self._connection.scalars(_DROP_BADGES, {"names": list(names)}))
        await self._connection.execute(_DROP_DISMISSALS)
        await self._connection.execute(_DROP_INCIDENTS, {"names": list(names)})
        return gone

    async def claim(self, ends: Mapping[str, datetime], now: datetime) -> set[str]:
        """Those of the monitors that no other process runs now; ours until the times given."""
        values = {"names": list(ends), "ends": list(ends.values()), "now": now}
        return set(await self._connection.scalars(_CLAIM, values))


def read_run(row: Row, monitor: str, metadata: Mapping[str, object]) -> Run:
    """A run from columns of the run table."""
    return Run(
        id=row["id"],
        monitor=monitor,
        started_time=row["started_time"],
        duration_seconds=row["duration_seconds"],
        status=RunStatus(row["status"]),
        metadata=metadata,
        error=row["error"],
        cycle_id=row["cycle_id"],
    )


def read_chosen(row: Row) -> Chosen:
    """What was chosen from columns of the setting table."""
    return Chosen(
        row["enabled"],
        row["interval_seconds"],
        row["threshold_percent"],
        None if row["notification_level"] is None else Level(row["notification_level"]),
        tuple(row["channels"]),
        row["snooze_seconds"],
        row["snoozed_until_time"],
        row["version"],
    )


def _stored_monitor(row: Row) -> StoredMonitor:
    return StoredMonitor(
        chosen=Chosen() if row["version"] is None else read_chosen(row),
        last_run=None
        if row["id"] is None
        else read_run(row, row["name"], json.loads(row["metadata"])),
        last_time=row["last_time"],
        last_skipped=row["last_error"] if row["last_status"] == RunStatus.SKIPPED else "",
        incident=None
        if row["incident_id"] is None
        else read_incident(row["incident_id"], json.loads(row["members"]), row["notified"]),
        badges=tuple(
            read_badge(one, datetime.fromisoformat(one["badge_time"]), one["dismissals"])
            for one in json.loads(row["badges"] or "[]")
        ),
    )


def read_incident(id: str, members: Mapping[str, str | None], notified: bool) -> Incident:
    """An open incident from columns of its table."""
    times = {
        name: None if since is None else datetime.fromisoformat(since)
        for name, since in members.items()
    }
    return Incident(id, times, notified)


def read_badge(row: Row, badge_time: datetime, dismissals: Iterable[Row]) -> KeptBadge:
    """A badge from columns of the badge table, and of its rows of the dismissal table."""
    parts = tuple(
        Part(one["subject"], one["value"], Level(one["level"]), one["stale"], one["badness"])
        for one in row["parts"]
    )
    seen = [Dismissal(one["subject"], Level(one["level"]), one["badness"]) for one in dismissals]
    return KeptBadge(
        Badge(row["name"], row["value"], Level(row["level"]), row["stale"], parts, row["listed"]),
        row["monitor"],
        badge_time,
        {one.subject: one for one in seen},
    )


def _numbered(answer: Runs, numbers: Mapping[str, int]) -> Runs:
    return replace(
        answer, runs=[replace(run, id=numbers.get(run.monitor, 0)) for run in answer.runs]
    )


def _badge_values(monitor: str, badge: Badge) -> dict[str, object]:
    return {
        "name": badge.name,
        "value": badge.value,
        "level": badge.level.value,
        "stale": badge.stale,
        "parts": [asdict(part) for part in badge.parts],
        "listed": badge.listed,
        "monitor": monitor,
    }


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
