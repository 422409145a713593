"""The whole system on one machine, one process a server or all in one; both from the same
environments.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli import certificates, early
from services.cli.alarm import Alarms
from services.cli.children import (
    SETTINGS_REFUSED,
    START_SECONDS,
    Child,
    Children,
    last_words,
)
from services.cli.database import given
from services.cli.early import plain_environment
from services.cli.forks import Forks
from services.cli.plan import (
    BAD_SETTINGS,
    GATEWAY,
    SERVICES,
    Plan,
    environment,
    known_addresses,
)
from services.cli.reload import watch
from services.cli.voice import entry
from services.cli.within import Within
from shared import config as configuration
from shared.apart import apart
from shared.clock import SystemClock
from shared.errors import FailedPrecondition, InvalidArgument, Unavailable
from shared.lifecycle import App, giving_back
from shared.rpc.client import Channel
from shared.rpc.health import LIVENESS, Problem, problem_of
from shared.service_tokens import Identity

Say = Callable[[str], None]
Serving = AbstractAsyncContextManager[dict[str, str]]
# What no waiting mends.
_LASTING = frozenset({"LEDGER_KEY_MISSING", "SCHEMA_TOO_OLD"})
_DECIDING_SECONDS = 10.0
_CERTIFIED = (*SERVICES, GATEWAY, certificates.OPERATOR)


@asynccontextmanager
async def forking(*, preload: bool = True) -> AsyncIterator[Forks]:
    """The process whose forks are the servers, while the block runs."""
    begun = early.taken() if preload else None
    forks = Forks((*SERVICES, GATEWAY), plain_environment(), preload=preload, begun=begun)
    try:
        forks.start()
        yield forks
    finally:
        await forks.stop()


@asynccontextmanager
async def in_processes(
    plan: Plan,
    urls: Mapping[str, str],
    say: Say,
    forks: Forks,
    *,
    reload: bool = False,
    alarm: Alarms | None = None,
) -> AsyncIterator[dict[str, str]]:
    """Every server as a process, forked by `forks`; answers their addresses once all are serving.

    Each gets the variables it declared, and is started while the next are still imported. With
    `reload` those whose code changed are started again.
    """
    addresses = plan.addresses
    listens = addresses | {GATEWAY: plan.http_address}
    asking = HealthClient(certificates.operators(plan.tls_folder), addresses)
    health = plan.health
    also = plan.sonic_pass_environment

    async def child(name: str, listen: str) -> Child:
        declared = await forks.declared(name)
        return Child(
            name,
            kept_files(plan, name)
            | environment(name, listen, addresses, urls, plan.home, declared, also=also)
            | own_words(plan.home, name)
            | plan.metrics_words(name)
            | certificates.variables(plan.tls_folder, name),
            _log_file(plan.home, name),
            partial(
                serves_pages if name == GATEWAY else asking.answers,
                listen,
                health.interval_seconds,
            ),
        )

    system = Children(say, forks.spawn, alarm=alarm, health=health)
    try:
        for name, listen in listens.items():
            await system.start(await child(name, listen))
        for name, address in addresses.items():
            await _until_serving(name, partial(asking.readiness, address), system.children)
            say(entry(name, address))
        await _until_serving(GATEWAY, partial(_listens, plan.http_address), system.children)
        async with _reloading(system, listens) if reload else nullcontext():
            yield addresses
    finally:
        await system.stop()
        await asking.close()


@asynccontextmanager
async def _reloading(system: Children, names: Collection[str]) -> AsyncIterator[None]:
    watching = asyncio.create_task(watch(system.restart, names), name="reload")
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})


@asynccontextmanager
async def in_one_process(
    plan: Plan,
    urls: Mapping[str, str],
    say: Say,
    *,
    listens: Mapping[str, str],
    extra: Mapping[str, str] | None = None,
    tls: Path | None = None,
    alarm: Alarms | None = None,
) -> AsyncIterator[dict[str, str]]:
    """Every server named in `listens` in this process; a port 0 takes a free one. Answers their
    addresses. `tls`: the folder of their certificates; without one nobody is asked who they are.

    A server in which something ended is started again; `alarm` tells people of one that cannot be.
    """
    addresses: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        for name, listen in listens.items():
            environ = environment(name, listen, addresses, urls, plan.home) | dict(extra or {})
            environ = kept_files(plan, name) | environ
            # One process has one port.
            environ |= plan.metrics_words(name) if name == GATEWAY else {}
            environ |= {} if tls is None else certificates.variables(tls, name)
            made = Within(name, partial(build, name, environ), say, SystemClock(), alarm)
            app = (await stack.enter_async_context(made)).app
            if name != GATEWAY:
                addresses[name] = app.address
                say(entry(name, app.address))
            if listen.endswith(":0"):
                # Where it is found also when it is started again.
                environ["LISTEN_ADDRESS"] = app.address
        memory = Within("memory", _memory, say, SystemClock(), alarm)
        await stack.enter_async_context(memory)
        yield addresses


def _memory() -> App:
    return App("memory", [giving_back(SystemClock())])


def build(name: str, environ: Mapping[str, str]) -> App:
    """One server from its environment. Here and in `judged_files` alone the command line touches a
    service's code.
    """
    module: Any = importlib.import_module(f"services.{name}.server")
    app: App = module.build(configuration.load(module.Config, environ))
    return app


@dataclass(frozen=True, slots=True)
class JudgedFile:
    """A sealed file of the ledger; `first_bad_sequence` 0 and no problem: all of it fits."""

    file: str
    first_sequence: int
    last_sequence: int
    row_count: int
    first_bad_sequence: int
    problem: str

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self) | {"intact": not self.problem}


def judged_files(paths: Sequence[Path], key: bytes) -> list[JudgedFile]:
    """Sealed files by the code that sealed them; no server is asked."""
    module: Any = importlib.import_module("services.alerts.ledger.service.reading")
    return [
        JudgedFile(
            one.path.name,
            one.verdict.first_sequence,
            one.verdict.last_sequence,
            one.verdict.row_count,
            one.verdict.first_bad_sequence,
            one.problem,
        )
        for one in module.judge(paths, key)
    ]


def certify(plan: Plan) -> tuple[str, ...]:
    """The certificates of this machine's servers and of the person, made where they are due; which.
    Raises OSError when the home cannot be written.
    """
    wanted = plan.tls_folder, _CERTIFIED, [plan.sonic_host], datetime.now(UTC)
    return apart(certificates.ensure, *wanted) if certificates.are_due(*wanted) else ()


def certify_or_say(plan: Plan, say: Say) -> tuple[str, ...]:
    """As certify(); where none can be made, those that are there are enough as long as they are
    good. Raises FailedPrecondition CERTIFICATES_UNUSABLE.
    """
    try:
        return certify(plan)
    except (OSError, ValueError, Unavailable) as problem:
        if not certificates.are_good(plan.tls_folder, _CERTIFIED, datetime.now(UTC)):
            raise FailedPrecondition(
                "CERTIFICATES_UNUSABLE",
                f"no certificates can be made in {plan.tls_folder}: {problem}; make it a folder you"
                " may write to, with room on its disk, or remove it",
            ) from problem
        say(f"certificates cannot be renewed: {problem}; those that are there are used")
        return ()


def free_ports(names: Sequence[str] = tuple(SERVICES)) -> dict[str, str]:
    """Listen addresses that take free ports on loopback."""
    return dict.fromkeys(names, "127.0.0.1:0")


async def runs(plan: Plan, service: str) -> bool:
    """Whether a server of the system that is known to run here answers at all."""
    async with HealthClient(plan.identity, known_addresses(plan)) as client:
        return await client.answers(known_addresses(plan)[service])


class HealthClient:
    """Asks servers how they are, each on one connection: whoever asks all day makes no new ones.

    `identity`: what it shows; `addresses`: which server answers where.
    """

    def __init__(
        self, identity: Identity | None = None, addresses: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._identity = identity
        self._names = {address: name for name, address in addresses.items()}
        self._channels: dict[str, Channel] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let the connections go."""
        await asyncio.gather(*(channel.stop() for channel in self._channels.values()))

    async def readiness(
        self, address: str, timeout_seconds: float = 1.0
    ) -> tuple[bool, Problem | None]:
        """Whether a gRPC server is ready, and what it says when it is not."""
        check = self._check(address, "", timeout_seconds)
        try:
            answer = await check
        except grpc.aio.AioRpcError:
            return False, None
        is_ready = answer.status == health_pb2.HealthCheckResponse.SERVING
        return is_ready, None if is_ready else problem_of(await check.trailing_metadata())

    async def answers(self, address: str, timeout_seconds: float = 1.0) -> bool:
        """Whether a gRPC server answers there at all, ready or not: one that hangs does not."""
        try:
            await self._check(address, LIVENESS, timeout_seconds)
        except grpc.aio.AioRpcError as error:
            # Any word of the server is a sign of life; these two are ours.
            return error.code() not in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            )
        return True

    def _check(self, address: str, service: str, timeout_seconds: float) -> Any:
        if address not in self._channels:
            name = self._names.get(address, "")
            self._channels[address] = Channel(address, identity=self._identity, peer=name)
        stub = health_pb2_grpc.HealthStub(self._channels[address].channel.opened())
        return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout_seconds)


