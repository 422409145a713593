"""The console by keys alone, over servers that run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from rich.console import Console as Plain
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from sonic.monitor.v1 import monitor_pb2, monitor_pb2_grpc
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Label, OptionList, Static, TabbedContent

from services.cli import system
from services.cli.connection import System, connected
from services.cli.plan import SERVICES, Plan
from services.cli.terminal.app import OVERVIEW, Console
from services.cli.terminal.dialogs import CycleRun, Form, Question, Shown, Steps
from services.cli.terminal.overview import bar
from services.cli.terminal.panes import PANES
from shared import log
from tests.fakes.databases import Databases

pytestmark = pytest.mark.slow

LIMIT = "LIQUIDATION_DISTANCE-POSITION-BELOW"


@pytest.fixture
async def found(databases: Databases, tmp_path: Path) -> AsyncIterator[System]:
    log.configure("sonic", "CRITICAL", json=False)
    async with AsyncExitStack() as stack:
        addresses = await stack.enter_async_context(
            system.in_one_process(
                Plan(sonic_home=tmp_path),
                {name: databases.url(name) for name in SERVICES},
                lambda _: None,
                listens=system.free_ports(),
                extra={"SONIC_SCHEDULE": "0"},
            )
        )
        found = await stack.enter_async_context(connected(addresses))
        stub = await found.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
        async for _ in stub.RunCycle(cyclone_pb2.RunCycleRequest(), timeout=60):
            pass
        yield found


async def until(pilot: Pilot[None], holds: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await pilot.pause(0.02)


def rows(app: Console, name: str) -> DataTable[object]:
    return app.query_one(f"#rows-{name}", DataTable)


def to(app: Console, name: str) -> None:
    app.query_one("#tabs", TabbedContent).active = name


def said(shown: Static) -> str:
    """What it shows, as text."""
    plain = Plain(width=120)
    with plain.capture() as found:
        plain.print(shown.content)
    return found.get()


def text(app: Console, id: str) -> str:
    return str(app.query_one(id, Label).render())


async def test_every_pane_shows_what_its_service_says(found: System) -> None:
    app = Console(found.addresses)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "positions" in said(app.query_one("#totals", Static)))
        # What is worst, since when, who was told, and whether somebody answered.
        await until(pilot, lambda: "MEDIUM: portfolio" in text(app, "#headline"))
        said_first = text(app, "#headline")
        assert ", for " in said_first and said_first.endswith("not acknowledged"), said_first
        for _ in range(len(PANES) + 1):
            await pilot.press("right")
        assert app.query_one("#tabs", TabbedContent).active == OVERVIEW
        for pane in PANES:
            to(app, pane.name)
            if pane.name != "Withdrawals":
                await until(pilot, lambda name=pane.name: rows(app, name).row_count)
        await pilot.resize_terminal(200, 60)
        assert rows(app, "Logs").row_count


async def test_the_palette_leads_to_every_pane_and_does_what_the_keys_do(found: System) -> None:
    app = Console(found.addresses)
    async with app.run_test(size=(80, 24)) as pilot:
        to(app, "Alerts")
        await until(pilot, lambda: rows(app, "Alerts").row_count)
        offered = {one.title for one in app.get_system_commands(app.screen)}
        assert {f"Go to {pane.name}" for pane in PANES} < offered
        assert {"Acknowledge this row", "Silence this row", "Run a cycle"} < offered
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"go to hedges")
        choices = app.screen.query_one(OptionList)
        await until(pilot, lambda: choices.option_count == 1)
        await pilot.press("enter")
        active = app.query_one("#tabs", TabbedContent)
        await until(pilot, lambda: active.active == "Hedges")


async def test_an_alert_is_shown_acknowledged_and_silenced_by_keys(found: System) -> None:
    alerts = await found.stub("alerts", alerts_pb2_grpc.AlertsServiceStub)

    async def status() -> str:
        first = (await alerts.ListAlerts(alerts_pb2.ListAlertsRequest(page_size=1))).alerts[0]
        return alerts_pb2.AlertStatus.Name(first.status)

    app = Console(found.addresses)
    async with app.run_test(size=(80, 24)) as pilot:
        to(app, "Alerts")
        await until(pilot, lambda: rows(app, "Alerts").row_count)
        rows(app, "Alerts").focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Shown))
        await pilot.press("escape", "a")
        async with asyncio.timeout(30):
            while await status() != "ALERT_STATUS_ACKNOWLEDGED":
                await pilot.pause(0.05)
        await pilot.press("z")
        await until(pilot, lambda: isinstance(app.screen, Form))
        app.screen.query_one("#field-duration", Input).value = "soon"
        await pilot.press("enter")
        problem = app.screen.query_one("#field-duration-problem", Label)
        await until(pilot, lambda: "is not a span" in str(problem.render()))
        app.screen.query_one("#field-duration", Input).value = "2h"
        await pilot.press("enter")
        async with asyncio.timeout(30):
            while await status() != "ALERT_STATUS_SILENCED":
                await pilot.pause(0.05)


async def test_a_threshold_is_edited_with_the_reason_beside_what_is_refused(
    found: System,
) -> None:
    thresholds = await found.stub("alerts", alerts_pb2_grpc.ThresholdsServiceStub)
    app = Console(found.addresses)
    async with app.run_test(size=(100, 40)) as pilot:
        to(app, "Thresholds")
        await until(pilot, lambda: rows(app, "Thresholds").row_count)
        made = rows(app, "Thresholds")
        made.focus()
        names = [str(made.get_row_at(place)[0]) for place in range(made.row_count)]
        made.move_cursor(row=names.index(LIMIT))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Form))
        app.screen.query_one("#field-threshold-low", Input).value = "1"
        await pilot.press("ctrl+s")
        refused = app.screen.query_one("#problem", Label)
        await until(pilot, lambda: "LIMITS_OUT_OF_ORDER" in str(refused.render()))
        app.screen.query_one("#field-threshold-low", Input).value = "33"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not isinstance(app.screen, Form))
    listed = await thresholds.ListThresholds(alerts_pb2.ListThresholdsRequest(page_size=100))
    assert next(one.low for one in listed.thresholds if one.id == LIMIT) == 33


async def test_a_cycle_and_chosen_steps_run_and_a_filter_leaves_what_fits(found: System) -> None:
    cyclone = await found.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)

    async def ran() -> list[str]:
        last = (await cyclone.ListCycles(cyclone_pb2.ListCyclesRequest(page_size=1))).cycles[0]
        return [step.name for step in last.steps if step.state != cyclone_pb2.STEP_STATE_SKIPPED]

    app = Console(found.addresses)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, CycleRun))
        shown = app.screen.query_one("#cycle", Static)
        await until(pilot, lambda: "Done" in said(shown))
        await pilot.press("escape", "s")
        await until(pilot, lambda: isinstance(app.screen, Steps))
        await pilot.press("space", "r")
        await until(pilot, lambda: isinstance(app.screen, CycleRun))
        again = app.screen.query_one("#cycle", Static)
        await until(pilot, lambda: "Done" in said(again))
        assert await ran() == ["UPDATE_PRICES"]
        await pilot.press("escape")
        to(app, "Positions")
        await until(pilot, lambda: rows(app, "Positions").row_count == 7)
        await pilot.press("slash", *"btc", "enter")
        await until(pilot, lambda: 0 < rows(app, "Positions").row_count < 7)


async def test_the_other_keys_do_what_they_say(found: System) -> None:
    thresholds = await found.stub("alerts", alerts_pb2_grpc.ThresholdsServiceStub)
    alerts = await found.stub("alerts", alerts_pb2_grpc.AlertsServiceStub)
    monitors = await found.stub("monitor", monitor_pb2_grpc.MonitorServiceStub)

    async def first_alert() -> int:
        return (await alerts.ListAlerts(alerts_pb2.ListAlertsRequest(page_size=1))).alerts[0].status

    async def first_limit() -> bool:
        asked = alerts_pb2.ListThresholdsRequest(page_size=1)
        return bool((await thresholds.ListThresholds(asked)).thresholds[0].enabled)

    async def run_count() -> int:
        return len((await monitors.ListRuns(monitor_pb2.ListRunsRequest(page_size=500))).runs)

    async def has_run_again() -> bool:
        return await run_count() > before

    async def comes(read: Callable[[], Awaitable[object]], wanted: object) -> None:
        async with asyncio.timeout(60):
            while await read() != wanted:
                await pilot.pause(0.05)

    app = Console(found.addresses)
    async with app.run_test(size=(100, 30)) as pilot:

        async def at(name: str) -> None:
            to(app, name)
            await until(pilot, lambda: rows(app, name).row_count)
            rows(app, name).focus()

        await at("Thresholds")
        for key, is_on in (("f", False), ("o", True)):
            await pilot.press(key)
            await comes(first_limit, is_on)
        await at("Alerts")
        for key, status in (
            ("a", alerts_pb2.ALERT_STATUS_ACKNOWLEDGED),
            ("u", alerts_pb2.ALERT_STATUS_ACTIVE),
        ):
            await pilot.press(key)
            await comes(first_alert, status)
        await at("Monitors")
        before = await run_count()
        await pilot.press("n")
        await comes(has_run_again, True)
        await at("Cycles")
        await pilot.press("c")
        # It has ended: the service says so, and so does the console.
        await until(pilot, lambda: any("CYCLE" in one.message for one in app._notifications))


async def test_what_deletes_asks_first(found: System) -> None:
    app = Console(found.addresses)
    async with app.run_test(size=(80, 24)) as pilot:
        to(app, "Positions")
        await until(pilot, lambda: rows(app, "Positions").row_count == 7)
        rows(app, "Positions").focus()
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, Question))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: rows(app, "Positions").row_count == 6)


async def test_a_service_that_is_gone_is_a_banner_and_what_was_read_stays(
    databases: Databases, tmp_path: Path
) -> None:
    log.configure("sonic", "CRITICAL", json=False)
    async with AsyncExitStack() as stack:
        addresses = await stack.enter_async_context(
            system.in_one_process(
                Plan(sonic_home=tmp_path),
                {name: databases.url(name) for name in SERVICES},
                lambda _: None,
                listens=system.free_ports(),
                extra={"SONIC_SCHEDULE": "0"},
            )
        )
        app = Console(addresses)
        async with app.run_test(size=(80, 24)) as pilot:
            to(app, "Thresholds")
            await until(pilot, lambda: rows(app, "Thresholds").row_count)
            count = rows(app, "Thresholds").row_count
            await stack.aclose()
            banner = app.query_one("#down", Label)
            await until(pilot, lambda: banner.display, 60)
            assert "UNAVAILABLE" in str(banner.render())
            assert rows(app, "Thresholds").row_count == count
            assert rows(app, "Thresholds").has_class("stale")


@pytest.mark.parametrize(
    ("percent", "words"),
    [(None, "unknown"), (0.0, "PAST LIQUIDATION"), (-3.0, "PAST LIQUIDATION"), (50.0, "#" * 20)],
)
def test_the_bar_says_past_liquidation_in_words(percent: float | None, words: str) -> None:
    assert words in str(bar(percent))


def test_one_that_is_nearly_gone_has_a_mark_and_red() -> None:
    near = bar(1.8)
    assert (str(near).startswith("#.") and near.style == "red") or near.spans


async def test_the_report_of_the_chosen_cycle_is_read_in_the_console(found: System) -> None:
    app = Console(found.addresses)
    async with app.run_test(size=(100, 30)) as pilot:
        to(app, "Cycles")
        await until(pilot, lambda: rows(app, "Cycles").row_count)
        rows(app, "Cycles").focus()
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, Shown))
        words = said(app.screen.query(Static).last())
        assert "Since the cycle before" in words
        assert "UPDATE_PRICES" in words
        await pilot.press("escape")
        assert not isinstance(app.screen, Shown)
