"""Exit codes of `sonic sleep`: what a script goes by at night."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from click.testing import Result
from sonic.cyclone.v1 import cyclone_pb2 as pb
from typer.testing import CliRunner

from services.cli.assembly import assembled
from services.cli.connection import connected
from shared.errors import Unavailable
from tests.fakes.peers import FakePeers, answers, refuses


@pytest.fixture
async def cyclone() -> AsyncIterator[FakePeers]:
    peers = FakePeers()
    await peers.start()
    yield peers
    await peers.stop()


async def sonic(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, assembled(words[0]), list(words))


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (pb.SLEEP_VERDICT_GREEN, 0),
        (pb.SLEEP_VERDICT_AMBER, 1),
        (pb.SLEEP_VERDICT_RED, 2),
    ],
)
async def test_the_exit_code_is_the_verdict_also_as_json(
    cyclone: FakePeers,
    monkeypatch: pytest.MonkeyPatch,
    verdict: pb.SleepVerdict.ValueType,
    code: int,
) -> None:
    address = {"cyclone": cyclone.address}
    monkeypatch.setattr("services.cli.sleep.connected", lambda *_: connected(address))
    reason = pb.SleepReason(part=pb.SLEEP_PART_CYCLE, verdict=verdict, message="it is so")
    cyclone.told["cyclone.CanISleep"] = answers(
        pb.CanISleepResponse(verdict=verdict, reasons=[reason])
    )
    plain = await sonic("sleep")
    assert plain.exit_code == code and "it is so" in plain.output
    told = await sonic("sleep", "--json")
    assert told.exit_code == code
    assert json.loads(told.stdout)["verdict"] == pb.SleepVerdict.Name(verdict)


async def test_who_does_not_answer_is_not_amber(
    cyclone: FakePeers, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = {"cyclone": cyclone.address}
    monkeypatch.setattr("services.cli.sleep.connected", lambda *_: connected(address))
    cyclone.told["cyclone.CanISleep"] = refuses(Unavailable("DATABASE_UNAVAILABLE", "it is away"))
    for words in (("sleep",), ("sleep", "--json")):
        assert (await sonic(*words)).exit_code == 2
    monkeypatch.setattr(
        "services.cli.sleep.connected", lambda *_: connected({"cyclone": "127.0.0.1:9"})
    )
    assert (await sonic("sleep")).exit_code == 2
