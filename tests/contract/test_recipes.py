"""The recipes of ARCHITECTURE.md, followed on a copy of the tree: what they name is all that is
needed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from shared.database.address import with_database
from shared.postgres import EmbeddedPostgres

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()

SOURCE = '''"""Prices on one page."""

from collections.abc import Mapping, Sequence

from services.price.domain.prices import Quote
from services.price.sources.rate_limited_http import (Pace, RateLimitedHttp)
from services.price.sources.reading import moment, number
from services.price.sources.source import Source, SourceSetup

NAME = "example"
ASSETS = frozenset({"BTC"})


class Example:
    name = NAME
    assets = ASSETS

    def __init__(self, http: RateLimitedHttp) -> None:
        self._http = http

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        return {asset: Quote(NAME, number(97_000.0), moment(1_795_215_590)) for asset in assets}


def connect(setup: SourceSetup) -> tuple[Source, RateLimitedHttp]:
    http = RateLimitedHttp(NAME, setup, Pace(30, 60.0))
    return Example(http), http
'''
SOURCE_IS_ASKED = """
import asyncio
from datetime import UTC, datetime
from services.price.domain.prices import Market
from services.price.server import Config, connected
from services.price.sources.polling import Poller
from shared.clock import PushedClock
from shared.config import load
from shared.metrics import Metrics

now = datetime(2026, 11, 20, 23, tzinfo=UTC)
words = {"PRICE_DATABASE_URL": "postgresql://price:word@localhost/sonic",
"PRICE_SOURCES": "example"}
config = load(Config, words | {"EXAMPLE_URL": "http://127.0.0.1:9"})
live = connected(config, PushedClock(now))
poller = Poller([source for source, _ in live.values()], "seed", PushedClock(now), Metrics())
(answer,) = asyncio.run(poller.ask(Market.LIVE, ["BTC"], now))
known = [status.source for status in poller.status()]
print(answer.result.source, answer.quotes["BTC"].price_usd, "example" in known)
"""
VENUE = '''"""A venue that holds nothing."""

from collections.abc import Mapping
from datetime import datetime

from services.positions.domain.venue_answer import Answer, Chain, WalletRef
from services.positions.venues.venue import Built, VenueContext
from shared.http import ProviderHttp


class Example:
    name = "example"
    chains = frozenset({Chain.ETHEREUM})

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def fetch(self, wallet: WalletRef, reference_prices: Mapping[str, float],
    now: datetime) -> Answer:
        return Answer((), (), True, "", 0, now)


def build(context: VenueContext) -> Built:
    http = ProviderHttp("example", context.settings["example_url"], clock=context.clock)
    return Built(Example(http), (http,))
'''
VENUE_IS_BUILT = """
from services.positions.domain.position import VENUES
from services.positions.server import Config, _venues
from shared.clock import SystemClock
from shared.config import load

words = {"POSITIONS_DATABASE_URL": "postgresql://positions:word@localhost/sonic"}
config = load(Config, words | {"EXAMPLE_URL": "http://127.0.0.1:9"})
print([one.venue.name for one in _venues(config, SystemClock())], "example" in VENUES)
"""
CHANNEL = '''"""A channel that takes everything."""

from pydantic import BaseModel, Field

from services.xcom.senders.channel import Channel
from services.xcom.domain.messages import Answer, DeliveryAttempt


class ExampleSettings(BaseModel):
    xcom_example_address: str = Field("", description="where it goes")


class Example(Channel):
    name = "example"
    timeout_seconds = 5.0

    def __init__(self, settings: ExampleSettings) -> None:
        self._address = settings.xcom_example_address

    @property
    def missing_settings(self) -> tuple[str, ...]:
        return () if self._address else ("XCOM_EXAMPLE_ADDRESS",)

    @property
    def destination(self) -> str:
        return self._address

    async def send(self, attempt: DeliveryAttempt) -> Answer:
        return Answer(accepted=True)
'''
CHANNEL_IS_REGISTERED = """
from services.xcom.senders.registry import Channels
from services.xcom.server import Config
from shared.clock import SystemClock
from shared.config import load

