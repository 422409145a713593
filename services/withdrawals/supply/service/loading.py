"""Everything that is kept of an asset's supply at one moment, and new samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.withdrawals.assets.domain.settings import Asset
from services.withdrawals.gains.domain.flows import Holding
from services.withdrawals.gains.domain.samples import Floats, Micros, SampleColumns
from services.withdrawals.supply.domain.rows import (
    Cursor,
    FlowRow,
    ReferenceRow,
    RowSource,
    SampleRow,
)
from services.withdrawals.supply.domain.stored import one_of_each
from services.withdrawals.supply.store.samples import FIRST_MOMENT
from services.withdrawals.supply.store.supply import Begin
from shared.clock import Clock


@dataclass(frozen=True, slots=True)
class Loaded:
    """Of one asset up to a moment; cursors of every wallet. `told`: holdings of which the venue
    ever told a sample or a flow.
    """

    samples: SampleColumns
    flows: list[FlowRow]
    references: list[ReferenceRow]
    cursors: Mapping[str, Cursor]
    told: Sequence[Holding] = ()


class SupplyRows:
    """Reads by `snapshot`, which sees one moment over several statements."""

    def __init__(self, begin: Begin, snapshot: Begin, clock: Clock) -> None:
        self._begin = begin
        self._snapshot = snapshot
        self._clock = clock

    async def load(self, asset: Asset, until: datetime, since: datetime | None = None) -> Loaded:
        """What was known then; `since` bounds the samples alone. What is simulated is of the demo's
        asset only, also where a person's has its name.
        """
        name, demo = asset.settings.name, asset.demo
        async with self._snapshot() as store:
            return Loaded(
                await store.samples(name, until, since, demo=demo),
                one_of_each(await store.flows(name, until, demo=demo)),
                await store.references(name, until),
                await store.cursors(),
                await store.told_holdings(name),
            )

    async def ada_prices(self, asset: Asset, until: datetime) -> tuple[Micros, Floats]:
        """USD an ADA at the instants of samples, where it is known, ascending."""
        async with self._snapshot() as store:
            return await store.ada_prices(asset.settings.name, until, FIRST_MOMENT, demo=asset.demo)

    async def add(self, samples: Sequence[SampleRow], flows: Sequence[FlowRow] = ()) -> None:
        """Those that are not there."""
        if not samples and not flows:
            return
        async with self._begin() as store:
            names = [(row.asset, row.wallet, row.market) for row in samples]
            keys = await store.holding_keys(names)
            await store.add_samples(samples, [keys[name] for name in names])
            if flows:
                await store.add_flows(flows, self._clock.now())

    async def emptied(self, asset: Asset, absent: Sequence[SampleRow]) -> list[SampleRow]:
        """Of samples of nothing those whose wallet once held something, the last of it too old to
        be carried forward: without them it would have no data for ever. Who was never there is
        none of the asset's wallets; a newer sample of another source is believed.
        """
        if not absent:
            return []
        async with self._begin() as store:
            last = await store.last_sample_times(asset.settings.name)
        age = asset.settings.sample_age_limit
        times = {row: last.get((row.wallet, row.market)) for row in absent}
        return [row for row, time in times.items() if time and row.sample_time - time > age]

    async def last_sample_time(self, asset: Asset) -> datetime | None:
        """The newest one's."""
        async with self._begin() as store:
            return await store.last_sample_time(asset.settings.name, demo=asset.demo)

    async def last_stored_time(self, asset: str) -> datetime | None:
        """The newest sample's that another program kept."""
        async with self._begin() as store:
            return await store.last_of_source(asset, RowSource.GREPTIME)

    async def clear(self) -> int:
        """Delete every row; how many."""
        async with self._begin() as store:
            return await store.clear()
