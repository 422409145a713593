"""Thresholds listed and edited; every edit is a row of the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from services.alerts.ledger.domain.chain import Entry
from services.alerts.service.commits import Commits, Decision, Edit, Entries
from services.alerts.service.known_names import Channels, check_scope_asset, known_scope
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache
from services.alerts.store.unit_of_work import Store
from services.alerts.thresholds.domain import (
    CHANNELS,
    LIMITS,
    Scope,
    Threshold,
    built_in,
    check_limits,
    check_scope,
    scope_from_id,
)
from shared import paging
from shared.errors import AlreadyExists, Conflict, FailedPrecondition, NotFound, invalid
from shared.paging import Page
from shared.rpc import call

CHANGEABLE = (*LIMITS, "enabled", *CHANNELS)


@dataclass(frozen=True, slots=True)
class ThresholdEdit:
    """Which threshold, by id or scope; values of the fields to change; the etag read before."""

    id: str
    scope: Scope | None
    values: Mapping[str, Any]
    etag: str
    allow_missing: bool


class Keeper(Protocol):
    """Keeps versions of the thresholds."""

    async def keep(
        self, store: Store, before: Sequence[Threshold], reason: str, now: datetime
    ) -> None:
        """The thresholds as they are in this transaction; `before`: as they were."""
        ...


class KeptEdits:
    """The one way by which thresholds change: with their entries and a version of all of them."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    async def commit(
        self, written: Edit, entries: Sequence[Entry], reason: str, now: datetime
    ) -> None:
        """Other thresholds, by which readers see that theirs are old; `reason`: of the version."""
        await self._keeper.keep(written.store, written.snapshot.thresholds.rows, reason, now)
        state = written.snapshot.service_state
        after = replace(state, threshold_version=state.threshold_version + 1)
        await written.write(
            Decision(None, after, written.snapshot.columns, entries=Entries.of(entries))
        )


class ThresholdEdits:
    """The thresholds."""

    def __init__(
        self, cache: SnapshotCache, commits: Commits, channels: Channels, kept: KeptEdits
    ) -> None:
        self._kept = kept
        self._cache = cache
        self._commits = commits
        self._channels = channels

    async def list(self, page_size: int, page_token: str) -> Page[Threshold]:
        """By id."""
        context = paging.context("thresholds")
        page = paging.parse(page_size, page_token, context=context)
        async with self._cache.begin_reading() as store:
            rows = await store.thresholds.page(page)
        return paging.cut(rows, page, context, lambda row: (row.scope.id,))

    async def update(self, edit: ThresholdEdit) -> Threshold:
        """Change or make one.

        THRESHOLD_NOT_FOUND, ETAG_MISMATCH, LIMITS_OUT_OF_ORDER, INVALID_FIELD, UNKNOWN_NAME,
        XCOM_UNAVAILABLE.
        """
        now = self._cache.clock.now()
        scope = _scope(edit)
        await self._check_channels(scope, edit.values)
        async with self._commits.edit() as written:
            scope = _known(scope, written.snapshot)
            present = await _found(written.store, scope)
            before = present or _missing(edit, scope, now)
            if present is None:
                check_scope_asset(before.scope, written.snapshot, "threshold.asset")
            if edit.etag and edit.etag != before.etag:
                raise _overtaken()
            after = replace(before, **edit.values, revision=before.revision + 1, updated_time=now)
            check_limits(after, present)
            await written.store.thresholds.write(after)
            await self._kept.commit(written, [entry(present, after, now)], "CHANGED", now)
        return after

    async def create(self, scope: Scope, values: Mapping[str, Any]) -> Threshold:
        """ALREADY_THERE, LIMITS_OUT_OF_ORDER, UNKNOWN_NAME, INVALID_FIELD, XCOM_UNAVAILABLE."""
        check_scope(scope)
        now = self._cache.clock.now()
        await self._check_channels(scope, values)
        async with self._commits.edit() as written:
            scope = known_scope(scope, written.snapshot)
            check_scope_asset(scope, written.snapshot, "threshold.asset")
            if await written.store.thresholds.get(scope.id) is not None:
                raise AlreadyExists(
                    "ALREADY_THERE", f"there is a threshold {scope.id}; change that one"
                )
            fresh = {**values, "enabled": True, "revision": 1}
            made = replace(_empty(scope, now), **fresh)
            check_limits(made)
            await written.store.thresholds.write(made)
            await self._kept.commit(written, [entry(None, made, now)], "ADDED", now)
        return made

    async def reset(self, id: str, etag: str) -> Threshold:
        """As the product comes with it. THRESHOLD_NOT_FOUND, THRESHOLD_HAS_NO_DEFAULT,
        ETAG_MISMATCH.
        """
        now = self._cache.clock.now()
        async with self._commits.edit() as written:
            scope = _known(scope_from_id(id), written.snapshot)
            limits = None if scope is None else built_in(scope)
            present = await _found(written.store, scope)
            if scope is None or (present is None and limits is None):
                raise NotFound("THRESHOLD_NOT_FOUND", f"no threshold {id[:80]!r}")
            if limits is None:
                raise FailedPrecondition(
                    "THRESHOLD_HAS_NO_DEFAULT",
                    "this threshold was added by hand: delete it, and that of every asset holds",
                )
            before = present or _empty(scope, now)
            if etag and etag != before.etag:
                raise _overtaken()
            revision = before.revision + 1
            after = replace(_empty(scope, now), **limits._asdict(), revision=revision)
            await written.store.thresholds.write(after)
            await self._kept.commit(written, [entry(present, after, now)], "RESET", now)
        return after

    async def delete(self, id: str, etag: str) -> None:
        """The one of an asset. THRESHOLD_NOT_FOUND, THRESHOLD_IS_DEFAULT, ETAG_MISMATCH."""
        now = self._cache.clock.now()
        async with self._commits.edit() as written:
            before = await _found(written.store, _known(scope_from_id(id), written.snapshot))
            if before is None:
                raise NotFound("THRESHOLD_NOT_FOUND", f"no threshold {id[:80]!r}")
            if etag and etag != before.etag:
                raise _overtaken()
            if not before.scope.asset:
                raise FailedPrecondition(
                    "THRESHOLD_IS_DEFAULT",
                    "a threshold for every asset is only disabled, never deleted",
                )
            await written.store.thresholds.delete(before.scope.id)
            await self._kept.commit(written, [entry(before, None, now)], "DELETED", now)

    async def _check_channels(self, scope: Scope | None, values: Mapping[str, Any]) -> None:
        """Outside a transaction: somebody else is asked."""
        named = {name: values[name] for name in CHANNELS if values.get(name)}
        if not named:
            return
        async with self._cache.begin_reading() as store:
            snapshot = await self._cache.read(store)
            present = await _found(store, _known(scope, snapshot))
        for name, channels in named.items():
            before = () if present is None else getattr(present, name)
            await self._channels.check(channels, before, f"threshold.{name}")


