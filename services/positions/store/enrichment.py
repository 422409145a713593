"""Rows of a pass: inputs out by COPY, the row that says what the pass saw and summed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.positions.enrichment.domain.enrichment import Columns, Feed, MarketPrice, micros
from services.positions.enrichment.domain.frozen_marks import NO_MARKS, FrozenMark
from services.positions.enrichment.domain.heat import WEIGHT_NAMES, HeatModifiers, model_of
from services.positions.enrichment.domain.metrics import HeatWeights
from services.positions.enrichment.domain.totals import Totals
from shared import rows
from shared.database.bulk import copy_out
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction

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
_READ_INPUTS = f"select {', '.join(_INPUTS)} from position where status in (1, 2)"
_STATE = (
    "select membership_epoch, event_sequence, pass_number, position_count, enriched_time,"
    " inputs_version, heat_model, distance_weight, leverage_weight, collateral_weight,"
    " heat_version, frozen_marks"
)
_CHANGED = (
    "exists (select from changed where position_keys is null) as all_changed,"
    " (select array_agg(key) from changed, unnest(position_keys) as key) as changed_keys"
    " from service_state"
)
_LOCK = Statement(
    f"{_STATE}, set_config('synchronous_commit', :synchronous, true) from service_state for update"
)
_LOOK = Statement(f"{_STATE} from service_state")
_TAKE_CHANGES = Statement(
    f"with changed as (delete from input_change returning position_keys) select {_CHANGED}"
)
_LOOK_AT_CHANGES = Statement(
    f"with changed as (select position_keys from input_change) {_STATE}, {_CHANGED}"
)
_MARKET = Statement("select market from service_state")
_NAMES = Statement(
    "select feed_key as key, w.name, venue, observed_time, failed,"
    " case when w.active then accounts::text end as accounts,"
    " (select substr(tag, 11) from unnest(w.tags) as tag where tag like 'portfolio:_%' limit 1)"
    " as portfolio, w.active from feed f join wallet w using (wallet_key)"
    " union all select asset_key, name, null, null, false, null, null, true from asset order by 1"
)
# In place of true: of a price that is usable, and whose sources disagree.
_DISPUTED: Final = 2
_START = datetime(1970, 1, 1, tzinfo=UTC)
TOTALS: Final = tuple(field.name for field in fields(Totals) if field.name != "totals_time")
_READ_TOTALS = Statement(
    f"select {', '.join(TOTALS)}, enriched_time as totals_time from service_state"
)
_CLOSE = Statement(
    "update service_state set pass_number = :pass_number, enriched_time = :enriched_time,"
    " inputs_version = :inputs_version, market = :market, "
    + ", ".join(f"{name} = :{name}" for name in TOTALS)
)
_IDS = Statement("select position_key, id from position where position_key = any(:keys)")
_IDS_BETWEEN = Statement(
    "select position_key, id from position where position_key between :first_key and :last_key"
)
# More are read faster as a range.
_MOST_KEYS = 10_000
_BUMP = Statement("update service_state set membership_epoch = membership_epoch + 1")
_SET_HEAT = Statement(
    "update service_state set heat_model = :heat_model, heat_version = :heat_version, "
    + ", ".join(f"{name} = :{name}" for name in WEIGHT_NAMES)
)
_SET_FROZEN = Statement("update service_state set frozen_marks = :marks")


@dataclass(frozen=True, slots=True)
class ServiceState:
    """The one row: which pass is valid, how many rows it judged, and how heat is weighed."""

    membership_epoch: int
    event_sequence: int
    pass_number: int
    position_count: int
    enriched_time: datetime | None
    inputs_version: int
    heat: HeatModifiers
    frozen: Sequence[FrozenMark] = NO_MARKS


@dataclass(frozen=True, slots=True)
class InputChanges:
    """What was written since the inputs got their version; None: too many to list."""

    position_keys: NDArray[np.int64] | None

    def __bool__(self) -> bool:
        return self.position_keys is None or len(self.position_keys) > 0


class EnrichmentStore:
    """What a pass reads and writes."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def lock(self, *, durable: bool = True) -> ServiceState:
        """The state row, held until commit. Not durable: a crash may forget this commit."""
        (row,) = await self._transaction.fetch(_LOCK, synchronous="on" if durable else "off")
        return _service_state(row)

    async def take_changes(self) -> InputChanges:
        """What is to be read anew, which is taken away. Only under the lock: who waits for it with
        changes taken would wait for one that wants them.
        """
        (row,) = await self._transaction.fetch(_TAKE_CHANGES)
        return _changes(row)

    async def service_state(self) -> ServiceState:
        """The state row as it is."""
        (row,) = await self._transaction.fetch(_LOOK)
        return _service_state(row)

    async def changes(self) -> tuple[ServiceState, InputChanges]:
        """The state row as it is, and what the next pass will read anew."""
        (row,) = await self._transaction.fetch(_LOOK_AT_CHANGES)
        return _service_state(row), _changes(row)

    async def set_heat(self, heat: HeatModifiers) -> None:
        """Weigh heat this way from the next pass on."""
        await self._transaction.execute(
            _SET_HEAT,
            heat_model=heat.model,
            heat_version=heat.version,
            **asdict(heat.weights),
        )

    async def set_frozen(self, marks: Sequence[FrozenMark]) -> None:
        """These marks stand still from the next pass on, and no other."""
        stored = [[getattr(one, name) for name in FrozenMark.__slots__] for one in marks]
        await self._transaction.execute(_SET_FROZEN, marks=json.dumps(stored))

    async def names(self) -> tuple[dict[int, Feed], dict[int, str]]:
        """Every feed and every asset name by key."""
        feeds: dict[int, Feed] = {}
        assets: dict[int, str] = {}
        for key, name, venue, *stated in await self._transaction.fetch(_NAMES):
            if venue is None:
                assets[key] = name
            else:
                feeds[key] = Feed(key, name, venue, *stated)
        return feeds, assets

    async def inputs(self, position_keys: NDArray[np.int64] | None = None) -> Columns:
        """Inputs of every ACTIVE and STALE position, or of those of these keys, ascending by
        key.
        """
        if position_keys is None:
            return _ascending(await copy_out(self._transaction, _READ_INPUTS, _INPUTS))
        keys = ", ".join(map(str, position_keys.tolist()))
        sql = f"{_READ_INPUTS} and position_key = any('{{{keys}}}'::int8[])"
        return _ascending(await copy_out(self._transaction, sql, _INPUTS))

    async def market(self) -> dict[str, MarketPrice]:
        """Prices by asset as the last pass saw them."""
        stored = json.loads(await self._transaction.scalar(_MARKET))
        return {asset: _market_price(*price) for asset, price in stored.items()}

    async def close(
        self, state: ServiceState, market: Mapping[str, MarketPrice], totals: Totals
    ) -> None:
        """Store a pass as the last one: what it saw beside the inputs, and its totals."""
        await self._transaction.execute(
            _CLOSE,
            pass_number=state.pass_number,
            enriched_time=totals.totals_time,
            inputs_version=state.inputs_version,
            market=json.dumps({asset: _priced(price) for asset, price in market.items()}),
            **totals_values(totals),
        )

    async def bump_membership(self) -> None:
        """A position opened, closed, or changed its group: readers group anew."""
        await self._transaction.execute(_BUMP)

    async def position_ids(self, position_keys: Sequence[int]) -> dict[int, str]:
        """Text ids of these positions at least."""
        if len(position_keys) <= _MOST_KEYS:
            found = await self._transaction.fetch(_IDS, keys=position_keys)
        else:
            ends = {"first_key": min(position_keys), "last_key": max(position_keys)}
            found = await self._transaction.fetch(_IDS_BETWEEN, **ends)
        return {row["position_key"]: row["id"] for row in found}

    async def totals(self) -> Totals:
        """The stored totals."""
        (row,) = await self._transaction.fetch(_READ_TOTALS)
        return rows.read(Totals, row)


