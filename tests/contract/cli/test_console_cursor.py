"""The cursor of the console stays on the row that was read, while rows come, go and change places:
a key never acts on another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from google.protobuf.message import Message
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2
from sonic.monitor.v1 import monitor_pb2
from sonic.xcom.v1 import xcom_pb2
from textual.pilot import Pilot
from textual.widgets import TabbedContent

from services.cli.plan import SERVICES
from services.cli.terminal.app import Console
from services.cli.terminal.rows import Rows
from tests.fakes.any_server import Calls, any_server

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """A pane, the RPC that lists its rows, a key and the RPC by which it acts on one."""

    pane: str
    lists: str
    listed: Callable[[tuple[str, ...]], Message]
    key: str
    acts: str


def alerts(ids: tuple[str, ...]) -> Message:
    return alerts_pb2.ListAlertsResponse(alerts=[alerts_pb2.Alert(id=id) for id in ids])


def monitors(ids: tuple[str, ...]) -> Message:
    found = [monitor_pb2.Monitor(name=id) for id in ids]
    return monitor_pb2.ListMonitorsResponse(monitors=found)


def deliveries(ids: tuple[str, ...]) -> Message:
    """All of one message."""
    found = [xcom_pb2.Delivery(id=id, message_id="message-1") for id in ids]
    return xcom_pb2.ListDeliveriesResponse(deliveries=found)


def cycles(ids: tuple[str, ...]) -> Message:
    return cyclone_pb2.ListCyclesResponse(cycles=[cyclone_pb2.Cycle(id=id) for id in ids])


CASES = (
    Case("Alerts", "ListAlerts", alerts, "a", "AcknowledgeAlert"),
    Case("Monitors", "ListMonitors", monitors, "n", "RunMonitor"),
    Case("Deliveries", "ListDeliveries", deliveries, "x", "ResendDelivery"),
    Case("Cycles", "ListCycles", cycles, "c", "CancelCycle"),
)


@dataclass
class Seen:
    """The pane of a case with three rows, the cursor on the second."""

    case: Case
    calls: Calls
    app: Console
    pilot: Pilot[None]

    @property
    def rows(self) -> Rows:
        return self.app.query_one(f"#rows-{self.case.pane}", Rows)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                await self.pilot.pause(0.02)

    async def listed(self, *ids: str) -> None:
        """These are what the service has now, and what is shown."""
        self.calls.answers[self.case.lists] = self.case.listed(ids)
        self.app.look()
        await self.until(lambda: self.rows.row_count == len(ids))

    async def acted(self) -> bytes:
        """What the key asked for."""
        asked = self.calls.asked[self.case.acts]
        asked.clear()
        await self.pilot.press(self.case.key)
        await self.until(lambda: asked)
        return asked[0]


@asynccontextmanager
async def seen(case: Case) -> AsyncIterator[Seen]:
    async with any_server() as calls:
        app = Console(dict.fromkeys(SERVICES, calls.address))
        async with app.run_test(size=(100, 30)) as pilot:
            app.query_one("#tabs", TabbedContent).active = case.pane
            found = Seen(case, calls, app, pilot)
            await found.listed("one-1", "two-2", "three-3")
            found.rows.focus()
            await pilot.press("down")
            yield found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.pane)
async def test_a_key_acts_on_the_row_that_was_read_wherever_it_is_now(case: Case) -> None:
    async with seen(case) as found:
        await found.listed("worse-9", "one-1", "two-2", "three-3")
        assert b"two-2" in await found.acted()
        await found.listed("two-2", "worse-9")
        assert b"two-2" in await found.acted()


async def test_a_key_acts_on_nothing_once_its_row_is_gone_until_the_cursor_moves() -> None:
    async with seen(CASES[0]) as found:
        await found.listed("worse-9", "one-1", "three-3", "four-4")
        await found.pilot.press("a", "enter")
        told = found.app._notifications
        await found.until(lambda: any("on no row" in one.message for one in told))
        # Also not when it comes back.
        await found.listed("worse-9", "one-1", "two-2")
        await found.pilot.press("a")
        assert not found.calls.asked["AcknowledgeAlert"]
        assert len(found.app.screen_stack) == 1
        # The first move shows where it is, the next one leads on.
        await found.pilot.press("up")
        assert b"one-1" in await found.acted()
        await found.pilot.press("up")
        assert b"worse-9" in await found.acted()


async def test_a_click_means_the_row_that_is_clicked() -> None:
    async with seen(CASES[0]) as found:
        await found.listed("one-1", "three-3", "four-4", "five-5")
        await found.pilot.click(f"#rows-{found.case.pane}", offset=(4, 3))
        assert b"four-4" in await found.acted()
