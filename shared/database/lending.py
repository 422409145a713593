"""Connections that are lent and come back: a task and three turns of the loop less than the
driver's own pool takes for each.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# Who rests so long is closed: each is memory of the server's.
_REST_SECONDS = 300.0
# And who was lent so often: what a server keeps for a connection only grows.
_MOST_LOANS = 50_000
_MEND_SECONDS = 10.0
_CLOSED = "the pool is closed"


@dataclass(slots=True)
class Loan:
    """A connection while somebody has it; when it came back, and how often it was lent."""

    driver: Connection
    count: int = 0
    back_seconds: float = 0.0


class Lending:
    """At most `most` connections, made by `connect` when they are asked for; who used one last is
    lent again first, and who finds none waits its turn.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], most: int, wait_seconds: float
    ) -> None:
        self._connect = connect
        self._most = most
        self._wait_seconds = wait_seconds
        self._resting: list[Loan] = []
        self._waiting: deque[asyncio.Future[Loan | None]] = deque()
        self._open: set[Connection] = set()
        # Open, being opened, or promised to somebody who waits.
        self._count = 0
        self._chores: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def used_count(self) -> int:
        """How many somebody has now."""
        return self._count - len(self._resting)

    async def lend(self) -> Loan:
        """One that works, as far as its socket says. Raises TimeoutError when none became free in
        time, and what `connect` raises.
        """
        if self._is_closing:
            raise asyncpg.InterfaceError(_CLOSED)
        while self._resting:
            loan = self._resting.pop()
            if not loan.driver.is_closed():
                loan.count += 1
                return loan
            self._forget(loan.driver)
        if self._count < self._most:
            self._take_place()
            return await self._opened()
        return await self._in_turn() or await self._opened()

    def give_back(self, loan: Loan, *, is_clean: bool = True) -> None:
        """For the next one. `is_clean`: no transaction is open, nothing is under way."""
        if loan.driver.is_closed():
            self._forget(loan.driver)
        elif not is_clean:
            self._chore(self._mend(loan))
        elif self._is_closing or loan.count >= _MOST_LOANS:
            self._chore(self._close(loan))
        else:
            self._pass_on(loan)

    async def close(self, within_seconds: float) -> None:
        """Those that rest now, those that are lent when they come back; after this time all."""
        self._is_closing = True
        if self._sweep is not None:
            self._sweep.cancel()
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                turn.set_exception(asyncpg.InterfaceError(_CLOSED))
        while self._resting:
            self._chore(self._close(self._resting.pop()))
        try:
            async with asyncio.timeout(within_seconds):
                await self._is_empty.wait()
        except TimeoutError:
            for driver in tuple(self._open):
                driver.terminate()
        for chore in tuple(self._chores):
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)

    async def _opened(self) -> Loan:
        """One more, on a place that was taken for it."""
        try:
            driver = await self._connect()
        except BaseException:
            self._leave_place()
            raise
        self._open.add(driver)
        return Loan(driver, 1)

    async def _in_turn(self) -> Loan | None:
        """What somebody gives back; None is a place to open one on."""
        turn: asyncio.Future[Loan | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._wait_seconds):
                loan = await turn
        except BaseException:
            if not turn.done():
                self._waiting.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:
                # It came in the moment in which its owner left.
                self._pass_on(turn.result())
            raise
        if loan is not None:
            loan.count += 1
        return loan

    def _pass_on(self, loan: Loan | None) -> None:
        """To who waits longest, else to rest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(loan)
                return
        if loan is None:
            self._count -= 1
            if not self._count:
                self._is_empty.set()
            return
        loop = asyncio.get_running_loop()
        loan.back_seconds = loop.time()
        self._resting.append(loan)
        if self._sweep is None:
            self._sweep = loop.call_later(_REST_SECONDS, self._close_rested)

    def _close_rested(self) -> None:
        """The oldest are in front: who came back last is lent first."""
        loop = asyncio.get_running_loop()
        since = loop.time() - _REST_SECONDS
        rested = [loan for loan in self._resting if loan.back_seconds <= since]
        self._resting = [loan for loan in self._resting if loan.back_seconds > since]
        for loan in rested:
            self._chore(self._close(loan))
        again = _REST_SECONDS if self._resting else 0.0
        self._sweep = loop.call_later(again, self._close_rested) if again else None

    def _take_place(self) -> None:
        self._count += 1
        self._is_empty.clear()

    def _leave_place(self) -> None:
        self._pass_on(None)

    def _forget(self, driver: Connection) -> None:
        self._open.discard(driver)
        self._leave_place()

    async def _close(self, loan: Loan) -> None:
        try:
            await loan.driver.close(timeout=_MEND_SECONDS)
        except Exception:  # noqa: BLE001  # it is to be gone, whatever it says to that
            loan.driver.terminate()
        finally:
            self._forget(loan.driver)

    async def _mend(self, loan: Loan) -> None:
        """Ends what is under way on it, which its owner did not wait for."""
        try:
            async with asyncio.timeout(_MEND_SECONDS):
                await loan.driver.reset()
        except BaseException:  # noqa: BLE001  # whatever it is, nobody may get this one
            loan.driver.terminate()
        self.give_back(loan)

    def _chore(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