words = {"XCOM_DATABASE_URL": "postgresql://xcom:word@localhost/sonic",
"XCOM_LOW_CHANNELS": "example"}
config = load(Config, words | {"XCOM_EXAMPLE_ADDRESS": "somewhere"})
channel = Channels(config, SystemClock()).by_name["example"]
print(channel.destination, channel.missing_settings)
"""
MONITOR = '''"""A monitor that finds nothing wrong."""

from datetime import timedelta

from services.monitor.checks import Check, CheckContext
from services.monitor.domain.findings import Finding, RunStatus


class ExampleCheck(Check):
    name = "example"
    description = "Finds nothing wrong"
    interval = timedelta(hours=1)

    async def run(self, context: CheckContext) -> Finding:
        return Finding(RunStatus.SUCCESS)
'''
MONITOR_IS_KNOWN = """
from services.monitor.checks.registry import registry
from services.monitor.server import Config
print(registry()["example"].description, "example_mon_enabled" in Config.model_fields)
"""
RPC_IS_ROUTED = """
from services.gateway.surface import routes
print([(route.verb, route.template, route.reads) for route in routes() if route.method.name ==
"CountHedges"])
"""
RPC = """
  // How many hedges there are.
  rpc CountHedges(CountHedgesRequest) returns (CountHedgesResponse) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/hedges:count"};
  }
"""
RPC_MESSAGES = """
// Request of CountHedges.
message CountHedgesRequest {
  // Of this wallet.
  string wallet = 1 [(buf.validate.field).string.max_len = 200];
}

