"""Versions of the price rules listed, compared and restored."""

from __future__ import annotations

from services.alerts.price_rules.domain.versions import (
    after_rules_restored,
    rules_content,
    rules_restored,
)
from services.alerts.price_rules.service.edits import KeptRules, RuleChange
from services.alerts.service.commits import Commits
from services.alerts.service.snapshot_cache import SnapshotCache
from shared.clock import micros_of
from shared.paging import Page
from shared.versions.domain import Comparison, Version


class RuleVersions:
    """The versions."""

    def __init__(self, cache: SnapshotCache, commits: Commits, kept: KeptRules) -> None:
        self._cache = cache
        self._commits = commits
        self._kept = kept

    async def list(self, page_size: int, page_token: str) -> Page[Version]:
        """Newest first, each with what it changed; BAD_PAGE_TOKEN."""
        async with self._cache.begin_reading() as store:
            return await self._kept.versions.list(store.rule_versions, page_size, page_token)

    async def compare(self, number: int, other_number: int) -> Comparison:
        """From one version to another; number 0 is now. VERSION_NOT_FOUND."""
        async with self._cache.begin_reading() as store:
            present = rules_content(await store.rules.all())
            return await self._kept.versions.compare(
                store.rule_versions, number, other_number, present
            )

    async def restore(self, number: int, last_number: int, *, dry_run: bool) -> Comparison:
        """The price rules of a version, all or nothing, as a new version; `dry_run`: only what that
        would change. `last_number`: the newest one that the caller knows, 0 is not checked.

        VERSION_NOT_FOUND, ETAG_MISMATCH, VERSION_UNREADABLE.
        """
        now = self._cache.clock.now()
        async with self._commits.edit() as edit:
            kept, rules = edit.store.rule_versions, edit.store.rules
            wanted = await self._kept.versions.wanted(kept, number, last_number)
            present = await rules.all()
            way = rules_restored(present, wanted, await rules.ends(), micros_of(now))
            before, after = rules_content(present), after_rules_restored(present, way)
            changes: list[RuleChange] = [*way.written, *((rule, None) for rule in way.deleted)]
            if changes and not dry_run:
                await self._kept.commit(edit, changes, f"RESTORED {number}", now)
            return await self._kept.versions.would_change(kept, before, after)
