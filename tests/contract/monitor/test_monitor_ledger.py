"""The ledger of runs for those who look, news for those who watch, and monitors of others."""

from __future__ import annotations

import ast
import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.monitor.v1 import monitor_pb2 as pb

from shared import errors
from shared.database import migrations
from shared.errors import InvalidArgument, NotFound
from tests.contract.monitor.conftest import (
    QUIET,
    START,
    Servers,
    badges_of,
    cycle,
    judged,
    outcomes,
    runs_of,
)
from tests.fakes.databases import Databases

SERVICE = Path(__file__).parents[3] / "services" / "monitor"


def stamp(seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(START + timedelta(seconds=seconds))
    return moment


async def test_runs_are_found_by_monitor_outcome_cycle_and_time_in_pages(servers: Servers) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor(**QUIET)
    for number in range(1, 4):
        await cycle(stub, number)
        servers.clock.advance(60)
    await stub.RunMonitor(pb.RunMonitorRequest(name="position"))

    async def found(**fields) -> list[pb.Run]:
        return list((await stub.ListRuns(pb.ListRunsRequest(page_size=500, **fields))).runs)

    assert len(await found(monitor="Price")) == 3
    assert await found(monitor="twilio", cycle_id="nope") == [], "known, but without such a run"
    with pytest.raises(NotFound, match="known are") as unknown:
        await found(monitor="pricey")
    assert unknown.value.reason == "MONITOR_NOT_FOUND"
    assert {run.cycle_id for run in await found(cycle_id="cycle-2")} == {"cycle-2"}
    assert {run.monitor for run in await found(status=pb.RUN_STATUS_SKIPPED)} <= {
        "market",
        *QUIET,
        "xcom",
        "heartbeat",
        "operations",
        "disk",
        "backup",
        "certificates",
        "stream",
        "twilio",
        "withdrawals",
    }
    assert len(await found(monitor="price", start_time=stamp(60), end_time=stamp(120))) == 1
    everything = [run.id for run in await found()]
    assert everything == sorted(everything, reverse=True)
    request, paged = pb.ListRunsRequest(page_size=4), []
    while True:
        page = await stub.ListRuns(request)
        paged += [run.id for run in page.runs]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert paged == everything
    first = await stub.ListRuns(pb.ListRunsRequest(page_size=4))
    with pytest.raises(InvalidArgument) as refused:
        await found(monitor="price", page_token=first.next_page_token)
    assert refused.value.reason == "PAGE_TOKEN_MISMATCH"
    with pytest.raises(InvalidArgument) as refused:
        await found(start_time=stamp(60), end_time=stamp(60))
    assert refused.value.reason == "INVALID_FIELD"


async def test_old_runs_are_forgotten_and_younger_ones_stay(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor(monitor_runs_kept_days=1, **QUIET)
    await cycle(stub, 1)
    servers.clock.advance(86_000)
    await cycle(stub, 2)

    async def gone() -> bool:
        return {run.cycle_id for run in await runs_of(stub, "price")} == {"cycle-2"}

    await servers.push(gone, 400)


async def test_runs_that_found_nothing_are_forgotten_sooner_but_for_the_last_of_a_monitor(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor(monitor_quiet_runs_kept_days=1, **QUIET)
    servers.judge(judged("HEAT_INDEX", "HIGH", 60.0))
    await cycle(stub, 1)
    servers.clock.advance(86_000)
    await cycle(stub, 2)

    async def gone() -> bool:
        return {run.cycle_id for run in await runs_of(stub, "price")} == {"cycle-2"}

    await servers.push(gone, 400)
    assert {run.cycle_id for run in await runs_of(stub, "risk")} == {"cycle-1", "cycle-2"}
    servers.clock.advance(200_000)
    await cycle(stub, 3, names=["position"])

    async def gone_again() -> bool:
        return {run.cycle_id for run in await runs_of(stub, "position")} == {"cycle-3"}

    # A pass that is over looks again an hour later.
    await servers.push(gone_again, 4_000)
    price = await stub.GetMonitor(pb.GetMonitorRequest(name="price"))
    assert price.last_run.cycle_id == "cycle-2", "it stands on it, however long it does not run"


async def test_clearing_deletes_runs_and_badges_and_keeps_settings(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)
    servers.judge(judged("HEAT_INDEX", "HIGH", 60.0))
    await stub.UpdateMonitor(
        pb.UpdateMonitorRequest(monitor=pb.Monitor(name="risk", threshold_percent=33.0))
    )
    await cycle(stub)
    with pytest.raises(InvalidArgument) as refused:
        await stub.ClearData(pb.ClearDataRequest())
    assert refused.value.reason == "NOT_CONFIRMED"
    assert (await stub.ClearData(pb.ClearDataRequest(confirm="clear"))).deleted_count >= 6
    assert await runs_of(stub, "risk") == []
    assert await badges_of(stub) == {}
    assert (await stub.GetMonitor(pb.GetMonitorRequest(name="risk"))).threshold_percent == 33.0


async def test_a_watcher_sees_the_present_first_and_then_what_changes_here_and_elsewhere(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)
    stream = stub.WatchMonitors(pb.WatchMonitorsRequest(names=["risk", "price"]))
    first = await stream.read()
    assert [monitor.name for monitor in first.monitors] == ["price", "risk"]
    assert not first.gap
    servers.judge(judged("HEAT_INDEX", "HIGH", 60.0))
    await cycle(stub)
    change = await stream.read()
    assert {monitor.name for monitor in change.monitors} == {"price", "risk"}
    assert [badge.name for badge in change.badges] == ["risk_badge"]
    elsewhere = await servers.monitor(**QUIET)
    await elsewhere.DismissBadge(pb.DismissBadgeRequest(name="risk_badge"))
    servers.clock.advance(1)
    change = await stream.read()
    assert [badge.dismissed for badge in change.badges] == [True]
    await elsewhere.SnoozeMonitor(pb.SnoozeMonitorRequest(name="price"))
    servers.clock.advance(1)
    assert [monitor.resting_reason for monitor in (await stream.read()).monitors] == ["SNOOZED"]
    stream.cancel()


async def test_watching_an_unknown_monitor_is_refused(servers: Servers) -> None:
    stub = await servers.monitor()
    with pytest.raises(NotFound) as missing:
        await stub.WatchMonitors(pb.WatchMonitorsRequest(names=["nobody"])).read()
    assert missing.value.reason == "MONITOR_NOT_FOUND"


PLUGINS = """
import asyncio
from datetime import timedelta
from services.monitor.domain.findings import Badge, Finding, Level, RunStatus


class Good:
    name = "good"
    description = "Moon phase"
    interval = timedelta(minutes=1)
    takes_threshold = True

    async def run(self, look):
        prices = await look.readings.prices()
        badge = Badge("good_badge", str(len(prices)), Level.LOW)
        limits = {"threshold": look.threshold_percent}
        return Finding(RunStatus.BREACH, limits, {"good_badge": badge})


class Raising(Good):
    name = "raising"

    async def run(self, look):
        raise KeyError("boom")


class Exiting(Good):
    name = "exiting"

    async def run(self, look):
        raise SystemExit(3)


class Cancelling(Good):
    name = "cancelling"

    async def run(self, look):
        raise asyncio.CancelledError


class Hanging(Good):
    name = "hanging"

    async def run(self, look):
        await asyncio.sleep(3600)


class Unstorable(Good):
    name = "unstorable"

    async def run(self, look):
        return Finding(RunStatus.SUCCESS, {"value": float("nan")})


class Wrong(Good):
    name = "wrong"

    async def run(self, look):
        return "all well"


class Thief(Good):
    name = "thief"

    async def run(self, look):
        stolen = Badge("risk_badge", "nothing to see", Level.NORMAL)
        return Finding(RunStatus.SUCCESS, {}, {"risk_badge": stolen, "liquidation_badge": None})


def sync():
    raise RuntimeError("cannot be made")


class NoRun:
    name = "norun"
    interval = timedelta(minutes=1)
"""
NAMES = [
    "Good",
    "Raising",
    "Exiting",
    "Cancelling",
    "Hanging",
    "Unstorable",
    "Wrong",
    "Thief",
    "NoRun",
]


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with monitors, good and bad."""
    (tmp_path / "monitors_of_others.py").write_text(PLUGINS)
    points = [f"{name.lower()} = monitors_of_others:{name}" for name in NAMES]
    points += [
        "missing = no_such_package:Thing",
        "sync = monitors_of_others:sync",
        "price = monitors_of_others:Good",
    ]
    folder = tmp_path / "monitors_of_others-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: monitors-of-others\nVersion: 1.0\n"
    )
    (folder / "entry_points.txt").write_text("[sonic.monitors]\n" + "\n".join(points))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "monitors_of_others", raising=False)


@pytest.mark.usefixtures("others")
async def test_a_broken_monitor_of_others_is_an_error_row_and_stops_nobody(
    servers: Servers,
) -> None:
    await servers.peers()
    await servers.prices()
    await servers.hold()
    stub = await servers.monitor(monitor_cycle_limit_seconds=0.5, **QUIET)
    servers.judge(judged("HEAT_INDEX", "HIGH", 60.0), judged("LIQUIDATION_DISTANCE", "HIGH", 2.0))
    answer = await cycle(stub, 1)
    said = outcomes(answer)
    broken = {"raising", "exiting", "cancelling", "hanging", "unstorable", "wrong"}
    assert {name for name, status in said.items() if status == "ERROR"} == broken
    assert (said["good"], said["price"], said["thief"]) == ("BREACH", "SUCCESS", "SUCCESS")
    shown = await badges_of(stub)
    assert shown["good_badge"].monitor == "good"
    # What belongs to another monitor is not taken away.
    assert (shown["risk_badge"].value, shown["liquidation_badge"].value) == (
        "SOL 60.0",
        "SOL 2.00 %",
    )
    for name in ("missing", "sync", "norun"):
        run = await stub.RunMonitor(pb.RunMonitorRequest(name=name))
        assert run.status == pb.RUN_STATUS_ERROR
        assert run.error
    good = await stub.GetMonitor(pb.GetMonitorRequest(name="good"))
    assert good.origin == "monitors_of_others:Good"
    assert (await stub.GetMonitor(pb.GetMonitorRequest(name="price"))).origin == ""


@pytest.mark.usefixtures("others")
async def test_settings_and_the_environment_count_for_monitors_of_others_too(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)
    await stub.UpdateMonitor(
        pb.UpdateMonitorRequest(monitor=pb.Monitor(name="good", threshold_percent=7.5))
    )
    run = await stub.RunMonitor(pb.RunMonitorRequest(name="good"))
    assert json.loads(run.metadata_json) == {"threshold": 7.5}


def raised() -> set[str]:
    names = {name for name in vars(errors) if name[0].isupper()}
    return {
        node.args[0].value
        for file in SERVICE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in names
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def test_every_reason_raised_is_in_the_contract_and_the_reverse() -> None:
    values = pb.DESCRIPTOR.enum_types_by_name["ErrorReason"].values
    named = {value.name.removeprefix("ERROR_REASON_") for value in values} - {"UNSPECIFIED"}
    # Raised for us by masks, names, pages, fences, numbers, times, fields and confirmations.
    plumbing = {
        "UNKNOWN_FIELD",
        "UNKNOWN_NAME",
        "BAD_PAGE_TOKEN",
        "PAGE_TOKEN_MISMATCH",
        "STALE_EPOCH",
    }
    plumbing |= {"EPOCH_AHEAD", "NOT_FINITE", "BAD_DURATION", "BAD_TIME", "PRIVATE_KEY_REFUSED"}
    plumbing |= {"INVALID_FIELD", "NOT_CONFIRMED"}
    # A broken monitor of others ends as a row, never as an answer.
    assert raised() - {"INTERNAL"} <= named
    assert named <= raised() | plumbing


async def test_the_migrated_schema_equals_the_tables(databases: Databases) -> None:
    await migrations.check(databases.owner_url("monitor"), "monitor", SERVICE / "migrations")
