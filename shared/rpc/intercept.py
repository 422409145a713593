"""The one stack around every RPC of ours: ids, deadline, access, schema rules, failures, metrics.

It wraps handlers when they are registered, so that a call pays for no search.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2
from grpc_status import rpc_status

from shared import tracing
from shared.errors import Exhausted, InvalidArgument, Unavailable
from shared.log import get_logger
from shared.metrics import CallMeter, Metrics
from shared.names import new_id
from shared.page_answer import PageAnswer
from shared.rpc import call, failures, fit, validation
from shared.rpc.access import Access
from shared.rpc.limits import MAX_MESSAGE_BYTES, Gate, Limits

# Messages and contexts are whatever grpc hands over: the one place where Any is right.
Context = Any
Handler = Any
Body = Callable[[Any, Context], Awaitable[Any]]

_RETRY_AFTER_DRAIN = timedelta(seconds=1)
_READ_SECONDS = 60.0


class Interceptor:
    """What all methods of a server share: settings, and the calls in flight with their time
    limits. `reads_late`: of a request nothing is read before its caller is known: what
    strangers send is not kept for them. `peer`: who stands behind an address."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        unary_seconds: float = 60.0,
        access: Access | None = None,
        limits: Limits | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        large: Mapping[str, int] = MappingProxyType({}),
        reads_late: bool = False,
        peer: Callable[[str], str] = str,
    ) -> None:
        limits = limits or Limits()
        self.peer = peer
        self.reads_late = reads_late
        self.metrics = metrics
        self.serving = metrics.gauge(
            "sonic_server_serving", "1 while a gRPC service is ready, else 0", ("rpc_service",)
        )
        self.unary_seconds = unary_seconds
        self.access = access
        self.max_message_bytes = max_message_bytes
        self.most_bytes = max(max_message_bytes, *large.values(), 0)
        self.large = large
        self.calls = Gate("CALLS", limits.calls, limits.calls_per_peer)
        self.streams = Gate("STREAMS", limits.streams, limits.streams_per_peer)
        self.large_turns = asyncio.Semaphore(limits.large_requests)
        self.unary_limits: set[asyncio.Timeout] = set()
        self.stream_limits: set[asyncio.Timeout] = set()
        self.draining = False

    def wrap(self, service: str, name: str, handler: Handler) -> object:
        """A handler of the same kind around this one."""
        return Method(self, service, name, handler).handler()

    def drain(self, unary_seconds: float, stream_seconds: float) -> None:
        """Gives the calls in flight so much time; then they end with Unavailable SHUTTING_DOWN."""
        self.draining = True
        now = asyncio.get_running_loop().time()
        for limits, seconds in (
            (self.unary_limits, unary_seconds),
            (self.stream_limits, stream_seconds),
        ):
            for limit in limits:
                when = limit.when()
                if not limit.expired():
                    limit.reschedule(now + seconds if when is None else min(when, now + seconds))


