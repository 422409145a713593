"""What evaluations saw, one packed row each: far cheaper than a row an alert."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import READING_COLUMNS, AlertColumns, Readings
from services.alerts.alerts.domain.estimates import Estimates
from shared.database.statement import Statement
from shared.database.transaction import Transaction

# No key is negative.
_RUNS = -1
PACKED_COLUMNS = ", ".join(("alert_key", *READING_COLUMNS, "estimates"))
_READ = Statement(
    f"select evaluated_micros, {PACKED_COLUMNS} from evaluation where version = :version"
)
_DELETE_ALL = Statement("delete from evaluation")


def packed(columns: AlertColumns) -> list[bytes]:
    """In the order of PACKED_COLUMNS."""
    return [
        packed_keys(columns.alert_key),
        *(getattr(columns.readings, name).tobytes() for name in READING_COLUMNS),
        columns.estimates.packed(),
    ]


def packed_keys(keys: NDArray[np.int64]) -> bytes:
    """Ascending keys as they are, or of few runs of neighbours: a mark, firsts, lengths."""
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
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def load(self, columns: AlertColumns, version: int) -> AlertColumns:
        """The alerts with the readings of one evaluation; as it is when there is none."""
        row = await self._transaction.first(_READ, version=version)
        if row is None:
            return columns
        readings = Readings(
            *(np.frombuffer(row[name], dtype) for name, dtype in READING_COLUMNS.items())
        )
        estimates = Estimates.unpacked(row["estimates"])
        return columns.with_readings(
            keys_of(row["alert_key"]), readings, row["evaluated_micros"], estimates
        )

    async def delete_all(self) -> None:
        await self._transaction.execute(_DELETE_ALL)
