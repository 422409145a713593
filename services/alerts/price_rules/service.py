"""Price rules: edited by people, judged by the prices of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Any

from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.alerts.domain.readings import Reading
from services.alerts.domain.kinds import AlertType, Level
from services.alerts.ledger.domain.chain import Entry
from services.alerts.price_rules.domain.rule_texts import rule_incident_id, rule_payload
from services.alerts.price_rules.domain.rules import (
    Event,
    Observation,
    Rule,
    RuleState,
    Sample,
    check,
    judge_rule,
    window_of,
)
from services.alerts.service.commits import Commits, Decision, Edit, Entries, Notice
from services.alerts.service.known_names import Channels, check_asset
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.service_state import ServiceState, new_version
from services.alerts.store.unit_of_work import Store
from shared import paging
from shared.clock import micros_of
from shared.errors import Conflict, NotFound
from shared.paging import Page
from shared.rpc import call


@dataclass(frozen=True, slots=True)
class RuleEvent:
    """One event, as a caller sees it; levels as numbers."""

    rule_id: str
    asset: str
    level_before: int
    level_after: int
    price_usd: float
    notified: bool


class PriceRules:
    """The price rules."""

    def __init__(self, cache: SnapshotCache, commits: Commits, channels: Channels) -> None:
        self._cache = cache
        self._commits = commits
        self._channels = channels

    async def list(self, page_size: int, page_token: str) -> Page[Rule]:
        """Oldest first."""
        context = paging.context("rules")
        page = paging.parse(page_size, page_token, context=context)
        async with self._cache.begin_reading() as store:
            rows = await store.rules.page(page)
        return paging.cut(rows, page, context, lambda rule: (rule.rule_key,))

    async def get(self, id: str) -> Rule:
        """RULE_NOT_FOUND."""
        async with self._cache.begin_reading() as store:
            return await _present(store, id, "")

    async def create(self, rule: Rule) -> Rule:
        """Its first price is its anchor. INVALID_FIELD, UNKNOWN_NAME, XCOM_UNAVAILABLE."""
        check(rule)
        await self._channels.check(rule.channels, (), "rule.channels")
        now = self._cache.clock.now()
        async with self._commits.edit() as edit:
            state = edit.snapshot.service_state
            check_asset(rule.asset, state, "rule.asset")
            made = replace(rule, rule_key=state.next_rule_key, created_micros=micros_of(now))
            await edit.store.rules.write([made])
            state = replace(state, next_rule_key=state.next_rule_key + 1)
            await _write(edit, state, Entries.of([_edited("CREATED", None, made, now)]))
        return made

    async def update(self, id: str, etag: str, values: Mapping[str, Any]) -> Rule:
        """Change fields; an armed rule, or one that measures something else, begins anew.

        RULE_NOT_FOUND, ETAG_MISMATCH, INVALID_FIELD, UNKNOWN_NAME, XCOM_UNAVAILABLE.
        """
        now = self._cache.clock.now()
        if values.get("channels"):
            async with self._cache.begin_reading() as store:
                named = (await _present(store, id, etag)).channels
            await self._channels.check(values["channels"], named, "rule.channels")
        async with self._commits.edit() as edit:
            before = await _present(edit.store, id, etag)
            after = _changed(before, values, micros_of(now))
            check(after)
            await edit.store.rules.write([after])
            await _write_end(edit, "UPDATED", before, after, now)
        return after

    async def delete(self, id: str, etag: str) -> None:
        """RULE_NOT_FOUND, ETAG_MISMATCH."""
        now = self._cache.clock.now()
        async with self._commits.edit() as edit:
            rule = await _present(edit.store, id, etag)
            await edit.store.rules.delete(rule.rule_key)
            await _write_end(edit, "DELETED", rule, None, now)

    async def judge(
        self, store: Store, prices: Mapping[str, Reading], now_micros: int, guarded_micros: int
    ) -> JudgedRules:
        """Every rule by the prices of an evaluation; cooldowns by the guarded clock."""
        observations = [
            (rule, observation)
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


async def _write(edit: Edit, state: ServiceState, entries: Entries) -> None:
    """An edit of a rule, beside which evaluations begin anew."""
    state = replace(state, rule_version=new_version())
    await edit.write(Decision(None, state, edit.snapshot.columns, entries=entries))


async def _write_end(
    edit: Edit, reason: str, before: Rule, after: Rule | None, now: datetime
) -> None:
    """Who ends or begins anew what was notified at HIGH knows of it: nobody is woken."""
    stands = after is not None and after.enabled and after.state is before.state
    is_noted = before.notified_level == Level.HIGH and not stands
    entries = Entries.of(
        [_edited(reason, before, after, now)], [Notice(0, noted=True)] if is_noted else ()
    )
    await _write(edit, edit.snapshot.service_state, entries)


async def _present(store: Store, id: str, etag: str) -> Rule:
    digits = id.removeprefix("rule-")
    known = digits != id and digits.isascii() and digits.isdecimal() and len(digits) < 19
    rule = await store.rules.get(int(digits)) if known else None
    if rule is None:
        raise NotFound("RULE_NOT_FOUND", f"no market rule {id[:80]!r}")
    if etag and etag != rule.etag:
        raise Conflict("ETAG_MISMATCH", "the rule changed since it was read; read it again")
    return rule


def _changed(before: Rule, values: Mapping[str, Any], now_micros: int) -> Rule:
    after = replace(before, **values, revision=before.revision + 1)
    measured = {"direction", "threshold", "recurrence", "window_seconds"} & set(values)
    if values.get("armed") or measured:
        after = replace(after.rearmed(), armed=values.get("armed", before.armed))
    anchor = values.get("anchor_price_usd")
    if anchor is not None:
        after = replace(
            after, anchor_price_usd=anchor, anchor_micros=now_micros, state=RuleState.NORMAL
        )
    return after


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
        event.rule.id, event.rule.asset, before, after, event.price_usd, event.notified
    )


def _edited(reason: str, before: Rule | None, after: Rule | None, now: datetime) -> Entry:
    """Settings as they were and are; of an edit those alone that changed."""
    rule = after or before
    id, asset = (rule.id, rule.asset) if rule else ("", "")
    was, now_is = _plain(before), _plain(after)
    if was is not None and now_is is not None:
        changed = [name for name in now_is if now_is[name] != was[name]]
        was, now_is = ({name: each[name] for name in changed} for each in (was, now_is))
    inputs: dict[str, Any] = {"before": was, "after": now_is}
    if before is not None and before.incident_count:
        inputs["incident_id"] = rule_incident_id(before)
    text = json.dumps(inputs)
    return Entry(
        now, id, AlertType.PRICE_THRESHOLD, call.person(), reason, 0, 0, None, None, text, "", asset
    )


_RECORDED: Sequence[str] = (
    "metric",
    "direction",
    "threshold",
    "recurrence",
    "window_seconds",
    "cooldown_seconds",
    "level",
    "enabled",
    "channels",
    "notes",
    "armed",
    "anchor_price_usd",
)


def _plain(rule: Rule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {name: _acknowledgement(getattr(rule, name)) for name in _RECORDED}


def _acknowledgement(value: object) -> object:
    """Names instead of numbers."""
    return value.name if isinstance(value, IntEnum) else value