class Method:
    """One RPC: its handler, intercepted. Nothing is looked up per call that can be known
    beforehand."""

    def __init__(self, shared: Interceptor, service: str, name: str, handler: Handler) -> None:
        self._shared = shared
        self._handler = handler
        self._path = f"/{service}/{name}"
        self._span_name = self._path[1:]
        self._domain = service.rpartition(".")[0] or service
        self._peer = shared.peer
        self._meter: CallMeter = shared.metrics.call(f"{service}/{name}")
        self._behaviour: Callable[..., Any] = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )
        access = shared.access
        request_class = getattr(handler.request_deserializer, "__self__", None)
        self._access = None if access is None else access.of_method(self._path, request_class)
        self._is_coroutine = inspect.iscoroutinefunction(self._behaviour)
        # A request of many megabytes is read only when its turn comes.
        self._large_bytes = 0 if handler.request_streaming else shared.large.get(name, 0)
        is_late = shared.reads_late and not handler.request_streaming
        self._reads_late = is_late or bool(self._large_bytes)
        self._turn: AbstractAsyncContextManager[object] = (
            shared.large_turns if self._large_bytes else nullcontext()
        )
        self._gate = shared.streams if self._is_streaming() else shared.calls
        self._limits = shared.stream_limits if self._is_streaming() else shared.unary_limits
        # A stream (Watch) may last for ever; only a unary call must end.
        self._default_seconds = None if self._is_streaming() else shared.unary_seconds

    def handler(self) -> object:
        kinds = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }
        body = self._body()

        async def guarded(request: Any, context: Context) -> Any:
            return await self._guard(body, request, context)

        # Requests come as bytes: gRPC's own words for bytes that are no message are a traceback and
        # UNKNOWN.
        streams_in = self._handler.request_streaming or self._reads_late
        make: Callable[..., object] = kinds[streams_in, self._handler.response_streaming]
        return make(guarded, None, self._serializer())

    def _is_streaming(self) -> bool:
        return bool(self._handler.request_streaming or self._handler.response_streaming)

    def _body(self) -> Body:
        if self._handler.response_streaming:
            return self._stream
        return self._collect if self._handler.request_streaming else self._answer

    def _serializer(self) -> Callable[[Any], bytes] | None:
        """An answer was encoded to learn its size, columns and news for many before that."""
        return self._encoded if self._handler.response_serializer is not None else None

    def _encoded(self, message: Any) -> bytes:
        if type(message) is bytes or self._handler.response_serializer is None:
            return message  # type: ignore[no-any-return]  # bytes, or whatever the handler wants to send
        encoded: bytes = self._handler.response_serializer(message)
        return encoded

    async def _answer(self, raw: Any, context: Context) -> Any:
        if not self._reads_late:
            return await self._answered(self._read(raw), context)
        async with self._turn:
            request = await self._message(raw)
            return await self._answered(request, context)

    async def _answered(self, request: Any, context: Context) -> Any:
        # Every read passes here: no call of ours more than it needs.
        if self._is_coroutine:
            answer = await self._behaviour(request, context)
        else:
            answer = await self._call(request, context)
        if isinstance(answer, PageAnswer):
            if call.wants_json() and len(text := answer.json()) <= fit.PAGE_BYTES:
                return text
            answer = answer.message()
        encoded = self._encoded(answer)
        if len(encoded) <= fit.PAGE_BYTES:
            return encoded
        return await self._smaller(request, answer, encoded, context)

    async def _smaller(self, request: Any, answer: Any, encoded: bytes, context: Context) -> bytes:
        """A page of fewer rows, asked for again so that its token fits; else the answer without
        what no rule allows. A file is whole or refused: Exhausted ANSWER_TOO_LARGE.
        """
        if fit.is_page(type(answer)):
            request.page_size = fit.rows_that_fit(answer)
            answer = await self._call(request, context)
            if isinstance(answer, PageAnswer):
                answer = answer.message()
            encoded = self._encoded(answer)
        if len(encoded) > self._shared.most_bytes:
            if self._path.rpartition("/")[2].startswith("Export"):
                most = self._shared.most_bytes
                raise Exhausted(
                    "ANSWER_TOO_LARGE", f"The file has {len(encoded)} bytes, at most are {most}."
                )
            get_logger().warning("answer was cut", method=self._path, bytes=len(encoded))
            fit.cut(answer)
            encoded = self._encoded(answer)
        return encoded

    async def _collect(self, raws: Any, context: Context) -> Any:
        return self._encoded(await self._call(self._messages(raws), context))

    async def _stream(self, raw: Any, context: Context) -> None:
        if self._handler.request_streaming:
            await self._reply(self._messages(raw), context)
            return
        async with self._turn:
            await self._reply(await self._message(raw), context)

    async def _message(self, raw: Any) -> Any:
        return self._read(await self._received(raw) if self._reads_late else raw)

    async def _messages(self, raws: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for raw in raws:
            yield self._read(raw)

    async def _received(self, raws: AsyncIterator[bytes]) -> bytes:
        """The one message of a request, asked for now and not before."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                return await anext(aiter(raws))
        except TimeoutError as error:
            raise Unavailable("REQUEST_TOO_SLOW", "The request did not arrive in time.") from error
        except StopAsyncIteration:
            return b""

    def _read(self, raw: bytes) -> Any:
        """The message, held against its schema. Raises InvalidArgument, Exhausted
        MESSAGE_TOO_LARGE.
        """
        most = self._large_bytes or self._shared.max_message_bytes
        if len(raw) > most:
            raise Exhausted(
                "MESSAGE_TOO_LARGE", f"A request of {self._path} has at most {most} bytes."
            )
        try:
            request = self._handler.request_deserializer(raw)
        except DecodeError as error:
            get_logger().warning("request is no message", method=self._path, bytes=len(raw))
            raise InvalidArgument(
                "MALFORMED_REQUEST", "The bytes are no message of this method."
            ) from error
        validation.check(request)
        if self._access is not None:
            self._access.check(call.caller(), request)
        return request

    async def _reply(self, request: Any, context: Context) -> None:
        replies = self._behaviour(request, context)
        if inspect.isawaitable(replies):  # written with context.write, not yield
            await replies
            return
        try:
            async for message in replies:
                await context.write(message)
        finally:
            await replies.aclose()

    async def _call(self, request: Any, context: Context) -> Any:
        if self._is_coroutine:
            return await self._behaviour(request, context)
        # The generated base class is not async: it raises NotImplementedError here.
        answer = self._behaviour(request, context)
        return await answer if inspect.isawaitable(answer) else answer

    async def _guard(self, body: Body, request: Any, context: Context) -> Any:
        started = time.perf_counter()
        code = "OK"
        limit = span = None
        try:
            limit = self._enter(context)
            if (span := tracing.begin(self._span_name, tracing.SERVER)) is not None:
                call.traced(span.traceparent)
            with self._gate.entered(self._peer(context.peer())):
                async with limit:
                    return await self._within(limit, body, request, context)
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except grpc.aio.InternalError as error:
            # The library's word for a message that could no longer be sent: the reader left.
            code = "CANCELLED"
            raise asyncio.CancelledError from error
        except grpc.aio.AbortError:
            code = "ABORTED_BY_HANDLER"
            raise
        except Exception as error:  # noqa: BLE001  # every failure gets its name here
            told = self._told(error, limit)
            code = code_pb2.Code.Name(failures.code_of(told))
            await self._refuse(told, context)
        finally:
            seconds = time.perf_counter() - started
            if span is None:
                self._meter.finish(code, seconds)
            else:
                self._meter.finish(code, seconds, tracing.kept_id(span))
                span.end("" if code == "OK" else code)

    async def _within(
        self, limit: asyncio.Timeout, body: Body, request: Any, context: Context
    ) -> Any:
        """Runs the body while `drain` can shorten its limit; a limit that is left can no longer be
        moved.
        """
        self._limits.add(limit)
        try:
            return await body(request, context)
        finally:
            self._limits.discard(limit)

    def _enter(self, context: Context) -> asyncio.Timeout:
        metadata = context.invocation_metadata() or ()
        remaining = context.time_remaining()
        limit_seconds = self._default_seconds if remaining is None else None
        call.enter(metadata, remaining if limit_seconds is None else limit_seconds)
        if self._access is not None:
            call.called_by(self._access.enter(context))
        if self._shared.draining:
            raise _shutting_down()
        return asyncio.timeout(limit_seconds)

    def _told(self, error: Exception, limit: asyncio.Timeout | None) -> Exception:
        if isinstance(error, TimeoutError) and limit is not None and limit.expired():
            if self._shared.draining:
                return _shutting_down()
            return Unavailable("DEADLINE_EXCEEDED", "The call took longer than the server allows.")
        return error

    async def _refuse(self, error: Exception, context: Context) -> NoReturn:
        incident_id = ""
        if failures.code_of(error) == code_pb2.INTERNAL:
            incident_id = new_id("inc")
            get_logger().error(
                "rpc failed", method=self._path, incident_id=incident_id, exc_info=error
            )
        status = failures.to_status(error, self._domain, incident_id)
        await context.abort_with_status(rpc_status.to_status(status))
        raise AssertionError("abort returns never")


def _shutting_down() -> Unavailable:
    return Unavailable(
        "SHUTTING_DOWN", "The service is stopping; ask again.", retry_after=_RETRY_AFTER_DRAIN
    )
