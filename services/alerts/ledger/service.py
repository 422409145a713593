"""The ledger listed and verified. Writes nothing."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from services.alerts.alerts.domain.change_inputs import payload_of
from services.alerts.alerts.domain.digests import digest_sequence
from services.alerts.ledger.domain import Anchor, Entry, Sealed, Verdict, Walk
from services.alerts.ledger.store.statistics import Statistics
from services.alerts.service.ledger_writer import LedgerWriter
from services.alerts.service.offload import PYTHON_ROW_COST, offload
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.unit_of_work import Store
from shared import paging
from shared.errors import NotFound, invalid
from shared.paging import Page

_MONTH = timedelta(days=30)
_LONGEST_WINDOW = timedelta(days=3650)


class LedgerQueries:
    """The chain of everything that changed."""

    def __init__(self, cache: SnapshotCache, ledger: LedgerWriter) -> None:
        self._cache = cache
        self._ledger = ledger

    async def list(
        self, page_size: int, page_token: str, alert_id: str, cycle_id: str, digest_id: str
    ) -> Page[Sealed]:
        """Newest first; ALERT_NOT_FOUND, DIGEST_NOT_FOUND."""
        context = paging.context("ledger", alert_id, cycle_id, digest_id)
        page = paging.parse(page_size, page_token, context=context)
        async with self._cache.begin_reading() as store:
            members = await _members(store, digest_id) if digest_id else None
            if members is not None and not (alert_id or cycle_id):
                # Those of a page alone: there may be tens of thousands.
                first = page.after[0] if page.after else None
                end = bisect_left(members, first) if isinstance(first, int) else len(members)
                members = members[max(end - page.size - 1, 0) : end]
            rows = await store.ledger.page(page, alert_id, cycle_id, members)
            if not rows:
                await self._refuse_unknown(store, alert_id)
        shown = [_shown(row) for row in rows]
        return paging.cut(shown, page, context, lambda row: (row.sequence,))

    async def statistics(self, window: timedelta | None, alert_id: str) -> Sequence[Statistics]:
        """Of the last `window` (30 days); INVALID_FIELD, ALERT_NOT_FOUND."""
        span = _MONTH if window is None else window
        if not timedelta(0) < span <= _LONGEST_WINDOW:
            problem = "more than 0, at most 10 years"
            raise invalid("window", problem)
        async with self._cache.begin_reading() as store:
            found = await store.statistics.count(self._cache.clock.now() - span, alert_id)
            if not found:
                await self._refuse_unknown(store, alert_id)
        return found

    async def _refuse_unknown(self, store: Store, alert_id: str) -> None:
        """ALERT_NOT_FOUND, unless it ever was: the ledger knows."""
        if not alert_id or await store.ledger.names(alert_id):
            return
        (await self._cache.read(store)).row(alert_id)

    async def export(self, after_sequence: int) -> AsyncIterator[str]:
        """Every row after one, oldest first, as JSON lines in portions."""
        async with self._cache.begin_reading() as store:
            async for rows in store.ledger.walk(after_sequence):
                yield await offload(len(rows) * PYTHON_ROW_COST, _lines, rows)

    async def verify(self, anchor_hash: str) -> Verdict:
        """Walk the chain; with no anchor given, the last head that left this service is used."""
        given = _hash(anchor_hash) if anchor_hash else None
        async with self._cache.begin_reading() as store:
            key = await self._ledger.key(store)
            walk = Walk(key, given or await store.ledger.anchor())
            async for rows in store.ledger.walk():
                await offload(len(rows) * PYTHON_ROW_COST, walk.follow, rows)
        return walk.end()


def inputs_json(entry: Entry) -> str:
    """The inputs as people read them: a JSON object, made of those that are packed."""
    if not entry.inputs or entry.inputs_json:
        return entry.inputs_json
    try:
        return json.dumps(payload_of(entry))
    except ValueError:
        return json.dumps({"inputs": entry.inputs.hex()})


def _shown(row: Sealed) -> Sealed:
    return row._replace(entry=row.entry._replace(inputs_json=inputs_json(row.entry)))


def line(row: Sealed) -> str:
    """A row as a line of JSON with its newline; numbers read back bit for bit."""
    fields = {
        "sequence": row.sequence,
        **_shown(row).entry._asdict(),
        "entry_time": row.entry.entry_time.isoformat(),
        "inputs": row.entry.inputs.hex(),
        "previous_hash": row.previous_hash.hex(),
        "hash": row.hash.hex(),
    }
    return json.dumps(fields) + "\n"


async def _members(store: Store, digest_id: str) -> list[int]:
    sequence = digest_sequence(digest_id)
    members = None if sequence is None else await store.ledger.members(sequence)
    if members is None:
        raise NotFound("DIGEST_NOT_FOUND", f"no digest {digest_id[:80]!r}")
    return members


def _lines(rows: Sequence[Sealed]) -> str:
    return "".join(map(line, rows))


def _hash(text: str) -> Anchor:
    try:
        return Anchor(bytes.fromhex(text))
    except ValueError as error:
        problem = "not hexadecimal"
        raise invalid("anchor_hash", problem, problem) from error
