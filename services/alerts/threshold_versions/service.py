"""Versions of the thresholds listed, compared and restored; every edit keeps one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.alerts.ledger.domain.chain import Entry
from services.alerts.service.commits import Commits, Edit
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.unit_of_work import Store
from services.alerts.threshold_versions.domain import (
    Content,
    SettingChange,
    Version,
    after_restoration,
    content_of,
    differences,
    oldest_kept,
    restoration,
)
from services.alerts.thresholds.domain import Threshold
from services.alerts.thresholds.service.edits import KeptEdits, entry
from shared import paging
from shared.errors import Conflict, NotFound
from shared.paging import Page
from shared.rpc import call


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, and the newest version there is (0: none)."""

    changes: Sequence[SettingChange]
    last_number: int


class VersionKeeper:
    """Keeps a version with every edit; see KeptEdits."""

    def __init__(self, kept: timedelta | None) -> None:
        """`kept`: older versions are forgotten with the next edit; None: never."""
        self._kept = kept

    async def keep(
        self, store: Store, before: Sequence[Threshold], reason: str, now: datetime
    ) -> None:
        """The thresholds as they are in this transaction; `before`: as they were."""
        was, after = content_of(before), content_of(await store.thresholds.all())
        if was == after:
            return
        if not await store.versions.last_number():
            # What there was before the first edit that was kept.
            await store.versions.append(was, "", "FIRST", now)
        await store.versions.append(after, call.person(), reason, now)
        oldest = oldest_kept(now, self._kept)
        if oldest is not None:
            await store.versions.forget(oldest)


class ThresholdVersions:
    """The versions."""

    def __init__(self, cache: SnapshotCache, commits: Commits, kept: KeptEdits) -> None:
        self._cache = cache
        self._commits = commits
        self._kept = kept

    async def list(self, page_size: int, page_token: str) -> Page[Version]:
        """Newest first, each with what it changed; BAD_PAGE_TOKEN."""
        context = paging.context("threshold versions")
        page = paging.parse(page_size, page_token, context=context)
        async with self._cache.begin_reading() as store:
            rows = await store.versions.page(page)
        older = [*rows[1:], None][: len(rows)]
        told = [
            replace(row, changes=differences(before.content, row.content)) if before else row
            for row, before in zip(rows, older, strict=True)
        ]
        return paging.cut(told, page, context, lambda row: (row.number,))

    async def compare(self, number: int, other_number: int) -> Comparison:
        """From one version to another; number 0 is now. VERSION_NOT_FOUND."""
        async with self._cache.begin_reading() as store:
            contents = [await _content(store, one) for one in (number, other_number)]
            return Comparison(differences(*contents), await store.versions.last_number())

    async def restore(self, number: int, last_number: int, *, dry_run: bool) -> Comparison:
        """The thresholds of a version, all or nothing, as a new version; `dry_run`: only what that
        would change. `last_number`: the newest one that the caller knows, 0 is not checked.

        VERSION_NOT_FOUND, ETAG_MISMATCH, VERSION_UNREADABLE.
        """
        now = self._cache.clock.now()
        async with self._commits.edit() as edit:
            newest = await edit.store.versions.last_number()
            if last_number and last_number != newest:
                raise Conflict(
                    "ETAG_MISMATCH",
                    f"the thresholds were changed since: version {newest} is the newest; look "
                    "again at what would change",
                )
            wanted = await _version(edit.store, number)
            present = await edit.store.thresholds.all()
            way = restoration(present, wanted.content, now)
            changes = differences(content_of(present), after_restoration(present, way))
            if changes and not dry_run:
                for _, after in way.written:
                    await edit.store.thresholds.write(after)
                for row in way.deleted:
                    await edit.store.thresholds.delete(row.scope.id)
                entries = [entry(before, after, now) for before, after in way.written]
                entries += [entry(row, None, now) for row in way.deleted]
                newest = await self._restored(edit, entries, number, now)
        return Comparison(changes, newest)

    async def _restored(
        self,
        edit: Edit,
        entries: Sequence[Entry],
        number: int,
        now: datetime,
    ) -> int:
        await self._kept.commit(edit, entries, f"RESTORED {number}", now)
        return await edit.store.versions.last_number()


async def _version(store: Store, number: int) -> Version:
    found = await store.versions.get(number)
    if found is None:
        raise NotFound("VERSION_NOT_FOUND", f"no version {number} of the thresholds is kept")
    return found


async def _content(store: Store, number: int) -> Content:
    if not number:
        return content_of(await store.thresholds.all())
    return (await _version(store, number)).content
