"""The gateway in front of a scripted service, and in front of real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from services.alerts import server as alerts
from services.gateway import server as gateway
from services.positions import server as positions
from services.price import server as price
from shared.http import trust
from shared.lifecycle import App
from shared.rpc import call
from shared.rpc.server import GrpcServer
from tests.fakes.databases import Databases

NOWHERE = "127.0.0.1:9"
NOWHERE_URL = f"http://{NOWHERE}"
PEERS = ("price", "positions", "hedges", "alerts", "monitor", "xcom", "cyclone", "withdrawals")


class Script(rpc.PriceServiceServicer):
    """A price service that does what the test says."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.request_id = ""
        self.person = ""
        self.watched: asyncio.Queue[object] = asyncio.Queue()
        self.left = asyncio.Event()

    async def GetPrice(self, request: pb.GetPriceRequest, context: object) -> pb.Price:
        self.request_id = dict(call.metadata())[call.REQUEST_ID]
        self.person = call.person()
        if self.failure is not None:
            raise self.failure
        return pb.Price(asset=request.asset)

    async def WatchPrices(
        self, request: pb.WatchPricesRequest, context: object
    ) -> AsyncIterator[Any]:
        """Sends what is put into `watched`; an exception there is raised, None ends the stream."""
        try:
            while (item := await self.watched.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.left.set()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def scripted(script: Script) -> AsyncIterator[str]:
    """Address of the scripted service."""
    server = GrpcServer(
        "127.0.0.1:0",
        [(rpc.add_PriceServiceServicer_to_server, script)],
        service_names=["sonic.price.v1.PriceService"],
        grace_seconds=0.5,
    )
    async with App("script", [server]):
        yield server.address


def config(addresses: dict[str, str], **settings: object) -> gateway.Config:
    """A gateway on a free port; services that are not named are not there."""
    named = {f"{peer}_address": addresses.get(peer, NOWHERE) for peer in PEERS}
    return gateway.Config.model_validate(
        {"listen_address": "127.0.0.1:0", "shutdown_grace_seconds": 3.0, **named, **settings}
    )


def client(app: App) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{app.address}", timeout=10, verify=trust())


@pytest.fixture
async def web(scripted: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway in front of the script."""
    async with gateway.build(config({"price": scripted})) as app, client(app) as made:
        yield made


@pytest.fixture
async def served(databases: Databases, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway in front of real price, positions and alerts servers."""
    addresses: dict[str, str] = {}
    parts: list[tuple[str, Callable[..., App], type, dict[str, object]]] = [
        (
            "price",
            price.build,
            price.Config,
            {"coingecko_url": NOWHERE_URL, "pyth_hermes_url": NOWHERE_URL},
        ),
        ("positions", positions.build, positions.Config, {}),
        ("alerts", alerts.build, alerts.Config, {"xcom_address": NOWHERE, "sonic_home": tmp_path}),
    ]
    async with AsyncExitStack() as stack:
        for name, build, kind, settings in parts:
            known = {
                "listen_address": "127.0.0.1:0",
                "database_url": databases.url(name),
                **settings,
            }
            known |= {f"{peer}_address": at for peer, at in addresses.items()}
            fields = kind.model_fields
            made = kind.model_validate({k: v for k, v in known.items() if k in fields})
            app = await stack.enter_async_context(build(made))
            addresses[name] = app.address
        app = await stack.enter_async_context(gateway.build(config(addresses)))
        yield await stack.enter_async_context(client(app))
