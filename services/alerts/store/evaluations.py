"""What evaluations saw, one packed row each: far cheaper than a row per alert, and out of the hot table."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.domain.board import READING_COLUMNS, Board, Readings

# One round trip. The row before the last stays for a reader that began before this commit. A quiet run need
# not wait for the disk: lost with the machine, it is evaluated again.
_WRITE = text(
    "with speed as (select set_config('synchronous_commit',"
    " case when :quiet then 'off' else current_setting('synchronous_commit') end, true)),"
    " versions as (update docket set evaluation_version = :version, alert_version = :alert_version,"
    " demo = :demo from speed),"
    " old as (delete from evaluation where version <> :previous_version)"
    " insert into evaluation (version, evaluated_micros, alert_key, value, observed_micros, state, falling)"
    " values (:version, :evaluated_micros, :alert_key, :value, :observed_micros, :state, :falling)"
)
_READ = text(
    "select evaluated_micros, alert_key, value, observed_micros, state, falling from evaluation"
    " where version = :version"
)


class EvaluationStore:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def write(
        self,
        board: Board,
        *,
        version: int,
        previous_version: int,
        alert_version: int,
        demo: bool,
        quiet: bool,
    ) -> None:
        """Keep the readings of a board and move the docket on."""
        values: dict[str, Any] = {name: getattr(board.readings, name).tobytes() for name in READING_COLUMNS}
        values |= {
            "version": version,
            "previous_version": previous_version,
            "alert_version": alert_version,
            "evaluated_micros": board.evaluated_micros,
            "alert_key": board.alert_key.tobytes(),
            "demo": demo,
            "quiet": quiet,
        }
        await self._connection.execute(_WRITE, values)

    async def load(self, board: Board, version: int) -> Board:
        """The board with the readings of one evaluation; as it is when there is none."""
        row = (await self._connection.execute(_READ, {"version": version})).one_or_none()
        if row is None:
            return board
        return board.with_readings(np.frombuffer(row.alert_key, "i8"), _readings(row), row.evaluated_micros)

    async def delete_all(self) -> None:
        await self._connection.exec_driver_sql("delete from evaluation")


def _readings(row: Row[Any]) -> Readings:
    return Readings(
        **{name: np.frombuffer(getattr(row, name), dtype) for name, dtype in READING_COLUMNS.items()}
    )
