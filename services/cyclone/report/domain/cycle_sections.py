"""The sections of what cyclone keeps itself: the cycle, its steps, its log, what changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from services.cyclone.domain import steps
from services.cyclone.domain.cycle import Cycle, CycleState, Event, Step, StepState
from services.cyclone.report.domain.document import Basis, Row, Section, Value, columns, section

_CYCLE = columns("name: fact", "value: value")
_STEPS = columns(
    "name: step",
    "state: state: state",
    "duration_ms: took: milliseconds",
    "attempt: tries: count",
    "counts: counts",
    "reason: reason",
    "message: message",
)
_LOG = columns(
    "event_time: time: time", "severity: severity: state", "source: source", "message: message"
)
_CHANGES = columns("subject: what", "before: before", "after: after", "why: why")


def cycle_section(cycle: Cycle, now: datetime) -> Section:
    """State, cause and times."""
    times = {
        "asked": cycle.created_time,
        "started": cycle.started_time,
        "ended": cycle.ended_time,
        "slot": cycle.slot_time,
    }
    facts: dict[str, Value] = {
        "id": cycle.id,
        "state": cycle.state.name,
        "why": cycle.message,
        "asked by": cycle.cause.name.lower(),
        **{name: at.isoformat() for name, at in times.items() if at is not None},
        "took": None if cycle.duration is None else _seconds(cycle),
        "simulated": "yes, DEMO" if cycle.demo else "no",
    }
    rows: list[Row] = [{"name": key, "value": value} for key, value in facts.items() if value]
    return section("cycle", "Cycle", Basis.CYCLE, now, _CYCLE, rows)


def steps_section(cycle: Cycle, now: datetime) -> Section:
    """Every step in order, with its milliseconds."""
    rows = [_step(step) for step in cycle.steps]
    return section("steps", "Steps", Basis.CYCLE, now, _STEPS, rows)


def log_section(events: Sequence[Event], *, more: bool, now: datetime) -> Section:
    """The lines of the cycle, oldest first."""
    rows: list[Row] = [
        {
            "event_time": event.event_time.isoformat(),
            "severity": event.severity.value,
            "source": event.source,
            "message": event.message,
        }
        for event in events
    ]
    return section("log", "Log", Basis.CYCLE, now, _LOG, rows, more=more)


def changes_section(
    before: Cycle | None, cycle: Cycle, ledger: Section, totals: Section, now: datetime
) -> Section:
    """What is different since the cycle before: levels first, then states, then sums."""
    rows = [
        *_levels(ledger),
        *_states(before, cycle),
        *_sums(totals),
    ]
    unknown = [part.title for part in (ledger, totals) if part.basis is Basis.NOT_READ]
    notes = [f"not compared, because not read: {', '.join(unknown)}"] if unknown else []
    if before is None:
        notes.append("the cycle before is not kept")
    elif not rows and not unknown:
        compared = "states, levels and sums" if totals.basis is Basis.CYCLE else "states and levels"
        notes.append(f"nothing: {compared} are those of the cycle before")
    return section(
        "changes",
        "Since the cycle before",
        Basis.CYCLE,
        now,
        _CHANGES,
        rows,
        more=ledger.more and len(rows) > 0,
        note="; ".join(notes),
    )


def eventful(before: CycleState | None, cycle: Cycle) -> bool:
    """Whether its state differs from that of the cycle before, or a level changed in it."""
    if cycle.state is not before:
        return True
    judged = next((step for step in cycle.steps if step.name == steps.EVALUATE_ALERTS), None)
    counts = judged.counts if judged else {}
    return bool(counts.get("raised") or counts.get("lowered"))


def headline(cycle: Cycle, alerts: Section, positions: Section) -> str:
    """How it stands: the worst alert in words, or that there is none, what is nearest to
    liquidation, or what is not known.
    """
    begin = f"{'DEMO, ' if cycle.demo else ''}{cycle.state.name}"
    if alerts.basis is Basis.NOT_READ:
        return f"{begin}. Alerts were not read: {alerts.problem}"
    worst = next((row for row in alerts.rows if row.get("level") not in (None, "NORMAL")), None)
    if worst is not None:
        about = " ".join(str(worst[key]) for key in ("asset", "side") if worst.get(key))
        about = about or str(worst.get("description") or worst.get("type"))
        words = f"{worst['level']}: {about}".strip()
        said = f"{begin}. {words}. {worst.get('why') or ''}".strip()
    else:
        said = f"{begin}. No alert is above NORMAL"
    if positions.basis is Basis.NOT_READ:
        return f"{said.rstrip('.')}; positions were not read: {positions.problem}"
    return f"{said.rstrip('.')}.{_nearest(positions)}"


def _nearest(positions: Section) -> str:
    row = next(iter(positions.rows), None)
    distance = row.get("liquidation_distance_percent") if row else None
    if row is None:
        return ""
    about = " ".join(str(row[key]) for key in ("asset", "side") if row.get(key))
    if not isinstance(distance, float):
        return " The distance to liquidation is not known of any position."
    if distance <= 0:
        return f" {about} is past its liquidation price."
    return f" Nearest to liquidation: {about}, {distance:.1f} %."


def _levels(ledger: Section) -> Iterable[Row]:
    for row in ledger.rows:
        if row.get("level_before") != row.get("level_after"):
            yield {
                "subject": f"{row.get('type')} {row.get('subject')}".strip(),
                "before": row.get("level_before"),
                "after": row.get("level_after"),
                "why": row.get("reason"),
            }


def _states(before: Cycle | None, cycle: Cycle) -> Iterable[Row]:
    if before is None:
        return
    if before.state is not cycle.state:
        yield _change("cycle", before.state.name, cycle.state.name, cycle.message)
    known = {step.name: step for step in before.steps}
    for step in cycle.steps:
        old = known.get(step.name)
        if old is not None and old.state is not step.state:
            yield _change(step.name, old.state.name, step.state.name, step.message or step.reason)


def _sums(totals: Section) -> Iterable[Row]:
    for row in totals.rows:
        if row.get("before") is not None and row.get("before") != row.get("value"):
            unit = f" ({row.get('unit')})" if row.get("unit") else ""
            yield {
                "subject": f"{row['name']}{unit}",
                "before": row["before"],
                "after": row.get("value"),
                "why": "",
            }


def _change(subject: str, before: str, after: str, why: str) -> Row:
    return {"subject": subject, "before": before, "after": after, "why": why}


def _step(step: Step) -> Row:
    took = step.duration_seconds
    return {
        "name": step.name,
        "state": step.state.name,
        "duration_ms": None if took is None else round(took * 1000, 1),
        "attempt": float(step.attempt),
        "counts": ", ".join(f"{name} {count}" for name, count in step.counts.items()),
        "reason": step.reason,
        "message": step.message if step.state is not StepState.SUCCEEDED else "",
    }


def _seconds(cycle: Cycle) -> str:
    taken = cycle.duration
    return "" if taken is None else f"{taken.total_seconds():.3f} s"
