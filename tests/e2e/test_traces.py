"""One trace of a whole cycle with its deliveries, read back from a collector of OTLP."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc
from opentelemetry.proto.trace.v1 import trace_pb2

from shared import tracing
from tests.e2e.conftest import OpenSystem
from tests.e2e.observed import held
from tests.e2e.test_five_cycles import _add_wallet, cycle, state, until
from tests.e2e.world import base58_address, world


class Collector(rpc.TraceServiceServicer):
    """Keeps every span that it is handed."""

    def __init__(self) -> None:
        self.spans: list[trace_pb2.Span] = []
        self.address = ""

    async def Export(self, request: Any, _context: Any) -> Any:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return pb.ExportTraceServiceResponse()

    def trace(self, cycle_id: str) -> dict[bytes, trace_pb2.Span]:
        """The spans of a cycle by their ids."""
        trace_id = tracing.key_trace(cycle_id).split("-")[1]
        return {one.span_id: one for one in self.spans if one.trace_id.hex() == trace_id}


def _is_whole(collector: Collector, cycle_id: str) -> bool:
    spans = collector.trace(cycle_id)
    above = {one.parent_span_id for one in spans.values()} - {b""}
    names = {one.name for one in spans.values()}
    return {"cycle", "deliver webhook"} <= names and above <= {*spans}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    kept, server = Collector(), grpc.aio.server()
    rpc.add_TraceServiceServicer_to_server(kept, server)
    kept.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield kept
    await server.stop(None)


@pytest.mark.slow
async def test_a_cycle_with_its_deliveries_is_one_trace(
    open_system: OpenSystem, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{collector.address}")
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}"}
    chance = random.Random(5)
    async with world(seed=5) as outside:
        outside.marks = {"BTC": 97_000.0, "ETH": 3_400.0, "SOL": 79.0}
        outside.held = [held(base58_address(chance))]
        async with open_system(outside.environment()) as servers:
            await _add_wallet(servers, base58_address(chance))
            tracing.configure("sonic", environ)
            try:
                outside.publish()
                done = await cycle(servers)
                assert state(done) == "SUCCEEDED"
                # What is heard and answered ends a little later where it is done.
                await until(lambda: _is_whole(collector, done.id), 60)
            finally:
                await tracing.stop(30)
    key = tracing.key_trace(done.id).split("-")
    spans = collector.trace(done.id)
    names = {one.name for one in spans.values()}
    assert {"cycle", "UPDATE_PRICES", "SYNC_POSITIONS", "EVALUATE_ALERTS", "NOTIFY"} <= names
    assert "sonic.alerts.v1.AlertsService/EvaluateAlerts" in names
    delivered = [one for one in spans.values() if one.name == "deliver webhook"]
    assert delivered
    for one in delivered:
        above = one
        while above.parent_span_id:
            above = spans[above.parent_span_id]
        assert (above.name, above.span_id.hex()) == ("cycle", key[2])
    asked = [one for one in spans.values() if one.name.startswith("ask ")]
    # A price source, and the venue of the wallet.
    assert len({one.name for one in asked}) > 1
    for one in asked:
        assert {each.key for each in one.attributes} == {"provider", "outcome"}
