"""Rows that leapt away from what was last good, until they are believed or gone."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from services.positions.sync.domain.leaps import COMPARED, Quarantined
from shared.database.engine import raw

_NAMES = ("first_micros", "last_micros", "observed_count", *COMPARED)
_READ = (
    f"select q.position_key, {', '.join(f'q.{name}' for name in _NAMES)} from quarantined_row q"
    " join position p using (position_key) where p.feed_key = any($1::int[])"
)
_KEEP = (
    f"insert into quarantined_row (position_key, {', '.join(_NAMES)})"
    f" values ($1, {', '.join(f'${number}' for number in range(2, len(_NAMES) + 2))})"
    " on conflict (position_key) do update set"
    f" {', '.join(f'{name} = excluded.{name}' for name in _NAMES)}"
)
_LEAVE = "delete from quarantined_row where position_key = any($1::bigint[])"


class QuarantineStore:
    """Rows in quarantine, by position key."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def read(self, feed_keys: Sequence[int]) -> dict[int, Quarantined]:
        """Those of some feeds."""
        rows = await (await raw(self._connection)).fetch(_READ, feed_keys)
        return {
            row["position_key"]: Quarantined(
                row["first_micros"],
                row["last_micros"],
                row["observed_count"],
                {name: row[name] for name in COMPARED},
            )
            for row in rows
        }

    async def keep(self, waiting: Mapping[int, Quarantined]) -> None:
        """Put in, or note another observation."""
        driver = await raw(self._connection)
        for key, one in waiting.items():
            figures = [one.figures[name] for name in COMPARED]
            await driver.execute(
                _KEEP, key, one.first_micros, one.last_micros, one.observed_count, *figures
            )

    async def leave(self, position_keys: Sequence[int]) -> None:
        """Take out."""
        await (await raw(self._connection)).execute(_LEAVE, position_keys)
