"""Settings of monitors: changed while running, over a restart, and decided by the environment."""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.monitor.v1 import monitor_pb2 as pb

from shared.errors import Conflict, InvalidArgument, NotFound
from tests.contract.monitor.conftest import (
    QUIET,
    Servers,
    badges_of,
    cycle,
    heats,
    judged,
    outcomes,
    runs_of,
    until,
)


async def update(stub, name: str, *paths: str, etag: str = "", **fields) -> pb.Monitor:
    monitor = pb.Monitor(name=name, etag=etag, **fields)
    return await stub.UpdateMonitor(
        pb.UpdateMonitorRequest(monitor=monitor, update_mask=FieldMask(paths=paths))
    )


async def get(stub, name: str) -> pb.Monitor:
    return await stub.GetMonitor(pb.GetMonitorRequest(name=name))


async def test_a_monitor_without_choices_shows_its_own_settings(servers: Servers) -> None:
    stub = await servers.monitor()
    monitor = await get(stub, "Market")
    assert (monitor.name, monitor.enabled, monitor.interval.seconds) == ("market", True, 300)
    assert (monitor.threshold_percent, monitor.etag) == (50.0, "0")
    assert monitor.health == pb.HEALTH_OFFLINE
    assert not (await get(stub, "liquidation")).HasField("threshold_percent")
    listed = await stub.ListMonitors(pb.ListMonitorsRequest())
    assert len(listed.monitors) == 18


async def test_a_change_counts_from_the_next_run_on_and_survives_a_restart(
    servers: Servers,
) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor()
    changed = await update(stub, "price", "enabled", enabled=False)
    assert (changed.enabled, changed.resting_reason, changed.etag) == (False, "DISABLED", "1")
    assert outcomes(await cycle(stub, 1))["price"] == "SKIPPED"
    stub = await servers.monitor()
    assert outcomes(await cycle(stub, 2))["price"] == "SKIPPED"
    (run, _) = await runs_of(stub, "price")
    assert run.error == "DISABLED"
    assert (
        await stub.RunMonitor(pb.RunMonitorRequest(name="price"))
    ).status == pb.RUN_STATUS_SKIPPED
    forced = await stub.RunMonitor(pb.RunMonitorRequest(name="price", force=True))
    assert forced.status == pb.RUN_STATUS_SUCCESS
    back = await update(stub, "price", "enabled", enabled=True)
    assert back.enabled
    assert outcomes(await cycle(stub, 3))["price"] == "SUCCESS"


async def test_a_longer_interval_makes_a_monitor_of_the_cycle_fresh_in_between(
    servers: Servers,
) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor()
    await update(stub, "price", interval=Duration(seconds=120))
    said = []
    for number in range(1, 6):
        said.append(outcomes(await cycle(stub, number))["price"])
        servers.clock.advance(59.5)
    assert said == ["SUCCESS", "SKIPPED", "SUCCESS", "SKIPPED", "SUCCESS"]
    (_, run, *_) = await runs_of(stub, "price")
    assert run.error.startswith("FRESH")
    # A masked field that is not set goes back to the monitor's own.
    assert (await update(stub, "price", "interval")).interval.seconds == 60


async def test_two_who_change_at_once_do_not_lose_each_others_change(servers: Servers) -> None:
    stub = await servers.monitor()
    first = await get(stub, "risk")
    await update(stub, "risk", threshold_percent=30.0, etag=first.etag)
    with pytest.raises(Conflict) as refused:
        await update(stub, "risk", threshold_percent=40.0, etag=first.etag)
    assert refused.value.reason == "ETAG_MISMATCH"
    assert (await get(stub, "risk")).threshold_percent == 30.0


@pytest.mark.parametrize(
    ("name", "paths", "fields", "reason"),
    [
        ("profit", ["threshold_percent"], {"threshold_percent": 5.0}, "INVALID_FIELD"),
        ("price", ["interval"], {"interval": Duration(seconds=1)}, "INVALID_FIELD"),
        ("price", ["interval"], {"interval": Duration(seconds=86_400 * 30)}, "INVALID_FIELD"),
        ("price", ["snooze"], {"snooze": Duration(seconds=-1)}, "INVALID_FIELD"),
        ("price", ["health"], {}, "UNKNOWN_FIELD"),
        ("risk", [], {"threshold_percent": -1.0}, "INVALID_FIELD"),
    ],
)
async def test_a_setting_that_makes_no_sense_is_refused_by_name(
    servers: Servers, name: str, paths: list[str], fields, reason: str
) -> None:
    stub = await servers.monitor()
    with pytest.raises(InvalidArgument) as refused:
        await update(stub, name, *paths, **fields)
    assert refused.value.reason == reason
    assert (await get(stub, name)).etag == "0"


