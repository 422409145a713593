"""A port without TLS where health is answered and nothing else: a kubelet's gRPC probe has no
certificate to show.
"""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc

from shared.rpc.bounded import Bounded
from shared.rpc.health import Health
from shared.rpc.limits import Gate, Limits
from shared.rpc.listening import bind, dialled

_OPTIONS = (
    ("grpc.so_reuseport", 0),
    # A name to ask for, and a state: neither is longer.
    ("grpc.max_receive_message_length", 4096),
    ("grpc.max_concurrent_streams", 20),
    ("grpc.max_connection_idle_ms", 5 * 60_000),
)


class HealthPort:
    """The states of `health`, without the words that say why, for whoever reaches the port; no
    address is no port.
    """

    def __init__(self, listen_address: str, health: Health) -> None:
        self.address = listen_address
        self._listen_address = listen_address
        self._health = health
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Raises OSError when the address cannot be had."""
        if not self._listen_address:
            return
        server = grpc.aio.server(options=_OPTIONS)
        limits = Limits()
        bounded = Bounded(server, Gate("PROBES", limits.probes, limits.probes_per_peer))
        health_pb2_grpc.add_HealthServicer_to_server(_States(self._health), bounded)
        try:
            self.address = dialled(self._listen_address, bind(server, self._listen_address))
            await server.start()
        except BaseException:
            await server.stop(None)
            raise
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(None)


class _States(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # untyped
    def __init__(self, health: Health) -> None:
        self._health = health

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802  of gRPC
        return await self._health.state(request, context)

    async def Watch(self, request: Any, context: Any) -> Any:  # noqa: N802  of gRPC
        await self._health.Watch(request, context)
