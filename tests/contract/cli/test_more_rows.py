"""A list that leaves rows out says so, wherever its limit ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from click.testing import Result
from google.protobuf.message import Message
from sonic.alerts.v1 import alerts_pb2
from sonic.positions.v1 import positions_pb2
from sonic.xcom.v1 import xcom_pb2
from textual.widgets import TabbedContent
from typer.testing import CliRunner

from services.cli.assembly import assembled
from services.cli.plan import SERVICES
from services.cli.terminal.app import Console
from services.cli.terminal.rows import Rows
from tests.fakes.any_server import any_server

pytestmark = pytest.mark.slow

MORE = "There are more: --limit shows them."
COUNT = 900


def alerts(start: int, count: int) -> Message:
    found = [alerts_pb2.Alert(id=f"row-{n}") for n in range(start, start + count)]
    return alerts_pb2.ListAlertsResponse(alerts=found)


def positions(start: int, count: int) -> Message:
    found = [positions_pb2.Position(id=f"row-{n}") for n in range(start, start + count)]
    return positions_pb2.ListPositionsResponse(positions=found)


def deliveries(start: int, count: int) -> Message:
    found = [xcom_pb2.Delivery(id=f"row-{n}") for n in range(start, start + count)]
    return xcom_pb2.ListDeliveriesResponse(deliveries=found)


CASES = [
    ("alerts", "ListAlerts", alerts_pb2.ListAlertsRequest, alerts),
    ("positions", "ListPositions", positions_pb2.ListPositionsRequest, positions),
    ("deliveries", "ListDeliveries", xcom_pb2.ListDeliveriesRequest, deliveries),
]


def paged(
    kind: type, rows: Callable[[int, int], Message], count: int = COUNT
) -> Callable[[bytes], Message]:
    """Answers the page that is asked for, of so many rows."""

    def page(asked: bytes) -> Message:
        request = kind.FromString(asked)
        start = int(request.page_token or 0)
        end = min(start + request.page_size, count)
        found = rows(start, end - start)
        found.next_page_token = str(end) if end < count else ""
        return found

    return page


@pytest.mark.parametrize(("noun", "lists", "kind", "rows"), CASES, ids=[one[0] for one in CASES])
async def test_rows_that_are_left_out_are_said_and_none_is_said_when_all_are_there(
    noun: str, lists: str, kind: type, rows: Callable[[int, int], Message]
) -> None:
    async with any_server() as calls:
        calls.answers[lists] = paged(kind, rows)

        async def listed(*words: str) -> Result:
            peers = ("ALERTS", "POSITIONS", "XCOM")
            said = await asyncio.to_thread(
                CliRunner().invoke,
                assembled(noun),
                [noun, "list", *words],
                env={f"{peer}_ADDRESS": calls.address for peer in peers} | {"COLUMNS": "200"},
            )
            assert said.exit_code == 0, said.exception
            return said

        assert MORE in (await listed()).stdout
        assert MORE in (await listed("--limit", "700")).stdout
        assert MORE not in (await listed("--limit", "900")).output
        assert MORE not in (await listed("--limit", "1000")).output
        # A script reads rows alone; what was left out is said beside them.
        found = await listed("--limit", "700", "--json")
        assert (len(json.loads(found.stdout)), MORE in found.stderr) == (700, True)
        assert MORE not in (await listed("--limit", "900", "--json")).output


async def test_a_pane_of_the_console_says_in_its_title_that_rows_are_left_out() -> None:
    async with any_server() as calls:
        app = Console(dict.fromkeys(SERVICES, calls.address))
        async with app.run_test(size=(100, 30)) as pilot:
            tabs = app.query_one("#tabs", TabbedContent)
            tabs.active = "Alerts"
            for count, title in ((COUNT, "Alerts (500, more)"), (500, "Alerts")):
                kind = alerts_pb2.ListAlertsRequest
                calls.answers["ListAlerts"] = paged(kind, alerts, count)
                app.look()
                async with asyncio.timeout(60):
                    shown = app.query_one("#rows-Alerts", Rows)
                    while shown.row_count != 500 or tabs.get_tab("Alerts").label_text != title:
                        await pilot.pause(0.02)