async def test_channels_are_those_xcom_knows_and_level_and_channels_count_for_the_notice(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)
    with pytest.raises(InvalidArgument) as refused:
        await update(stub, "price", channels=["pigeon"])
    assert refused.value.reason == "UNKNOWN_NAME"
    changed = await update(stub, "price", channels=["LOG"], notification_level=pb.LEVEL_HIGH)
    assert list(changed.channels) == ["log"]
    await servers.prices()
    servers.clock.advance(3600)
    await cycle(stub)
    (message,) = await until(servers.messages)
    assert (message.level, message.channels_reason) == (3, "EXPLICIT")


async def test_a_channel_that_was_taken_unseen_and_is_unknown_does_not_keep_the_notice_back(
    servers: Servers,
) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor(xcom_address="127.0.0.1:1", **QUIET)
    await update(stub, "price", channels=["pigeon"])
    stub = await servers.monitor(**QUIET)
    servers.clock.advance(3600)
    await cycle(stub)
    assert len(await until(servers.messages)) == 1


async def test_a_monitor_that_tells_nobody_still_keeps_its_ledger_and_badge(
    servers: Servers,
) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor(**QUIET)
    await update(stub, "price", notification_level=pb.LEVEL_NORMAL)
    servers.clock.advance(3600)
    assert outcomes(await cycle(stub))["price"] == "BREACH"
    assert "price_badge" in await badges_of(stub)
    assert (await stub.GetStatus(pb.GetStatusRequest())).waiting_count == 0
    assert await servers.messages() == []


async def test_a_snooze_ends_by_itself_survives_a_restart_and_can_be_ended(
    servers: Servers,
) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor()
    snoozed = await stub.SnoozeMonitor(
        pb.SnoozeMonitorRequest(name="price", duration=Duration(seconds=90))
    )
    assert snoozed.resting_reason == "SNOOZED"
    stub = await servers.monitor()
    assert outcomes(await cycle(stub, 1))["price"] == "SKIPPED"
    (run,) = await runs_of(stub, "price")
    assert run.error == "SNOOZED: until 2026-11-21 03:01:30 UTC"
    servers.clock.advance(91)
    assert outcomes(await cycle(stub, 2))["price"] == "SUCCESS"
    hour = await stub.SnoozeMonitor(pb.SnoozeMonitorRequest(name="price"))
    assert hour.snoozed_until_time.ToDatetime().hour == 4
    awake = await stub.SnoozeMonitor(pb.SnoozeMonitorRequest(name="price", duration=Duration()))
    assert awake.resting_reason == ""


@pytest.mark.slow
async def test_a_snooze_of_a_clock_that_was_ahead_does_not_stand_when_it_is_set_right(
    servers: Servers,
) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor()
    right = servers.clock.now()
    servers.clock.set_time(right + timedelta(days=2))
    hour = await stub.SnoozeMonitor(pb.SnoozeMonitorRequest(name="price"))
    assert hour.resting_reason == "SNOOZED"
    servers.clock.set_time(right)
    shown = await get(stub, "price")
    assert (shown.resting_reason, shown.HasField("snoozed_until_time")) == ("", False)
    assert outcomes(await cycle(stub, 1))["price"] == "SUCCESS"


