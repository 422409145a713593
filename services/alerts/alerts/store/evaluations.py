"""What evaluations saw, one packed row each: far cheaper than a row per alert, and out of the hot table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.alerts.domain.alert_columns import READING_COLUMNS, Board, Readings
from services.alerts.store.service_state import Docket
from shared.database.engine import raw

# No key is negative.
_RUNS = -1
_NAMES = ", ".join(READING_COLUMNS)
# One round trip. The row before the last stays for a reader that began before this commit.
_WRITE = (
    "with versions as (update docket set evaluation_version = $1, alert_version = $2, demo = $3),"
    " old as (delete from evaluation where version <> $4)"
    f" insert into evaluation (version, evaluated_micros, alert_key, {_NAMES})"
    " values ($1, $5, $6, $7, $8, $9, $10)"
)
_READ = f"select evaluated_micros, alert_key, {_NAMES} from evaluation where version = $1"


def packed(board: Board) -> list[bytes]:
    """The keys, and the readings in the order of READING_COLUMNS."""
    return [
        packed_keys(board.alert_key),
        *(getattr(board.readings, name).tobytes() for name in READING_COLUMNS),
    ]


def packed_keys(keys: NDArray[np.int64]) -> bytes:
    """Ascending keys as they are; where few runs of neighbours make them up, a mark, firsts and lengths."""
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
    keys: NDArray[np.int64] = np.arange(lengths.sum()) + np.repeat(firsts - (ends - lengths), lengths)
    return keys


class EvaluationStore:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def write(self, board: Board, docket: Docket, previous_version: int) -> None:
        """Keep the readings of a board and move the docket on to this one."""
        driver = await raw(self._connection)
        versions = (docket.evaluation_version, docket.alert_version, docket.demo, previous_version)
        await driver.execute(_WRITE, *versions, board.evaluated_micros, *packed(board))

    async def load(self, board: Board, version: int) -> Board:
        """The board with the readings of one evaluation; as it is when there is none."""
        rows = await (await raw(self._connection)).fetch(_READ, version)
        if not rows:
            return board
        ((micros, alert_key, *columns),) = rows
        return board.with_readings(keys_of(alert_key), _readings(columns), micros)

    async def delete_all(self) -> None:
        await self._connection.exec_driver_sql("delete from evaluation")


def _readings(columns: Sequence[bytes]) -> Readings:
    typed = zip(columns, READING_COLUMNS.values(), strict=True)
    return Readings(*(np.frombuffer(column, dtype) for column, dtype in typed))
