"""Price rules listed and edited by people; every edit is a row of the ledger and a version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import IntEnum
from typing import Any

from services.alerts.domain.kinds import AlertType, Level
from services.alerts.ledger.domain.chain import Entry
from services.alerts.price_rules.domain.edits import changed, check, rule_key_of
from services.alerts.price_rules.domain.rule_texts import rule_incident_id
from services.alerts.price_rules.domain.rules import SETTINGS, Rule
from services.alerts.price_rules.domain.versions import KIND, rules_content
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
from shared.versions.service import Versions

# A rule before and after; None: it was not, or is no more.
RuleChange = tuple[Rule | None, Rule | None]


class KeptRules:
    """The one way by which people change price rules: with their entries and a version of all."""

    def __init__(self, kept_days: float) -> None:
        """See Versions."""
        self.versions = Versions(KIND, kept_days)

    async def commit(
        self,
        edit: Edit,
        changes: Sequence[RuleChange],
        reason: str,
        now: datetime,
        state: ServiceState | None = None,
    ) -> None:
        """Write them; `reason`: of the version. Evaluations beside it begin anew."""
        store = edit.store
        was = rules_content(await store.rules.all())
        for before, after in changes:
            if before is not None and after is None:
                await store.rules.delete(before.rule_key, now)
        await store.rules.write([after for _, after in changes if after is not None])
        is_now = rules_content(await store.rules.all())
        await self.versions.keep(store.rule_versions, was, is_now, reason, now)
        await store.rules.forget_ends()
        # Who ends or begins anew what was notified at HIGH knows of it: nobody is woken.
        notices = [
            Notice(place, noted=True) for place, one in enumerate(changes) if _ends_high(*one)
        ]
        entries = Entries.of([_edited(*one, now) for one in changes], notices)
        state = replace(state or edit.snapshot.service_state, rule_version=new_version())
        await edit.write(Decision(None, state, edit.snapshot.columns, entries=entries))


class PriceRules:
    """The price rules."""

    def __init__(
        self, cache: SnapshotCache, commits: Commits, channels: Channels, kept: KeptRules
    ) -> None:
        self._kept = kept
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
            state = replace(state, next_rule_key=state.next_rule_key + 1)
            await self._kept.commit(edit, [(None, made)], "ADDED", now, state)
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
            after = changed(before, values, micros_of(now))
            check(after)
            await self._kept.commit(edit, [(before, after)], "CHANGED", now)
        return after

    async def delete(self, id: str, etag: str) -> None:
        """RULE_NOT_FOUND, ETAG_MISMATCH."""
        now = self._cache.clock.now()
        async with self._commits.edit() as edit:
            rule = await _present(edit.store, id, etag)
            await self._kept.commit(edit, [(rule, None)], "DELETED", now)


def _ends_high(before: Rule | None, after: Rule | None) -> bool:
    stands = (
        before is not None and after is not None and after.enabled and after.state is before.state
    )
    return before is not None and before.notified_level == Level.HIGH and not stands


async def _present(store: Store, id: str, etag: str) -> Rule:
    key = rule_key_of(id)
    rule = None if key is None else await store.rules.get(key)
    if rule is None:
        raise NotFound("RULE_NOT_FOUND", f"no market rule {id[:80]!r}")
    if etag and etag != rule.etag:
        raise Conflict("ETAG_MISMATCH", "the rule changed since it was read; read it again")
    return rule


def _edited(before: Rule | None, after: Rule | None, now: datetime) -> Entry:
    """Settings as they were and are; of an edit those alone that changed."""
    reason = "CREATED" if before is None else "DELETED" if after is None else "UPDATED"
    rule = after or before
    id, asset = (rule.id, rule.asset) if rule else ("", "")
    was, now_is = _plain(before), _plain(after)
    if was is not None and now_is is not None:
        other = [name for name in now_is if now_is[name] != was[name]]
        was, now_is = ({name: each[name] for name in other} for each in (was, now_is))
    inputs: dict[str, Any] = {"before": was, "after": now_is}
    if before is not None and before.incident_count:
        inputs["incident_id"] = rule_incident_id(before)
    text = json.dumps(inputs)
    return Entry(
        now, id, AlertType.PRICE_THRESHOLD, call.person(), reason, 0, 0, None, None, text, "", asset
    )


_RECORDED = (*SETTINGS[1:], "armed", "anchor_price_usd")


def _plain(rule: Rule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {name: _acknowledgement(getattr(rule, name)) for name in _RECORDED}


def _acknowledgement(value: object) -> object:
    """Names instead of numbers."""
    return value.name if isinstance(value, IntEnum) else value