async def test_a_monitor_that_rests_after_a_breach_does_so_over_a_restart(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor()
    await update(stub, "risk", snooze=Duration(seconds=100))
    servers.judge(judged("HEAT_INDEX", "HIGH", 80.0))
    assert outcomes(await cycle(stub, 1))["risk"] == "BREACH"
    stub = await servers.monitor()
    servers.clock.advance(60)
    assert outcomes(await cycle(stub, 2))["risk"] == "SKIPPED"
    servers.clock.advance(60)
    assert outcomes(await cycle(stub, 3))["risk"] == "BREACH"


async def test_the_environment_wins_over_what_was_chosen_and_is_shown_as_the_reason(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor()
    await update(stub, "liquidation", threshold_percent=1.0)
    servers.judge(judged("LIQUIDATION_DISTANCE", "NORMAL", 12.0))
    assert outcomes(await cycle(stub, 1))["liquidation"] == "SUCCESS"
    stub = await servers.monitor(
        liq_mon_threshold_percent=15.0, price_mon_enabled=False, risk_mon_interval_seconds=300
    )
    shown = await get(stub, "liquidation")
    assert shown.threshold_percent == 15.0
    assert dict(shown.environment) == {"threshold_percent": "LIQ_MON_THRESHOLD_PERCENT"}
    await update(stub, "liquidation", threshold_percent=2.0)
    answer = outcomes(await cycle(stub, 2))
    assert (answer["liquidation"], answer["price"], answer["risk"]) == (
        "BREACH",
        "SKIPPED",
        "SKIPPED",
    )
    assert (await badges_of(stub))["liquidation_badge"].level == "LOW"
    (run, _) = await runs_of(stub, "liquidation")
    assert "LIQ_MON_THRESHOLD_PERCENT" in run.metadata_json
    (run, _) = await runs_of(stub, "price")
    assert run.error == "DISABLED: PRICE_MON_ENABLED says so"
    stub = await servers.monitor()
    assert (await get(stub, "liquidation")).threshold_percent == 2.0


async def test_a_dismissed_badge_stays_hidden_until_its_level_rises_or_its_cause_comes_back(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)
    with pytest.raises(NotFound) as missing:
        await stub.DismissBadge(pb.DismissBadgeRequest(name="risk_badge"))
    assert missing.value.reason == "BADGE_NOT_FOUND"

    async def seen(number: int, *metrics) -> tuple[bool, str]:
        servers.judge(*metrics)
        await cycle(stub, number)
        everything = await badges_of(stub, include_dismissed=True)
        shown = "risk_badge" in await badges_of(stub)
        return shown, everything["risk_badge"].value if "risk_badge" in everything else ""

    assert await seen(1, judged("HEAT_INDEX", "MEDIUM", 41.0)) == (True, "SOL 41.0")
    assert (await stub.DismissBadge(pb.DismissBadgeRequest(name="risk_badge"))).dismissed
    stub = await servers.monitor(**QUIET)
    assert await seen(2, judged("HEAT_INDEX", "MEDIUM", 43.0)) == (False, "SOL 43.0")
    assert await seen(3, judged("HEAT_INDEX", "HIGH", 60.0)) == (True, "SOL 60.0")
    await stub.DismissBadge(pb.DismissBadgeRequest(name="risk_badge"))
    assert (await stub.GetStatus(pb.GetStatusRequest())).level == "NORMAL"
    assert await seen(4) == (False, "")
    assert await seen(5, judged("HEAT_INDEX", "LOW", 31.0)) == (True, "SOL 31.0")


async def test_another_positions_danger_shows_at_once_and_the_dismissed_one_stays_hidden(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)

    async def seen(number: int, *raised: tuple[str, float, str]) -> tuple[str, str, str] | None:
        servers.judge(heats(*raised))
        await cycle(stub, number)
        badge = (await badges_of(stub)).get("risk_badge")
        return None if badge is None else (badge.subject, badge.value, badge.level)

    first, second = ("one", 60.0, "HIGH"), ("two", 55.0, "HIGH")
    assert await seen(1, first, second) == ("one", "SOL 60.0", "HIGH")
    shown = await stub.DismissBadge(pb.DismissBadgeRequest(name="risk_badge"))
    assert (shown.subject, shown.value, shown.dismissed) == ("two", "SOL 55.0", False)
    # Both are of one asset: it is the position that counts, also on another screen and after a
    # restart.
    stub = await servers.monitor(**QUIET)
    assert await seen(2, first, second) == ("two", "SOL 55.0", "HIGH")
    hidden = await stub.DismissBadge(pb.DismissBadgeRequest(name="risk_badge", subject="two"))
    assert hidden.dismissed
    assert await seen(3, ("one", 61.0, "HIGH"), second) is None
    assert (await stub.GetStatus(pb.GetStatusRequest())).level == "NORMAL"
    third = ("three", 31.0, "LOW")
    assert await seen(4, first, second, third) == ("three", "SOL 31.0", "LOW")
    await stub.DismissBadge(pb.DismissBadgeRequest(name="risk_badge"))
    # A worse value of the same level, and a worse level.
    assert await seen(5, ("one", 64.0, "HIGH"), second, third) == ("one", "SOL 64.0", "HIGH")
    assert await seen(6, first, second, ("three", 41.0, "MEDIUM")) == (
        "three",
        "SOL 41.0",
        "MEDIUM",
    )
    # A level that fell and rises again is news; so is a position that was gone.
    assert await seen(7, ("one", 40.0, "MEDIUM"), third) is None
    assert await seen(8, first, second, third) == ("one", "SOL 60.0", "HIGH")
    await stub.DismissBadge(pb.DismissBadgeRequest(name="risk_badge", subject="one"))
    assert await seen(9, first, second, third) == ("two", "SOL 55.0", "HIGH")
    with pytest.raises(NotFound):
        await stub.DismissBadge(pb.DismissBadgeRequest(name="risk_badge", subject="nobody"))


async def test_a_dismissal_does_not_hide_what_got_worse_since_it_was_seen(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)
    servers.judge(heats(("one", 60.0, "HIGH")))
    await cycle(stub, 1)
    request = pb.DismissBadgeRequest(name="risk_badge", subject="one", level=pb.LEVEL_MEDIUM)
    assert not (await stub.DismissBadge(request)).dismissed


async def test_of_a_list_only_what_was_shown_is_dismissed(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)

    async def seen(number: int, **qualities: str) -> str | None:
        prices = [
            pb.PriceReading(asset=asset, quality=quality) for asset, quality in qualities.items()
        ]
        await cycle(stub, number, prices=pb.PricesReading(prices=prices))
        badge = (await badges_of(stub)).get("price_badge")
        return None if badge is None else badge.value

    assert await seen(1, BTC="GOOD", SPX="STALE") == "SPX stale"
    await stub.DismissBadge(pb.DismissBadgeRequest(name="price_badge"))
    assert await seen(2, BTC="GOOD", SPX="STALE") is None
    assert await seen(3, BTC="STALE", SPX="STALE") == "BTC stale"


async def test_the_badges_of_a_monitor_that_is_gone_or_turned_off_go_too(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)
    servers.judge(heats(("one", 60.0, "HIGH")))
    await cycle(stub, 1)
    await servers.execute(
        "insert into badge (name, value, level, badge_time, monitor, stale)"
        " values ('old_badge', 'x', 4, now(), 'uninstalled', false)"
    )
    await servers.execute(
        "insert into incident (monitor, id, since_time) values ('uninstalled', 'i', now())"
    )
    assert "old_badge" not in await badges_of(stub)
    stub = await servers.monitor(**QUIET)
    await cycle(stub, 2)
    assert set(await badges_of(stub)) == {"risk_badge"}
    assert await servers.value("select count(*) from badge where name = 'old_badge'") == 0
    assert await servers.value("select count(*) from incident") == 0
    change = pb.Monitor(name="risk", enabled=False)
    await stub.UpdateMonitor(
        pb.UpdateMonitorRequest(monitor=change, update_mask=FieldMask(paths=["enabled"]))
    )
    await cycle(stub, 3)
    assert await badges_of(stub) == {}


async def test_the_status_counts_health_and_says_when_a_cycle_last_called(servers: Servers) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor(**QUIET)
    empty = await stub.GetStatus(pb.GetStatusRequest())
    assert (empty.health, empty.resting_count, empty.HasField("last_cycle_time")) == (
        pb.HEALTH_OFFLINE,
        4,
        False,
    )
    servers.judge(judged("HEAT_INDEX", "HIGH", 60.0))
    await cycle(stub)
    servers.clock.advance(4)
    status = await stub.GetStatus(pb.GetStatusRequest())
    assert (status.healthy_count, status.warning_count, status.level) == (5, 1, "HIGH")
    assert status.last_cycle_age.ToTimedelta() == timedelta(seconds=4)
