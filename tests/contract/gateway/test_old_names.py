"""The names of the first monitor lead to the same calls, with what each name says by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from sonic.cyclone.v1 import cyclone_pb2
from sonic.monitor.v1 import monitor_pb2

from services.gateway import first_tool
from services.gateway import server as gateway
from services.gateway.surface import routes
from shared.errors import InvalidArgument
from tests.contract.gateway.conftest import client, config
from tests.contract.gateway.test_http import reason
from tests.fakes.peers import FakePeers, answers, refuses


@pytest.fixture
async def peers() -> AsyncIterator[FakePeers]:
    fake = FakePeers()
    await fake.start()
    fake.told["cyclone.StartCycle"] = answers(cyclone_pb2.Cycle(id="cycle-1"))
    yield fake
    await fake.stop()


@pytest.fixture
async def web(peers: FakePeers) -> AsyncIterator[httpx.AsyncClient]:
    addresses = {"cyclone": peers.address, "monitor": peers.address}
    async with gateway.build(config(addresses)) as app, client(app) as made:
        yield made


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("/run_market_updates", ["UPDATE_PRICES"]),
        (
            "/run_alert_evaluations",
            ["CREATE_ALERTS", "EVALUATE_ALERTS", "CLEAR_STALE_ALERTS", "NOTIFY"],
        ),
        ("/run_full_cycle", []),
    ],
)
async def test_a_run_starts_the_steps_of_its_name(
    web: httpx.AsyncClient, peers: FakePeers, path: str, steps: list[str]
) -> None:
    assert (await web.post(path)).json()["id"] == "cycle-1"
    assert (await web.post(path, json={"request_id": "r-1"})).status_code == 200
    first, second = peers.requests("cyclone.StartCycle")
    assert list(first.steps) == list(second.steps) == steps
    assert (first.request_id, second.request_id) == ("", "r-1")
    assert (await web.get(path)).status_code == 405


async def test_clearing_needs_the_word(web: httpx.AsyncClient, peers: FakePeers) -> None:
    peers.told["cyclone.ClearAllData"] = refuses(InvalidArgument("NOT_CONFIRMED", "say the word"))
    assert reason(await web.post("/clear_all_data")) == "NOT_CONFIRMED"
    # No name says the word for anybody.
    assert peers.requests("cyclone.ClearAllData")[0].confirm == ""
    await web.post("/clear_all_data", json={"confirm": "clear"})
    assert peers.requests("cyclone.ClearAllData")[1].confirm == "clear"


async def test_logs_and_monitors_answer(web: httpx.AsyncClient, peers: FakePeers) -> None:
    peers.told["monitor.ListMonitors"] = answers(
        monitor_pb2.ListMonitorsResponse(monitors=[monitor_pb2.Monitor(name="price")])
    )
    assert (await web.get("/cyclone_logs?severity=error")).json()["events"] == []
    assert peers.requests("cyclone.ListEvents")[0].severity == "error"
    assert (await web.get("/monitors")).json()["monitors"][0]["name"] == "price"
    await web.post("/monitor/price")
    await web.post("/monitor/all")
    assert [one.name for one in peers.requests("monitor.RunMonitor")] == ["price"]
    assert len(peers.requests("monitor.RunMonitors")) == 1


def test_every_name_leads_to_a_method_that_is_there() -> None:
    assert len(first_tool.named_routes(routes())) == len(first_tool.TABLE)
