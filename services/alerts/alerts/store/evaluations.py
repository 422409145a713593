"""What evaluations saw, one packed row each: far cheaper than a row per alert, and out of the hot
table.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.alerts.domain.alert_columns import READING_COLUMNS, AlertColumns, Readings
from services.alerts.store.service_state import ServiceState
from shared.database.engine import raw

# No key is negative.
_RUNS = -1
_NAMES = ", ".join(READING_COLUMNS)
# One round trip. The row before the last stays for a reader that began before this commit.
_WRITE = (
    "with versions as (update service_state set evaluation_version = $1, alert_version = $2, demo"
    " = $3),"
    " old as (delete from evaluation where version <> $4)"
    f" insert into evaluation (version, evaluated_micros, alert_key, {_NAMES})"
    " values ($1, $5, $6, $7, $8, $9, $10)"
)
_READ = f"select evaluated_micros, alert_key, {_NAMES} from evaluation where version = $1"


def packed(alert_columns: AlertColumns) -> list[bytes]:
    """The keys, and the readings in the order of READING_COLUMNS."""
    return [
        packed_keys(alert_columns.alert_key),
        *(getattr(alert_columns.readings, name).tobytes() for name in READING_COLUMNS),
    ]


def packed_keys(keys: NDArray[np.int64]) -> bytes:
    """Ascending keys as they are; where few runs of neighbours make them up, a mark, firsts and
    lengths.
    """
    firsts = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 2) != 1)
    if 2 * len(firsts) >= len(keys):
        return keys.tobytes()
    return np.concatenate([[_RUNS], keys[firsts], np.diff(firsts, append=len(keys))]).tobytes()


def keys_of(packed: bytes) -> NDArray[np.int64]:
    """The keys that packed_keys was given; what an older release stored is no run."""
    numbers = np.frombuffer(packed, np.int64)
    if not len(numbers) or numbers[0] != _RUNS:
        return numbers
    firsts, lengths = numbers[1:].reshape(2, -1)
    ends = np.cumsum(lengths)
    keys: NDArray[np.int64] = np.arange(lengths.sum()) + np.repeat(
        firsts - (ends - lengths), lengths
    )
    return keys


class EvaluationStore:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def write(
        self, alert_columns: AlertColumns, service_state: ServiceState, previous_version: int
    ) -> None:
        """Keep the readings of the alerts and move the service state on to this one."""
        driver = await raw(self._connection)
        versions = (
            service_state.evaluation_version,
            service_state.alert_version,
            service_state.demo,
            previous_version,
        )
        await driver.execute(
            _WRITE, *versions, alert_columns.evaluated_micros, *packed(alert_columns)
        )

    async def load(self, alert_columns: AlertColumns, version: int) -> AlertColumns:
        """The alerts with the readings of one evaluation; as it is when there is none."""
        rows = await (await raw(self._connection)).fetch(_READ, version)
        if not rows:
            return alert_columns
        ((micros, alert_key, *columns),) = rows
        return alert_columns.with_readings(keys_of(alert_key), _readings(columns), micros)

    async def delete_all(self) -> None:
        await self._connection.exec_driver_sql("delete from evaluation")


def _readings(columns: Sequence[bytes]) -> Readings:
    typed = zip(columns, READING_COLUMNS.values(), strict=True)
    return Readings(*(np.frombuffer(column, dtype) for column, dtype in typed))
