"""Versions of the thresholds listed, compared and restored; every edit keeps one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.alerts.service.commits import Commits
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.unit_of_work import Store
from services.alerts.threshold_versions.domain import (
    KIND,
    after_restoration,
    content_of,
    restoration,
)
from services.alerts.thresholds.domain import Threshold
from services.alerts.thresholds.service.edits import KeptEdits, entry
from shared.paging import Page
from shared.versions.domain import Comparison, Version
from shared.versions.service import Versions


class VersionKeeper:
    """Keeps a version with every edit; see KeptEdits."""

    def __init__(self, kept_days: float) -> None:
        """See Versions."""
        self.versions = Versions(KIND, kept_days)

    async def keep(
        self, store: Store, before: Sequence[Threshold], reason: str, now: datetime
    ) -> None:
        """The thresholds as they are in this transaction; `before`: as they were."""
        was, after = content_of(before), content_of(await store.thresholds.all())
        await self.versions.keep(store.threshold_versions, was, after, reason, now)


class ThresholdVersions:
    """The versions."""

    def __init__(
        self, cache: SnapshotCache, commits: Commits, kept: KeptEdits, versions: Versions
    ) -> None:
        self._cache = cache
        self._commits = commits
        self._kept = kept
        self._versions = versions

    async def list(self, page_size: int, page_token: str) -> Page[Version]:
        """Newest first, each with what it changed; BAD_PAGE_TOKEN."""
        async with self._cache.begin_reading() as store:
            return await self._versions.list(store.threshold_versions, page_size, page_token)

    async def compare(self, number: int, other_number: int) -> Comparison:
        """From one version to another; number 0 is now. VERSION_NOT_FOUND."""
        async with self._cache.begin_reading() as store:
            present = content_of(await store.thresholds.all())
            return await self._versions.compare(
                store.threshold_versions, number, other_number, present
            )

    async def restore(self, number: int, last_number: int, *, dry_run: bool) -> Comparison:
        """The thresholds of a version, all or nothing, as a new version; `dry_run`: only what that
        would change. `last_number`: the newest one that the caller knows, 0 is not checked.

        VERSION_NOT_FOUND, ETAG_MISMATCH, VERSION_UNREADABLE.
        """
        now = self._cache.clock.now()
        async with self._commits.edit() as edit:
            kept = edit.store.threshold_versions
            wanted = await self._versions.wanted(kept, number, last_number)
            present = await edit.store.thresholds.all()
            way = restoration(present, wanted, now)
            before, after = content_of(present), after_restoration(present, way)
            if before != after and not dry_run:
                for _, row in way.written:
                    await edit.store.thresholds.write(row)
                for row in way.deleted:
                    await edit.store.thresholds.delete(row.scope.id)
                entries = [entry(was, row, now) for was, row in way.written]
                entries += [entry(row, None, now) for row in way.deleted]
                await self._kept.commit(edit, entries, f"RESTORED {number}", now)
            return await self._versions.would_change(kept, before, after)
