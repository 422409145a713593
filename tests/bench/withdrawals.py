"""An evaluation of withdrawals over a year: four assets, twenty wallets each, a sample an hour."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import asyncpg
import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.withdrawals.v1 import withdrawals_pb2 as pb
from sonic.withdrawals.v1 import withdrawals_pb2_grpc as rpc

from shared.database.address import plain
from shared.rpc.client import Channel
from tests.bench import footprint
from tests.bench.figures import Figure, Limit
from tests.bench.running import Run, say, started

_GOAL = "G18"
ASSETS, WALLETS, HOURS = 4, 20, 8760
_ROUNDS = 10
_NOW = datetime(2026, 11, 21, tzinfo=UTC)
_ABSENT = -(2**63)
_HOLDING = (
    "insert into withdrawals.holding (asset, wallet, market) values ($1, $2, $3) returning key"
)
_REFERENCE = (
    "insert into withdrawals.reference"
    " (asset, wallet, reference_time, tx_id, note, actor, created_time)"
    " values ($1, '', $2, '', '', '', $2)"
)


async def measure(run: Run) -> list[Figure]:
    """As of a moment, so that nobody outside is asked; the first one is not counted."""
    async with started(run.home / "withdrawals", {"SONIC_LIVE": "1"}) as running:
        say(f"  {ASSETS * WALLETS * HOURS:,} samples")
        await _fill(running.admin_url, run.options.seed)
        channel = Channel(
            running.addresses["withdrawals"], identity=running.tls, peer="withdrawals"
        )
        advisor = channel.stub(rpc.AdvisorServiceStub)
        assets = channel.stub(rpc.AssetsServiceStub)
        for number in range(ASSETS):
            asset = pb.Asset(name=f"coin{number}")
            await assets.CreateAsset(pb.CreateAssetRequest(asset=asset))
        moment = Timestamp()
        moment.FromDatetime(_NOW)
        server = footprint.servers()["withdrawals"]
        taken_ms, cpu_ms, memory = [], [], []
        for _ in range(_ROUNDS + 1):
            began, before = time.monotonic(), footprint.cpu_seconds([server])
            answer = await advisor.Evaluate(pb.EvaluateRequest(as_of_time=moment), timeout=60)
            if len(answer.decisions) != ASSETS:
                raise ValueError(f"{len(answer.decisions)} decisions")
            taken_ms.append((time.monotonic() - began) * 1000)
            cpu_ms.append((footprint.cpu_seconds([server]) - before) * 1000)
            memory.append(footprint.memory_bytes([server]) / 1e6)
        await channel.stop()
    what = f"evaluating {ASSETS} assets of {WALLETS} wallets, a year of hourly samples"
    return [
        Figure(_GOAL, what, taken_ms[1:], limit=Limit(1000, of_ratio=False)),
        Figure(_GOAL, "its CPU in the server", cpu_ms[1:]),
        Figure(
            _GOAL,
            "memory of the server after it",
            memory[1:],
            limit=Limit(150, of_ratio=False),
            unit="MB",
        ),
    ]


async def _fill(admin_url: str, seed: int) -> None:
    chance = np.random.default_rng(seed)
    times = [_NOW - timedelta(hours=HOURS - 1 - hour) for hour in range(HOURS)]
    connection = await asyncpg.connect(plain(admin_url))
    try:
        for number in range(ASSETS):
            asset = f"coin{number}"
            for wallet in range(WALLETS):
                key = await connection.fetchval(_HOLDING, asset, f"wallet{wallet}", asset)
                grown = 10_000 + np.cumsum(chance.normal(0.1, 0.01, HOURS))
                units = (grown * 1e6).astype(np.int64).tolist()
                rest = (0.999, _ABSENT, float("nan"), float("nan"), 2)
                await connection.copy_records_to_table(
                    "sample",
                    schema_name="withdrawals",
                    records=[(key, *one, *rest) for one in zip(times, units, strict=True)],
                )
            await connection.execute(_REFERENCE, asset, times[0])
        await connection.execute("analyze withdrawals.sample")
    finally:
        await connection.close()
