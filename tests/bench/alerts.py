"""Evaluation of alerts in bulk: three a position, by constant limits, by own limits, in a crash.

Counted is EVALUATE_ALERTS as Cyclone sees it: columns over gRPC, alerts judged, all committed.
Whole cycles are without NOTIFY, which sends for 5 s at most; the relay sends meanwhile, beside
the later crash samples.
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
from shared.database.pool import Database
from tests.bench import cycles
from tests.bench.measure import Figure

# Alone on the machine while it runs, but for positions that answer it.
_ALONE = ("UPDATE_PRICES", "ENRICH_POSITIONS", "CREATE_ALERTS", "EVALUATE_ALERTS")
_WHOLE = (
    *_ALONE,
    "SYNC_POSITIONS",
    "LINK_HEDGES",
    "CLEAR_STALE_ALERTS",
    "RECORD_SNAPSHOT",
    "RUN_MONITORS",
)
_WARM, _COUNTED = 2, 9
_CRASH_SHARE = 0.9  # of the alerts about distance, which are a third of all
_HEAT, _TRAVEL, _DISTANCE = (
    (pb.ALERT_TYPE_HEAT_INDEX, pb.CONDITION_ABOVE),
    (pb.ALERT_TYPE_TRAVEL_PERCENT, pb.CONDITION_BELOW),
    (pb.ALERT_TYPE_LIQUIDATION_DISTANCE, pb.CONDITION_BELOW),
)
# Limits that no position reaches: alerts are judged, and none is raised.
_CALM = {
    _HEAT: (97.0, 98.0, 99.0),
    _TRAVEL: (-97.0, -98.0, -99.0),
    _DISTANCE: (0.03, 0.02, 0.01),
}
# Another limit for each alert, as far away.
_OWN = "case kind % 4 when 1 then 1 else -1 end * (1000 + alert_key % 1000)"
_NO_OWN = "'NaN'"


@dataclass(frozen=True, slots=True)
class Evaluations:
    """Milliseconds of EVALUATE_ALERTS over this many alerts, and of cycles; in a crash so many
    change.
    """

    alert_count: int
    quiet_ms: Sequence[float]
    own_ms: Sequence[float]
    cycle_ms: Sequence[float]
    crash_ms: Sequence[float]
    crash_cycle_ms: Sequence[float]
    changed_count: int

    def figures(self) -> list[Figure]:
        """Quiet and crash cycles as lines."""
        crash = f"{self.changed_count / self.alert_count:.0%} of levels change"
        return [
            Figure(f"EVALUATE_ALERTS, {self.alert_count:,} alerts", self.quiet_ms),
            Figure("  each with its own limit", self.own_ms),
            Figure(f"  {crash}", self.crash_ms[:1]),
            Figure("  again, messages going out", self.crash_ms[1:]),
            Figure(
                f"cycle, {crash}",
                self.crash_cycle_ms[:1],
                "quiet cycle",
                self.cycle_ms,
                "G7: p50 <= 3",
            ),
        ]


class Bulk:
    """Alerts of the running system."""

    def __init__(
        self,
        cyclone: cyclone_pb2_grpc.CycloneServiceStub,
        thresholds: rpc.ThresholdsServiceStub,
        positions: positions_pb2_grpc.PositionsServiceStub,
    ) -> None:
        self._cyclone = cyclone
        self._thresholds = thresholds
        self._positions = positions

    async def limit(
        self, scope: tuple[pb.AlertType, pb.Condition], limits: Sequence[float]
    ) -> None:
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

    async def distances(self) -> np.ndarray:
        """Liquidation distance of every position now, percent."""
        request = positions_pb2.ReadColumnsRequest(columns=["liquidation_distance_percent"])
        parts = [part async for part in self._positions.ReadColumns(request)]
        return np.array([value for part in parts for value in part.liquidation_distance_percent])

    async def cycle(self, steps: Sequence[str]) -> tuple[float, float, Mapping[str, int]]:
        """Milliseconds of one cycle with fresh marks, of its evaluation, and what that counted."""
        last = cyclone_pb2.Cycle()
        async for progress in self._cyclone.RunCycle(
            cyclone_pb2.RunCycleRequest(steps=steps), timeout=300
        ):
            last = progress.cycle
        assert last.state == cyclone_pb2.CYCLE_STATE_SUCCEEDED, last.message
        step = next(step for step in last.steps if step.name == "EVALUATE_ALERTS")
        return cycles.milliseconds(last), cycles.milliseconds(step), step.counts

    async def quiet(self, steps: Sequence[str]) -> tuple[list[float], list[float], int]:
        """Milliseconds of cycles that change no level, of their evaluations, and over how many
        alerts.
        """
        for _ in range(_WARM):
            await self.cycle(steps)
        taken = [await self.cycle(steps) for _ in range(_COUNTED)]
        assert not any(counts["raised"] or counts["lowered"] for _, _, counts in taken)
        whole_ms, evaluation_ms, counted = zip(*taken, strict=True)
        return list(whole_ms), list(evaluation_ms), counted[-1]["evaluated"]

    async def crash(self) -> tuple[list[float], list[float], int]:
        """Milliseconds of cycles that raise nine of ten alerts about distance:
        LOW, MEDIUM, HIGH."""
        limit = float(np.quantile(await self.distances(), _CRASH_SHARE))
        taken = []
        for reached in (1, 2, 3):
            await self.limit(_DISTANCE, [limit] * reached)
            taken.append(await self.cycle(_WHOLE))
        whole_ms, evaluation_ms, counted = zip(*taken, strict=True)
        return list(whole_ms), list(evaluation_ms), counted[0]["raised"]


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
        _, quiet_ms, alert_count = await bulk.quiet(_ALONE)
        await _set_own(admin_url, _OWN)
        _, own_ms, _ = await bulk.quiet(_ALONE)
        await _set_own(admin_url, _NO_OWN)
        cycle_ms, _, _ = await bulk.quiet(_WHOLE)
        crash_cycle_ms, crash_ms, changed_count = await bulk.crash()
    return Evaluations(
        alert_count, quiet_ms, own_ms, cycle_ms, crash_ms, crash_cycle_ms, changed_count
    )


async def _set_own(admin_url: str, limit: str) -> None:
    """Beside the service, which takes one alert a call; it reads all again by the version."""
    database = Database(admin_url)
    async with database.transaction() as transaction:
        await transaction.driver.execute(f"update alerts.alert set trigger_value = {limit}")
        await transaction.driver.execute(
            "update alerts.service_state set alert_version = alert_version + 1"
        )
    await database.stop()
