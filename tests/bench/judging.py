"""Alerts in bulk, three a position: thresholds that nothing reaches, own limits, and a crash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import numpy as np
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc
from sonic.cyclone.v1 import cyclone_pb2
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cli.connection import System
from shared.database.address import plain
from tests.bench import cycles

# Alone on the machine while it runs, but for positions that answer it.
ALONE = ("UPDATE_PRICES", "ENRICH_POSITIONS", "CREATE_ALERTS", "EVALUATE_ALERTS")
# Of the alerts about distance, which are a third of all.
CRASH_SHARE = 0.9
_UNSENT = "select count(*) from alerts.outbox where sent_time is null"
_WARM, _COUNTED = 2, 9
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
_OWN_LIMITS = "case kind % 4 when 1 then 1 else -1 end * (1000 + alert_key % 1000)"
_NO_OWN_LIMITS = "'NaN'"


@dataclass(frozen=True, slots=True)
class Evaluations:
    """Milliseconds of EVALUATE_ALERTS over this many alerts: by thresholds, by own limits."""

    alert_count: int
    constant_ms: Sequence[float]
    own_ms: Sequence[float]


class Judging:
    """Thresholds and alerts of the running system."""

    def __init__(self, found: System, admin_url: str) -> None:
        self.found = found
        self._admin_url = admin_url

    async def calm(self) -> None:
        """Three thresholds judge, and no other; nothing reaches them."""
        stub = await self.found.stub("alerts", rpc.ThresholdsServiceStub)
        listed = await stub.ListThresholds(pb.ListThresholdsRequest(page_size=500))
        for known in listed.thresholds:
            if known.asset:
                await stub.DeleteThreshold(pb.DeleteThresholdRequest(id=known.id))
                continue
            off = pb.UpdateThresholdRequest(threshold=pb.Threshold(id=known.id, enabled=False))
            off.update_mask.paths.append("enabled")
            await stub.UpdateThreshold(off)
        for scope, limits in _CALM.items():
            await self._limit(scope, limits)

    async def forget(self) -> None:
        """No alert is left, whatever its level was, and nothing is still to be told."""
        stub = await self.found.stub("alerts", rpc.AlertsServiceStub)
        await stub.ClearData(pb.ClearDataRequest(confirm="clear"), timeout=120)
        xcom = await self.found.stub("xcom", xcom_pb2_grpc.XComServiceStub)
        await xcom.ClearData(xcom_pb2.ClearDataRequest(confirm="clear"), timeout=120)

    async def unsent_count(self) -> int:
        """Messages that have not left alerts."""
        connection = await asyncpg.connect(plain(self._admin_url))
        try:
            return int(await connection.fetchval(_UNSENT))
        finally:
            await connection.close()

    async def crash(self, level_count: int, share: float = CRASH_SHARE) -> None:
        """The distances of this share of the positions are at the first `level_count` levels from
        now on.
        """
        limit = float(np.quantile(await self._distances(), share))
        await self._limit(_DISTANCE, [limit] * level_count)

    async def evaluations(self) -> Evaluations:
        """Counted is the step as Cyclone sees it: columns over gRPC, alerts judged, all
        committed.
        """
        constant_ms, alert_count = await self._quiet()
        await self._set_own(_OWN_LIMITS)
        own_ms, _ = await self._quiet()
        await self._set_own(_NO_OWN_LIMITS)
        return Evaluations(alert_count, constant_ms, own_ms)

    async def _quiet(self) -> tuple[list[float], int]:
        for _ in range(_WARM):
            await cycles.one(self.found, ALONE)
        steps = [evaluation(await cycles.one(self.found, ALONE)) for _ in range(_COUNTED)]
        assert not any(step.counts["raised"] or step.counts["lowered"] for step in steps)
        return [cycles.milliseconds(step) for step in steps], steps[-1].counts["evaluated"]

    async def _limit(
        self, scope: tuple[pb.AlertType, pb.Condition], limits: Sequence[float]
    ) -> None:
        """One threshold; absent limits stay as they are."""
        named = dict(zip(("low", "medium", "high"), limits, strict=False))
        threshold = pb.Threshold(type=scope[0], condition=scope[1], enabled=True, **named)
        threshold.alert_class = pb.ALERT_CLASS_POSITION
        stub = await self.found.stub("alerts", rpc.ThresholdsServiceStub)
        await stub.UpdateThreshold(
            pb.UpdateThresholdRequest(threshold=threshold, allow_missing=True)
        )

    async def _distances(self) -> np.ndarray:
        """Liquidation distance of every position now, percent."""
        stub = await self.found.stub("positions", positions_pb2_grpc.PositionsServiceStub)
        request = positions_pb2.ReadColumnsRequest(columns=["liquidation_distance_percent"])
        parts = [part async for part in stub.ReadColumns(request)]
        return np.array([value for part in parts for value in part.liquidation_distance_percent])

    async def _set_own(self, limit: str) -> None:
        """Beside the service, which takes one alert a call; it reads all again by the version."""
        await self._execute(
            f"begin; update alerts.alert set trigger_value = {limit};"
            " update alerts.service_state set alert_version = alert_version + 1; commit"
        )

    async def _execute(self, sql: str) -> None:
        connection = await asyncpg.connect(plain(self._admin_url))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


def evaluation(cycle: cyclone_pb2.Cycle) -> cyclone_pb2.Step:
    """The step that judged."""
    return next(step for step in cycle.steps if step.name == "EVALUATE_ALERTS")
