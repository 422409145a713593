"""The console while services do not answer, and while it is being closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Label, Static, TabbedContent

from services.cli.nouns import NOUNS
from services.cli.plan import SERVICES
from services.cli.terminal.app import Console
from services.cli.terminal.dialogs import Form, Shown
from tests.fakes.any_server import any_server

pytestmark = pytest.mark.slow

EDIT = next(
    verb for noun in NOUNS if noun.name == "thresholds" for verb in noun.verbs if verb.name == "set"
)


def everywhere(address: str) -> Console:
    return Console(dict.fromkeys(SERVICES, address))


async def until(pilot: Pilot[None], holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await pilot.pause(0.02)


async def test_keys_are_answered_while_a_call_hangs() -> None:
    async with any_server("ListThresholds") as calls:
        app = everywhere(calls.address)
        async with app.run_test(size=(80, 24)) as pilot:
            app.query_one("#tabs", TabbedContent).active = "Thresholds"
            await until(pilot, lambda: calls.hangs("ListThresholds"))
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, Shown))
            await pilot.press("escape", "right")
            await until(pilot, lambda: app.pane is not None and app.pane.name == "Hedges")
            await until(pilot, lambda: "ListHedges" in calls.ended)
            assert calls.hangs("ListThresholds"), "the keys waited for its end"


async def test_a_stream_that_never_stops_speaking_is_looked_at_a_few_times_a_second() -> None:
    async with any_server() as calls:
        app = everywhere(calls.address)
        async with app.run_test(size=(80, 24)) as pilot:
            app.query_one("#tabs", TabbedContent).active = "Hedges"
            await until(pilot, lambda: "ListHedges" in calls.ended)
            clock, count = asyncio.get_running_loop(), calls.begun.count("ListHedges")
            begun = clock.time()
            await until(pilot, lambda: calls.begun.count("ListHedges") >= count + 8)
            assert clock.time() - begun > 0.6, "keys would wait for their turn"


async def test_one_service_that_hangs_leaves_the_other_parts_of_the_overview_alive() -> None:
    async with any_server("ListBadges") as calls:
        app = everywhere(calls.address)
        async with app.run_test(size=(80, 24)) as pilot:
            totals = app.query_one("#totals", Static)
            await until(pilot, lambda: "0 positions" in str(totals.content))
            await until(pilot, lambda: calls.begun.count("GetTotals") > 1)
            assert calls.begun.count("ListBadges") == 1


async def test_a_form_whose_save_hangs_says_so_and_closes_by_escape() -> None:
    asked: list[Mapping[str, str]] = []

    async def save(given: Mapping[str, str]) -> None:
        asked.append(given)
        await asyncio.Event().wait()

    async with any_server() as calls:
        app = everywhere(calls.address)
        async with app.run_test(size=(100, 40)) as pilot:
            app.push_screen(Form("edit", EDIT, save))
            await until(pilot, lambda: app.screen.query("#field-threshold-low"))
            app.screen.query_one("#field-threshold-low", Input).value = "1"
            await pilot.press("ctrl+s", "ctrl+s")
            said = app.screen.query_one("#problem", Label)
            await until(pilot, lambda: "Saving" in str(said.render()))
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(app.screen, Form))
            assert asked == [{"threshold.low": "1"}]


async def test_a_service_that_went_and_came_back_is_no_banner_any_more() -> None:
    async with AsyncExitStack() as stack:
        calls = await stack.enter_async_context(any_server())
        app = everywhere(calls.address)
        async with app.run_test(size=(80, 24)) as pilot:
            app.query_one("#tabs", TabbedContent).active = "Thresholds"
            banner = app.query_one("#down", Label)
            rows = app.query_one("#rows-Thresholds", DataTable)
            await until(pilot, lambda: "ListThresholds" in calls.ended)
            assert not banner.display
            await stack.aclose()
            await until(pilot, lambda: banner.display and rows.has_class("stale"))
            async with any_server(address=calls.address):
                await until(pilot, lambda: not banner.display and not rows.has_class("stale"))


@pytest.mark.parametrize("_time", range(3))
async def test_what_streams_say_while_the_console_closes_is_no_failure(_time: int) -> None:
    async with any_server() as calls:
        app = everywhere(calls.address)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: calls.ended.count("ListPositions") > 1)
