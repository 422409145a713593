"""Postgres away for ten minutes: a kubelet starts nothing again, and all comes back by itself."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli.connection import connected
from services.cli.plan import SERVICES, SERVICES_FOLDER
from shared.clock import PushedClock
from shared.database import migrations, roles
from shared.postgres import EmbeddedPostgres
from shared.rpc.server import GrpcServer
from tests.contract.xcom.processes import free_port
from tests.e2e.standing import RunningSystem
from tests.e2e.test_five_cycles import cycle, state
from tests.fakes.databases import Databases, password
from tests.fakes.pushing import push
from tests.unit.deploy import kustomize

pytestmark = pytest.mark.slow

OUTAGE_SECONDS = 600
STEP_SECONDS = 5
SETTINGS = {"SONIC_SCHEDULE": "0", "HEALTH_ADDRESS": "127.0.0.1:0"}


@dataclass
class Probe:
    """One probe of a kubelet, by the numbers of deploy/k8s; after `threshold` failures in a row
    it acts.
    """

    name: str
    period_seconds: int
    threshold: int
    stub: health_pb2_grpc.HealthStub
    failures: int = 0
    acted: int = 0
    is_well: bool = True
    waited_seconds: int = 0

    async def after(self, seconds: int) -> None:
        self.waited_seconds += seconds
        if self.waited_seconds < self.period_seconds:
            return
        self.waited_seconds = 0
        asked = health_pb2.HealthCheckRequest(service=self.name)
        answer = await self.stub.Check(asked, timeout=20)
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            self.failures, self.is_well = 0, True
            return
        self.failures += 1
        if self.failures >= self.threshold:
            self.acted, self.failures, self.is_well = self.acted + 1, 0, False


@dataclass
class Kubelet:
    """Probes of every server, by pushed time."""

    clock: PushedClock
    alive: Mapping[str, Probe] = field(default_factory=dict)
    ready: Mapping[str, Probe] = field(default_factory=dict)
    # A liveness that asks what readiness asks: what this test would find.
    misled: Mapping[str, Probe] = field(default_factory=dict)

    async def watch(self, seconds: int) -> None:
        for _ in range(seconds // STEP_SECONDS):
            await push(self.clock, STEP_SECONDS)
            probes = [*self.alive.values(), *self.ready.values(), *self.misled.values()]
            await asyncio.gather(*(probe.after(STEP_SECONDS) for probe in probes))


@asynccontextmanager
async def kubelet(standing: RunningSystem, clock: PushedClock) -> AsyncIterator[Kubelet]:
    channels = {
        name: grpc.aio.insecure_channel(standing.part(name, GrpcServer).health_address)
        for name in SERVICES
    }
    found = [one for one in kustomize.overlay("small") if one["kind"] == "Deployment"]
    specs = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0] for one in found
    }

    def probes(kind: str, name: str | None = None) -> dict[str, Probe]:
        return {
            service: Probe(
                probe["grpc"].get("service", "") if name is None else name,
                probe["periodSeconds"],
                probe["failureThreshold"],
                health_pb2_grpc.HealthStub(channels[service]),
            )
            for service in SERVICES
            for probe in [specs[service][kind]]
        }

    yield Kubelet(
        clock, probes("livenessProbe"), probes("readinessProbe"), probes("livenessProbe", "")
    )
    for channel in channels.values():
        await channel.close()


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedPostgres]:
    """Postgres of this test alone, on one port for good."""
    home = Path(tempfile.mkdtemp(prefix="sonic-outage-"))
    home.chmod(0o711)
    made = EmbeddedPostgres(home, port=free_port(), settings={"fsync": "off"})
    await asyncio.to_thread(made.start)
    logins = {one: password(one) for name in SERVICES for one in (name, roles.owner(name))}
    await roles.initialise(made.url, tuple(SERVICES), logins, scram_rounds=1)
    for name in SERVICES:
        await migrations.upgrade(made.url, name, SERVICES_FOLDER / name / "migrations")
    yield made
    await asyncio.to_thread(made.destroy)
    shutil.rmtree(home)


@pytest.mark.timeout(240)
async def test_an_outage_of_ten_minutes_restarts_nothing_and_ends_by_itself(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    clock = PushedClock(datetime(2026, 11, 30, 3, tzinfo=UTC))
    databases = Databases(server.url, tuple(SERVICES))
    standing = RunningSystem(databases, tmp_path, clock, SETTINGS)
    await standing.start_all()
    try:
        async with kubelet(standing, clock) as watched, connected(standing.addresses) as servers:
            assert state(await cycle(servers)) == "SUCCEEDED"
            await watched.watch(30)
            assert all(probe.is_well for probe in watched.ready.values())
            await asyncio.to_thread(server.stop)
            await watched.watch(30)
            assert not [name for name, probe in watched.ready.items() if probe.is_well]
            await watched.watch(OUTAGE_SECONDS - 30)
            assert not [name for name, probe in watched.ready.items() if probe.is_well]
            await asyncio.to_thread(server.start)
            await back(watched)
            assert {name: probe.acted for name, probe in watched.alive.items()} == dict.fromkeys(
                SERVICES, 0
            )
            # Liveness by the database would have started every one of them again.
            assert all(probe.acted for probe in watched.misled.values())
            assert state(await cycle(servers)) == "SUCCEEDED"
    finally:
        await standing.stop_all()


async def back(watched: Kubelet) -> None:
    """Ready within a minute of the kubelet's time."""
    for _ in range(12):
        await watched.watch(STEP_SECONDS)
        if all(probe.is_well for probe in watched.ready.values()):
            return
    raise AssertionError([name for name, probe in watched.ready.items() if not probe.is_well])