def _scope(edit: ThresholdEdit) -> Scope | None:
    """What the edit is about; INVALID_FIELD when id and scope are of two thresholds."""
    spelled = scope_from_id(edit.id) if edit.id else None
    if edit.scope is not None and edit.id and edit.scope.id.upper() != edit.id.upper():
        problem = f"type, class, condition and asset spell {edit.scope.id}"
        raise invalid("threshold.id", problem, problem)
    return spelled or edit.scope


def _known(scope: Scope | None, snapshot: Snapshot) -> Scope | None:
    return None if scope is None else known_scope(scope, snapshot)


async def _found(store: Store, scope: Scope | None) -> Threshold | None:
    return None if scope is None else await store.thresholds.get(scope.id)


def _missing(edit: ThresholdEdit, scope: Scope | None, now: datetime) -> Threshold:
    """The threshold to be made; it judges unless the edit says otherwise."""
    if not edit.allow_missing or scope is None:
        raise NotFound("THRESHOLD_NOT_FOUND", f"no threshold {edit.id[:80]!r}")
    check_scope(scope)
    return _empty(scope, now)


def _overtaken() -> Conflict:
    return Conflict("ETAG_MISMATCH", "the threshold changed since it was read; read it again")


def _empty(scope: Scope, now: datetime) -> Threshold:
    return Threshold(scope, None, None, None, True, (), (), (), 0, now)


def entry(before: Threshold | None, after: Threshold | None, now: datetime) -> Entry:
    """The entry of an edit; None is a threshold that was not, or is no more."""
    text = json.dumps({"before": _plain(before), "after": _plain(after)})
    either = after or before
    alert_type, subject = (either.scope.type, either.scope.id) if either else (0, "")
    reason = "THRESHOLD_DELETED" if after is None else "THRESHOLD_CHANGED"
    return Entry(now, "", alert_type, call.person(), reason, 0, 0, None, None, text, "", subject)


def _plain(threshold: Threshold | None) -> dict[str, Any] | None:
    return None if threshold is None else {name: getattr(threshold, name) for name in CHANGEABLE}


def channel_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names of channels as the notification service writes them, each once."""
    return tuple(dict.fromkeys(name.strip().lower() for name in names if name.strip()))
