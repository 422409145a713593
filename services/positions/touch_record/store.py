"""Statements as rows: one an asset and hour, its positions as arrays."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np

from services.positions.touch_record.domain.history import AssetProbabilities, TouchProbability
from services.positions.touch_record.domain.statements import (
    AssetStatements,
    Outcome,
    StatementState,
)
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest
from shared.touch import TouchModel

_HOUR_SECONDS: Final = 3600
_PUT = Statement(
    "insert into touch_statement (market, asset, hour, stated_time, until_time, model, sigma,"
    " side_signs, away, liquidation_prices_usd, probabilities) values (:market, :asset, :hour,"
    " :stated_time, :until_time, :model, :sigma, :side_signs, :away, :liquidation_prices_usd,"
    " :probabilities) on conflict do nothing"
)
_COLUMNS = (
    "select market, asset, stated_time, until_time, model, sigma, side_signs, away,"
    " liquidation_prices_usd, probabilities, state, high_usd, low_usd, reason from touch_statement"
)
_DUE = Statement(
    f"{_COLUMNS} where market = :market and state = 1 and until_time <= :before"
    " and (until_time, asset) > (:after_time, :after_asset)"
    " order by until_time, asset limit :most"
)
# Those of another market are asked about no more when their time is up.
_GIVE_UP = Statement(
    "update touch_statement set state = 3, reason = 'MARKET_CHANGED'"
    " where market <> :market and state = 1 and until_time <= :before"
)
_SETTLE = Statement(
    "update touch_statement set state = :state, high_usd = :high_usd, low_usd = :low_usd,"
    " reason = :reason where market = :market and asset = :asset and hour = :hour and state = 1"
)
_READ = Statement(
    f"{_COLUMNS} where market = :market and stated_time >= :since"
    " and (cast(:asset as text) = '' or asset = :asset) order by stated_time, asset"
)
# What leaves by age is older than all that comes or is settled: where count and sum are what they
# were, the sum by hours is higher.
_VERSION = Statement(
    "select count(*) as kept_count, coalesce(sum(state), 0)::int8 as state_sum,"
    " coalesce(sum(state::int8 * hour), 0)::int8 as hour_sum"
    " from touch_statement where market = :market and stated_time >= :since"
    " and (cast(:asset as text) = '' or asset = :asset)"
)
_IN_ANY_CASE = Statement(
    "select distinct asset from touch_statement where market = :market and stated_time >= :since"
    " and upper(asset) = upper(:asset)"
)
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST_MARKET = Statement("select market from touch_statement order by stated_time desc limit 1")
_KEEP = Statement(
    "insert into touch_history (market, asset, hour, stated_time, model, position_keys,"
    " probabilities) values (:market, :asset, :hour, :stated_time, :model, :position_keys,"
    " :probabilities) on conflict do nothing"
)
_HISTORY = Statement(
    "select hour, stated_time, model, probabilities[place] as probability from (select hour,"
    " stated_time, model, probabilities, array_position(position_keys, cast(:key as bigint)) as"
    " place from touch_history where market = :market and asset = :asset"
    " and hour < :before) kept where place is not null order by hour desc limit :most"
)
_LAST_HOUR: Final = 2**31 - 1


class TouchStatementStore:
    """Statements and the history of positions in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def put(self, statements: Iterable[AssetStatements]) -> None:
        """Keep these; of one asset, market and hour the first that was stored stays."""
        for one in statements:
            await self._transaction.execute(
                _PUT,
                market=one.market,
                asset=one.asset,
                hour=_hour(one.stated_time),
                stated_time=one.stated_time,
                until_time=one.until_time,
                model=one.model.value,
                sigma=one.sigma,
                side_signs=one.side_signs.tolist(),
                away=one.away.tolist(),
                liquidation_prices_usd=one.liquidation_prices_usd.tolist(),
                probabilities=one.probabilities.tolist(),
            )

    async def due(
        self, market: int, before: datetime, most: int, last: AssetStatements | None = None
    ) -> list[AssetStatements]:
        """WAITING ones of this market whose horizon ended before, the oldest first; after one."""
        after = (_START, "") if last is None else (last.until_time, last.asset)
        found = await self._transaction.fetch(
            _DUE, market=market, before=before, most=most, after_time=after[0], after_asset=after[1]
        )
        return [_statements(row) for row in found]

    async def in_any_case(self, market: int, since: datetime, asset: str) -> set[str]:
        """Assets of this name, whatever its case."""
        found = await self._transaction.fetch(_IN_ANY_CASE, market=market, since=since, asset=asset)
        return {row["asset"] for row in found}

    async def version(self, market: int, since: datetime, asset: str) -> tuple[int, int, int]:
        """Another one whenever `read` gives something else: each is put once and settled once."""
        (row,) = await self._transaction.fetch(_VERSION, market=market, since=since, asset=asset)
        return row["kept_count"], row["state_sum"], row["hour_sum"]

    async def give_up(self, market: int, before: datetime) -> None:
        """WAITING ones of any other market whose horizon ended before become UNSCORED."""
        await self._transaction.execute(_GIVE_UP, market=market, before=before)

    async def settle(self, one: AssetStatements, outcome: Outcome) -> None:
        """Keep what came of it, once."""
        await self._transaction.execute(
            _SETTLE,
            market=one.market,
            asset=one.asset,
            hour=_hour(one.stated_time),
            state=outcome.state.value,
            high_usd=outcome.high_usd,
            low_usd=outcome.low_usd,
            reason=outcome.reason,
        )

    async def read(self, market: int, since: datetime, asset: str) -> Sequence[AssetStatements]:
        """All of this market since then, of one asset or (empty) of all, the oldest first."""
        found = await self._transaction.fetch(_READ, market=market, since=since, asset=asset)
        return [_statements(row) for row in found]

    async def keep(self, said: Iterable[AssetProbabilities]) -> None:
        """Keep these for the history; of one asset, market and hour the first stored stays."""
        for one in said:
            await self._transaction.execute(
                _KEEP,
                market=one.market,
                asset=one.asset,
                hour=_hour(one.stated_time),
                stated_time=one.stated_time,
                model=one.model.value,
                position_keys=one.position_keys.tolist(),
                probabilities=one.probabilities.tolist(),
            )

    async def history(
        self, market: int, asset: str, position_key: int, page: PageRequest
    ) -> list[TouchProbability]:
        """What was said of one position in this market, newest first; one more than the page."""
        before = page.after[0] if page.after else _LAST_HOUR
        found = await self._transaction.fetch(
            _HISTORY,
            market=market,
            asset=asset,
            key=position_key,
            before=before,
            most=page.size + 1,
        )
        return [
            TouchProbability(
                row["hour"],
                row["stated_time"].astimezone(UTC),
                row["probability"],
                TouchModel(row["model"]),
            )
            for row in found
        ]

    async def newest_market(self) -> int | None:
        """The market of the newest statement."""
        found: int | None = await self._transaction.scalar(_NEWEST_MARKET)
        return found


def _hour(moment: datetime) -> int:
    return int(moment.timestamp()) // _HOUR_SECONDS


def _statements(row: Row) -> AssetStatements:
    return AssetStatements(
        row["market"],
        row["asset"],
        row["stated_time"].astimezone(UTC),
        row["until_time"].astimezone(UTC),
        TouchModel(row["model"]),
        row["sigma"],
        np.array(row["side_signs"], np.int8),
        np.array(row["away"], np.float64),
        np.array(row["liquidation_prices_usd"], np.float64),
        np.array(row["probabilities"], np.float64),
        StatementState(row["state"]),
        row["high_usd"],
        row["low_usd"],
        row["reason"],
    )
