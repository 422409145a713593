"""Versions of one kind of settings: kept with every edit, listed, compared."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared import paging
from shared.errors import Conflict, NotFound
from shared.paging import Page
from shared.rpc import call
from shared.versions.domain import Comparison, Content, Kind, Version, differences, oldest_kept
from shared.versions.store import VersionStore

# Each is the whole of the settings.
_MOST_LISTED: Final = 50


class Versions:
    """The versions of `kind`. What it is handed is of the caller's transaction."""

    def __init__(self, kind: Kind, kept_days: float) -> None:
        """`kept_days`: older versions are forgotten with the next edit; 0: never."""
        self._kind = kind
        self._kept = timedelta(days=kept_days) if kept_days else None

    async def keep(
        self,
        store: VersionStore,
        before: Content,
        after: Content,
        reason: str,
        now: datetime,
        *,
        is_other: bool = False,
    ) -> None:
        """What an edit made of `before`; the same again is no version, unless what no content
        shows `is_other`.
        """
        if before == after and not is_other:
            return
        if not await store.last_number():
            # What there was before the first edit that was kept.
            await store.append(before, "", "FIRST", now)
        await store.append(after, call.person(), reason, now)
        oldest = oldest_kept(now, self._kept)
        if oldest is not None:
            await store.forget(oldest)

    async def list(self, store: VersionStore, page_size: int, page_token: str) -> Page[Version]:
        """Newest first, 50 at most, each with what it changed; BAD_PAGE_TOKEN."""
        context = paging.context(f"{self._kind.noun} versions")
        page = paging.parse(page_size, page_token, cap=_MOST_LISTED, context=context)
        told = await asyncio.to_thread(self._with_changes, await store.page(page))
        return paging.cut(told, page, context, lambda row: (row.number,))

    def _with_changes(self, rows: Sequence[Version]) -> Sequence[Version]:
        older = [*rows[1:], None][: len(rows)]
        return [
            replace(row, changes=differences(self._kind, before.content, row.content))
            if before
            else row
            for row, before in zip(rows, older, strict=True)
        ]

    async def compare(
        self, store: VersionStore, number: int, other_number: int, present: Content
    ) -> Comparison:
        """From one version to another; number 0 is now. VERSION_NOT_FOUND."""
        contents = [
            (await self.version(store, one)).content if one else present
            for one in (number, other_number)
        ]
        return Comparison(differences(self._kind, *contents), await store.last_number())

    async def version(self, store: VersionStore, number: int) -> Version:
        """VERSION_NOT_FOUND."""
        found = await store.get(number)
        if found is None:
            plural = self._kind.plural
            raise NotFound("VERSION_NOT_FOUND", f"no version {number} of the {plural} is kept")
        return found

    async def wanted(self, store: VersionStore, number: int, last_number: int) -> Content:
        """What is to be restored. `last_number`: the newest version that the caller knows, 0 is
        not checked. VERSION_NOT_FOUND, ETAG_MISMATCH.
        """
        newest = await store.last_number()
        if last_number and last_number != newest:
            raise Conflict(
                "ETAG_MISMATCH",
                f"the {self._kind.plural} were changed since: version {newest} is the newest; "
                "look again at what would change",
            )
        return (await self.version(store, number)).content

    async def would_change(
        self, store: VersionStore, present: Content, after: Content
    ) -> Comparison:
        """Of a restore."""
        return Comparison(differences(self._kind, present, after), await store.last_number())
