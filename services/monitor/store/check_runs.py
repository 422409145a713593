"""What check runs read first and write last, each in one statement: a cycle waits for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from services.monitor.domain.badges import Dismissal, KeptBadge
from services.monitor.domain.findings import Badge, Run, Runs, RunStatus, counted
from services.monitor.domain.incidents import Incident, Telling
from services.monitor.domain.settings import Chosen
from services.monitor.domain.states import Heartbeat, StoredMonitor
from shared import rows
from shared.database import fence
from shared.database.fence import Step
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction

# Badges as JSON, with what was dismissed of them.
KEPT_BADGES = (
    "coalesce(jsonb_agg(jsonb_build_object('badge', to_jsonb(badge), 'monitor', monitor,"
    " 'badge_time', badge_time, 'dismissals', coalesce((select jsonb_object_agg(subject,"
    " to_jsonb(seen)) from dismissal seen where seen.badge = badge.name), '{}'),"
    " 'demo', coalesce((select demo from beat), false)) order by badge.name), '[]')"
)
_STORED = Statement(
    "select names.name, setting.enabled, setting.interval_seconds, setting.threshold_percent,"
    " setting.notification_level, setting.channels, setting.snooze_seconds,"
    " setting.snoozed_until_time, setting.snoozed_time, setting.version,"
    " incident.id as incident_id, incident.members, incident.notified, incident.tellings,"
    " last_run.id, last_run.started_time, last_run.duration_seconds, last_run.status,"
    " last_run.metadata, last_run.error, last_run.cycle_id,"
    " newest.started_time as last_time, newest.status as last_status, newest.error as last_error,"
    f" (select {KEPT_BADGES} from badge where badge.monitor = names.name) as badges,"
    " (select call_time from beat) as call_time, (select demo from beat) as demo,"
    " (select make_interval(secs => cycle_interval_seconds) from beat) as cycle_interval"
    " from unnest(cast(:names as text[])) as names(name)"
    " left join setting on setting.monitor = names.name"
    " left join incident on incident.monitor = names.name"
    " left join lateral (select * from run where run.monitor = names.name and run.status <> 3"
    "  order by run.id desc limit 1) last_run on true"
    " left join lateral (select * from run where run.monitor = names.name"
    "  order by run.id desc limit 1) newest on true"
)
# A lost second of runs is run again; a notification is always flushed.
_KEEP = fence.single_statement(
    "written as ("
    " insert into run (monitor, started_time, duration_seconds, status, metadata, error, cycle_id)"
    " select monitor, started_time, duration_seconds, status, metadata, error, cycle_id"
    " from allowed, jsonb_populate_recordset(null::run, $8::jsonb)"
    " returning id, monitor),"
    " shown as ("
    " insert into badge (name, value, level, stale, parts, listed, monitor, badge_time)"
    " select name, value, level, stale, parts, listed, monitor, $7::timestamptz"
    " from allowed, jsonb_populate_recordset(null::badge, $9::jsonb)"
    " on conflict (name) do update set value = excluded.value, level = excluded.level,"
    "  stale = excluded.stale, parts = excluded.parts, listed = excluded.listed,"
    "  badge_time = excluded.badge_time where badge.monitor = excluded.monitor),"
    " gone as ("
    " delete from badge using allowed, jsonb_populate_recordset(null::badge, $10::jsonb) as one"
    " where badge.name = one.name and badge.monitor = one.monitor),"
    " forgotten as ("
    " delete from dismissal"
    " using allowed, jsonb_populate_recordset(null::dismissal, $14::jsonb) as one"
    " where dismissal.badge = one.badge and (one.subject is null or dismissal.subject ="
    " one.subject)),"
    " lowered as ("
    " update dismissal set level = one.level"
    " from allowed, jsonb_populate_recordset(null::dismissal, $15::jsonb) as one"
    " where dismissal.badge = one.badge and dismissal.subject = one.subject),"
    " beaten as ("
    " insert into beat (id, call_time, cycle_interval_seconds, demo)"
    " select 1, $7::timestamptz, extract(epoch from $11::interval)::float8, $16::boolean"
    " from allowed where $12::boolean"
    " on conflict (id) do update set call_time = excluded.call_time, cycle_interval_seconds ="
    "  coalesce(excluded.cycle_interval_seconds, beat.cycle_interval_seconds),"
    "  demo = coalesce(excluded.demo, beat.demo)),"
    " done as (select case when $13::boolean then set_config('synchronous_commit', 'off', true) end"
    "  from allowed)",
    returned="(select jsonb_object_agg(monitor, id) from written)",
)
_NUMBERS = Statement("select monitor, id from run where cycle_id = :cycle_id")
_CLAIM = Statement(
    "insert into claim (monitor, until_time)"
    " select * from unnest(cast(:names as text[]), cast(:ends as timestamptz[]))"
    " on conflict (monitor) do update set until_time = excluded.until_time"
    # A claim from beyond any claim's length was made by a clock that was wrong.
    " where claim.until_time <= :now or claim.until_time > excluded.until_time"
    " returning monitor"
)
_DROP_BADGES = Statement(
    "delete from badge where monitor <> all(cast(:names as text[])) returning name"
)
_DROP_DISMISSALS = Statement("delete from dismissal where badge not in (select name from badge)")
_DROP_INCIDENTS = Statement("delete from incident where monitor <> all(cast(:names as text[]))")
_badges = TypeAdapter(tuple[KeptBadge, ...])
_members = TypeAdapter(dict[str, datetime | None])
_tellings = TypeAdapter(tuple[Telling, ...])
_runs = TypeAdapter(tuple[Run, ...])


@dataclass(frozen=True, slots=True)
class BadgeChanges:
    """Badges that are new or other than they were, and those that are gone, by monitor; dismissals
    to forget (None = all of the badge's) and to lower, by badge.
    """

    badges: list[tuple[str, Badge]] = field(default_factory=list)
    gone: list[tuple[str, str]] = field(default_factory=list)
    forgotten: list[tuple[str, str | None]] = field(default_factory=list)
    lowered: list[tuple[str, Dismissal]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What check runs write; `is_beat`: a cycle asked for them."""

    runs: Sequence[Run]
    changes: BadgeChanges
    is_beat: bool
    cycle_interval: timedelta | None
    without_flush: bool
    demo: bool | None


class CheckRunRows:
    """What is kept of the monitors, and what their runs change of it."""

    _transaction: Transaction

    async def stored(self, names: Sequence[str]) -> tuple[dict[str, StoredMonitor], Heartbeat]:
        """Where each of the monitors stands, and the heartbeat; `names` is not empty."""
        found = await self._transaction.fetch(_STORED, names=list(names))
        return {row["name"]: _stored_monitor(row) for row in found}, rows.read(Heartbeat, found[0])

    async def keep(self, step: Step, outcome: Outcome, now: datetime) -> tuple[Runs, bool]:
        """Append the runs, set the badges, remember the answer; the answer, and False when it was
        known.

        What is remembered is without metadata. Raises Conflict STALE_EPOCH.
        """
        changes = outcome.changes
        made = await fence.attempt(
            self._transaction.driver.fetch,
            _KEEP,
            step,
            counted([replace(run, metadata={}) for run in outcome.runs]),
            now,
            _runs.dump_json(tuple(outcome.runs)).decode(),
            json.dumps([{"monitor": name, **asdict(badge)} for name, badge in changes.badges]),
            json.dumps([{"monitor": monitor, "name": name} for monitor, name in changes.gone]),
            outcome.cycle_interval,
            outcome.is_beat,
            outcome.without_flush,
            json.dumps([{"badge": name, "subject": one} for name, one in changes.forgotten]),
            json.dumps([{"badge": name, **asdict(one)} for name, one in changes.lowered]),
            outcome.demo,
        )
        if made.recorded is None:
            return _numbered(counted(outcome.runs), json.loads(made.returned or "{}")), True
        found = await self._transaction.fetch(_NUMBERS, cycle_id=step.cycle_id)
        return _numbered(made.recorded, {row["monitor"]: row["id"] for row in found}), False

    async def drop_uninstalled(self, names: Sequence[str]) -> list[str]:
        """Delete badges, dismissals, incidents of monitors not among `names`; badge names."""
        gone = await self._transaction.fetch(_DROP_BADGES, names=list(names))
        await self._transaction.execute(_DROP_DISMISSALS)
        await self._transaction.execute(_DROP_INCIDENTS, names=list(names))
        return [row["name"] for row in gone]

    async def claim(self, ends: Mapping[str, datetime], now: datetime) -> set[str]:
        """Those of the monitors that no other process runs now; ours until the times given."""
        won = await self._transaction.fetch(
            _CLAIM, names=list(ends), ends=list(ends.values()), now=now
        )
        return {row["monitor"] for row in won}


def _stored_monitor(row: Row) -> StoredMonitor:
    return rows.read(
        StoredMonitor,
        row,
        chosen=Chosen() if row["version"] is None else rows.read(Chosen, row),
        last_run=None if row["id"] is None else rows.read(Run, row, monitor=row["name"]),
        last_skipped=row["last_error"] if row["last_status"] == RunStatus.SKIPPED else "",
        incident=None if row["incident_id"] is None else read_incident(row, row["incident_id"]),
        badges=read_badges(row["badges"]),
    )


def read_incident(row: Row, id: str) -> Incident:
    """An open incident from columns of its table."""
    return rows.read(
        Incident,
        row,
        id=id,
        members=_members.validate_json(row["members"]),
        tellings=_tellings.validate_json(row["tellings"]),
    )


def read_badges(text: str) -> tuple[KeptBadge, ...]:
    """What KEPT_BADGES gives."""
    return _badges.validate_json(text)


def _numbered(answer: Runs, numbers: Mapping[str, int]) -> Runs:
    return replace(
        answer, runs=[replace(run, id=numbers.get(run.monitor, 0)) for run in answer.runs]
    )
