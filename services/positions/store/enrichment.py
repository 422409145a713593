"""Rows of a pass: inputs out and results in by COPY, the row that says which results are valid."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Final

import numpy as np

from services.positions.enrichment.domain.enrichment import Column, Columns, Feed
from services.positions.enrichment.domain.heat import WEIGHT_NAMES, HeatModifiers, model_of
from services.positions.enrichment.domain.metrics import HeatWeights
from services.positions.enrichment.domain.totals import Totals
from services.positions.tables import RESULT_NUMBERS, RING
from shared import rows
from shared.database.bulk import copy_in, copy_out
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction

# Above this, emptying a result table at once beats deleting its rows.
_TRUNCATE_ROWS = 5000
_PASS_NUMBERS = (
    "entry_price_usd",
    "liquidation_price_usd",
    "own_liquidation_price_usd",
    "mark_price_usd",
    "size_usd",
    "collateral_usd",
    "pnl_after_fees_usd",
)
_INPUTS = {
    "position_key": "int8",
    "feed_key": "int4",
    "asset_key": "int4",
    "side": "int2",
    "status": "int2",
    "in_last_answer": "bool",
    "flag_bits": "int8",
    "mark_time": "timestamptz",
    **dict.fromkeys(_PASS_NUMBERS, "float8"),
}
_RESULTS = {
    "position_key": "int8",
    "flag_bits": "int8",
    "mark_time": "timestamptz",
    **dict.fromkeys(RESULT_NUMBERS, "float8"),
}
_READ_INPUTS = f"select {', '.join(_INPUTS)} from position where status in (1, 2)"
_STATE = (
    "select membership_epoch, pass_number, position_count, enriched_time,"
    " heat_model, distance_weight, leverage_weight, collateral_weight, heat_version"
)
_LOCK = Statement(
    f"{_STATE}, set_config('synchronous_commit', :synchronous, true) from service_state for update"
)
_LOOK = Statement(f"{_STATE} from service_state")
_NAMES = Statement(
    "select feed_key as key, w.name, venue, observed_time, failed"
    " from feed f join wallet w using (wallet_key)"
    " union all select asset_key, name, null, null, false from asset order by 1"
)
TOTALS: Final = tuple(field.name for field in fields(Totals) if field.name != "totals_time")
_READ_TOTALS = Statement(
    f"select {', '.join(TOTALS)}, enriched_time as totals_time from service_state"
)
_CLOSE = (
    "update service_state set pass_number = :pass_number, enriched_time = :enriched_time, "
    + ", ".join(f"{name} = :{name}" for name in TOTALS)
)
_CLOSE_ALONE = Statement(_CLOSE)
# One round trip for few positions: the next result table loses the pass before last.
_CLOSE_AND_EMPTY = [
    Statement(f"with old as (delete from result_{number}) {_CLOSE}") for number in range(RING)
]
_EMPTY = [Statement(f"truncate result_{number}") for number in range(RING)]
_IDS = Statement(
    "select position_key, id from position where position_key between :first_key and :last_key"
)
_BUMP = Statement("update service_state set membership_epoch = membership_epoch + 1")
_SET_HEAT = Statement(
    "update service_state set heat_model = :heat_model, heat_version = :heat_version, "
    + ", ".join(f"{name} = :{name}" for name in WEIGHT_NAMES)
)


@dataclass(frozen=True, slots=True)
class ServiceState:
    """The one row: which pass is valid, how many rows it judged, and how heat is weighed."""

    membership_epoch: int
    pass_number: int
    position_count: int
    enriched_time: datetime | None
    heat: HeatModifiers


class EnrichmentStore:
    """What a pass reads and writes."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def lock(self, *, durable: bool) -> ServiceState:
        """The state row, held until commit. Not durable: a crash may forget this commit."""
        (row,) = await self._transaction.fetch(_LOCK, synchronous="on" if durable else "off")
        return _service_state(row)

    async def service_state(self) -> ServiceState:
        """The state row as it is."""
        (row,) = await self._transaction.fetch(_LOOK)
        return _service_state(row)

    async def set_heat(self, heat: HeatModifiers) -> None:
        """Weigh heat this way from the next pass on."""
        await self._transaction.execute(
            _SET_HEAT,
            heat_model=heat.model,
            heat_version=heat.version,
            **asdict(heat.weights),
        )

    async def names(self) -> tuple[dict[int, Feed], dict[int, str]]:
        """Every feed and every asset name by key."""
        feeds: dict[int, Feed] = {}
        assets: dict[int, str] = {}
        for key, name, venue, observed_time, failed in await self._transaction.fetch(_NAMES):
            if venue is None:
                assets[key] = name
            else:
                feeds[key] = Feed(key, name, venue, observed_time, failed)
        return feeds, assets

    async def inputs(self) -> Columns:
        """Inputs of every ACTIVE and STALE position, ascending by key."""
        return _ascending(await copy_out(self._transaction, _READ_INPUTS, _INPUTS))

    async def results(self, pass_number: int) -> Columns:
        """Results of a pass, ascending by key."""
        sql = f"select {', '.join(_RESULTS)} from result_{pass_number % RING}"
        return _ascending(await copy_out(self._transaction, sql, _RESULTS))

    async def close(
        self, before: ServiceState, results: Mapping[str, Column], totals: Totals
    ) -> None:
        """Store results and totals as the next pass, and empty the table of the one after it."""
        number = before.pass_number + 1
        await copy_in(self._transaction, f"result_{number % RING}", results)
        following = (number + 1) % RING
        closing = _CLOSE_AND_EMPTY[following]
        if max(before.position_count, totals.position_count) > _TRUNCATE_ROWS:
            await self._transaction.execute(_EMPTY[following])
            closing = _CLOSE_ALONE
        values = totals_values(totals)
        await self._transaction.execute(
            closing, pass_number=number, enriched_time=totals.totals_time, **values
        )

    async def bump_membership(self) -> None:
        """A position opened, closed, or changed its group: readers group anew."""
        await self._transaction.execute(_BUMP)

    async def position_ids(self, first_key: int, last_key: int) -> dict[int, str]:
        """Text ids of the positions of a range of keys, both ends included."""
        found = await self._transaction.fetch(_IDS, first_key=first_key, last_key=last_key)
        return {row["position_key"]: row["id"] for row in found}

    async def totals(self) -> Totals:
        """The stored totals."""
        (row,) = await self._transaction.fetch(_READ_TOTALS)
        return rows.read(Totals, row)


def totals_values(totals: Totals) -> dict[str, object]:
    """Totals as the driver takes them, by column."""
    values = {name: getattr(totals, name) for name in TOTALS}
    return values | {"absent_count": json.dumps(totals.absent_count)}


def _service_state(row: Row) -> ServiceState:
    weights = rows.read(HeatWeights, row)
    heat = HeatModifiers(model_of(row["heat_model"]), weights, row["heat_version"])
    return rows.read(ServiceState, row, heat=heat)


def _ascending(columns: Columns) -> Columns:
    keys = columns["position_key"]
    if len(keys) < 2 or bool((keys[1:] > keys[:-1]).all()):
        return columns
    order = np.argsort(keys, kind="stable")
    return {name: column[order] for name, column in columns.items()}
