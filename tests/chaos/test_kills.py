"""A service killed in its step: the cycle ends clearly, the next is whole,
nothing is told twice."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from services.cli.certificates import operators
from services.cli.connection import System
from services.cli.system import HealthClient
from tests.chaos.conftest import Up, system_of, up
from tests.e2e.test_five_cycles import cycle, invent, state, steps
from tests.e2e.world import World, base58_address, world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OWNERS = {
    "UPDATE_PRICES": "price",
    "SYNC_POSITIONS": "positions",
    "ENRICH_POSITIONS": "positions",
    "LINK_HEDGES": "hedges",
    "CREATE_ALERTS": "alerts",
    "EVALUATE_ALERTS": "alerts",
    "CLEAR_STALE_ALERTS": "alerts",
    "RECORD_SNAPSHOT": "positions",
    "ADVISE_WITHDRAWALS": "withdrawals",
    "RUN_MONITORS": "monitor",
    "NOTIFY": "alerts",
}
ENDED = {"SUCCEEDED", "PARTIAL", "FAILED"}


async def test_a_service_killed_in_its_step_fails_the_step_and_the_next_cycle_is_whole(
    home: Path,
) -> None:
    chance = random.Random(7)
    async with world(seed=7) as outside:
        outside.marks, outside.held = invent(chance)
        victim = outside.held[0]
        calm = outside.marks["SOL"]
        async with up(home, outside.environment()) as running, system_of(running) as servers:
            await watch_a_wallet(servers, base58_address(chance))
            outside.publish()
            assert state(await cycle(servers)) == "SUCCEEDED"
            for number, (step, owner) in enumerate(OWNERS.items()):
                # Every round the danger changes, so that there is something to tell in it.
                near = 0.98 if number % 2 else 1.0
                outside.marks["SOL"] = victim.liquidation * near if number % 2 else calm
                outside.publish()
                hurt = await cycle_with_a_death(running, servers, step, owner)
                assert state(hurt) in ENDED, (step, hurt)
                assert steps(hurt)[step] in {"FAILED", "SKIPPED", "SUCCEEDED", "PARTIAL"}
                outside.publish()
                whole = await cycle(servers)
                assert state(whole) == "SUCCEEDED", (step, steps(whole), whole.message)
            await everything_is_told_once(outside)


async def test_the_orchestrator_killed_in_a_cycle_ends_it_after_its_restart(home: Path) -> None:
    chance = random.Random(8)
    async with world(seed=8) as outside:
        outside.marks, outside.held = invent(chance)
        async with up(home, outside.environment()) as running, system_of(running) as servers:
            await watch_a_wallet(servers, base58_address(chance))
            outside.publish()
            running.kill("positions", signal.SIGSTOP)
            stub = await servers.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
            started = await stub.StartCycle(cyclone_pb2.StartCycleRequest())
            await until_running(servers, started.id, "SYNC_POSITIONS")
            running.kill("cyclone")
            running.kill("positions", signal.SIGCONT)
            await until_serving(running, "cyclone")
            ended = await until_ended(servers, started.id)
            assert state(ended) in {"SUCCEEDED", "PARTIAL"}, ended
            assert state(await cycle(servers)) == "SUCCEEDED"


async def cycle_with_a_death(
    running: Up, servers: System, step: str, owner: str
) -> cyclone_pb2.Cycle:
    """A cycle in which the owner of a step is frozen before the step and killed in it, then comes
    back.
    """
    stub = await servers.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
    order = list(OWNERS)
    before = order[: order.index(step)]
    if before:
        # The steps before it are done by a cycle of their own: the death belongs to this step
        # alone.
        async for _ in stub.RunCycle(cyclone_pb2.RunCycleRequest(steps=before), timeout=60):
            pass
    running.kill(owner, signal.SIGSTOP)
    started = await stub.StartCycle(cyclone_pb2.StartCycleRequest(steps=order[order.index(step) :]))
    await until_running(servers, started.id, step)
    running.kill(owner)
    ended = await until_ended(servers, started.id)
    await until_serving(running, owner)
    return ended


async def until_running(servers: System, cycle_id: str, step: str) -> None:
    for _ in range(200):
        found = await get(servers, cycle_id)
        if steps(found).get(step) not in {None, "PENDING"}:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{step} was never begun")


async def until_ended(servers: System, cycle_id: str) -> cyclone_pb2.Cycle:
    for _ in range(900):
        try:
            found = await get(servers, cycle_id)
        except Exception:  # noqa: BLE001  the orchestrator itself may be the one that is dead
            await asyncio.sleep(0.1)
            continue
        if state(found) in ENDED:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"{cycle_id} did not end")


async def get(servers: System, cycle_id: str) -> cyclone_pb2.Cycle:
    stub = await servers.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
    return await stub.GetCycle(cyclone_pb2.GetCycleRequest(id=cycle_id))


async def until_serving(running: Up, service: str) -> None:
    async with HealthClient(operators(running.home / "tls"), running.addresses) as asking:
        for _ in range(300):
            if (await asking.readiness(running.addresses[service]))[0]:
                return
            await asyncio.sleep(0.1)
    raise AssertionError(f"{service} did not come back: {running.lines[-5:]}")


async def watch_a_wallet(servers: System, address: str) -> None:
    wallets = await servers.stub("positions", positions_pb2_grpc.WalletsServiceStub)
    wallet = positions_pb2.Wallet(
        name="main", chain=positions_pb2.CHAIN_SOLANA, public_address=address, active=True
    )
    await wallets.CreateWallet(positions_pb2.CreateWalletRequest(wallet=wallet))


async def everything_is_told_once(outside: World) -> None:
    """Every webhook carries a key of its own, and one (alert, incident, level) is told once."""
    await asyncio.sleep(1)
    bodies = outside.heard()
    assert bodies
    keys = [request.headers["idempotency-key"] for request in outside.webhook.asked("POST /hook")]
    assert len(keys) == len(set(keys))
    facts = [body["facts"] for body in bodies if body["source"] == "alerts"]
    told = Counter((one["alert_id"], one["incident_id"], one["level"]) for one in facts)
    assert max(told.values()) == 1, told.most_common(3)