async def serves_pages(address: str, timeout_seconds: float = 2.0) -> bool:
    """Whether an HTTP server answers there at all."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return (await reader.readline()).startswith(b"HTTP/")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def _listens(address: str) -> tuple[bool, Problem | None]:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False, None
    writer.close()
    return True, None


async def _until_serving(
    name: str,
    readiness: Callable[[], Awaitable[tuple[bool, Problem | None]]],
    children: Sequence[Child],
) -> None:
    problem: Problem | None = None
    for _ in range(int(START_SECONDS / 0.1)):
        is_ready, problem = await readiness()
        if is_ready:
            return
        if problem is not None and problem.reason in _LASTING:
            raise InvalidArgument(BAD_SETTINGS, f"{name} cannot start like this\n{problem.words}")
        await asyncio.sleep(0.1)
        if any(_has_refused(child) for child in children):
            await _until_decided(children)
            refused = [
                last_words(child, line_count=50) for child in children if _has_refused(child)
            ]
            words = dict.fromkeys("\n".join(refused).splitlines())
            raise InvalidArgument(BAD_SETTINGS, "\n".join(["Sonic cannot start like this", *words]))
    child = next(child for child in children if child.name == name)
    said = problem.words if problem else f"the end of its log:\n{last_words(child, line_count=5)}"
    raise Unavailable("NOT_SERVING", f"{name} did not become ready; {said}")


async def _until_decided(children: Sequence[Child]) -> None:
    """Until each has refused its settings, died or answered: all mistakes are said together."""
    for _ in range(int(_DECIDING_SECONDS / 0.1)):
        undecided = [child for child in children if not _has_ended(child)]
        if all(await asyncio.gather(*(child.answers() for child in undecided))):
            return
        await asyncio.sleep(0.1)


def _has_ended(child: Child) -> bool:
    return child.process is not None and child.process.returncode is not None


def _has_refused(child: Child) -> bool:
    return child.process is not None and child.process.returncode == SETTINGS_REFUSED


def kept_files(plan: Plan, name: str) -> dict[str, str]:
    """Where alerts seals old rows of the ledger, unless the person says, and where monitor looks
    for backups: beside the database when that is the embedded one. With another one nobody knows
    what becomes of this machine's files.
    """
    if plan.database_url or given("DATABASE_URL"):
        return {}
    return {
        "alerts": {"ALERTS_LEDGER_FOLDER": str(plan.home / "ledger")},
        "monitor": {"MONITOR_BACKUP_FOLDER": str(plan.backup_folder)},
    }.get(name, {})


def own_words(home: Path, name: str) -> dict[str, str]:
    """What a server is told of its log: it keeps that small itself."""
    return {"LOG_FILE": str(_log_file(home, name))}


def _log_file(home: Path, name: str) -> Path:
    return home / "logs" / f"{name}.log"
