"""One provider: its address, pace, bounds and circuit."""

import asyncio
import logging
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
from aiolimiter import AsyncLimiter

from shared import observed, tracing
from shared.backoff import backoff_seconds
from shared.clock import Clock
from shared.http import body, retry_after
from shared.http.circuit import Circuit
from shared.http.failure import FailureKind, ProviderFailure
from shared.http.scope import Scope, current
from shared.http.trust import trust
from shared.loopback import is_loopback
from shared.rpc import call

Params = Mapping[str, str] | Sequence[tuple[str, str]]

_MIB = 1024 * 1024
_USER_AGENT = "sonic"
_FIRST_BACKOFF_SECONDS = 0.2
_MOST_BACKOFF_SECONDS = 2.0
_MAX_CONNECTIONS = 20
# One provider that hangs must not cost its caller what the others answered.
_SHARE_RATIO = 0.8
_RETRIED = frozenset({FailureKind.TIMEOUT, FailureKind.CONNECT, FailureKind.SERVER_ERROR})
_REFUSALS = frozenset({401, 403, 451})


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer. `body` is unchecked JSON; header names are lower case; `latency_seconds` is of
    the try that succeeded.
    """

    body: object
    status: int
    headers: Mapping[str, str]
    received_time: datetime
    latency_seconds: float


class ProviderHttp:
    """A Part. Asks below `base_url` (any scheme, host and path prefix); every failure is a
    ProviderFailure.

    `timeout_seconds` bounds a call with its retries, but not the wait for its turn when
    `per_second` is set; inside an RPC both together take at most four fifths of the time its caller
    has left. `retry_after` says how a 429 tells its end: "seconds" or "milliseconds" of
    Retry-After, else the name of the header with a unix second. Back-off, circuit and limits go by
    `clock`; URLs are never logged. Inside `asking(subject=...)` a refusal is that subject's alone,
    inside `asking(part=...)` failures are that part's; inside `asking(forced=True)` a wait is
    passed once. `burst` calls may come at once before `per_second` holds.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        clock: Clock,
        timeout_seconds: float = 10.0,
        connect_seconds: float = 2.0,
        max_body_bytes: int = 5 * _MIB,
        max_depth: int = 32,
        per_second: float | None = None,
        burst: float | None = None,
        retries: int = 2,
        retry_after: str = retry_after.SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._base_url = base_url.rstrip("/")
        address = httpx.URL(self._base_url)
        if address.scheme not in {"http", "https"} or not address.host:
            raise ValueError(f"the base URL of {name} is not an http or https address")
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._connect_seconds = connect_seconds
        self._max_body_bytes = max_body_bytes
        self._max_depth = max_depth
        self._per_second = per_second
        self._burst = burst
        self._retries = retries
        self._retry_after = retry_after
        self._headers = dict(headers or {})
        self._circuit = Circuit(name, clock)
        self._forcing = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None
        self._turn: AsyncLimiter | None = None

    async def start(self) -> None:
        """Nothing to do: who is never asked, as all are in a demo, costs no client."""

    async def stop(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def get_json(
        self, path: str, params: Params | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """GET `base_url` + `path`. Raises ProviderFailure."""
        asked = params if params is None or isinstance(params, Mapping) else tuple(params)
        return await self._ask(
            self._connected().build_request("GET", self._url(path), params=asked, headers=headers)
        )

    async def post_json(
        self, path: str, sent: object, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """POST JSON that only reads: it may be sent again. Raises ProviderFailure."""
        return await self._ask(
            self._connected().build_request("POST", self._url(path), json=sent, headers=headers)
        )

    async def post_form(
        self, path: str, sent: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """POST form fields that only read, as `post_json`. Raises ProviderFailure."""
        return await self._ask(
            self._connected().build_request("POST", self._url(path), data=sent, headers=headers)
        )

    def _url(self, path: str) -> str:
        return f"{self._base_url}/{path.lstrip('/')}" if path else self._base_url

    async def _ask(self, request: httpx.Request) -> Answer:
        with tracing.asking(self.name) as ending:
            try:
                return await self._let_through(request)
            except ProviderFailure as failure:
                ending.problem = failure.kind.value
                raise

    async def _let_through(self, request: httpx.Request) -> Answer:
        scope = current()
        circuit = self._circuit.part(scope.part)
        if not scope.forced or not circuit.shut_for(scope.subject):
            return await self._pass(request, scope, forced=False)
        forced_count = circuit.forced(scope.subject)
        async with self._forcing:
            # Of those that are forced together one goes through; the others take what it found.
            is_first = circuit.forced(scope.subject) == forced_count
            return await self._pass(request, scope, forced=is_first)

    async def _pass(self, request: httpx.Request, scope: Scope, *, forced: bool) -> Answer:
        circuit = self._circuit.part(scope.part)
        left_seconds = call.bounded_seconds(math.inf, _SHARE_RATIO)
        given_up_seconds = asyncio.get_running_loop().time() + left_seconds
        if forced or not circuit.shut_for(scope.subject):
            try:
                async with asyncio.timeout_at(
                    given_up_seconds if math.isfinite(left_seconds) else None
                ):
                    await self._take_turn()
            except TimeoutError as problem:
                raise self._failure(
                    FailureKind.TIMEOUT, "had no turn in the time that was left"
                ) from problem
        end_seconds = min(
            asyncio.get_running_loop().time() + self._timeout_seconds, given_up_seconds
        )
        # The circuit counts calls, not tries: one bad moment of a host is one failure.
        outcome = "CANCELLED"
        try:
            with circuit.passage(scope.subject, forced=forced):
                answer = await self._try_repeatedly(request, end_seconds)
            outcome = "OK"
            return answer
        except ProviderFailure as failure:
            outcome = failure.kind.value
            raise
        finally:
            is_shut = circuit.shut
            observed.observer.asked(self.name, outcome, is_shut=is_shut)

    async def _try_repeatedly(self, request: httpx.Request, end_seconds: float) -> Answer:
        failures = 0
        while True:
            try:
                return await self._try(request, end_seconds)
            except ProviderFailure as failure:
                failures += 1
                if failures > self._retries or failure.kind not in _RETRIED:
                    raise
                if not await self._wait(failure, failures, end_seconds):
                    raise

    async def _wait(self, failure: ProviderFailure, failures: int, end_seconds: float) -> bool:
        """Backs off; False when that would outlast the call."""
        seconds = _jittered_seconds(failures)
        if failure.retry_after is not None:
            seconds = max(seconds, failure.retry_after.total_seconds())
        if asyncio.get_running_loop().time() + seconds >= end_seconds:
            return False
        try:
            async with asyncio.timeout_at(end_seconds):
                await self._clock.sleep(seconds)
                await self._take_turn()
        except TimeoutError:
            return False
        return True

    async def _take_turn(self) -> None:
        # Real time, not the clock: the pace is owed to the provider's machine.
        if self._per_second is None:
            return
        if self._turn is None:
            burst = self._burst or max(self._per_second, 1.0)
            self._turn = AsyncLimiter(burst, burst / self._per_second)
        await self._turn.acquire()

    async def _try(self, request: httpx.Request, end_seconds: float) -> Answer:
        try:
            async with asyncio.timeout_at(end_seconds):
                return await self._exchange(request)
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout) as problem:
            raise self._failure(FailureKind.TIMEOUT, "did not answer in time") from problem
        except httpx.TransportError as problem:
            words = f"cannot be reached ({type(problem).__name__})"
            raise self._failure(FailureKind.CONNECT, words) from problem
        except httpx.HTTPError as problem:
            raise self._failure(FailureKind.BAD_BODY, "answered what is not HTTP") from problem

    async def _exchange(self, request: httpx.Request) -> Answer:
        started_seconds = self._clock.monotonic()
        response = await self._connected().send(request, stream=True, follow_redirects=False)
        try:
            if not response.is_success:
                raise await self._complaint(response)
            value = await self._read(response)
        finally:
            await response.aclose()
        return Answer(
            body=value,
            status=response.status_code,
            headers=dict(response.headers),
            received_time=self._clock.now(),
            latency_seconds=self._clock.monotonic() - started_seconds,
        )

    async def _read(self, response: httpx.Response) -> object:
        return await body.read_json(
            response, max_bytes=self._max_body_bytes, max_depth=self._max_depth
        )

    async def _complaint(self, response: httpx.Response) -> ProviderFailure:
        """The failure a status stands for; its body is read only where an adapter may want its
        words.
        """
        kind, wait = self._judge(response)
        said = None
        if kind in {FailureKind.NOT_FOUND, FailureKind.BAD_STATUS}:
            try:
                said = await self._read(response)
            except ProviderFailure:
                said = None
        return self._failure(
            kind,
            f"answered HTTP {response.status_code}",
            status=response.status_code,
            wait=wait,
            body=said,
        )

    def _judge(self, response: httpx.Response) -> tuple[FailureKind, timedelta | None]:
        status, rule, now = response.status_code, self._retry_after, self._clock.now()
        if status == 429:
            return FailureKind.RATE_LIMITED, retry_after.rate_limit_wait(
                rule, response.headers, now
            )
        if status == 418:
            return FailureKind.BANNED, retry_after.ban_wait(rule, response.headers, now)
        if status in _REFUSALS:
            return FailureKind.REFUSED, None
        if status >= 500:
            return FailureKind.SERVER_ERROR, retry_after.error_wait(rule, response.headers, now)
        return (FailureKind.NOT_FOUND if status == 404 else FailureKind.BAD_STATUS), None

    def _failure(
        self,
        kind: FailureKind,
        problem: str,
        *,
        status: int | None = None,
        wait: timedelta | None = None,
        body: object = None,
    ) -> ProviderFailure:
        return ProviderFailure(
            kind, f"{self.name} {problem}", status=status, retry_after=wait, body=body
        )

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            _hush()
            self._client = httpx.AsyncClient(
                headers={
                    "user-agent": _USER_AGENT,
                    "accept": "application/json",
                    "accept-encoding": body.ACCEPTED_ENCODING,
                    **self._headers,
                },
                timeout=httpx.Timeout(self._timeout_seconds, connect=self._connect_seconds),
                limits=httpx.Limits(max_connections=_MAX_CONNECTIONS),
                verify=trust(),
                # A proxy of the environment is for the world outside, not for this machine.
                trust_env=not is_loopback(httpx.URL(self._base_url).host),
            )
        return self._client


def _jittered_seconds(failures: int) -> float:
    """Doubling, with jitter so that many do not come back together."""
    most = backoff_seconds(failures, _FIRST_BACKOFF_SECONDS, _MOST_BACKOFF_SECONDS)
    return most * random.uniform(0.5, 1.0)


def _hush() -> None:
    """Both write whole URLs, whatever the process does about its logs."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
