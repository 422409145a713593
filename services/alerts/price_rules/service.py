"""Market rules: edited by people, judged by the prices of an evaluation."""

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
from services.alerts.ledger.domain import Entry
from services.alerts.notifications.service.record import enqueue
from services.alerts.price_rules.domain.rule_texts import rule_incident_id, rule_payload
from services.alerts.price_rules.domain.rules import (
    Event,
    Observation,
    Rule,
    RuleState,
    check,
    judge_rule,
)
from services.alerts.service.known_names import Channels, check_asset
from services.alerts.service.snapshot_cache import SnapshotCache, micros_of
from services.alerts.store.unit_of_work import Store
from shared import paging
from shared.errors import Conflict, NotFound
from shared.paging import Page


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
    """The market rules."""

    def __init__(self, cache: SnapshotCache, channels: Channels) -> None:
        self._cache = cache
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
        """A new one; its first price is its anchor. INVALID_FIELD, UNKNOWN_NAME,
        XCOM_UNAVAILABLE."""
        check(rule)
        await self._channels.check(rule.channels, (), "rule.channels")
        now = self._cache.clock.now()
        async with self._cache.begin() as store:
            service_state = await store.service_state.lock()
            check_asset(rule.asset, service_state, "rule.asset")
            made = replace(
                rule, rule_key=service_state.next_rule_key, created_micros=micros_of(now)
            )
            await store.service_state.change(next_rule_key=service_state.next_rule_key + 1)
            await store.rules.write([made])
            await self._cache.write(store, [_edited("CREATED", None, made, now)])
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
        async with self._cache.begin() as store:
            await store.service_state.lock()
            before = await _present(store, id, etag)
            after = _changed(before, values, micros_of(now))
            check(after)
            await store.rules.write([after])
            await self._record(store, "UPDATED", before, after, now)
        self._cache.outbox_filled()
        return after

    async def delete(self, id: str, etag: str) -> None:
        """RULE_NOT_FOUND, ETAG_MISMATCH."""
        now = self._cache.clock.now()
        async with self._cache.begin() as store:
            await store.service_state.lock()
            rule = await _present(store, id, etag)
            await store.rules.delete(rule.rule_key)
            await self._record(store, "DELETED", rule, None, now)
        self._cache.outbox_filled()

    async def _record(
        self, store: Store, reason: str, before: Rule, after: Rule | None, now: datetime
    ) -> None:
        """Who ends, switches off or begins anew what was notified at HIGH knows of it: nobody else
        is woken.
        """
        sealed = await self._cache.write(store, [_edited(reason, before, after, now)])
        stands = after is not None and after.enabled and after.state is before.state
        if before.notified_level == Level.HIGH and not stands:
            await enqueue(store, sealed, now, noted=True)

    async def judge(
        self, store: Store, prices: Mapping[str, Reading], context: ChangeContext, now: datetime
    ) -> Sequence[RuleEvent]:
        """Every rule by the prices of an evaluation, in its transaction."""
        moved: list[Rule] = []
        events: list[Event] = []
        clock_guard = self._cache.clock_guard.micros()
        for rule in await store.rules.all():
            observation = await _observation(
                store, rule, prices.get(rule.asset), context.now_micros
            )
            if observation is None:
                continue
            after, happened = judge_rule(rule, observation, clock_guard)
            events += happened
            if after is not rule:
                moved.append(after)
        await store.rules.write(moved)
        sealed = await self._cache.write(store, [_entry(event, context, now) for event in events])
        await enqueue(
            store, [row for event, row in zip(events, sealed, strict=True) if event.notified], now
        )
        return [_seen(event) for event in events]


async def _observation(
    store: Store, rule: Rule, single: Reading | None, now_micros: int
) -> Observation | None:
    """What a rule sees; None when its price was not asked for, is absent or cannot be one."""
    if (
        single is None
        or single.value is None
        or single.value <= 0
        or not (rule.enabled and rule.armed)
    ):
        return None
    # Nobody knows how old a price without a time is.
    stale, micros = single.stale or not single.observed_micros, single.observed_micros or now_micros
    reference = None
    if rule.window_seconds:
        if not stale:
            await store.rules.sample(rule.asset, single.value, micros)
        since = max(micros - rule.window_seconds * 1_000_000, rule.anchor_micros)
        reference = await store.rules.reference(rule.asset, since)
    return Observation(single.value, micros, stale, reference)


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
        now, id, AlertType.PRICE_THRESHOLD, "person", reason, 0, 0, None, None, text, "", asset
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
