"""Canaries in every setting and a wallet's address, while all goes well and all goes wrong: seen
nowhere.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import pytest
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cli.connection import System, connected
from services.cli.plan import SERVICES
from shared import log
from shared.clock import SystemClock
from shared.errors import SonicError
from shared.metrics import SidePort
from tests.e2e.standing import RunningSystem
from tests.e2e.test_five_cycles import cycle
from tests.e2e.world import Held, World, base58_address, world
from tests.fakes.databases import Databases
from tests.fakes.http_provider import HttpProvider

pytestmark = pytest.mark.slow

ADDRESS = base58_address(random.Random(7))
OTHER_ADDRESS = base58_address(random.Random(8))
CANARY = "canary-4f1c"
# As it would look where it is sent on.
DISGUISES = (
    CANARY,
    base64.b64encode(f"{CANARY}:{CANARY}".encode()).decode(),
    CANARY.replace("-", "%2D"),
)
CHANNELS = ("email", "webhook", "sms", "voice", "slack", "telegram", "ntfy")


def _settings(outside: World, beat: HttpProvider) -> dict[str, str]:
    """Every secret there is, all of them wrong or unwanted where they go."""
    return outside.environment() | {
        "SONIC_SCHEDULE": "0",
        "METRICS_ADDRESS": "127.0.0.1:0",
        "COINGECKO_API_KEY": CANARY,
        "JUPITER_API_KEY": CANARY,
        "ALERTS_LEDGER_KEY": CANARY,
        "HEARTBEAT_URL": f"{beat.url}/{CANARY}?token={CANARY}",
        "SOLANA_RPC_URL": f"{beat.url}/{CANARY}?api-key={CANARY}",
        "ETHEREUM_RPC_URL": f"http://127.0.0.1:1/{CANARY}",
        "WEBHOOK_SECRET": CANARY,
        "WEBHOOK_URL": f"{outside.webhook.url}/hook?token={CANARY}",
        "SMTP_USERNAME": CANARY,
        "SMTP_PASSWORD": CANARY,
        "TWILIO_URL": "http://127.0.0.1:1",
        "TWILIO_ACCOUNT_SID": "AC12345678901234567890123456789012",
        "TWILIO_AUTH_TOKEN": CANARY,
        "TWILIO_FROM": "+15005550006",
        "TWILIO_TO": "+491701234567",
        "XCOM_SLACK_URL": f"slack://{CANARY}/{CANARY}/{CANARY}",
        "XCOM_TELEGRAM_URL": f"tgram://123456789:{CANARY}/1234",
        "XCOM_NTFY_URL": f"ntfy://user:{CANARY}@127.0.0.1:1/{CANARY}",
        "XCOM_LOW_CHANNELS": ",".join(CHANNELS),
        "XCOM_HIGH_CHANNELS": ",".join(CHANNELS),
    }


@dataclass
class Seen:
    """Everything that came out, by where."""

    standing: RunningSystem
    servers: System
    outside: World
    gateway: httpx.AsyncClient
    errors: list[str]

    async def refused(self, call: object) -> None:
        """A call that must fail, and how."""
        with pytest.raises(SonicError) as caught:
            await call
        self.errors.append(f"{caught.value!r} {vars(caught.value)}")


@pytest.fixture
async def seen(databases: Databases, tmp_path: Path) -> AsyncIterator[Seen]:
    async with AsyncExitStack() as stack:
        outside = await stack.enter_async_context(world(seed=0))
        beat = await stack.enter_async_context(HttpProvider())
        outside.mailbox.reply = f"550 {CANARY} is not wanted here"
        standing = RunningSystem(databases, tmp_path, SystemClock(), _settings(outside, beat))
        stack.push_async_callback(standing.stop_all)
        await standing.start_all()
        await standing.start("gateway")
        servers = await stack.enter_async_context(connected(standing.addresses))
        url = f"http://{standing.addresses['gateway']}"
        gateway = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
        yield Seen(standing, servers, outside, gateway, [])


@pytest.fixture
def debug(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that is ever said, as one process says it."""
    log.configure("system", "DEBUG")


