"""A gRPC server as a part: health, reflection, channelz and the one stack; knows no service by name."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from shared.clock import Clock, SystemClock
from shared.log import get_logger
from shared.loopback import is_local
from shared.metrics import Metrics, process
from shared.rpc.intercept import Authorise, Interceptor
from shared.rpc.reflection import add_reflection

# `add_XServicer_to_server` of a generated module, and the servicer. The generated function is untyped inside.
Registration = tuple[Callable[[Any, Any], None], object]

# The health name that asks nothing else: SERVING while the process answers, whatever the database does.
# A process is replaced for this one alone; readiness is "" and the names of the services.
LIVENESS = "liveness"
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_READY_SECONDS = 5.0
_NOT_READY_SECONDS = 1.0
_READY_LIMIT_SECONDS = 3.0
_STREAM_DRAIN_SECONDS = 1.0
_MAX_STREAMS_PER_CONNECTION = 1000


async def always_ready() -> None:
    """For a service without anything to ask."""


class GrpcServer:
    """Serves `registrations`; `address` is where, with the real port once started.

    `ready` is a real query, polled by `clock`: while it raises, health of every name but LIVENESS is
    NOT_SERVING.
    `grace_seconds` is the time calls in flight have at the end; streams get one second of it.
    """

    def __init__(
        self,
        listen_address: str,
        registrations: Sequence[Registration],
        *,
        service_names: Sequence[str],
        ready: Callable[[], Awaitable[None]] = always_ready,
        clock: Clock | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        metrics: Metrics | None = None,
        grace_seconds: float = 5.0,
        unary_seconds: float = 60.0,
        max_concurrent_calls: int = 2000,
        authorise: Authorise | None = None,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self.address = listen_address
        self.serving = False
        self._listen_address = listen_address
        self._registrations = tuple(registrations)
        self._names = tuple(service_names)
        self._ready = ready
        self._clock = clock or SystemClock()
        self._options = _options(max_message_bytes)
        self._grace_seconds = grace_seconds
        self._max_concurrent_calls = max_concurrent_calls
        self._credentials = credentials
        self._interceptor = Interceptor(
            metrics or process(), unary_seconds=unary_seconds, authorise=authorise
        )
        self._health: Any = health.aio.HealthServicer()  # type: ignore[attr-defined]  # stubs know no aio
        self._server: grpc.aio.Server | None = None
        self._polling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        server = grpc.aio.server(options=self._options, maximum_concurrent_rpcs=self._max_concurrent_calls)
        self._register(server)
        try:
            self.address = _dialled(self._listen_address, self._bind(server))
            await self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)
            await self._health.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
            await server.start()
        except BaseException:
            await server.stop(None)
            raise
        if self._credentials is None and not is_local(self._listen_address):
            get_logger().warning(
                "others can reach this server, and it knows no users; ALLOW_INSECURE_LISTEN says so",
                listen_address=self._listen_address,
            )
        self._server = server
        pause = await self._poll()
        self._polling = asyncio.create_task(self._keep_polling(pause), name="health")

    async def stop(self) -> None:
        if self._server is None:
            return
        server, self._server = self._server, None
        self.serving = False
        await self._health.enter_graceful_shutdown()
        if self._polling is not None:
            self._polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._polling
        self._interceptor.drain(
            self._grace_seconds * 0.9, min(_STREAM_DRAIN_SECONDS, self._grace_seconds * 0.5)
        )
        await server.stop(self._grace_seconds)

    def _bind(self, server: grpc.aio.Server) -> int:
        if self._credentials is not None:
            return server.add_secure_port(self._listen_address, self._credentials)
        return server.add_insecure_port(self._listen_address)

    def _register(self, server: grpc.aio.Server) -> None:
        coat = _Coat(server, self._interceptor)
        for add, servicer in self._registrations:
            add(servicer, coat)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        channelz.add_channelz_servicer(server)  # type: ignore[arg-type]  # it takes an aio server too
        add_reflection((*self._names, health.SERVICE_NAME, _CHANNELZ_NAME), server)

    async def _keep_polling(self, pause_seconds: float) -> None:
        while True:
            await self._clock.sleep(pause_seconds)
            pause_seconds = await self._poll()

    async def _poll(self) -> float:
        """Asks once, tells health, and returns the seconds until the next time."""
        problem = None
        try:
            async with asyncio.timeout(_READY_LIMIT_SECONDS):
                await self._ready()
        except Exception as error:  # noqa: BLE001  # whatever is wrong, it is not ready
            problem = error
        if self.serving is (problem is not None):
            get_logger().info(
                "readiness changed", serving=problem is None, problem=repr(problem) if problem else None
            )
        self.serving = problem is None
        status = health_pb2.HealthCheckResponse
        await self._tell(status.NOT_SERVING if problem else status.SERVING)
        return _NOT_READY_SECONDS if problem else _READY_SECONDS

    async def _tell(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        for name in ("", *self._names):
            await self._health.set(name, status)


class _Coat:
    """Stands in for the server when a generated module registers: its handlers are wrapped on the way."""

    def __init__(self, server: grpc.aio.Server, interceptor: Interceptor) -> None:
        self._server = server
        self._interceptor = interceptor

    def add_generic_rpc_handlers(self, handlers: Iterable[object]) -> None:
        """The same handlers come again, by name, in the next call."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        wrapped: dict[str, Any] = {
            name: self._interceptor.wrap(service, name, handler) for name, handler in handlers.items()
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, wrapped),))


_CHANNELZ_NAME = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name


def _dialled(listen_address: str, port: int) -> str:
    """The address a client on this machine dials."""
    if listen_address.startswith("unix:"):
        return listen_address
    host = listen_address.rpartition(":")[0]
    return f"{'127.0.0.1' if host in ('0.0.0.0', '[::]', '') else host}:{port}"


def _options(max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),  # two servers on one port must be an error, not a lottery
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_concurrent_streams", _MAX_STREAMS_PER_CONNECTION),
        ("grpc.keepalive_time_ms", 60_000),  # finds the watcher whose machine is gone
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.enable_channelz", 1),
    ]
