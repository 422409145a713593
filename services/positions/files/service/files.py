"""Files of positions and wallets: out as they were stored, wallets in row by row."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.positions.domain.venue_answer import WalletType
from services.positions.enrichment.service import EnrichmentService
from services.positions.files.domain.exports import (
    POSITION_FIELDS,
    WALLET_FIELDS,
    Cell,
    position_cells,
    wallet_cells,
    written,
)
from services.positions.files.domain.imports import Format, RefusedTerms
from services.positions.files.service.wallet_files import WalletRow, parse_wallets
from services.positions.positions.domain import Filter
from services.positions.positions.service.positions import judged_by, pieces
from services.positions.service.ports import Begin
from services.positions.store import Store
from services.positions.wallets.domain.wallet import Wallet
from services.positions.wallets.service.wallets import checked
from shared.clock import Clock
from shared.errors import InvalidArgument, invalid

_ROWS = 5000
_MAX_REFUSALS = 1000


@dataclass(frozen=True, slots=True)
class ImportedWallets:
    """Counts, and the first 1,000 refusals."""

    created_count: int
    updated_count: int
    refused_count: int
    refusals: Sequence[RefusedTerms]


class FilesService:
    """Use cases of files."""

    def __init__(
        self, begin: Begin, read: Begin, enrichment: EnrichmentService, clock: Clock
    ) -> None:
        self._begin = begin
        self._read = read
        self._enrichment = enrichment
        self._clock = clock

    async def export_positions(self, wanted: Filter, kind: Format) -> tuple[bytes, int]:
        """Positions by id as a file, and how many. Raises WALLET_NOT_FOUND."""
        frame = await self._enrichment.frame()
        rows: list[dict[str, Cell]] = []
        async for piece in pieces(self._read, wanted, _ROWS):
            rows += [dict(position_cells(one)) for one in judged_by(piece, frame)]
        return await asyncio.to_thread(written, rows, POSITION_FIELDS, kind, "positions"), len(rows)

    async def export_wallets(self, kind: Format) -> tuple[bytes, int]:
        """Every wallet by name as a file, and how many."""
        async with self._read() as store:
            rows = [wallet_cells(one) for one in await store.wallets.everyone()]
        return written(rows, WALLET_FIELDS, kind, "wallets"), len(rows)

    async def import_wallets(
        self, content: bytes, kind: Format, *, dry_run: bool
    ) -> ImportedWallets:
        """Every good row in one transaction; one unchanged counts as neither. Raises BAD_FILE."""
        rows, refusals = await asyncio.to_thread(parse_wallets, content, kind)
        created = updated = 0
        async with self._begin() as store:
            for row in rows:
                try:
                    fresh, changed = await self._take(store, row, dry_run=dry_run)
                except InvalidArgument as problem:
                    field = next(iter(problem.fields), "name").removeprefix("wallet.")
                    refusals.append(RefusedTerms(row.line, field, problem.reason, problem.message))
                    continue
                created, updated = created + fresh, updated + changed
        refusals.sort(key=lambda refusal: refusal.line)
        return ImportedWallets(created, updated, len(refusals), refusals[:_MAX_REFUSALS])

    async def _take(self, store: Store, row: WalletRow, *, dry_run: bool) -> tuple[bool, bool]:
        """Whether the wallet is new, whether it is changed. Raises what a wallet is refused for."""
        known = await store.wallets.find(row.name, lock=True)
        if known is None:
            now = self._clock.now()
            blank = Wallet(
                row.name, row.chain, "", "", None, None, (), True, WalletType.PERSONAL, now
            )
            fresh = checked(replace(blank, **row.values))
            return (dry_run or await store.wallets.create(fresh)), False
        if known.chain is not row.chain:
            problem = f"is {known.chain.name}; a wallet keeps its chain"
            raise invalid("wallet.chain", problem, f"chain {problem}")
        changed = checked(replace(known, **row.values))
        if changed == known:
            return False, False
        if not dry_run:
            columns = {name: getattr(changed, name) for name in row.values}
            await store.wallets.change(row.name, columns)
        return False, True
