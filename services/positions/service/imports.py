"""Files of positions, taken in bulk."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.positions.domain.imports import Format, ManualTerms, RefusedTerms, parse_positions
from services.positions.domain.position import MANUAL
from services.positions.service.needs import Begin
from services.positions.service.passes import Passes
from services.positions.service.positions import manual_wallet
from services.positions.store import Store
from services.positions.store.positions import NEVER, stored
from services.positions.tables import INPUT_NUMBERS
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

    def __init__(self, begin: Begin, passes: Passes, clock: Clock) -> None:
        self._begin = begin
        self._passes = passes
        self._clock = clock

    async def take(
        self,
        content: bytes,
        kind: Format,
        wallet: str,
        *,
        dry_run: bool,
        tell: Callable[[Progress], None] = lambda progress: None,
    ) -> Imported:
        """Every good row in one transaction; one that changes nothing counts as neither. Raises BAD_FILE.

        `tell` hears of each 5,000 rows written; they show when all are.
        """
        parsed = await asyncio.to_thread(parse_positions, content, kind, wallet or MANUAL)
        refusals = parsed.refusals[:_MAX_REFUSALS]
        if dry_run or not parsed.rows:
            created, updated = await self._foresee(parsed.rows)
            return Imported(len(parsed.rows), created, updated, len(parsed.refusals), refusals)
        market = await self._passes.market()
        async with self._begin() as store:
            created = updated = 0
            for start in range(0, len(parsed.rows), _CHUNK_ROWS):
                tell(Progress(len(parsed.rows), start, len(parsed.refusals)))
                fresh, changed = await self._write(store, parsed.rows[start : start + _CHUNK_ROWS])
                created, updated = created + fresh, updated + changed
            tell(Progress(len(parsed.rows), len(parsed.rows), len(parsed.refusals)))
            if created or updated:
                await store.passes.bump_membership()
            _, frame = await self._passes.run(store, market)
        self._passes.install(frame)
        return Imported(len(parsed.rows), created, updated, len(parsed.refusals), refusals)

    async def _foresee(self, rows: Sequence[ManualTerms]) -> tuple[int, int]:
        async with self._begin() as store:
            known = await store.positions.existing_count([row.id for row in rows if row.id is not None])
        return len(rows) - known, known

    async def _write(self, store: Store, rows: Sequence[ManualTerms]) -> tuple[int, int]:
        now = self._clock.now()
        names = {row.wallet for row in rows}
        for name in sorted(names - await store.wallets.existing(list(names))):
            await store.wallets.create(manual_wallet(name, now))
        feeds = await store.wallets.feed_keys([(name, MANUAL) for name in names])
        assets = await store.positions.asset_keys([row.asset for row in rows])
        columns = _columns(rows, feeds, assets)
        columns["mark_time"] = [NEVER if row.mark_price_usd is None else now for row in rows]
        return await store.positions.write(columns, now)


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
        **{name: [stored(getattr(row, name, None)) for row in rows] for name in INPUT_NUMBERS},
        "note": [row.note for row in rows],
    }
