"""Present prices as readers see them, each in one statement by itself."""

from collections.abc import Sequence
from datetime import datetime

from services.price.domain.day_range import DayRange
from services.price.domain.prices import Market, Price, Quality
from services.price.store.rows import READ, Changes, price_of
from shared.database.engine import Database

_LIST = (
    f"select {READ} from price p, lateral (select case when p.price_usd is not null"
    f" and p.refresh_time < $1 then {Quality.STALE.value} else p.quality end as now) judged"
    " where p.market = (select market from service_state)"
    " and p.asset > $2 and ($3::smallint[] is null or judged.now = any($3))"
    " order by p.asset limit $4"
)
_GET = (
    f"select {READ} from price p where p.market = (select market from service_state) and"
    " p.asset = $1"
)
_CHANGES = (
    f"select s.revision, s.reset_revision, {READ} from service_state s"
    " left join price p on p.market = s.market and p.revision > $1 order by p.asset"
)
_REVISION = "select revision from service_state"
_RANGE = (
    "select max(price_usd), min(price_usd) from price_history"
    " where market = $1 and asset = $2 and price_time >= $3"
)


class Readings:
    """Straight from the driver: SQLAlchemy's share would be the greater part."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, after: str, row_count: int, qualities: Sequence[Quality], vouched_since: datetime
    ) -> list[Price]:
        """Prices of the present market by asset, after `after`; those not refreshed since then read
        STALE.
        """
        wanted = [quality.value for quality in qualities] or None
        rows = await self._database.fetch(_LIST, vouched_since, after, wanted, row_count)
        return [price_of(row) for row in rows]

    async def get(self, asset: str) -> Price | None:
        rows = await self._database.fetch(_GET, asset)
        return price_of(rows[0]) if rows else None

    async def day_range(self, market: Market, asset: str, since: datetime) -> DayRange | None:
        ((high_usd, low_usd),) = await self._database.fetch(_RANGE, market.value, asset, since)
        return None if high_usd is None else DayRange(high_usd, low_usd)

    async def revision(self) -> int:
        """The number of the last write, of whatever process."""
        ((revision,),) = await self._database.fetch(_REVISION)
        return int(revision)

    async def changes(self, since: int) -> Changes:
        """What a watcher who knows revision `since` has not seen; 0 gives everything."""
        rows = await self._database.fetch(_CHANGES, since)
        revision, reset_revision = rows[0][:2]
        prices = tuple(price_of(row[2:]) for row in rows if row[2] is not None)
        return Changes(revision, prices, 0 < since < reset_revision)
