"""Thresholds listed and edited; every edit is a row of the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.alerts.domain.ledger import Entry
from services.alerts.domain.thresholds import (
    Scope,
    Threshold,
    check_limits,
    check_scope,
    scope_from_id,
)
from services.alerts.service.desk import Desk
from shared import paging
from shared.errors import Conflict, InvalidArgument, NotFound
from shared.paging import Page

CHANGEABLE = ("low", "medium", "high", "enabled", "low_channels", "medium_channels", "high_channels")


@dataclass(frozen=True, slots=True)
class Edit:
    """A wish: which threshold by id or scope, the values of the fields to change, the etag read before."""

    id: str
    scope: Scope | None
    values: Mapping[str, Any]
    etag: str
    allow_missing: bool


class Limits:
    """The thresholds."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(self, page_size: int, page_token: str) -> Page[Threshold]:
        """By id."""
        context = paging.context("thresholds")
        page = paging.parse(page_size, page_token, context=context)
        async with self._desk.begin_reading() as store:
            rows = await store.thresholds.page(page)
        return paging.cut(rows, page, context, lambda row: (row.scope.id,))

    async def update(self, edit: Edit) -> Threshold:
        """Change or make one. THRESHOLD_NOT_FOUND, ETAG_MISMATCH, LIMITS_OUT_OF_ORDER, INVALID_FIELD."""
        now = self._desk.clock.now()
        scope = _scope(edit)
        async with self._desk.begin() as store:
            await store.docket.lock()
            present = await store.thresholds.get(edit.id or (scope.id if scope else ""))
            before = present or _missing(edit, scope, now)
            if edit.etag and edit.etag != before.etag:
                raise Conflict("ETAG_MISMATCH", "the threshold changed since it was read; read it again")
            after = replace(before, **edit.values, revision=before.revision + 1, updated_time=now)
            check_limits(after)
            await store.thresholds.write(after)
            await self._desk.write(store, [_entry(present, after, now)])
        return after


def _scope(edit: Edit) -> Scope | None:
    """What the edit is about, where it says so; INVALID_FIELD when id and scope are of two thresholds."""
    spelled = scope_from_id(edit.id) if edit.id else None
    if edit.scope is not None and edit.id and edit.scope.id != edit.id:
        problem = f"type, class, condition and asset spell {edit.scope.id}"
        raise InvalidArgument("INVALID_FIELD", problem, fields={"threshold.id": problem})
    return edit.scope or spelled


def _missing(edit: Edit, scope: Scope | None, now: datetime) -> Threshold:
    """The threshold to be made; it judges unless the edit says otherwise."""
    if not edit.allow_missing or scope is None:
        raise NotFound("THRESHOLD_NOT_FOUND", f"no threshold {edit.id[:80]!r}")
    check_scope(scope)
    return Threshold(scope, None, None, None, True, (), (), (), 0, now)


def _entry(before: Threshold | None, after: Threshold, now: datetime) -> Entry:
    inputs = {"before": None if before is None else _plain(before), "after": _plain(after)}
    text = json.dumps(inputs)
    scope = after.scope
    return Entry(now, "", scope.type, "person", "THRESHOLD_CHANGED", 0, 0, None, None, text, "", scope.id)


def _plain(threshold: Threshold) -> dict[str, Any]:
    return {name: getattr(threshold, name) for name in CHANGEABLE}


def channel_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names of channels as the notification service writes them, each once."""
    return tuple(dict.fromkeys(name.strip().lower() for name in names if name.strip()))
