"""Rows that leapt away from what was last good, until they are believed or gone."""

from collections.abc import Mapping, Sequence

from services.positions.sync.domain.leaps import COMPARED, Quarantined
from shared import rows
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_NAMES = ("first_micros", "last_micros", "observed_count", *COMPARED)
_READ = Statement(
    f"select position_key, {', '.join(f'q.{name}' for name in _NAMES)} from quarantined_row q"
    " join position p using (position_key) where p.feed_key = any(:feed_keys)"
)
_KEEP = Statement(
    f"insert into quarantined_row (position_key, {', '.join(_NAMES)})"
    f" values (:position_key, {', '.join(f':{name}' for name in _NAMES)})"
    " on conflict (position_key) do update set"
    f" {', '.join(f'{name} = excluded.{name}' for name in _NAMES)}"
)
_LEAVE = Statement("delete from quarantined_row where position_key = any(:position_keys)")


class QuarantineStore:
    """Rows in quarantine, by position key."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def read(self, feed_keys: Sequence[int]) -> dict[int, Quarantined]:
        """Those of some feeds."""
        found = await self._transaction.fetch(_READ, feed_keys=feed_keys)
        return {
            row["position_key"]: rows.read(
                Quarantined, row, figures={name: row[name] for name in COMPARED}
            )
            for row in found
        }

    async def keep(self, waiting: Mapping[int, Quarantined]) -> None:
        """Put in, or note another observation."""
        await self._transaction.many(
            _KEEP,
            [
                {
                    "position_key": key,
                    "first_micros": one.first_micros,
                    "last_micros": one.last_micros,
                    "observed_count": one.observed_count,
                    **one.figures,
                }
                for key, one in waiting.items()
            ],
        )

    async def leave(self, position_keys: Sequence[int]) -> None:
        """Take out."""
        await self._transaction.execute(_LEAVE, position_keys=position_keys)
