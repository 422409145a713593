"""What evaluations saw, one packed row each: far cheaper than a row per alert, and out of the hot table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.domain.board import READING_COLUMNS, Board, Readings
from services.alerts.store.docket import Docket
from shared.database.engine import raw

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
    return [board.alert_key.tobytes(), *(getattr(board.readings, name).tobytes() for name in READING_COLUMNS)]


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
        return board.with_readings(np.frombuffer(alert_key, "i8"), _readings(columns), micros)

    async def delete_all(self) -> None:
        await self._connection.exec_driver_sql("delete from evaluation")


def _readings(columns: Sequence[bytes]) -> Readings:
    typed = zip(columns, READING_COLUMNS.values(), strict=True)
    return Readings(*(np.frombuffer(column, dtype) for column, dtype in typed))
