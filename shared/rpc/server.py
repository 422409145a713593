"""A gRPC server as a part: health, reflection, channelz and the one stack."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import grpc
from grpc_channelz.v1 import channelz as grpc_channelz
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from shared.clock import Clock, SystemClock
from shared.errors import SonicError
from shared.lifecycle import Endless
from shared.log import get_logger
from shared.loopback import is_local
from shared.metrics import Metrics, process
from shared.rpc.access import Access, Callers, Way, by_certificate, by_token
from shared.rpc.bounded import Bounded
from shared.rpc.door import INSIDE, Door
from shared.rpc.health import LIVENESS, Health
from shared.rpc.health_port import HealthPort
from shared.rpc.intercept import Interceptor
from shared.rpc.limits import MAX_MESSAGE_BYTES, Gate, Limits
from shared.rpc.listening import bind, dialled
from shared.rpc.reflection import add_reflection
from shared.rpc.tls import server_credentials
from shared.service_tokens import Identity, KnownCallers, ServiceTokens
from shared.tls_files import TlsFiles

# `add_XServicer_to_server` of a generated module, and the servicer. The generated function is
# untyped inside.
Registration = tuple[Callable[[Any, Any], None], object]

_READY_SECONDS = 5.0
_NOT_READY_SECONDS = 1.0
_READY_LIMIT_SECONDS = 3.0
_STREAM_DRAIN_SECONDS = 1.0
# More than one client may have open; what is over our own limits is refused by name, not made to
# wait.
_MAX_STREAMS_PER_CONNECTION = 2000
# What nobody uses is closed: a client connects again with its next call.
_IDLE_MILLISECONDS = 15 * 60_000
# And so is every connection in the end, calls and streams on it finished: its client asks again
# which replicas there are, and shows the certificate it has now.
_AGE_MILLISECONDS = 5 * 60_000
_NO_COMPRESSION = 1


async def always_ready() -> None:
    """For a service without anything to ask."""


class GrpcServer:
    """Serves `registrations`; `address` is where, with the real port once started.

    `ready` is a real query, polled by `clock`: while it raises, health of every name but LIVENESS
    is NOT_SERVING. `grace_seconds` is the time calls in flight have at the end; streams get one
    second of it. `large` names methods whose one request may be larger than `max_message_bytes`;
    such a server takes no compressed ones. With certificates as `identity` every client shows one,
    unless `asks_certificates` is False; with tokens, each call. Where no certificate is asked for,
    a request is read only once its caller is known. Where that or one of `ways` tells who calls,
    only those are served whom `callers` lists for the method, but for health and reflection.
    `health_address`: a further port, of health alone, without TLS. `door`: what listens instead,
    and counts who comes; whoever says nothing is not kept there.
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
        large: Mapping[str, int] = MappingProxyType({}),
        metrics: Metrics | None = None,
        grace_seconds: float = 5.0,
        unary_seconds: float = 60.0,
        limits: Limits | None = None,
        door: Door | None = None,
        channelz: bool = False,
        identity: Identity | None = None,
        asks_certificates: bool = True,
        callers: Callers = MappingProxyType({}),
        ways: Sequence[Way] = (),
        health_address: str = "",
    ) -> None:
        self.address = self._listen_address = listen_address
        self.serving, self._names = False, tuple(service_names)
        self._registrations, self._health = tuple(registrations), Health()
        self._ready, self._door = ready, door
        self._grace_seconds, self._channelz = grace_seconds, channelz
        self._clock = clock or SystemClock()
        kinds = {"is_large": bool(large), "channelz": channelz, "is_hasty": door is not None}
        self._options = _options(max(max_message_bytes, *large.values(), 0), **kinds)
        self._tls = identity if isinstance(identity, TlsFiles) else None
        self._asks_certificates = asks_certificates and not isinstance(identity, ServiceTokens)
        ways = _ways(identity, ways, asks_certificates=self._asks_certificates)
        self._knows_callers = bool(ways)
        self._interceptor = Interceptor(
            metrics or process(),
            unary_seconds=unary_seconds,
            access=Access(callers, ways) if ways else None,
            limits=limits,
            max_message_bytes=max_message_bytes,
            large=large,
            reads_late=not self._asks_certificates,
            peer=self._peer,
        )
        bounds = limits or Limits()
        self._probes = Gate("PROBES", bounds.probes, bounds.probes_per_peer)
        self._health_port = HealthPort(health_address, self._health)
        self._server: grpc.aio.Server | None = None
        self._polling = Endless("health", self._keep_polling)
        self.failed = self._polling.failed

    @property
    def health_address(self) -> str:
        """Where health is answered without TLS, with the real port once started; "" nowhere."""
        return self._health_port.address

    async def start(self) -> None:
        # No maximum_concurrent_rpcs: it counts held streams and refuses health checks with the
        # rest.
        server = grpc.aio.server(options=self._options)
        self._register(server)
        try:
            listened = f"{INSIDE}:0" if self._door is not None else self._listen_address
            port = bind(server, listened, self._credentials())
            if self._door is not None:
                port = await self._door.open(self._listen_address, port)
            self.address = dialled(self._listen_address, port)
            await self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)
            await self._health.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
            await server.start()
            await self._health_port.start()
        except BaseException:
            await server.stop(None)
            await self._shut()
            raise
        if not self._knows_callers and not is_local(self._listen_address):
            get_logger().warning(
                "others can reach this server, and it knows no users; ALLOW_INSECURE_LISTEN says "
                "so",
                listen_address=self._listen_address,
            )
        self._server = server
        await self._poll()
        await self._polling.start()

    async def stop(self) -> None:
        if self._server is None:
            return
        server, self._server = self._server, None
        self.serving = False
        await self._health.enter_graceful_shutdown()
        await self._polling.stop()
        self._interceptor.drain(
            self._grace_seconds * 0.9, min(_STREAM_DRAIN_SECONDS, self._grace_seconds * 0.5)
        )
        await server.stop(self._grace_seconds)
        await self._shut()
        await self._health_port.stop()

    def _peer(self, address: str) -> str:
        """Who stands behind it."""
        return address if self._door is None else self._door.peer(address)

    async def _shut(self) -> None:
        if self._door is not None:
            await self._door.close()

    def _credentials(self) -> grpc.ServerCredentials | None:
        if self._tls is None:
            return None
        return server_credentials(self._tls, asks_certificates=self._asks_certificates)

    def _register(self, server: grpc.aio.Server) -> None:
        intercepted = _Intercepted(server, self._interceptor)
        for add, servicer in self._registrations:
            add(servicer, intercepted)
        is_late = not self._asks_certificates
        probes = Bounded(server, self._probes, reads_late=is_late, peer=self._peer)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, probes)
        names = [*self._names, health.SERVICE_NAME]
        if self._channelz:
            grpc_channelz.add_channelz_servicer(intercepted)  # type: ignore[arg-type]  # it takes an aio server too
            names.append(_CHANNELZ_NAME)
        add_reflection(names, probes)

    async def _keep_polling(self) -> None:
        while True:
            await self._clock.sleep(_READY_SECONDS if self.serving else _NOT_READY_SECONDS)
            await self._poll()

    async def _poll(self) -> None:
        """Asks once and tells health."""
        problem = None
        try:
            async with asyncio.timeout(_READY_LIMIT_SECONDS):
                await self._ready()
        except Exception as error:  # noqa: BLE001  # whatever is wrong, it is not ready
            problem = error
        if self.serving is (problem is not None):
            get_logger().info(
                "readiness changed",
                serving=problem is None,
                problem=repr(problem) if problem else None,
            )
        self.serving = problem is None
        for name in self._names:
            self._interceptor.serving.labels(name).set(self.serving)
        self._health.problem = problem if isinstance(problem, SonicError) else None
        status = health_pb2.HealthCheckResponse
        await self._tell(status.NOT_SERVING if problem else status.SERVING)

    async def _tell(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        for name in ("", *self._names):
            await self._health.set(name, status)


class _Intercepted:
    """Stands in for the server when a generated module registers: its handlers are wrapped on the
    way.
    """

    def __init__(self, server: grpc.aio.Server, interceptor: Interceptor) -> None:
        self._server = server
        self._interceptor = interceptor

    def add_generic_rpc_handlers(self, handlers: Iterable[object]) -> None:
        """The same handlers come again, by name, in the next call."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        wrapped: dict[str, Any] = {
            name: self._interceptor.wrap(service, name, handler)
            for name, handler in handlers.items()
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, wrapped),)
        )


_CHANNELZ_NAME = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name


def _ways(
    identity: Identity | None, also: Sequence[Way], *, asks_certificates: bool
) -> Sequence[Way]:
    if isinstance(identity, ServiceTokens):
        return by_token(KnownCallers(identity.callers)), *also
    return (by_certificate, *also) if identity is not None and asks_certificates else also


def _options(
    max_message_bytes: int, *, is_large: bool, channelz: bool, is_hasty: bool
) -> list[tuple[str, int]]:
    options = [
        ("grpc.so_reuseport", 0),  # two servers on one port must be an error, not a lottery
        # Counted after decompression.
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_concurrent_streams", _MAX_STREAMS_PER_CONNECTION),
        ("grpc.max_connection_idle_ms", 60_000 if is_hasty else _IDLE_MILLISECONDS),
        ("grpc.max_connection_age_ms", _AGE_MILLISECONDS),
        ("grpc.keepalive_time_ms", 60_000),  # finds the watcher whose machine is gone
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.enable_channelz", int(channelz)),
    ]
    if is_large:
        # A few kilobytes would become the whole of a large request before anybody can look at it.
        options.append(("grpc.compression_enabled_algorithms_bitset", _NO_COMPRESSION))
    if is_hasty:
        # Where connections are counted none is kept for whoever says nothing.
        options.append(("grpc.server_handshake_timeout_ms", 10_000))
    return options
