"""Several processes of every server on one database, as a cluster runs them: an address that
names all replicas, certificates, a port of health; any of them can be killed and comes back.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli import certificates
from services.cli.forks import Forked, Forks
from services.cli.plan import SERVICES
from tests.fakes.databases import Databases

ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 180.0
_KEPT_NAMES = ("PATH", "HOME", "LANG", "TMPDIR")


class Ports(NamedTuple):
    """Where one replica is."""

    listen: int
    health: int
    metrics: int


class Replicas:
    """`count` of each server."""

    def __init__(
        self, databases: Databases, home: Path, settings: Mapping[str, str], count: int = 2
    ) -> None:
        self._databases = databases
        self._home = home
        self._settings = settings
        taken = iter(_free_ports(len(SERVICES) * count * len(Ports._fields)))
        self.ports = {
            (name, number): Ports(*(next(taken) for _ in Ports._fields))
            for name in SERVICES
            for number in range(count)
        }
        self.addresses = {
            name: "ipv4:"
            + ",".join(f"127.0.0.1:{self.ports[name, number].listen}" for number in range(count))
            for name in SERVICES
        }
        self._processes: dict[tuple[str, int], Forked] = {}
        # As `sonic up` starts them: imported once, sixteen are soon there.
        own = {key: os.environ[key] for key in _KEPT_NAMES if key in os.environ}
        python_path = f"{ROOT}:{ROOT / 'protos' / 'stubs'}"
        self._forks = Forks(list(SERVICES), own | {"PYTHONPATH": python_path})

    @property
    def tls_folder(self) -> Path:
        return self._home / "tls"

    async def start(self, name: str, number: int) -> None:
        """As a container would: from its environment alone."""
        ports = self.ports[name, number]
        own = self._home / f"{name}-{number}"
        own.mkdir(exist_ok=True)
        environment = {
            **{key: os.environ[key] for key in _KEPT_NAMES if key in os.environ},
            **self._settings,
            **{f"{peer.upper()}_ADDRESS": address for peer, address in self.addresses.items()},
            **certificates.variables(self.tls_folder, name),
            "LISTEN_ADDRESS": f"127.0.0.1:{ports.listen}",
            "HEALTH_ADDRESS": f"127.0.0.1:{ports.health}",
            "METRICS_ADDRESS": f"127.0.0.1:{ports.metrics}",
            f"{name.upper()}_DATABASE_URL": self._databases.url(name),
            "SONIC_HOME": str(own),
        }
        self._processes[name, number] = await self._forks.spawn(name, environment, own / "log")

    async def kill(self, name: str, number: int) -> None:
        process = self._processes.pop((name, number))
        process.send_signal(signal.SIGKILL)
        await process.wait()

    async def until_ready(self, name: str, number: int) -> None:
        """By the port that a kubelet asks."""
        process, address = self._processes[name, number], self.ports[name, number].health
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{address}") as channel,
            asyncio.timeout(_READY_SECONDS),
        ):
            stub = health_pb2_grpc.HealthStub(channel)
            while True:
                if process.returncode is not None:
                    raise AssertionError(f"{name} ended: {self.log(name, number)[-2000:]}")
                try:
                    answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
                await asyncio.sleep(0.1)

    def log(self, name: str, number: int) -> str:
        return (self._home / f"{name}-{number}" / "log").read_text()

    def answered_count(self, name: str, number: int, method: str) -> float:
        """How many calls of a method one replica has answered with OK."""
        address = f"http://127.0.0.1:{self.ports[name, number].metrics}/metrics"
        with urlopen(address, timeout=20) as page:
            text = page.read().decode()
        line = (
            r"^rpc_server_call_duration_seconds_count"
            rf'{{rpc_method="[^"]+/{method}",rpc_response_status_code="OK"}} (\S+)$'
        )
        return sum(float(found) for found in re.findall(line, text, re.MULTILINE))

    async def stop(self) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        await asyncio.gather(*(process.wait() for process in self._processes.values()))
        await self._forks.stop()


@asynccontextmanager
async def replicas(
    databases: Databases, home: Path, settings: Mapping[str, str]
) -> AsyncIterator[Replicas]:
    """Two of each, ready."""
    made = Replicas(databases, home, settings)
    names = (*SERVICES, certificates.OPERATOR)
    certificates.ensure(made.tls_folder, names, ["127.0.0.1"], datetime.now(UTC))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(made.stop)
        for name, number in made.ports:
            await made.start(name, number)
        for name, number in made.ports:
            await made.until_ready(name, number)
        yield made


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
