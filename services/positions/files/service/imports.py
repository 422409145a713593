"""Files of positions, taken in bulk."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from services.positions.domain.position import MANUAL
from services.positions.domain.venue_answer import NUMBERS, Status
from services.positions.enrichment.domain.enrichment import MarketPrice
from services.positions.enrichment.service import EnrichmentService
from services.positions.files.domain.imports import (
    Format,
    ManualTerms,
    Parsed,
    RefusedTerms,
    against_what_is_there,
)
from services.positions.files.service.position_files import parse_positions
from services.positions.positions.service.positions import manual_wallet
from services.positions.service.ports import Begin
from services.positions.store import Store
from services.positions.store.positions import NEVER, stored
from shared.clock import Clock
from shared.names import new_id

_MAX_REFUSALS = 1000
_CHUNK_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Progress:
    """Good rows of the file, how many are written, rows refused."""

    row_count: int
    written_count: int
    refused_count: int


@dataclass(frozen=True, slots=True)
class Imported:
    """Counts, good rows of the file in all, and the first 1,000 refusals."""

    row_count: int
    created_count: int
    updated_count: int
    refused_count: int
    refusals: Sequence[RefusedTerms]


class ImportService:
    """Use case of imports. A wallet that does not exist is made, for positions by hand."""

    def __init__(self, begin: Begin, enrichment: EnrichmentService, clock: Clock) -> None:
        self._begin = begin
        self._enrichment = enrichment
        self._clock = clock

    async def take(
        self,
        content: bytes,
        kind: Format,
        wallet: str,
        *,
        dry_run: bool,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Imported:
        """Every good row in one transaction; one that changes nothing counts as neither. Raises
        BAD_FILE.

        `on_progress` hears of each 5,000 rows written; they show when all are.
        """
        parsed = await asyncio.to_thread(parse_positions, content, kind, wallet or MANUAL)
        market = await self._enrichment.market()
        if dry_run or not parsed.rows:
            async with self._begin() as store:
                rows, refusals, known_count = await self._checked(store, parsed, market)
            return _imported(rows, len(rows) - known_count, known_count, refusals)
        async with self._enrichment.changing(market) as store:
            rows, refusals, _ = await self._checked(store, parsed, market)
            created = updated = 0
            for start in range(0, len(rows), _CHUNK_ROWS):
                on_progress(Progress(len(rows), start, len(refusals)))
                fresh, changed = await self._write(store, rows[start : start + _CHUNK_ROWS])
                created, updated = created + fresh, updated + changed
            on_progress(Progress(len(rows), len(rows), len(refusals)))
            if created or updated:
                await store.enrichment.bump_membership()
        return _imported(rows, created, updated, refusals)

    async def _checked(
        self, store: Store, parsed: Parsed, market: Mapping[str, MarketPrice]
    ) -> tuple[Sequence[ManualTerms], Sequence[RefusedTerms], int]:
        """Rows to take, all refusals by line, and how many of the rows' ids are known."""
        known = await store.positions.known([row.id for row in parsed.rows if row.id is not None])
        names = await store.positions.spelled({row.asset for row in parsed.rows}, market)
        rows_read = [replace(row, asset=names[row.asset]) for row in parsed.rows]
        rows, refused = against_what_is_there(rows_read, market, known, self._clock.now())
        refusals = sorted([*parsed.refusals, *refused], key=lambda refusal: refusal.line)
        return rows, refusals, sum(row.id in known for row in rows)

    async def _write(self, store: Store, rows: Sequence[ManualTerms]) -> tuple[int, int]:
        now = self._clock.now()
        names = {row.wallet for row in rows}
        for name in sorted(names - await store.wallets.existing(list(names))):
            await store.wallets.create(manual_wallet(name, now))
        feeds = await store.wallets.feed_keys([(name, MANUAL) for name in names])
        assets = await store.positions.asset_keys([row.asset for row in rows])
        columns = _columns(rows, feeds, assets)
        columns["mark_time"] = [
            NEVER if row.mark_price_usd is None else row.mark_time or now for row in rows
        ]
        return await store.positions.write(columns, now)


def _imported(
    rows: Sequence[ManualTerms], created: int, updated: int, refusals: Sequence[RefusedTerms]
) -> Imported:
    return Imported(len(rows), created, updated, len(refusals), refusals[:_MAX_REFUSALS])


def _columns(
    rows: Sequence[ManualTerms], feeds: Mapping[tuple[str, str], int], assets: Mapping[str, int]
) -> dict[str, list[object]]:
    return {
        "id": [row.id or new_id("pos") for row in rows],
        "feed_key": [feeds[row.wallet, MANUAL] for row in rows],
        "asset_key": [assets[row.asset] for row in rows],
        "side": [int(row.side) for row in rows],
        "in_last_answer": [False] * len(rows),
        "flag_bits": [0] * len(rows),
        **{name: [stored(getattr(row, name, None)) for row in rows] for name in NUMBERS},
        "note": [row.note for row in rows],
        "status": [int(row.status or Status.ACTIVE) for row in rows],
    }
