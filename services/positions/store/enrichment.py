"""Rows of a pass: inputs out and results in by COPY, the row that says which results are valid."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

import numpy as np
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.positions.enrichment.domain.enrichment import Column, Columns, Feed
from services.positions.enrichment.domain.heat import MODEL_NUMBERS, HeatModifiers, model_of
from services.positions.enrichment.domain.metrics import HeatWeights
from services.positions.enrichment.domain.totals import Totals
from services.positions.tables import RESULT_NUMBERS, RING, service_state
from shared.database.bulk import copy_in, copy_out
from shared.database.engine import raw
from shared.database.statement import Row

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
# Every pass runs these: they go to the driver as text, of which SQLAlchemy's share would be the
# greater part.
_LOCK = f"{_STATE}, set_config('synchronous_commit', $1, true) from service_state for update"
_LOOK = f"{_STATE} from service_state"
_NAMES = (
    "select feed_key as key, w.name, venue, observed_time, failed"
    " from feed f join wallet w using (wallet_key)"
    " union all select asset_key, name, null, null, false from asset order by 1"
)
TOTALS: Final = tuple(field.name for field in fields(Totals) if field.name != "totals_time")
_READ_TOTALS = f"select {', '.join(TOTALS)}, enriched_time from service_state"
_CLOSE = "update service_state set pass_number = $1, enriched_time = $2, " + ", ".join(
    f"{name} = ${place}" for place, name in enumerate(TOTALS, 3)
)
# One round trip for few positions: the result table that is next loses the rows of the pass before
# last.
_CLOSE_AND_EMPTY = tuple(f"with old as (delete from result_{n}) {_CLOSE}" for n in range(RING))
_IDS = text(
    "select position_key, id from position where position_key between :first_key and :last_key"
)
_BUMP = update(service_state).values(membership_epoch=service_state.c.membership_epoch + 1)


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

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, *, durable: bool) -> ServiceState:
        """The state row, held until commit. Not durable: a crash may forget this commit."""
        return _service_state(
            (await (await raw(self._connection)).fetch(_LOCK, "on" if durable else "off"))[0]
        )

    async def look(self) -> ServiceState:
        """The state row as it is."""
        return _service_state((await (await raw(self._connection)).fetch(_LOOK))[0])

    async def set_heat(self, heat: HeatModifiers) -> None:
        """Weigh heat this way from the next pass on."""
        weights = heat.weights
        await self._connection.execute(
            update(service_state).values(
                heat_model=MODEL_NUMBERS[heat.model],
                distance_weight=weights.distance,
                leverage_weight=weights.leverage,
                collateral_weight=weights.collateral,
                heat_version=heat.version,
            )
        )

    async def names(self) -> tuple[dict[int, Feed], dict[int, str]]:
        """Every feed and every asset name by key."""
        feeds: dict[int, Feed] = {}
        assets: dict[int, str] = {}
        for key, name, venue, observed_time, failed in await (await raw(self._connection)).fetch(
            _NAMES
        ):
            if venue is None:
                assets[key] = name
            else:
                feeds[key] = Feed(key, name, venue, observed_time, failed)
        return feeds, assets

    async def inputs(self) -> Columns:
        """Inputs of every ACTIVE and STALE position, ascending by key."""
        return _ascending(await copy_out(self._connection, _READ_INPUTS, _INPUTS))

    async def results(self, pass_number: int) -> Columns:
        """Results of a pass, ascending by key."""
        sql = f"select {', '.join(_RESULTS)} from result_{pass_number % RING}"
        return _ascending(await copy_out(self._connection, sql, _RESULTS))

    async def close(
        self, before: ServiceState, results: Mapping[str, Column], totals: Totals
    ) -> None:
        """Store results and totals as the next pass, and empty the table the pass after it will
        fill.
        """
        number = before.pass_number + 1
        await copy_in(self._connection, f"result_{number % RING}", results)
        following = (number + 1) % RING
        closing = _CLOSE_AND_EMPTY[following]
        if max(before.position_count, totals.position_count) > _TRUNCATE_ROWS:
            await self._connection.exec_driver_sql(f"truncate result_{following}")
            closing = _CLOSE
        driver = await raw(self._connection)
        await driver.execute(closing, number, totals.totals_time, *totals_values(totals))

    async def bump_membership(self) -> None:
        """A position opened, closed, or changed its group: readers group anew."""
        await self._connection.execute(_BUMP)

    async def position_ids(self, first_key: int, last_key: int) -> dict[int, str]:
        """Text ids of the positions of a range of keys, both ends included."""
        rows = await self._connection.execute(_IDS, {"first_key": first_key, "last_key": last_key})
        return {row.position_key: row.id for row in rows}

    async def totals(self) -> Totals:
        """The stored totals."""
        row = (await (await raw(self._connection)).fetch(_READ_TOTALS))[0]
        return totals_of(row, row["enriched_time"])


def totals_of(row: Row, totals_time: datetime | None) -> Totals:
    """Totals out of a row that holds their columns."""
    values = {name: row[name] for name in TOTALS}
    counts = values["absent_count"]
    values["absent_count"] = json.loads(counts) if isinstance(counts, str) else counts
    return Totals(**values, totals_time=totals_time)


def totals_values(totals: Totals) -> list[object]:
    """Totals as the driver takes them, in the order of TOTALS."""
    return [
        json.dumps(totals.absent_count) if name == "absent_count" else getattr(totals, name)
        for name in TOTALS
    ]


def _service_state(row: Row) -> ServiceState:
    weights = HeatWeights(row["distance_weight"], row["leverage_weight"], row["collateral_weight"])
    heat = HeatModifiers(model_of(row["heat_model"]), weights, row["heat_version"])
    return ServiceState(
        row["membership_epoch"],
        row["pass_number"],
        row["position_count"],
        row["enriched_time"],
        heat,
    )


def _ascending(columns: Columns) -> Columns:
    keys = columns["position_key"]
    if len(keys) < 2 or bool((keys[1:] > keys[:-1]).all()):
        return columns
    order = np.argsort(keys, kind="stable")
    return {name: column[order] for name, column in columns.items()}