def totals_values(totals: Totals) -> dict[str, object]:
    """Totals as the driver takes them, by column."""
    values = {name: getattr(totals, name) for name in TOTALS}
    return values | {"absent_count": json.dumps(totals.absent_count)}


def _changes(row: Row) -> InputChanges:
    keys = np.unique(np.array(row["changed_keys"] or [], np.int64))
    return InputChanges(None if row["all_changed"] else keys)


def _priced(price: MarketPrice) -> tuple[object, ...]:
    sigma = price.hourly_volatility_ratio
    # One number, so that an older program reads a disputed price as it did: usable.
    usable = _DISPUTED if price.disputed else price.usable
    return price.price_usd, micros(price.price_time), usable, sigma, price.estimate_usd


def _market_price(
    price_usd: float,
    price_micros: int,
    usable: bool | int,
    sigma: float | None,
    # An older release kept none, or whether it is the price itself.
    estimate: float | bool | None = None,
) -> MarketPrice:
    price_time = _START + timedelta(microseconds=price_micros)
    estimate_usd = price_usd if estimate is True else estimate or None
    return MarketPrice(
        price_usd,
        price_time,
        bool(usable),
        sigma,
        estimate_usd=estimate_usd,
        disputed=usable == _DISPUTED,
    )


def _service_state(row: Row) -> ServiceState:
    weights = rows.read(HeatWeights, row)
    heat = HeatModifiers(model_of(row["heat_model"]), weights, row["heat_version"])
    frozen = [FrozenMark(*one) for one in json.loads(row["frozen_marks"])]
    return rows.read(ServiceState, row, heat=heat, frozen=frozen or NO_MARKS)


def _ascending(columns: Columns) -> Columns:
    keys = columns["position_key"]
    if len(keys) < 2 or bool((keys[1:] > keys[:-1]).all()):
        return columns
    order = np.argsort(keys, kind="stable")
    return {name: column[order] for name, column in columns.items()}
