"""Evaluation of alerts in bulk: three a position, by constant limits, by limits of their own, in a crash.

Counted is the step EVALUATE_ALERTS as Cyclone sees it, with the real servers and their Postgres: columns read
from positions over gRPC, every alert judged by up to three limits with hysteresis, readings committed; in a
crash also levels, a ledger row a change in the hash chain, and the outbox. Not counted: prices, enrichment,
and the delivery of messages, which goes on beside the later samples of the crash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from services.cli.connection import connected
from shared.database.engine import Database
from tests.bench import cycles
from tests.bench.measure import Figure

_STEPS = ("UPDATE_PRICES", "ENRICH_POSITIONS", "CREATE_ALERTS", "EVALUATE_ALERTS")
_WARM, _COUNTED = 2, 9
_CRASH_SHARE = 0.9  # of the alerts about heat, which are a third of all
_HEAT, _TRAVEL, _DISTANCE = (
    (pb.ALERT_TYPE_HEAT_INDEX, pb.CONDITION_ABOVE),
    (pb.ALERT_TYPE_TRAVEL_PERCENT, pb.CONDITION_BELOW),
    (pb.ALERT_TYPE_LIQUIDATION_DISTANCE, pb.CONDITION_BELOW),
)
# Limits that no position reaches: alerts are judged, and none is raised.
_CALM = {_HEAT: (1e3, 2e3, 3e3), _TRAVEL: (-1e3, -2e3, -3e3), _DISTANCE: (-1e3, -2e3, -3e3)}
# Another limit for each alert, as far away.
_OWN = "case kind % 4 when 1 then 1 else -1 end * (1000 + alert_key % 1000)"
_NO_OWN = "'NaN'"


@dataclass(frozen=True, slots=True)
class Evaluations:
    """Milliseconds of EVALUATE_ALERTS over this many alerts; in a crash this many of them change."""

    alert_count: int
    quiet_ms: Sequence[float]
    own_ms: Sequence[float]
    crash_ms: Sequence[float]
    changed_count: int

    def figures(self) -> list[Figure]:
        """Quiet and crash cycles as lines."""
        share = f"{self.changed_count / self.alert_count:.0%} of the levels change"
        quiet = Figure(f"EVALUATE_ALERTS, {self.alert_count:,} alerts", self.quiet_ms)
        own = Figure("  each with its own limit", self.own_ms)
        return [quiet, own, Figure(f"  {share}", self.crash_ms, "quiet", self.quiet_ms, "G7: p50 <= 3")]


class Bulk:
    """Alerts of the running house."""

    def __init__(
        self,
        cyclone: cyclone_pb2_grpc.CycloneServiceStub,
        thresholds: rpc.ThresholdsServiceStub,
        positions: positions_pb2_grpc.PositionsServiceStub,
    ) -> None:
        self._cyclone = cyclone
        self._thresholds = thresholds
        self._positions = positions

    async def limit(self, scope: tuple[pb.AlertType, pb.Condition], limits: Sequence[float]) -> None:
        """One threshold; absent limits stay as they are."""
        named = dict(zip(("low", "medium", "high"), limits, strict=False))
        threshold = pb.Threshold(type=scope[0], condition=scope[1], enabled=True, **named)
        threshold.alert_class = pb.ALERT_CLASS_POSITION
        await self._thresholds.UpdateThreshold(
            pb.UpdateThresholdRequest(threshold=threshold, allow_missing=True)
        )

    async def calm(self) -> None:
        """Three thresholds judge, and no other."""
        listed = await self._thresholds.ListThresholds(pb.ListThresholdsRequest(page_size=500))
        for known in listed.thresholds:
            if known.asset:
                await self._thresholds.DeleteThreshold(pb.DeleteThresholdRequest(id=known.id))
                continue
            off = pb.UpdateThresholdRequest(threshold=pb.Threshold(id=known.id, enabled=False))
            off.update_mask.paths.append("enabled")
            await self._thresholds.UpdateThreshold(off)
        for scope, limits in _CALM.items():
            await self.limit(scope, limits)

    async def heats(self) -> np.ndarray:
        """Heat of every position now."""
        request = positions_pb2.ReadColumnsRequest(columns=["heat_index"])
        return np.array(
            [heat async for part in self._positions.ReadColumns(request) for heat in part.heat_index]
        )

    async def evaluate(self) -> tuple[float, Mapping[str, int]]:
        """Milliseconds of one evaluation of fresh marks, and what it counted."""
        last = cyclone_pb2.Cycle()
        async for progress in self._cyclone.RunCycle(cyclone_pb2.RunCycleRequest(steps=_STEPS), timeout=300):
            last = progress.cycle
        assert last.state == cyclone_pb2.CYCLE_STATE_SUCCEEDED, last.message
        step = next(step for step in last.steps if step.name == "EVALUATE_ALERTS")
        return step.duration.ToTimedelta().total_seconds() * 1000, step.counts

    async def quiet(self) -> tuple[list[float], int]:
        """Milliseconds of evaluations that change no level, and over how many alerts."""
        for _ in range(_WARM):
            await self.evaluate()
        taken, counts = [], {}
        for _ in range(_COUNTED):
            milliseconds, counts = await self.evaluate()
            assert not counts["raised"] and not counts["lowered"], counts
            taken.append(milliseconds)
        return taken, counts["evaluated"]

    async def crash(self) -> tuple[list[float], int]:
        """Milliseconds of evaluations that raise nine of ten alerts about heat: LOW, MEDIUM, HIGH."""
        limit = float(np.nanquantile(await self.heats(), 1 - _CRASH_SHARE))
        taken, raised = [], 0
        for reached in (1, 2, 3):
            await self.limit(_HEAT, [limit] * reached)
            milliseconds, counts = await self.evaluate()
            taken.append(milliseconds)
            raised = counts["raised"]
        return taken, raised


async def measure(addresses: Mapping[str, str], admin_url: str, count: int) -> Evaluations:
    """Replaces what is held by `count` calm positions and judges them."""
    async with connected(addresses) as found:
        alerts = await found.stub("alerts", rpc.AlertsServiceStub)
        bulk = Bulk(
            await found.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub),
            await found.stub("alerts", rpc.ThresholdsServiceStub),
            await found.stub("positions", positions_pb2_grpc.PositionsServiceStub),
        )
        await bulk.calm()
        await alerts.ClearData(pb.ClearDataRequest(confirm="clear"), timeout=120)
        await cycles.fill(addresses, count)
        quiet_ms, alert_count = await bulk.quiet()
        await _set_own(admin_url, _OWN)
        own_ms, _ = await bulk.quiet()
        await _set_own(admin_url, _NO_OWN)
        await bulk.evaluate()
        crash_ms, changed_count = await bulk.crash()
    return Evaluations(alert_count, quiet_ms, own_ms, crash_ms, changed_count)


async def _set_own(admin_url: str, limit: str) -> None:
    """Beside the service, which takes one alert a call; it reads all again by the version."""
    database = Database(admin_url)
    async with database.begin() as connection:
        await connection.exec_driver_sql(f"update alerts.alert set trigger_value = {limit}")
        await connection.exec_driver_sql("update alerts.docket set alert_version = alert_version + 1")
    await database.stop()
