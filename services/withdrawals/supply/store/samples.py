"""Samples as columns, both ways: a year of twenty wallets is no object a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from services.withdrawals.gains.domain.flows import Holding
from services.withdrawals.gains.domain.samples import ABSENT_UNITS, Floats, Micros, SampleColumns
from services.withdrawals.supply.domain.rows import DEMO_MARKET, SCALE, RowSource, SampleRow
from shared.clock import micros_of
from shared.database.bulk import copy_in, copy_out
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_SPEC = {
    "holding_key": "int4",
    "sample_time": "timestamptz",
    "units": "int8",
    "price_usd": "float8",
    "receipt_units": "int8",
    "exchange_rate": "float8",
}
_HOLDINGS = Statement(
    "select key, wallet, market from holding where asset = :asset"
    " and (market = :demo_market) = :demo order by key"
)
_READ = (
    f"select {', '.join(_SPEC)} from sample where holding_key = any($1::int4[])"
    " and sample_time <= $2 and sample_time >= $3 order by holding_key, sample_time"
)
_ADA_SPEC = {"sample_time": "timestamptz", "ada_usd": "float8"}
_ADA = (
    "select sample_time, max(ada_usd) from sample join holding on holding.key = holding_key"
    " where asset = $1 and sample_time <= $2 and sample_time >= $3 and ada_usd <> 'NaN'"
    " and (market = $4) = $5"
    " group by sample_time order by sample_time"
)
_STAGE = "create temporary table new_sample (like sample) on commit drop"
_MERGE = (
    "with added as (insert into sample select * from new_sample on conflict do nothing returning 1)"
    " select count(*) from added"
)
_WALLETS = Statement("select distinct wallet from holding order by wallet")
_LAST = Statement(
    "select max(sample_time) from sample join holding on holding.key = holding_key"
    " where asset = :asset and (market = :demo_market) = :demo"
)
_LAST_OF_EACH = Statement(
    "select wallet, market, (select max(sample_time) from sample where holding_key = holding.key)"
    " as sample_time from holding where asset = :asset"
)
FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_STORED = Statement(
    "select max(sample_time) from sample join holding on holding.key = holding_key"
    " where asset = :asset and source = :source"
)


class SampleRows:
    """Samples of one transaction. `demo`: those of the simulated market alone, else all others."""

    _transaction: Transaction

    async def samples(
        self, asset: str, until: datetime, since: datetime | None = None, *, demo: bool
    ) -> SampleColumns:
        """Of an asset, by holding and time."""
        found = await self._transaction.fetch(
            _HOLDINGS, asset=asset, demo_market=DEMO_MARKET, demo=demo
        )
        keys = [row["key"] for row in found]
        holdings = tuple(Holding(row["wallet"], row["market"]) for row in found)
        columns = await copy_out(
            self._transaction, _READ, _SPEC, keys, until, since or FIRST_MOMENT
        )
        place = np.searchsorted(np.asarray(keys, np.int64), columns["holding_key"])
        return SampleColumns(
            holdings,
            place.astype(np.int64),
            columns["sample_time"],
            columns["units"],
            columns["price_usd"],
            columns["receipt_units"],
            columns["exchange_rate"],
        )

    async def ada_prices(
        self, asset: str, until: datetime, since: datetime, *, demo: bool
    ) -> tuple[Micros, Floats]:
        """USD an ADA at the instants of samples, where it is known, ascending."""
        columns = await copy_out(
            self._transaction, _ADA, _ADA_SPEC, asset, until, since, DEMO_MARKET, demo
        )
        return columns["sample_time"], columns["ada_usd"]

    async def add_samples(self, samples: Sequence[SampleRow], keys: Sequence[int]) -> int:
        """How many are new; one of the same holding and moment that is there stays as it is."""
        if not samples:
            return 0
        # One instant twice in one file: the first of them.
        first = {
            (key, row.sample_time): row for key, row in reversed([*zip(keys, samples, strict=True)])
        }
        kept = list(first.values())
        columns: dict[str, Any] = {
            "holding_key": np.array([key for key, _ in first], np.int32),
            "sample_time": np.array([micros_of(row.sample_time) for row in kept], np.int64),
            "units": np.array([SCALE.smallest(row.units) for row in kept], np.int64),
            "price_usd": _floats([row.price_usd for row in kept]),
            "receipt_units": np.array([_units(row.receipt_units) for row in kept], np.int64),
            "exchange_rate": _floats([row.exchange_rate for row in kept]),
            "ada_usd": _floats([row.ada_usd for row in kept]),
            "source": np.array([int(row.source) for row in kept], np.int16),
        }
        await self._transaction.driver.execute(_STAGE)
        await copy_in(self._transaction, "new_sample", columns)
        count = int(await self._transaction.driver.fetchval(_MERGE))
        await self._transaction.driver.execute("drop table new_sample")
        return count

    async def sampled_wallets(self) -> list[str]:
        """Names of wallets that have ever been seen."""
        return [row["wallet"] for row in await self._transaction.fetch(_WALLETS)]

    async def last_sample_time(self, asset: str, *, demo: bool) -> datetime | None:
        """The newest one's."""
        found: datetime | None = await self._transaction.scalar(
            _LAST, asset=asset, demo_market=DEMO_MARKET, demo=demo
        )
        return found

    async def last_sample_times(self, asset: str) -> dict[tuple[str, str], datetime | None]:
        """The newest one's by wallet and market; None: no sample."""
        found = await self._transaction.fetch(_LAST_OF_EACH, asset=asset)
        return {(row["wallet"], row["market"]): row["sample_time"] for row in found}

    async def last_of_source(self, asset: str, source: RowSource) -> datetime | None:
        """The newest one's of those told by a source."""
        found: datetime | None = await self._transaction.scalar(
            _LAST_STORED, asset=asset, source=int(source)
        )
        return found


def _floats(values: Sequence[float | None]) -> Any:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _units(amount: Decimal | None) -> int:
    return ABSENT_UNITS if amount is None else SCALE.smallest(amount)
