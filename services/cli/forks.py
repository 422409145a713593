"""Servers as forks of one process that has imported them; here they are known by their pid."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from services.cli import early
from shared.errors import Unavailable

_GONE_SECONDS = 0.05
_STOP_SECONDS = 10.0
# The first answer waits for the imports; the end of what was killed is heard at once.
ANSWER_SECONDS = 60.0
HEARD_SECONDS = 5.0


class Forked:
    """A server that was forked, as long as it lives and after."""

    def __init__(self, pid: int, unheard: Callable[[], None]) -> None:
        self.pid = pid
        self._unheard = unheard
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        """Its exit code, or its signal as a negative one."""
        await self._ended.wait()
        return self.returncode or 0

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
        # Nothing outlives that; when its end is not heard of, nobody hears the ends of the others.
        asyncio.get_running_loop().call_later(HEARD_SECONDS, self._must_have_ended)

    def _must_have_ended(self) -> None:
        if self.returncode is None:
            self._unheard()

    def end(self, code: int) -> None:
        """It has ended with this code."""
        self.returncode = code
        self._ended.set()


class Forks:
    """The fork server of `sonic up`; one that dies takes its forks along, and is started again.

    `environment` is all that it starts with; each server gets its own through a pipe, where no
    other process can read it. `begun`: the process, when it was started before.
    """

    def __init__(
        self,
        services: Sequence[str],
        environment: Mapping[str, str],
        *,
        preload: bool = True,
        begun: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self._services = services
        self._environment = environment
        self._preload = preload
        self._begun = begun
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._rest = b""
        self._requests = count()
        self._asked: dict[int, asyncio.Future[Forked]] = {}
        self._declared: asyncio.Future[list[str]] | None = None
        self._running: dict[int, Forked] = {}
        self._lost: list[asyncio.Future[None]] = []

    def start(self) -> None:
        """Start the process, unless it runs; it need not be ready to be asked."""
        is_heard = self._ended is not None and not self._ended.done()
        if self._process is not None and self._process.poll() is None and is_heard:
            return
        begun, self._begun = self._begun, None
        self._process = begun or early.started(
            self._services, self._environment, preload=self._preload
        )
        self._rest = b""
        self._ended = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(_said_by(self._process), self._read, self._process)

    async def stop(self) -> None:
        """Let it end; those of its forks that still run drain."""
        process, ended = self._process, self._ended
        if process is None or process.stdin is None or ended is None:
            return
        process.stdin.close()
        await asyncio.wait({ended}, timeout=_STOP_SECONDS)
        process.kill()
        if not ended.done():
            self._lose(process)
        await asyncio.to_thread(process.wait)
        if self._lost:
            await asyncio.wait(self._lost, timeout=_STOP_SECONDS)

    async def declared(self, service: str) -> frozenset[str]:
        """The variables that a server reads. Unavailable when they cannot be found out."""
        self.start()
        found = self._declared = asyncio.get_running_loop().create_future()
        try:
            _, variables = await asyncio.gather(self._ask({"service": service}), found)
        except OSError as problem:
            raise Unavailable("NOT_SERVING", str(problem)) from problem
        return frozenset(variables)

    async def spawn(self, service: str, environment: Mapping[str, str], log_file: Path) -> Forked:
        """A server, started. OSError when there is no process to fork."""
        self.start()
        asked = {"service": service, "environment": dict(environment), "log_file": str(log_file)}
        return await self._ask(asked)

    def give_up(self) -> None:
        """Kill the process, which hangs: its forks end too, and the next start makes another."""
        if self._process is not None:
            self._process.kill()

    async def _ask(self, asked: Mapping[str, Any]) -> Forked:
        if self._process is None or self._process.stdin is None:
            raise OSError("no fork server")
        request = next(self._requests)
        answer: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        self._asked[request] = answer
        try:
            os.write(
                self._process.stdin.fileno(),
                json.dumps({"request": request, **asked}).encode() + b"\n",
            )
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError as error:
            self.give_up()
            raise OSError("the process that servers are forked from does not answer") from error
        finally:
            self._asked.pop(request, None)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        block = os.read(_said_by(process), 1 << 16)
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            self._hear(json.loads(line))
        if not block:
            self._lose(process)

    def _lose(self, process: subprocess.Popen[bytes]) -> None:
        """It has ended: nobody answers any more, and its forks end with it."""
        asyncio.get_running_loop().remove_reader(_said_by(process))
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        problem = OSError("the process that servers are forked from has ended")
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(problem)
        if self._declared is not None and not self._declared.done():
            self._declared.set_exception(Unavailable("NOT_SERVING", str(problem)))
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        self._lost = [asyncio.ensure_future(self._until_gone(pid)) for pid in self._running]

    def _hear(self, told: Mapping[str, Any]) -> None:
        if "request" in told:
            forked = self._running[told["pid"]] = Forked(told["pid"], self.give_up)
            answer = self._asked.get(told["request"])
            if answer is None or answer.done():
                # Who asked for it has given up.
                forked.kill()
            else:
                answer.set_result(forked)
        elif "declared" in told and self._declared is not None:
            if told["declared"] is None:
                words = f"the servers' settings cannot be read: {told['problem']}"
                self._declared.set_exception(Unavailable("NOT_SERVING", words))
            else:
                self._declared.set_result(told["declared"])
        elif "code" in told:
            self._end(told["pid"], told["code"])

    def _end(self, pid: int, code: int) -> None:
        if (forked := self._running.pop(pid, None)) is not None:
            forked.end(code)

    async def _until_gone(self, pid: int) -> None:
        """A fork whose parent has died gets SIGTERM from the kernel and is reaped elsewhere."""
        with suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                await asyncio.sleep(_GONE_SECONDS)
        self._end(pid, -signal.SIGTERM)


def _said_by(process: subprocess.Popen[bytes]) -> int:
    if process.stdout is None:
        raise OSError("no pipe from the process that servers are forked from")
    return process.stdout.fileno()
