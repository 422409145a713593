"""Price rules judged by the prices of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.alerts.domain.readings import Reading
from services.alerts.domain.kinds import AlertType, Level
from services.alerts.ledger.domain.chain import Entry
from services.alerts.price_rules.domain.rule_texts import rule_payload
from services.alerts.price_rules.domain.rules import (
    Event,
    Observation,
    Rule,
    Sample,
    judge_rule,
    unhindered,
    window_of,
)
from services.alerts.store.unit_of_work import Store


@dataclass(frozen=True, slots=True)
class RuleEvent:
    """One event, as a caller sees it; levels as numbers."""

    rule_id: str
    asset: str
    level_before: int
    level_after: int
    price_usd: float
    notified: bool
    # Whoever was called for it need not be called any more.
    ends_high: bool = False


@dataclass(frozen=True, slots=True)
class JudgedRules:
    """What prices made of the rules: those that moved, prices to be kept, events; and what was
    judged.
    """

    moved: Sequence[Rule]
    samples: Sequence[Sample]
    events: Sequence[Event]
    observed: Sequence[tuple[Rule, Observation]] = ()

    @property
    def are_moved(self) -> bool:
        return bool(self.moved or self.samples)

    @property
    def seen(self) -> Sequence[RuleEvent]:
        return [_seen(event) for event in self.events]

    def entries(self, context: ChangeContext, now: datetime) -> list[Entry]:
        """One for each event."""
        return [_entry(event, context, now) for event in self.events]

    async def write(self, store: Store) -> None:
        await store.rules.write(self.moved)
        await store.rules.keep_samples(self.samples)


NO_RULES = JudgedRules((), (), ())


async def judge_rules(
    store: Store, prices: Mapping[str, Reading], now_micros: int, guarded_micros: int
) -> JudgedRules:
    """Every rule by the prices of an evaluation; cooldowns by the guarded clock."""
    observations = [
        (unhindered(rule, observation, now_micros), observation)
        for rule in await store.rules.all()
        if (observation := _observation(rule, prices.get(rule.asset), now_micros)) is not None
    ]
    windows = {
        rule.rule_key: window
        for rule, observation in observations
        if (window := window_of(rule, observation.observed_micros)) is not None
    }
    kept = await store.rules.prices_in(windows)
    moved, events, samples, seen = [], [], {}, []
    for rule, observation in observations:
        if rule.rule_key in windows:
            is_sampled, oldest_usd = kept[rule.rule_key]
            window = windows[rule.rule_key]
            if not observation.stale and not is_sampled:
                samples[rule.asset] = Sample(
                    rule.asset, observation.observed_micros, observation.price_usd
                )
                if oldest_usd is None and observation.observed_micros >= window.since_micros:
                    oldest_usd = observation.price_usd
            observation = replace(observation, reference_usd=oldest_usd)
        seen.append((rule, observation))
        after, happened = judge_rule(rule, observation, guarded_micros)
        events += happened
        if after is not rule:
            moved.append(after)
    return JudgedRules(moved, list(samples.values()), events, seen)


def _observation(rule: Rule, reading: Reading | None, now_micros: int) -> Observation | None:
    """What a rule sees; None when its price was not asked for, is absent or cannot be one."""
    if (
        reading is None
        or reading.value is None
        or reading.value <= 0
        or not (rule.enabled and rule.armed)
    ):
        return None
    # Nobody knows how old a price without a time is.
    stale, micros = (
        reading.stale or not reading.observed_micros,
        reading.observed_micros or now_micros,
    )
    return Observation(reading.value, micros, stale)


def _entry(event: Event, context: ChangeContext, now: datetime) -> Entry:
    rule = event.rule
    before, after = _levels(event)
    return Entry(
        entry_time=now,
        alert_id=rule.id,
        type=AlertType.PRICE_THRESHOLD,
        actor="evaluation",
        reason="RAISED" if after > before else "LOWERED",
        level_before=before,
        level_after=after,
        value=event.price_usd,
        flip_value=None,
        inputs_json=json.dumps(rule_payload(event, context)),
        cycle_id=context.cycle_id,
        subject=rule.asset,
    )


def _levels(event: Event) -> tuple[Level, Level]:
    return event.rule.level_of(event.state_before), event.rule.level_of(event.state_after)


def _seen(event: Event) -> RuleEvent:
    before, after = _levels(event)
    return RuleEvent(
        event.rule.id,
        event.rule.asset,
        before,
        after,
        event.price_usd,
        event.notified,
        event.is_fall and after is Level.NORMAL and event.rule.notified_level == Level.HIGH,
    )
