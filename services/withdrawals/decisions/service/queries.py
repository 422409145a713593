"""Decisions read: one, many, what is new, why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from services.withdrawals.decisions.domain.explain import Explained, explained
from services.withdrawals.decisions.domain.history import DecisionFilter, Refused
from services.withdrawals.decisions.domain.record import DecisionRecord
from services.withdrawals.decisions.store import Begin
from services.withdrawals.supply.domain.rows import key_of
from shared import paging
from shared.clock import Clock
from shared.errors import NotFound
from shared.paging import Page


class Present(NamedTuple):
    """Decisions after a revision, and the revision of the last."""

    decisions: Sequence[DecisionRecord]
    revision: int


class DecisionQueries:
    """Reads only."""

    def __init__(self, read: Begin, clock: Clock) -> None:
        self._read = read
        self._clock = clock

    async def get(self, id: str) -> DecisionRecord:
        """NotFound ROW_NOT_FOUND."""
        async with self._read() as store:
            found = await store.get(key_of(id, "decision"))
        if found is None:
            raise NotFound("ROW_NOT_FOUND", f"no decision {id[:64]!r}")
        return found

    async def page(
        self, page_size: int, page_token: str, wanted: DecisionFilter
    ) -> Page[DecisionRecord]:
        """Newest first."""
        context = paging.context("decisions", wanted)
        page = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            found = await store.page(page, wanted)
        return paging.cut(found, page, context, lambda row: (row.key,))

    async def explain(self, id: str) -> Explained:
        """NotFound ROW_NOT_FOUND."""
        return explained(await self.get(id), self._clock.now())

    async def refused(self) -> list[Refused]:
        """News that nobody was told, by asset."""
        async with self._read() as store:
            return await store.refused()

    async def newest(self, asset: str) -> Present:
        """The last one of each asset, or of one."""
        async with self._read() as store:
            revision = await store.revision()
            found = await store.newest(asset)
        return Present(list(found.values()), revision)

    async def since(self, revision: int) -> Present:
        """Those written after a revision."""
        async with self._read() as store:
            return Present(*await store.since(revision))

    async def revision(self) -> int:
        """Changes with every decision, also with one made again."""
        async with self._read() as store:
            return await store.revision()
