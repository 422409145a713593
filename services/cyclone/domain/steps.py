"""The table of steps: their order, what each waits for and what it needs; which may start now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from services.cyclone.domain.cycle import DONE, USABLE, Step, StepState

UPDATE_PRICES = "UPDATE_PRICES"
SYNC_POSITIONS = "SYNC_POSITIONS"
ENRICH_POSITIONS = "ENRICH_POSITIONS"
LINK_HEDGES = "LINK_HEDGES"
CREATE_ALERTS = "CREATE_ALERTS"
EVALUATE_ALERTS = "EVALUATE_ALERTS"
CLEAR_STALE_ALERTS = "CLEAR_STALE_ALERTS"
RECORD_SNAPSHOT = "RECORD_SNAPSHOT"
ADVISE_WITHDRAWALS = "ADVISE_WITHDRAWALS"
RUN_MONITORS = "RUN_MONITORS"
NOTIFY = "NOTIFY"


@dataclass(frozen=True, slots=True)
class Rule:
    """Waits until those in `after` are done; skipped when one in `needs` gave nothing usable."""

    name: str
    service: str
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


RULES = (
    Rule(UPDATE_PRICES, "price"),
    Rule(SYNC_POSITIONS, "positions", after=(UPDATE_PRICES,)),
    Rule(ENRICH_POSITIONS, "positions", after=(SYNC_POSITIONS,)),
    Rule(LINK_HEDGES, "hedges", after=(ENRICH_POSITIONS,), needs=(ENRICH_POSITIONS,)),
    # Even when positions cannot be read: their levels hold, the market's need none of them.
    Rule(CREATE_ALERTS, "alerts", after=(ENRICH_POSITIONS,)),
    Rule(EVALUATE_ALERTS, "alerts", after=(CREATE_ALERTS,)),
    Rule(
        CLEAR_STALE_ALERTS,
        "alerts",
        after=(EVALUATE_ALERTS,),
        needs=(EVALUATE_ALERTS, CREATE_ALERTS, SYNC_POSITIONS),
    ),
    # Not beside the judging, which a warning waits for: it has the processors first.
    Rule(RECORD_SNAPSHOT, "positions", after=(EVALUATE_ALERTS,), needs=(ENRICH_POSITIONS,)),
    # Of supply, not of positions: it waits for the judging as the snapshot does.
    Rule(ADVISE_WITHDRAWALS, "withdrawals", after=(EVALUATE_ALERTS,)),
    Rule(RUN_MONITORS, "monitor", after=(CLEAR_STALE_ALERTS,)),
    # What was judged is sent at once: no monitor that hangs may hold a warning back.
    Rule(NOTIFY, "alerts", after=(CLEAR_STALE_ALERTS,)),
)
NAMES = tuple(rule.name for rule in RULES)
BY_NAME: Mapping[str, Rule] = {rule.name: rule for rule in RULES}


def _closed(rules: Sequence[Rule]) -> dict[str, frozenset[str]]:
    """All that comes before each step: with a subset, the order holds across the steps left out."""
    earlier: dict[str, frozenset[str]] = {}
    for rule in rules:
        earlier[rule.name] = frozenset(rule.after).union(*(earlier[name] for name in rule.after))
    return earlier


EARLIER: Mapping[str, frozenset[str]] = _closed(RULES)


def ordered(asked: Iterable[str]) -> tuple[str, ...]:
    """The steps asked for in the cycle's order, each once; none asked for is all."""
    names = frozenset(asked)
    return tuple(name for name in NAMES if name in names) or NAMES


def resumed(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Steps as a new owner finds them: done ones stay, the one in flight is to run again."""
    return tuple(
        replace(step, state=StepState.PENDING) if step.state is StepState.RUNNING else step
        for step in steps
    )


def skipped(steps: Sequence[Step]) -> list[Step]:
    """The pending steps that cannot run any more, as SKIPPED with the reason, cascades included."""
    present = {step.name: step for step in steps}
    found = []
    for name in [step.name for step in steps if step.state is StepState.PENDING]:
        lost = next((need for need in BY_NAME[name].needs if is_useless(present.get(need))), None)
        if lost is not None:
            message = f"{lost} gave nothing to work on"
            present[name] = replace(
                present[name], state=StepState.SKIPPED, reason="NEED_FAILED", message=message
            )
            found.append(present[name])
    return found


def ready(steps: Sequence[Step]) -> list[str]:
    """The pending steps that may start now: all asked for that comes before them is done."""
    undone = {step.name for step in steps if step.state not in DONE}
    return [
        step.name
        for step in steps
        if step.state is StepState.PENDING and not EARLIER[step.name] & undone
    ]


def cancelled(steps: Iterable[Step]) -> list[Step]:
    """The steps a cancel leaves behind: those pending and in flight, as SKIPPED."""
    return [
        replace(
            step, state=StepState.SKIPPED, reason="CANCELLED", message="the cycle was cancelled"
        )
        for step in steps
        if step.state not in DONE
    ]


def is_useless(step: Step | None) -> bool:
    """Whether it is done and gave nothing to work on."""
    # A step that was not asked for counts as there.
    return step is not None and step.state in DONE and step.state not in USABLE
