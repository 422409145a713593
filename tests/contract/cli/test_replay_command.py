"""`sonic replay` over a system that runs: the same bit for bit, other limits, what it refuses."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from click.testing import Result
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc
from typer.testing import CliRunner

from services.cli import system
from services.cli.assembly import assembled
from services.cli.connection import System, connected
from services.cli.plan import SERVICES, Plan
from services.cli.replay import request_of, threshold_of, thresholds_of
from shared import log
from shared.errors import InvalidArgument
from tests.fakes.databases import Databases


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


async def test_a_recorded_cycle_is_judged_again(
    found: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("services.cli.replay.connected", lambda *_: connected(found.addresses))

    async def sonic(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, assembled(words[0]), list(words))

    nothing = await sonic("replay", "--since", "1h ago")
    assert nothing.exit_code == 1
    assert "nothing is recorded" in nothing.output
    alerts = await found.stub("alerts", rpc.AlertsServiceStub)
    await alerts.CreateAlerts(pb.CreateAlertsRequest())
    await alerts.EvaluateAlerts(pb.EvaluateAlertsRequest())
    recorder = await found.stub("alerts", rpc.RecorderServiceStub)
    end = time.monotonic() + 30
    while not (await recorder.ListRecordings(pb.ListRecordingsRequest())).recordings:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    same = await sonic("replay", "--since", "1h ago")
    assert same.exit_code == 0, same.output
    assert "the same, bit for bit" in " ".join(same.output.split())
    otherwise = await sonic(
        "replay", "--since", "1h ago", "--set", "price_threshold:BTC=-,-,5", "--json"
    )
    # A price may be dangerous on either side: it must be said.
    assert otherwise.exit_code == 1
    limits = ["--set", "avg_leverage=2,5,10", "--set", "liquidation_distance=5"]
    asked = await sonic("replay", "--since", "1h ago", *limits, "--json")
    answer = json.loads(asked.output)
    assert answer["recording_count"] == 1
    assert answer["unjudged_thresholds"] == ["LIQUIDATION_DISTANCE-POSITION-BELOW"]
    thresholds = await found.stub("alerts", rpc.ThresholdsServiceStub)
    exported = await thresholds.ExportThresholds(pb.ExportThresholdsRequest())
    file = tmp_path / "thresholds.json"
    file.write_text(exported.json)
    by_file = await sonic("replay", "--since", "1h ago", "--thresholds", str(file), "--json")
    assert by_file.exit_code == 0, by_file.output
    assert not json.loads(by_file.output).get("differing_count"), "they are those in force"
    file.write_text("{}")
    assert (await sonic("replay", "--since", "1h ago", "--thresholds", str(file))).exit_code == 1


def test_a_threshold_of_a_file_that_is_switched_off_has_no_limits() -> None:
    rows = [
        {"type": "HEAT_INDEX", "condition": "ABOVE", "low": 30, "medium": None, "high": 50},
        {"type": "PROFIT", "condition": "ABOVE", "asset": "BTC", "high": 5, "enabled": False},
    ]
    heat, profit = thresholds_of(json.dumps({"thresholds": rows}))
    assert (heat.type, heat.low, heat.HasField("medium")) == (pb.ALERT_TYPE_HEAT_INDEX, 30, False)
    assert (profit.asset, profit.HasField("high")) == ("BTC", False)
    for text in ("x", "{}", '{"thresholds": [{"type": "HEAT"}]}', '{"thresholds": 5}'):
        with pytest.raises(InvalidArgument):
            thresholds_of(text)


def test_limits_are_read_as_they_are_written() -> None:
    one = threshold_of("liquidation-distance:eth=16,11,8")
    assert (one.type, one.asset) == (pb.ALERT_TYPE_LIQUIDATION_DISTANCE, "eth")
    assert (one.low, one.medium, one.high) == (16, 11, 8)
    high = threshold_of("heat_index=50")
    assert (high.HasField("low"), high.HasField("medium"), high.high) == (False, False, 50)
    assert not threshold_of("heat_index=30,-,50").HasField("medium")


@pytest.mark.parametrize(
    "given",
    [("", "", "", []), ("", "yesterday", "", []), ("cyc", "", "", ["heat=5"]),
     ("cyc", "", "", ["heat_index=1,2"]), ("cyc", "", "", ["heat_index=warm"])],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_its_name(given: tuple[str, str, str, list[str]]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        request_of(*given)
    assert caught.value.fields
