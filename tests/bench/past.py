"""The recorder, by an invented night of a market that moves; and a year of candles walked."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, timedelta
from typing import Any

import numpy as np

from services.alerts.alerts.domain.compiled_limits import CompiledLimits, ThresholdTables
from services.alerts.alerts.domain.evaluation import evaluate
from services.alerts.backtest.domain.candles import Candles, Side, started_paths
from services.alerts.backtest.domain.outcomes import by_set, outcomes
from services.alerts.backtest.domain.walk import looks_of, walk
from services.alerts.domain.kinds import AlertType
from services.alerts.recorder.domain.packing import base_of, pack
from services.alerts.recorder.domain.recording import recorded
from services.alerts.recorder.service.recorder import Recorder, RecordingsAge
from services.alerts.thresholds.domain import ThresholdSet
from shared.clock import SystemClock
from tests.bench.figures import Figure, Limit
from tests.bench.running import Run, say
from tests.fakes.nights import Night

_RECORDER, _BACKTEST = "G19", "G20"
_CYCLES, _ROUNDS = 12, 7
# Bytes of a recording that are promised, by positions.
_MOST_BYTES = {100: 4_000, 10_000: 300_000}
_CADENCE, _CANDLES, _SETS = 300, 365 * 288, 20


async def recorder(run: Run) -> list[Figure]:
    """What a recording takes, what taking it costs an evaluation, and packing it beside it."""
    found: list[Figure] = []
    for count, most in _MOST_BYTES.items():
        say(f"  a night of {count:,} positions")
        cycles = list(Night(run.options.seed, count, faults=False).cycles(_CYCLES))
        recordings = [recorded(*cycle) for cycle in cycles]
        packed = pack(recordings[0])
        base, whole = base_of(recordings[0], packed), len(packed)
        sizes = [len(pack(one, base)) for one in recordings[1:]]
        what = f"bytes of a cycle of {count:,} positions, {len(cycles[0][0].columns):,} alerts"
        limit = Limit(most, of_ratio=False)
        found.append(Figure(_RECORDER, what, sizes, limit=limit, unit="bytes"))
        base_what = f"bytes of the base of an hour of them, {count:,} positions"
        found.append(Figure(_RECORDER, base_what, [whole], unit="bytes"))
        found += _costs(cycles, count)
    return found


def _costs(cycles: list[Any], count: int) -> list[Figure]:
    recorder = Recorder(_nothing, SystemClock(), RecordingsAge(timedelta(days=7), 1024**3))
    judgement, outcome = cycles[-1]
    columns = judgement.columns
    tables = ThresholdTables(*ThresholdSet(judgement.thresholds).tables(columns.assets))
    limits = CompiledLimits(tables, columns)
    places = limits.reading_index.places(judgement.inputs.positions)

    def judged() -> None:
        evaluate(columns, limits, places, judgement.inputs)

    def taken() -> None:
        judged()
        recorder.take(judgement, outcome)

    def packed() -> None:
        recording = recorded(judgement, outcome)
        pack(recording, base_of(recording, b""))

    alone, with_it = cpu_ms(judged), cpu_ms(taken)
    return [
        Figure(
            _RECORDER,
            f"CPU of judging {count:,} positions, its recording taken",
            with_it,
            "without",
            alone,
            limit=Limit(1.05),
        ),
        Figure(
            _RECORDER, f"CPU of packing it beside the cycle, {count:,} positions", cpu_ms(packed)
        ),
    ]


def _nothing() -> AbstractAsyncContextManager[Any]:
    """No database: what is taken waits."""
    return nullcontext()


def cpu_ms(work: Callable[[], None]) -> list[float]:
    """Of this process; the first is not counted."""
    found = []
    for _ in range(_ROUNDS + 1):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) * 1000)
    return found[1:]


async def backtest(run: Run) -> list[Figure]:
    """One position over a year of five-minute candles, under twenty sets of limits."""
    chance = np.random.default_rng(run.options.seed)
    close = 50_000 * np.exp(np.cumsum(chance.normal(0, 0.0015, _CANDLES)))
    start = 1_700_000_100 + _CADENCE * np.arange(_CANDLES)
    candles = Candles(start, close * 1.0012, close * 0.9988, close)
    high = np.linspace(2, 60, _SETS)
    limits = np.column_stack([high * 1.5, high * 1.2, high])

    def walked() -> None:
        whole = _CADENCE * (_CANDLES - 1)
        paths = started_paths(candles, Side.LONG, 80.0, whole + 1, whole)
        looks = looks_of(candles, paths, AlertType.LIQUIDATION_DISTANCE)
        changes = walk(candles, looks, AlertType.LIQUIDATION_DISTANCE, limits)
        for one in by_set(changes, _SETS):
            outcomes(candles, paths, looks, one, 3600, UTC)

    what = f"CPU of a year of {_CANDLES:,} candles under {_SETS} sets of limits"
    return [Figure(_BACKTEST, what, cpu_ms(walked), limit=Limit(1000, of_ratio=False))]
