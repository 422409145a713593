"""Channels to peers: deadlines, ids, retries and restored errors.

What is added is around the callables a stub makes, not a chain of grpc interceptors: those cost a
task per call.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
from google.protobuf.descriptor import FileDescriptor

from shared import observed, tracing
from shared.errors import Unavailable
from shared.rpc import call
from shared.rpc.failures import from_rpc_error
from shared.rpc.tls import ChannelTls
from shared.service_tokens import Identity, ServiceTokens, ShownToken
from shared.tls_files import TlsFiles

S = TypeVar("S")
Metadata = Iterable[tuple[str, str | bytes]]

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
READS: Final = ("Get", "List", "Read", "Watch", "BatchGet")
# Streams that last as long as somebody looks.
_ENDLESS: Final = ("Watch", "Run", "Tail")
_UNARY_SECONDS = 10.0
_STREAM_SECONDS = 60.0
_CLOSE_SECONDS = 0.5
_LEAVE_SECONDS = 60.0


def idempotent(file: object, *also: str) -> list[str]:
    """Full names ("package.Service/Method") of the reading methods of a `_pb2.DESCRIPTOR`, and of
    `also`.
    """
    if not isinstance(file, FileDescriptor):
        raise TypeError("idempotent wants a _pb2.DESCRIPTOR")
    return [
        f"{service.full_name}/{method.name}"
        for service in file.services_by_name.values()
        for method in service.methods
        if method.name.startswith(READS) or method.name in also
    ]


def channel(
    address: str,
    *,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    retry: Iterable[str] = (),
    unary_seconds: float = _UNARY_SECONDS,
    stream_seconds: float = _STREAM_SECONDS,
    authorization: str = "",
    identity: Identity | None = None,
    peer: str = "",
) -> "DeadlineChannel":
    """A grpc.aio.Channel for generated stubs; it connects at the first call, to every address that
    the name of `address` has (or `ipv4:10.0.0.1:50051,10.0.0.2:50051`), and calls them in turn.

    `retry`: methods tried again on UNAVAILABLE (see `idempotent`). `authorization` is sent as that
    header. Without `timeout=`, a call gets the caller's remaining time less a margin, else
    `unary_seconds`, and for streams `stream_seconds` (none for Watch..., Run... and Tail...). With
    it, that, but never more than half of the caller's remaining time. `identity`: the
    files to show who calls. With certificates the one that answers has to name `peer`, or without
    one the host of the address.

    """
    options = _options(max_message_bytes, list(retry))
    if may_be_several(address):
        # Every address the name has is used, and one that does not answer is left out at once.
        options.append(("grpc.lb_policy_name", "round_robin"))
    if isinstance(identity, TlsFiles) and peer:
        options.append(("grpc.ssl_target_name_override", peer))

    def connect(credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
        if credentials is not None:
            return grpc.aio.secure_channel(address, credentials, options=options)
        return grpc.aio.insecure_channel(address, options=options)

    secure = ChannelTls(identity) if isinstance(identity, TlsFiles) else None
    shown = ShownToken(identity.own) if isinstance(identity, ServiceTokens) else None
    return DeadlineChannel(connect, unary_seconds, stream_seconds, authorization, secure, shown)


class Channel:
    """A channel as a part. `stub(XServiceStub)` is the stub on it, the same one each time."""

    def __init__(
        self,
        address: str,
        *,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        retry: Iterable[str] = (),
        unary_seconds: float = _UNARY_SECONDS,
        stream_seconds: float = _STREAM_SECONDS,
        authorization: str = "",
        identity: Identity | None = None,
        peer: str = "",
    ) -> None:
        self.target = address
        self.channel = channel(
            address,
            max_message_bytes=max_message_bytes,
            retry=retry,
            unary_seconds=unary_seconds,
            stream_seconds=stream_seconds,
            authorization=authorization,
            identity=identity,
            peer=peer,
        )
        self._stubs: dict[object, Any] = {}

    def stub(self, stub_class: Callable[..., S], *, columns: Iterable[str] = ()) -> S:
        """The stub; the methods named in `columns` answer with messages of bytes for
        shared.columns.decode.
        """
        key = (stub_class, tuple(columns))
        if key not in self._stubs:
            self._stubs[key] = stub_class(self.channel.with_columns(key[1]))
        made: S = self._stubs[key]
        return made

    async def start(self) -> None:
        """Nothing to do: the first call connects, so a peer may start later."""

    async def stop(self) -> None:
        await self.channel.close()


class DeadlineChannel(grpc.aio.Channel):
    """A channel whose callables carry deadline and ids, and raise SonicError.

    The connection is made at the first call: a channel can be built where no event loop runs yet.
    With other certificates it is made anew; calls in flight on the old one have a minute.
    """

    def __init__(
        self,
        connect: Callable[[grpc.ChannelCredentials | None], grpc.aio.Channel],
        unary_seconds: float,
        stream_seconds: float,
        authorization: str,
        tls: ChannelTls | None = None,
        shown: ShownToken | None = None,
    ) -> None:
        self._connect = connect
        self._tls = tls
        self._leaving: set[asyncio.Task[None]] = set()
        self._channel: grpc.aio.Channel | None = None
        self._unary_seconds = unary_seconds
        self._stream_seconds = stream_seconds
        self._headers = _Headers(authorization, shown)
        self._columns: tuple[str, ...] = ()
        self._parent: DeadlineChannel | None = None

    def with_columns(self, names: tuple[str, ...]) -> "DeadlineChannel":
        """The same connection, on which the methods of these names are read as views of bytes."""
        view = DeadlineChannel(self._connect, self._unary_seconds, self._stream_seconds, "")
        view._headers, view._columns, view._parent = self._headers, names, self
        return view

    def opened(self) -> grpc.aio.Channel:
        if self._parent is not None:
            return self._parent.opened()
        if self._channel is None:
            self._channel = self._connect(self._tls.credentials() if self._tls else None)
        elif self._tls is not None and (credentials := self._tls.renewed()) is not None:
            old, self._channel = self._channel, self._connect(credentials)
            leaving = asyncio.ensure_future(old.close(_LEAVE_SECONDS))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        return self._channel

    async def close(self, grace: float | None = _CLOSE_SECONDS) -> None:
        for leaving in tuple(self._leaving):
            leaving.cancel()
        if self._channel is not None:
            made, self._channel = self._channel, None
            await made.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self.opened().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self.opened().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self.opened().channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._polite("unary_unary", method, self._unary_seconds, *args, **kwargs)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._polite("unary_stream", method, self._stream_limit(method), *args, **kwargs)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._polite("stream_unary", method, self._stream_limit(method), *args, **kwargs)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._polite("stream_stream", method, self._stream_limit(method), *args, **kwargs)

    def _stream_limit(self, method: str) -> float | None:
        return None if method.rpartition("/")[2].startswith(_ENDLESS) else self._stream_seconds

    def _polite(
        self,
        kind: str,
        method: str,
        seconds: float | None,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        **kwargs: Any,
    ) -> "_Callable":
        if method.rpartition("/")[2] in self._columns:
            # Not at the top: whoever reads no columns needs no numpy.
            from shared import columns

            response_deserializer = columns.bytes_view(response_deserializer.__self__).FromString
        if kind.startswith("stream") and request_serializer is not None:
            request_serializer = _or_bytes(request_serializer)

        def make(channel: grpc.aio.Channel) -> Any:
            return getattr(channel, kind)(
                method, request_serializer, response_deserializer, **kwargs
            )

        return _Callable(method, self.opened, make, seconds, self._headers)


class _Headers:
    """What is sent with each call of a channel."""

    def __init__(self, authorization: str, shown: ShownToken | None) -> None:
        self._fixed = (("authorization", authorization),) if authorization else ()
        self._shown = shown

    def now(self) -> tuple[tuple[str, str], ...]:
        """Raises Unavailable TOKEN_UNREADABLE."""
        if self._shown is None:
            return self._fixed
        try:
            return (self._shown.header(),)
        except (OSError, ValueError) as error:
            raise Unavailable(
                "TOKEN_UNREADABLE", f"SERVICE_TOKEN_FILE is no token to call with: {error}"
            ) from error


class _Callable:
    """One method of a stub."""

    def __init__(
        self,
        method: str,
        opened: Callable[[], grpc.aio.Channel],
        make: Callable[[grpc.aio.Channel], Any],
        seconds: float | None,
        headers: "_Headers",
    ) -> None:
        self._method = method.removeprefix("/")
        self._opened = opened
        self._make = make
        self._channel: grpc.aio.Channel | None = None
        self._inner: Any = None
        self._seconds = seconds
        self._headers = headers

    def __call__(
        self,
        request: Any = None,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **kwargs: Any,
    ) -> "_Reply":
        channel = self._opened()
        if channel is not self._channel:
            self._channel, self._inner = channel, self._make(channel)
        if timeout is None:
            left = call.remaining_seconds()
            timeout = self._seconds if left is None else left
        else:
            timeout = call.bounded_seconds(timeout)
        span = tracing.begin(self._method, tracing.CLIENT)
        words = call.metadata("" if span is None else span.traceparent)
        sent = (*words, *self._headers.now(), *(metadata or ()))
        made = self._inner(request, timeout=timeout, metadata=sent, **kwargs)
        if span is None or isinstance(made, Awaitable):
            return _Reply(made, self._method, span)
        # A stream: however it ends, and whoever reads it.
        made.add_done_callback(lambda _call: span.end())
        return _Reply(made, self._method)


class _Reply:
    """A call in flight: used as grpc's own, whose other methods it has; errors are restored."""

    __slots__ = ("_began", "_call", "_method", "_span")

    def __init__(self, made: Any, method: str, span: tracing.Span | None = None) -> None:
        self._call = made
        self._method = method
        self._span = span
        self._began = time.perf_counter()

    def __await__(self) -> Generator[Any, None, Any]:
        code = "CANCELLED"
        try:
            answer = yield from self._call.__await__()
            code = "OK"
            return answer
        except grpc.RpcError as error:
            code = error.code().name
            raise from_rpc_error(error) from error
        finally:
            observed.observer.called(self._method, code, time.perf_counter() - self._began)
            if self._span is not None:
                self._span.end("" if code == "OK" else code)

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for message in self._call:
                yield message
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        finally:
            # A reader that leaves early frees the stream; after the end this does nothing.
            self._call.cancel()

    async def read(self) -> Any:
        try:
            return await self._call.read()
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


def _or_bytes(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Columns to be sent are encoded already."""
    return lambda message: message if type(message) is bytes else serialize(message)


def may_be_several(address: str) -> bool:
    """Whether there may be more than one server behind it. One alone is tried again by each call:
    in turn with others it would be left out for a while after it was away, and nobody is asked.
    """
    if "," in address:
        return True
    host = address.rpartition(":")[0].strip("[]")
    if address.startswith(("unix:", "ipv4:", "ipv6:")) or host in ("", "localhost"):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def _options(max_message_bytes: int, retry: list[str]) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.use_local_subchannel_pool", 1),  # a channel's trouble stays its own
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 500),  # a peer that restarts is found again at once
    ]
    return [*options, ("grpc.service_config", _service_config(retry))] if retry else options


def _service_config(retry: list[str]) -> str:
    names = [dict(zip(("service", "method"), name.split("/"), strict=True)) for name in retry]
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}]})
