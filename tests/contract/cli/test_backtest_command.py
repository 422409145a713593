"""`sonic backtest` over a system that runs: candles of a file and of price, a held position."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc
from typer.testing import CliRunner

from services.cli import system
from services.cli.assembly import assembled
from services.cli.connection import System, connected
from services.cli.plan import SERVICES, Plan
from shared import log
from tests.fakes.databases import Databases

Sonic = Callable[..., Any]
HOUR = 3600


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
        yield await stack.enter_async_context(connected(addresses))


@pytest.fixture
def sonic(found: System, monkeypatch: pytest.MonkeyPatch) -> Sonic:
    """Runs a command against the system of the test."""
    monkeypatch.setattr(
        "services.cli.backtest.command.connected", lambda *_: connected(found.addresses)
    )

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, assembled(words[0]), list(words))

    return run


def written(path: Path, closes: list[float], newest_first: bool = False) -> Path:
    """Hourly candles as people have them."""
    rows = [
        (1_700_006_400 + HOUR * number, close, close * 1.001, close * 0.999, close)
        for number, close in enumerate(closes)
    ]
    with gzip.open(path, "wt", newline="") as file:
        made = csv.writer(file)
        made.writerow(["unix", "open", "high", "low", "close"])
        made.writerows(reversed(rows) if newest_first else rows)
    return path


def wave(count: int) -> list[float]:
    """A price that falls by 12 % and comes back, every 60 hours."""
    return [100 - 6 * (1 - math.cos(2 * math.pi * number / 60)) for number in range(count)]


async def test_a_file_is_judged_and_shown(sonic: Sonic, tmp_path: Path) -> None:
    path = written(tmp_path / "btc.csv.gz", wave(240), newest_first=True)
    words = ["backtest", "BTC", "--distance", "15", "--candles", str(path)]
    plain = await sonic(*words)
    assert plain.exit_code == 0, plain.output
    assert "240 candles of 1 h" in plain.stdout and "10 / 7 / 5" in plain.stdout
    assert "not liquidated" in plain.stdout and "NORMAL > LOW" in plain.stdout
    answer = json.loads((await sonic(*words, "--limits", "9,6,4", "--json")).stdout)
    assert answer["outcomes"]["limits"] == {"low": 9.0, "medium": 6.0, "high": 4.0}
    # 88 is 3.4 % above 85: every wave gives one alarm, and every one came to nothing.
    assert answer["outcomes"]["alarm_count"] == "4"
    part = json.loads((await sonic(*words, "--json", "--until", "2023-11-16T00:00Z")).stdout)
    assert part["candle_count"] == "24"


async def test_many_starts_with_a_sweep_name_the_knee(sonic: Sonic, tmp_path: Path) -> None:
    path = written(tmp_path / "btc.csv.gz", wave(480))
    words = [
        *("backtest", "BTC", "--distance", "8", "--candles", str(path)),
        *("--start-every", "5h", "--horizon", "3d", "--sweep", "0.5,1,2,4,7"),
    ]
    plain = await sonic(*words)
    assert plain.exit_code == 0, plain.output
    assert "More alarms against longer lead" in plain.stdout
    answer = json.loads((await sonic(*words, "--json")).stdout)
    assert len(answer["curve"]) == 5 and answer["knee"] in range(5)
    assert answer["outcomes"]["position_count"] == "82"


async def test_a_held_position_is_walked_over_the_candles_of_price(
    found: System, sonic: Sonic
) -> None:
    prices = await found.stub("price", price_pb2_grpc.PriceServiceStub)
    now = datetime.now(UTC)
    for number, price in enumerate([100.0, 99.0, 90.0, 87.0, 84.0, 90.0]):
        request = price_pb2.InsertPriceRequest(asset="SOL", price_usd=price)
        request.price_time.FromDatetime(now - timedelta(hours=10 - number))
        await prices.InsertPrice(request)
    positions = await found.stub("positions", positions_pb2_grpc.PositionsServiceStub)
    held = positions_pb2.Position(
        asset="SOL", side=positions_pb2.SIDE_LONG, entry_price_usd=100.0, mark_price_usd=90.0,
        liquidation_price_usd=80.0, size_usd=1000.0, collateral_usd=210.0,
    )  # fmt: skip
    id = (await positions.CreatePosition(positions_pb2.CreatePositionRequest(position=held))).id
    words = ["backtest", "--position", id, "--since", "1d ago", "--json"]
    done = await sonic(*words)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["liquidation_price_usd"] == 80 and answer["candle_count"] == "6"
    levels = [one["level_after"] for one in answer["alerts"]]
    assert levels == ["LEVEL_LOW", "LEVEL_MEDIUM", "LEVEL_HIGH"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["BTC"], "say --distance, --liquidation-price or --position"),
        (["--distance", "10"], "say whose candles"),
        (["BTC", "--distance", "10"], "sonic prices backfill BTC"),
        (["BTC", "--distance", "10", "--limits", "a,b"], "is not LOW/MEDIUM/HIGH"),
        (["BTC", "--distance", "10", "--candles", "no-such.csv"], "No such file"),
        (["BTC", "--distance", "120", "--since", "soon"], "is not a time"),
        (["BTC", "--distance", "10", "--start-every", "often"], "start_every"),
    ],
)
async def test_what_is_missing_is_said_with_its_remedy(
    sonic: Sonic, words: list[str], said: str
) -> None:
    done = await sonic("backtest", *words)
    assert done.exit_code == 1 and said in " ".join(done.output.split())
