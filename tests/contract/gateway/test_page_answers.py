"""A list comes from its service as JSON; what is too large for a page comes as a message."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from google.protobuf.message import Message
from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.gateway.peers import Peers
from services.gateway.surface import Route, routes
from shared.json_writer import written
from shared.metrics import Metrics
from shared.page_answer import page_answer
from shared.rpc.fit import PAGE_BYTES
from shared.rpc.server import GrpcServer

_NAMES = [field.name for field in pb.Position.DESCRIPTOR.fields if field.name != "note"]
Row = type("Row", (), dict.fromkeys(_NAMES) | {"id": "pos-1", "flags": (), "size_usd": 5.0})
ROUTE = next(one for one in routes() if one.template == "/v1/positions" and one.verb == "GET")


class Listing(rpc.PositionsServiceServicer):
    """As many rows as are asked for, each of a note of so many bytes."""

    note_bytes = 1

    async def ListPositions(
        self, request: pb.ListPositionsRequest, context: object
    ) -> pb.ListPositionsResponse:
        rows = [(Row(), {"note": "n" * self.note_bytes})] * request.page_size
        answer = pb.ListPositionsResponse(next_page_token=f"after {request.page_size}")
        return page_answer(answer, "positions", pb.Position, rows)


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    server = GrpcServer(
        "127.0.0.1:0",
        [(rpc.add_PositionsServiceServicer_to_server, Listing())],
        service_names=["sonic.positions.v1.PositionsService"],
        metrics=Metrics(),
    )
    await server.start()
    found = Peers({"positions": server.address})
    try:
        yield found
    finally:
        for part in found.parts:
            await part.stop()
        await server.stop()


async def _asked(peers: Peers, route: Route, count: int) -> Message | bytes:
    return await peers.ask_for_json(route, pb.ListPositionsRequest(page_size=count))


async def test_a_page_comes_as_json_and_says_what_its_message_says(peers: Peers) -> None:
    text = await _asked(peers, ROUTE, 3)
    assert isinstance(text, bytes)
    message = await peers.ask(ROUTE, pb.ListPositionsRequest(page_size=3))
    assert isinstance(message, pb.ListPositionsResponse)
    assert json.loads(text) == json.loads(written(message))
    assert [row.id for row in message.positions] == ["pos-1"] * 3


async def test_a_page_that_is_too_large_comes_as_a_message_of_fewer_rows(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listing, "note_bytes", 10_000)
    answer = await _asked(peers, ROUTE, 500)
    assert isinstance(answer, pb.ListPositionsResponse)
    assert answer.ByteSize() <= PAGE_BYTES
    assert answer.next_page_token == f"after {len(answer.positions)}"
    assert 200 < len(answer.positions) < 500
