"""A list that leaves rows out says so, wherever its limit ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from google.protobuf.message import Message
from sonic.alerts.v1 import alerts_pb2
from sonic.positions.v1 import positions_pb2
from sonic.xcom.v1 import xcom_pb2
from typer.testing import CliRunner

from services.cli.assembly import assembled
from tests.fakes.any_server import any_server

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


@pytest.mark.parametrize(("noun", "lists", "kind", "rows"), CASES, ids=[one[0] for one in CASES])
async def test_rows_that_are_left_out_are_said_and_none_is_said_when_all_are_there(
    noun: str, lists: str, kind: type, rows: Callable[[int, int], Message]
) -> None:
    def page(asked: bytes) -> Message:
        request = kind.FromString(asked)
        start = int(request.page_token or 0)
        end = min(start + request.page_size, COUNT)
        found = rows(start, end - start)
        found.next_page_token = str(end) if end < COUNT else ""
        return found

    async with any_server() as calls:
        calls.answers[lists] = page

        async def listed(*words: str) -> str:
            peers = ("ALERTS", "POSITIONS", "XCOM")
            said = await asyncio.to_thread(
                CliRunner().invoke,
                assembled(noun),
                [noun, "list", *words],
                env={f"{peer}_ADDRESS": calls.address for peer in peers} | {"COLUMNS": "200"},
            )
            assert said.exit_code == 0, said.exception
            return said.stdout

        assert MORE in await listed()
        assert MORE in await listed("--limit", "700")
        assert MORE not in await listed("--limit", "900")
        assert MORE not in await listed("--limit", "1000")
        assert (await listed("--limit", "700", "--json")).count('"row-') == 700
