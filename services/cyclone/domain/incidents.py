"""Deaths: a failed cycle or a service that stays down is an incident, notified once, until it
is over.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from services.cyclone.domain import steps
from services.cyclone.domain.cycle import Cause, Cycle, CycleState, Step
from services.cyclone.domain.outcomes import is_without_positions

CYCLE = "cycle"
_NOT_JUDGED = "Positions were not judged."
# One call that finds nobody may be a restart; two cycles in a row are not.
DOWN_CYCLES = 2


class NotifiedBy(Enum):
    """Who has notified people that the incident is on."""

    NOBODY = "NOBODY"
    ALERTS = "ALERTS"
    XCOM = "XCOM"


@dataclass(frozen=True, slots=True)
class Incident:
    """What is watched under one name; `bad_count` cycles in a row, an incident once `open`.

    `id` is the same for one incident however often it is notified, and new for the next one.
    `resolving`: it is over, and whoever was notified that it began has still to be notified.
    """

    name: str
    bad_count: int = 0
    open: bool = False
    id: str = ""
    summary: str = ""
    notified_by: NotifiedBy = NotifiedBy.NOBODY
    resolving: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to notify: after which cycle, under which epoch, of a demo, how long each call."""

    cycle_id: str
    epoch: int
    demo: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What one cycle says about one name; `limit` bad cycles in a row make an incident."""

    name: str
    bad: bool
    summary: str = ""
    limit: int = 1


def findings(cycle: Cycle, up: Collection[str], down: Mapping[str, str]) -> list[Finding]:
    """What a cycle that ended says: of itself (only when it was to judge) and of each service it
    called.

    A cycle that judged without the positions is as bad as one that failed. `down` maps a service to
    the sentence of its failure; a service that failed once and answered once is up. A cycle that a
    stream pulled says only what is well: they may follow each other faster than a server restarts.
    """
    found = []
    if cycle.state is not CycleState.CANCELLED and _step(cycle, steps.EVALUATE_ALERTS):
        words, limit = _undone(cycle)
        found.append(Finding(CYCLE, bool(words), f"{words} {cycle.message}".strip(), limit))
    for service in sorted({*up, *down}):
        why = down.get(service, "") if service not in up else ""
        summary = f"The {service} service does not answer: {why}"
        found.append(Finding(f"service:{service}", service not in up, summary, DOWN_CYCLES))
    return [each for each in found if not (cycle.cause is Cause.STREAM and each.bad)]


def changed(known: Mapping[str, Incident], found: Iterable[Finding], new_id: str) -> list[Incident]:
    """The incidents that differ after the findings; `new_id` begins the ids of new ones."""
    after = [(known.get(each.name, Incident(each.name)), each) for each in found]
    return [new for old, each in after if (new := _after(old, each, new_id)) != old]


def unnotified(known: Iterable[Incident]) -> list[Incident]:
    """Those of which somebody has still to be notified."""
    return [
        each
        for each in known
        if each.resolving or (each.open and each.notified_by is NotifiedBy.NOBODY)
    ]


def _undone(cycle: Cycle) -> tuple[str, int]:
    """What the cycle was for and did not do, empty: nothing; and after how many in a row it counts.
    That alerts did not get the positions once may be a restart.
    """
    if cycle.state is CycleState.FAILED:
        return "The cycle failed.", 1
    if steps.is_useless(_step(cycle, steps.ENRICH_POSITIONS)):
        return _NOT_JUDGED, 1
    if is_without_positions(_step(cycle, steps.EVALUATE_ALERTS)):
        return _NOT_JUDGED, DOWN_CYCLES
    making = _step(cycle, steps.CREATE_ALERTS)
    if steps.is_useless(making) or is_without_positions(making):
        return "New positions get no alerts.", DOWN_CYCLES
    return "", 1


def _step(cycle: Cycle, name: str) -> Step | None:
    return next((step for step in cycle.steps if step.name == name), None)


def _after(old: Incident, found: Finding, new_id: str) -> Incident:
    if not found.bad:
        # Nobody was notified that it began, so nobody of its end.
        return replace(
            old,
            bad_count=0,
            open=False,
            resolving=old.resolving or (old.open and old.notified_by is not NotifiedBy.NOBODY),
        )
    bad_count = min(old.bad_count + 1, found.limit)
    if old.open or bad_count < found.limit:
        return replace(old, bad_count=bad_count)
    return Incident(found.name, bad_count, True, f"{new_id}-{found.name}", found.summary)
