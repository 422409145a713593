"""What evaluations saw, one packed row each: far cheaper than a row an alert."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import READING_COLUMNS, AlertColumns, Readings
from services.alerts.alerts.domain.estimates import Estimates
from shared.database.statement import Statement
from shared.database.transaction import Transaction

# No key and no time is negative.
_RUNS = _OFFSETS = -1
PACKED_COLUMNS = ", ".join(("alert_key", *READING_COLUMNS, "estimates"))
_READ = Statement(
    f"select evaluated_micros, {PACKED_COLUMNS} from evaluation where version = :version"
)
_DELETE_ALL = Statement("delete from evaluation")


def packed(columns: AlertColumns) -> list[bytes]:
    """In the order of PACKED_COLUMNS."""
    readings = columns.readings
    return [
        packed_keys(columns.alert_key),
        readings.value.tobytes(),
        packed_times(readings.observed_micros),
        packed_codes(readings.state),
        packed_codes(readings.falling),
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


def packed_times(micros: NDArray[np.int64]) -> bytes:
    """Times of 71 minutes in half the bytes: a mark, a base, what is added to it, 0: never."""
    known = micros > 0
    base = int(micros.min(where=known, initial=np.iinfo(np.int64).max)) - 1
    if not known.any() or micros.max() - base > np.iinfo(np.uint32).max or micros.min() < 0:
        return micros.tobytes()
    offsets = np.where(known, micros - base, 0).astype(np.uint32)
    return np.array([_OFFSETS, base]).tobytes() + offsets.tobytes()


def times_of(packed: bytes) -> NDArray[np.int64]:
    """The times that packed_times was given; what an older release stored has no mark."""
    if packed[:8] != np.int64(_OFFSETS).tobytes():
        return np.frombuffer(packed, np.int64)
    base = np.frombuffer(packed, np.int64, 1, offset=8)
    offsets = np.frombuffer(packed, np.uint32, offset=16)
    return np.where(offsets, base + offsets, 0)


def packed_codes(codes: NDArray[np.int8]) -> bytes:
    """One byte a row, or one for all where they are the same."""
    return codes[: 1 if (codes == codes[:1]).all() else None].tobytes()


def codes_of(packed: bytes, count: int) -> NDArray[np.int8]:
    """The codes of `count` rows that packed_codes was given."""
    codes = np.frombuffer(packed, np.int8)
    return codes if len(codes) == count else np.broadcast_to(codes, count)


class EvaluationStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def load(self, columns: AlertColumns, version: int) -> AlertColumns:
        """The alerts with the readings of one evaluation; as it is when there is none."""
        row = await self._transaction.first(_READ, version=version)
        if row is None:
            return columns
        keys = keys_of(row["alert_key"])
        readings = Readings(
            value=np.frombuffer(row["value"], np.float64),
            observed_micros=times_of(row["observed_micros"]),
            state=codes_of(row["state"], len(keys)),
            falling=codes_of(row["falling"], len(keys)),
        )
        estimates = Estimates.unpacked(row["estimates"])
        return columns.with_readings(keys, readings, row["evaluated_micros"], estimates)

    async def delete_all(self) -> None:
        await self._transaction.execute(_DELETE_ALL)
