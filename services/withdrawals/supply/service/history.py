"""A history that another program keeps, read on from where it was read to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from services.withdrawals.assets.domain.settings import Asset, Wallet
from services.withdrawals.gains.domain.flows import FlowKind
from services.withdrawals.supply.domain.rows import FlowRow, SampleRow
from services.withdrawals.supply.domain.stored import WalletSums, by_wallet, suffixes, with_ada
from services.withdrawals.supply.ports import History, Watched
from services.withdrawals.supply.service.loading import SupplyRows
from shared.clock import Clock
from shared.errors import SonicError
from shared.log import get_logger

FIRST_TIME = datetime(2022, 1, 1, tzinfo=UTC)
# A row may be written late.
_OVERLAP = timedelta(days=1)
_LOGGED_REFUSALS = 5


class HistoryService:
    """Rows that are there already stay as they are. `history` None: there is none."""

    def __init__(
        self, history: History | None, watched: Watched, supply: SupplyRows, clock: Clock
    ) -> None:
        self._history = history
        self._watched = watched
        self._supply = supply
        self._clock = clock

    async def take(self, assets: Sequence[Asset]) -> Mapping[str, str]:
        """Keep what is new of these assets; why not, by asset. One's failure stops no other."""
        failed: dict[str, str] = {}
        if self._history is None:
            return failed
        wallets = await self._watched.every_wallet()
        for asset in assets:
            try:
                await self._take(self._history, asset, wallets)
            except SonicError as error:
                failed[asset.settings.name] = error.message
        return failed

    async def _take(self, history: History, asset: Asset, wallets: Sequence[Wallet]) -> None:
        name, end = asset.settings.name, self._clock.now() + timedelta(milliseconds=1)
        last = await self._supply.last_stored_time(name)
        start = FIRST_TIME if last is None else last - _OVERLAP
        age = asset.settings.sample_age_limit
        # Which addresses a moment lacks is known by those before it.
        lead = start if last is None else start - age
        for suffix in suffixes(asset.settings):
            sums = WalletSums(wallets, age)
            # A flow may be written long after its time.
            flows, refused = await _flows(history, name, suffix, FIRST_TIME, end)
            await self._supply.add([], by_wallet(flows, wallets))
            count = len(flows)
            async for page in history.samples(name, suffix, lead, end):
                count += len(page.rows)
                refused += page.refused
                if not page.rows:
                    continue
                # After the samples and in one with them: a deposit that a sample holds and nobody
                # knows would be a gain.
                first = page.rows[0].sample_time - _OVERLAP
                flows, _ = await _flows(history, name, suffix, first, end)
                samples = [row for row in sums.of(page.rows) if row.sample_time >= start]
                priced = await _priced(history, suffix, samples)
                await self._supply.add(priced, by_wallet(flows, wallets))
            _log(name, refused)
            if count:
                return


async def _flows(
    history: History, asset: str, suffix: str, start: datetime, end: datetime
) -> tuple[list[FlowRow], list[str]]:
    """Both kinds, and what was refused of them."""
    found = [await history.flows(asset, suffix, kind, start, end) for kind in FlowKind]
    return [row for one in found for row in one.rows], [
        line for one in found for line in one.refused
    ]


async def _priced(
    history: History, suffix: str, samples: Sequence[SampleRow]
) -> Sequence[SampleRow]:
    if not samples:
        return samples
    first = min(row.sample_time for row in samples) - _OVERLAP
    last = max(row.sample_time for row in samples) + timedelta(milliseconds=1)
    return with_ada(samples, (await history.prices(suffix, first, last)).rows)


def _log(asset: str, refused: Sequence[str]) -> None:
    if refused:
        get_logger().warning(
            "rows of the history cannot be read",
            asset=asset,
            count=len(refused),
            first=list(refused[:_LOGGED_REFUSALS]),
        )