// Response of CountHedges.
message CountHedgesResponse {
  // Hedges, >= 0.
  int32 hedge_count = 1;
}
"""
DRAFT = """
import asyncio, sys
from pathlib import Path
from shared.database import history
print(asyncio.run(history.draft(sys.argv[1], Path("services/hedges").resolve(), "gross value")))
"""


class Copy:
    """A copy of the tree. What is changed in it must stand in the recipe that is followed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._recipe = ""
        for top in ("services", "shared", "protos"):
            ignored = shutil.ignore_patterns("__pycache__", "web")
            shutil.copytree(ROOT / top, root / top, ignore=ignored)
        for name in ("pyproject.toml", "CHANGELOG.md"):
            shutil.copy(ROOT / name, root / name)

    def follow(self, title: str) -> None:
        """Begin a recipe, by its heading."""
        found = re.search(rf"^### {title}\n(.*?)(?=^##)", PAGE, re.DOTALL | re.MULTILINE)
        assert found is not None, title
        self._recipe = found[1]

    def write(self, path: str, text: str) -> None:
        (self._named(path)).write_text(text)

    def insert(self, path: str, after: str, text: str) -> None:
        """Put text behind what stands in the file once."""
        file = self._named(path)
        before = file.read_text()
        assert before.count(after) == 1, f"{path} has {before.count(after)} times: {after}"
        file.write_text(before.replace(after, after + text))

    def run(self, *command: str) -> str:
        """What a command prints that knows the copy alone."""
        path = f"{self._root}{os.pathsep}{self._root / 'protos' / 'stubs'}"
        environment = os.environ | {"PYTHONPATH": path}
        done = subprocess.run(
            command, cwd=self._root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def python(self, program: str, *arguments: str) -> str:
        return self.run(sys.executable, "-c", program, *arguments)

    def _named(self, path: str) -> Path:
        general = path.replace("example", "<name>").replace("hedges", "<service>")
        assert f"`{path}`" in self._recipe or f"`{general}`" in self._recipe, (
            f"the recipe does not name {path}"
        )
        return self._root / path


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_sources_venues_channels_and_monitors_come_by_their_recipes(copy: Copy) -> None:
    copy.follow("A price source")
    copy.write("services/price/sources/example.py", SOURCE)
    registry, server = "services/price/sources/registry.py", "services/price/server.py"
    copy.insert(registry, "from services.price.sources import ", "example, ")
    copy.insert(
        registry,
        "REGISTRY: Mapping[str, Kind] = {",
        "example.NAME: Kind(example.connect, example.ASSETS),",
    )
    copy.insert(
        server,
        "class Config(ServiceConfig):",
        '\n    example_url: HttpAddress = "https://example.com"',
    )
    copy.insert(server, "url, key = {", '"example": (config.example_url, keyless),')

    copy.follow("A venue")
    copy.write("services/positions/venues/example.py", VENUE)
    venues, server = "services/positions/venues/__init__.py", "services/positions/server.py"
    copy.insert(venues, "from services.positions.venues import ", "example, ")
    copy.insert(
        venues,
        "VENUES: Mapping[str, Callable[[VenueContext], Built]] = {",
        '"example": example.build,',
    )
    copy.insert("services/positions/domain/position.py", "VENUES: Final = (", '"example", ')
    copy.insert(
        server,
        "class Config(ServiceConfig):",
        '\n    example_url: str = Field("", description="base URL")',
    )
    copy.insert(server, "    settings = {\n", '        "example_url": config.example_url,\n')
    copy.insert(server, "asked = {", '"example": config.example_url, ')

    copy.follow("A channel")
    copy.write("services/xcom/senders/example.py", CHANNEL)
    registry = "services/xcom/senders/registry.py"
    copy.insert(
        registry,
        "from services.xcom.senders.channel import Channel\n",
        "from services.xcom.senders.example import Example, ExampleSettings\n",
    )
    copy.insert(registry, "NAMES = (", "Example.name, ")
    copy.insert(registry, "class ChannelSettings(", "ExampleSettings, ")
    copy.insert(registry, "channels: tuple[Channel, ...] = (", "Example(settings),")

    copy.follow("A monitor")
    copy.write("services/monitor/checks/example.py", MONITOR)
    registry = "services/monitor/checks/registry.py"
    copy.insert(
        registry,
        "from services.monitor.checks import Check, CheckContext\n",
        "from services.monitor.checks.example import ExampleCheck\n",
    )
    copy.insert(registry, "_BUILT_IN = (", "ExampleCheck,")

    # One process: each would import much of the same.
    program = f"{SOURCE_IS_ASKED}{VENUE_IS_BUILT}{CHANNEL_IS_REGISTERED}{MONITOR_IS_KNOWN}"
    assert copy.python(program).splitlines() == [
        "example 97000.0 True",
        "['example', 'jupiter', 'dydx', 'hyperliquid'] True",
        "somewhere ()",
        "Finds nothing wrong True",
    ]


def test_an_rpc_of_the_recipe_is_a_route_of_the_gateway(copy: Copy) -> None:
    copy.follow("An RPC")
    proto = "protos/sonic/hedges/v1/hedges.proto"
    copy.insert(proto, "service HedgesService {", RPC)
    copy.insert(proto, 'import "google/protobuf/timestamp.proto";\n', RPC_MESSAGES)
    copy.insert(
        "protos/unreleased.txt", "# RPCs", " and\nsonic.hedges.v1.HedgesService/CountHedges\n#"
    )
    callers = "sonic.hedges.v1.HedgesService/CountHedges: gateway operator\n"
    copy.insert("protos/callers.txt", "HedgesService/AdviseRebalance: gateway operator\n", callers)
    copy.run(sys.executable, "protos/generate.py")
    assert copy.python(RPC_IS_ROUTED) == "[('GET', '/v1/hedges:count', True)]"


@pytest.fixture
async def empty_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    name = f"recipe_{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(postgres.url)
    await connection.execute(f"create database {name}")
    yield with_database(postgres.url, name)
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


async def test_a_column_of_the_recipe_is_drafted_as_a_migration(copy: Copy, empty_url: str) -> None:
    copy.follow("A column")
    copy.insert(
        "services/hedges/tables.py",
        'Column("net_pnl_usd", Float(53)),',
        'Column("gross_value_usd", Float(53)),',
    )
    drafted = Path(copy.python(DRAFT, empty_url).splitlines()[-1])
    assert "op.add_column('hedge', sa.Column('gross_value_usd'" in drafted.read_text()