@pytest.mark.usefixtures("debug")
async def test_no_canary_and_no_address_is_seen_anywhere(
    seen: Seen, databases: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = seen.outside
    outside.marks = {"BTC": 97_000.0, "ETH": 3_400.0, "SOL": 89.0}
    outside.held = [
        Held(base58_address(random.Random(9)), "SOL", "long", 100.0, 1000.0, 202.7, 80.0)
    ]
    outside.publish()
    await _wallets(seen)
    await cycle(seen.servers)
    _everything_fails_and_repeats_what_it_was_asked(outside)
    last = await cycle(seen.servers)
    assert ADDRESS in str([request.query for request in outside.providers.requests])
    await _channels_are_tried(seen)
    pages = await _pages(seen, last.id)
    measured = await _metrics(seen)
    said = "".join(capsys.readouterr())
    stored = await _postgres_log(databases.admin_url)
    told = json.dumps([request.body.decode() for request in outside.webhook.asked("POST /hook")])
    assert "HIGH: SOL long travel" in told and '"level": "debug"' in said and "sonic" in measured
    private = {"log": said, "metrics": measured, "errors": "\n".join(seen.errors), "messages": told}
    private["Postgres' log"] = stored
    for place, text in (private | {"pages": pages}).items():
        assert not [one for one in DISGUISES if one in text], place
    for place, text in private.items():
        assert ADDRESS not in text and OTHER_ADDRESS not in text, place


async def _wallets(seen: Seen) -> None:
    stub = await seen.servers.stub("positions", positions_pb2_grpc.WalletsServiceStub)

    def create(name: str, address: str) -> object:
        chain = positions_pb2.CHAIN_SOLANA
        wallet = positions_pb2.Wallet(name=name, chain=chain, public_address=address, active=True)
        return stub.CreateWallet(positions_pb2.CreateWalletRequest(wallet=wallet))

    await create("main", ADDRESS)
    await seen.refused(create("main", OTHER_ADDRESS))
    await seen.refused(create("typo", ADDRESS + "0"))
    await seen.refused(stub.GetWallet(positions_pb2.GetWalletRequest(name=ADDRESS)))
    sync = await seen.servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
    await seen.refused(sync.SyncPositions(positions_pb2.SyncPositionsRequest(wallets=[ADDRESS])))


def _everything_fails_and_repeats_what_it_was_asked(outside: World) -> None:
    words = f"<html>no such {ADDRESS}, key {CANARY}</html>"
    outside.die()
    for route in ("/jup/v1/positions", "/jup/v2/positions"):
        outside.providers.answer(f"GET {route}", json={"code": 400, "message": words}, status=400)
    outside.providers.answer("GET /cg/api/v3/simple/price", text=words, status=401)
    outside.webhook.answer("POST /hook", text=words, status=500)


async def _channels_are_tried(seen: Seen) -> None:
    stub = await seen.servers.stub("xcom", xcom_pb2_grpc.XComServiceStub)
    for name in CHANNELS:
        tried = await stub.TestChannel(xcom_pb2.TestChannelRequest(channel=name))
        seen.errors.append(str(tried))
    await seen.refused(stub.TestChannel(xcom_pb2.TestChannelRequest(channel=f"{name}-none")))


async def _pages(seen: Seen, cycle_id: str) -> str:
    """Every page that is read without naming one thing, and the report of a cycle."""
    spec = (await seen.gateway.get("/openapi.json")).json()
    routes = [path for path, methods in spec["paths"].items() if "get" in methods]
    plain = [path for path in routes if "{" not in path and not path.endswith((":watch", ":tail"))]
    assert len(plain) > 20
    texts = [json.dumps(spec)]
    more = [f"/v1/cycles/{cycle_id}", f"/v1/cycles/{cycle_id}:report", "/v1/wallets/none"]
    texts += [(await seen.gateway.get(path)).text for path in plain + more]
    return "\n".join(texts)


async def _metrics(seen: Seen) -> str:
    texts = []
    async with httpx.AsyncClient(trust_env=False) as client:
        for name in SERVICES:
            side = seen.standing.part(name, SidePort)
            texts.append((await client.get(f"http://{side.metrics_address}/metrics")).text)
    return "\n".join(texts)


async def _postgres_log(admin_url: str) -> str:
    """What the database wrote since it started, after a statement that failed with values in it."""
    connection = await asyncpg.connect(admin_url)
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("insert into positions.wallet select * from positions.wallet")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await connection.fetch("select 1 / $1::int, $2::text, '" + ADDRESS + "'", 0, ADDRESS)
    data = await connection.fetchval(
        "select setting from pg_settings where name = 'data_directory'"
    )
    await connection.close()
    said = (Path(data).parent / "log").read_text(errors="replace")
    assert "violates unique constraint" in said
    return said
