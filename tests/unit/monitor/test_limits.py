"""Tables of what monitors say at the edges of their limits, and of whose setting counts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from services.monitor.checks import (
    AnswerReading,
    ChannelReading,
    Check,
    CheckContext,
    JudgedReading,
    PastPrice,
    PriceReading,
    SubjectReading,
)
from services.monitor.checks.heartbeat import HeartbeatCheck
from services.monitor.checks.liquidation import LiquidationCheck
from services.monitor.checks.market import (
    Market,
    blast_radius_percent,
    breaches_of,
    encroachment_percent,
    move_percent,
    survey,
)
from services.monitor.checks.operations import OperationsCheck
from services.monitor.checks.price import PriceCheck
from services.monitor.checks.risk import RiskCheck
from services.monitor.checks.xcom import XComCheck
from services.monitor.domain.findings import Level, Run, RunStatus
from services.monitor.domain.incidents import NotificationSettings
from services.monitor.domain.settings import (
    Chosen,
    Defaults,
    Override,
    Setting,
    effective,
    prefixes,
    resting_reason,
)
from services.monitor.domain.states import Heartbeat

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@dataclass
class Given:
    """Readings that are given; `pings` is what a channel answers."""

    asked_prices: tuple[PriceReading, ...] = ()
    asked_judged: tuple[JudgedReading, ...] = ()
    asked_services: tuple[AnswerReading, ...] = ()
    asked_channels: tuple[ChannelReading, ...] = ()
    pings: dict[str, str] = field(default_factory=dict)
    pinged: list[str] = field(default_factory=list)

    def __getattr__(self, name: str):
        if f"asked_{name}" not in self.__dict__:
            raise AttributeError(name)

        async def asked():
            return getattr(self, f"asked_{name}")

        return asked

    async def hosts(self) -> tuple[AnswerReading, ...]:
        return ()

    async def ping(self, channel: str) -> str:
        self.pinged.append(channel)
        return self.pings.get(channel, "")


def look(given: Given, **fields) -> CheckContext:
    return CheckContext(given, NOW, **fields)


def last(metadata: dict[str, object], status: RunStatus = RunStatus.BREACH) -> Run:
    return Run("any", NOW - MINUTE, 0.1, status, metadata, "")


def past(*rows: tuple[float, float]) -> list[PastPrice]:
    """(hours ago, USD), oldest first."""
    return [PastPrice(NOW - hours * HOUR, usd) for hours, usd in rows]


@pytest.mark.parametrize(
    ("rows", "hours", "expected"),
    [
        ([(1, 100.0)], 1, 2.0),
        ([(1.5, 100.0), (0.9, 50.0)], 1, 2.0),
        ([(3.1, 100.0)], 1, None),
        ([(0.5, 100.0)], 1, None),
        ([], 24, None),
        ([(24, 204.0)], 24, -50.0),
    ],
)
def test_a_move_is_measured_from_the_last_price_before_and_is_absent_without_one(
    rows: list[tuple[float, float]], hours: int, expected: float | None
) -> None:
    assert move_percent(102.0, past(*rows), NOW - hours * HOUR) == expected


@pytest.mark.parametrize(
    ("radius", "distance", "expected"),
    [
        (10.0, 5.0, 50.0),
        (10.0, 10.0, 0.0),
        (10.0, 25.0, 0.0),
        (10.0, 0.0, 100.0),
        (10.0, -3.0, 100.0),
        (0.0, 5.0, None),
        (None, 5.0, None),
        (10.0, None, None),
    ],
)
def test_encroachment_is_the_share_of_a_days_range_beyond_the_liquidation(
    radius: float | None, distance: float | None, expected: float | None
) -> None:
    assert encroachment_percent(radius, distance) == expected


def test_the_blast_radius_is_of_a_day_and_counts_the_present_price() -> None:
    assert blast_radius_percent([100.0, 110.0]) == pytest.approx(10.0)
    market = survey(
        PriceReading("BTC", "GOOD", 120.0, 1.0), past((25, 50.0), (20, 100.0)), 10.0, NOW
    )
    assert market.blast_radius_percent == pytest.approx(20.0)
    assert market.encroachment_percent == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("move", "before", "expected"),
    [
        (2.0, {}, True),
        (-2.0, {}, True),
        (1.99, {}, False),
        (1.61, {"BTC 1 h": ""}, True),
        (1.59, {"BTC 1 h": ""}, False),
    ],
)
def test_a_move_is_a_breach_at_its_limit_and_stays_one_until_it_is_well_under_it(
    move: float, before: dict[str, object], expected: bool
) -> None:
    market = Market({1: move, 6: None, 24: 4.9}, 3.0, 49.9)
    assert bool(breaches_of("BTC", market, 50.0, before)) is expected


@pytest.mark.parametrize(
    ("value", "level", "threshold", "expected"),
    [
        (6.0, Level.MEDIUM, None, Level.MEDIUM),
        (6.0, Level.MEDIUM, 5.0, None),
        (6.0, Level.MEDIUM, 6.0, Level.MEDIUM),
        (6.0, Level.NORMAL, 6.0, Level.LOW),
        (None, Level.HIGH, 6.0, Level.HIGH),
    ],
)
async def test_a_threshold_moves_where_liquidation_is_shown_and_never_hides_what_is_not_known(
    value: float | None, level: Level, threshold: float | None, expected: Level | None
) -> None:
    nearest = {} if value is None else {"SOL": value}
    reading = JudgedReading("LIQUIDATION_DISTANCE", "POSITION", level, value, "SOL", 1, 0, nearest)
    found = await LiquidationCheck().run(
        look(Given(asked_judged=(reading,)), threshold_percent=threshold)
    )
    badge = found.badges["liquidation_badge"]
    assert (badge.level if badge else None) == expected
    assert found.concern == ""


@pytest.mark.parametrize(
    ("value", "threshold", "shown"),
    [(-30.0, 30.0, True), (-29.9, 30.0, False), (5.0, 0.0, False), (-1.0, None, True)],
)
async def test_a_threshold_of_risk_is_travel_lost(
    value: float, threshold: float | None, shown: bool
) -> None:
    reading = JudgedReading("TRAVEL_PERCENT", "POSITION", Level.MEDIUM, value, "SOL", 1, 0, {})
    found = await RiskCheck().run(look(Given(asked_judged=(reading,)), threshold_percent=threshold))
    assert (found.badges["travel_risk_badge"] is not None) is shown


@pytest.mark.parametrize(
    ("check", "kind", "value", "name"),
    [
        (LiquidationCheck(), "LIQUIDATION_DISTANCE", 50.0, "liquidation_badge"),
        (RiskCheck(), "TRAVEL_PERCENT", -1.0, "travel_risk_badge"),
    ],
)
async def test_a_threshold_hides_no_level_that_is_held_without_a_value_beside_others_that_have_one(
    check: Check, kind: str, value: float, name: str
) -> None:
    unread = SubjectReading("p1", "BTC", Level.HIGH, None, True)
    reading = JudgedReading(
        kind, "POSITION", Level.HIGH, value, "SOL", 2, 1, {"SOL": value}, (unread,)
    )
    found = await check.run(look(Given(asked_judged=(reading,)), threshold_percent=5.0))
    badge = found.badges[name]
    assert badge is not None and (badge.level, badge.stale) == (Level.HIGH, True)
    assert "?" in badge.value and [part.value for part in badge.parts] == ["BTC ?"]


@pytest.mark.parametrize(
    ("threshold", "status"),
    [(None, RunStatus.BREACH), (50.0, RunStatus.SUCCESS), (49.9, RunStatus.BREACH)],
)
async def test_a_share_of_bad_prices_up_to_the_threshold_is_borne(
    threshold: float | None, status: RunStatus
) -> None:
    prices = (PriceReading("BTC", "STALE", 1.0, 1.0), PriceReading("ETH", "GOOD", 1.0, 1.0))
    found = await PriceCheck().run(look(Given(asked_prices=prices), threshold_percent=threshold))
    assert found.status is status


@pytest.mark.parametrize(
    ("before", "is_sent"),
    [({}, False), ({"down": {"price": ""}}, True), ({"down": {"xcom": ""}}, False)],
)
async def test_a_service_is_told_when_it_is_down_twice_in_a_row(
    before: dict[str, object], is_sent: bool
) -> None:
    given = Given(
        asked_services=(AnswerReading("price", 0.1, "not serving"), AnswerReading("xcom", 0.1))
    )
    found = await OperationsCheck().run(look(given, last=last(before)))
    assert found.status is RunStatus.BREACH
    assert (bool(found.concern), found.level) == (is_sent, Level.HIGH)


@pytest.mark.parametrize(
    ("silent_seconds", "up_seconds", "interval", "status", "word"),
    [
        (180, 9999, None, RunStatus.SUCCESS, ""),
        (181, 9999, None, RunStatus.BREACH, ""),
        (181, 180, None, RunStatus.SKIPPED, "STARTING"),
        (None, 180, None, RunStatus.SKIPPED, "STARTING"),
        (None, 181, None, RunStatus.BREACH, ""),
        (3000, 9999, HOUR, RunStatus.SUCCESS, ""),
        (-50, 9999, None, RunStatus.SUCCESS, ""),
        # Noted by a clock that was ahead: nobody knows when.
        (-7200, 180, None, RunStatus.SKIPPED, "STARTING"),
        (-7200, 181, None, RunStatus.BREACH, ""),
    ],
)
async def test_cyclone_is_silent_after_three_intervals_but_not_while_the_system_starts(
    silent_seconds: float | None,
    up_seconds: float,
    interval: timedelta | None,
    status: RunStatus,
    word: str,
) -> None:
    call_time = None if silent_seconds is None else NOW - timedelta(seconds=silent_seconds)
    given = look(
        Given(),
        threshold_percent=300.0,
        beat=Heartbeat(call_time, interval),
        start_time=NOW - timedelta(seconds=up_seconds),
    )
    found = await HeartbeatCheck().run(given)
    assert (found.status, found.error.partition(":")[0]) == (status, word)
    assert bool(found.concern) == (status is RunStatus.BREACH)


def channel(verified_hours: float | None, sent_hours: float | None = None) -> ChannelReading:
    times = [
        None if hours is None else NOW - hours * HOUR for hours in (sent_hours, verified_hours)
    ]
    return ChannelReading("email", *times)


@pytest.mark.parametrize(
    ("reading", "seen_hours", "answer", "pinged", "concern"),
    [
        (channel(23), 99, "", False, False),
        (channel(24), 99, "", True, False),
        (channel(27), 99, "", True, False),
        (channel(27), 99, "554 no", True, True),
        (channel(25), 99, "554 no", True, False),
        (channel(27, sent_hours=1), 99, "554 no", True, False),
        (channel(None), 0, "", False, False),
        (channel(None), 1, "", True, False),
        (channel(None), 27, "554 no", True, True),
        # Of a clock that was ahead and was set right.
        (channel(-99), 99, "", True, False),
        (channel(-99), 99, "554 no", True, True),
        (channel(-99, sent_hours=1), 99, "554 no", True, False),
        (channel(None), -99, "", False, False),
    ],
)
async def test_a_channel_is_pinged_after_a_day_and_unproven_after_26_hours(
    reading: ChannelReading, seen_hours: float, answer: str, pinged: bool, concern: bool
) -> None:
    given = Given(
        asked_channels=(reading, ChannelReading("log", NOW, NOW)), pings={"email": answer}
    )
    seen = {"first_seen": {"email": (NOW - seen_hours * HOUR).isoformat(), "log": NOW.isoformat()}}
    found = await XComCheck().run(look(given, last=last(seen)))
    assert (given.pinged == ["email"]) is pinged
    assert bool(found.concern) is concern
    assert found.channels == (("log",) if concern else ())


def setting(**fields) -> Setting:
    return effective(Defaults(MINUTE, 50.0, takes_threshold=True), Chosen(**fields), {})


def test_the_environment_wins_over_the_choice_and_that_over_the_monitors_own() -> None:
    assert setting().threshold_percent == 50.0
    assert setting(threshold_percent=0.0).threshold_percent == 0.0
    decided = effective(
        Defaults(MINUTE), Chosen(enabled=True), {"enabled": Override(False, "PRICE_MON_ENABLED")}
    )
    assert (decided.enabled, decided.environment) == (False, {"enabled": "PRICE_MON_ENABLED"})
    assert decided.notification == NotificationSettings()


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({}, RunStatus.BREACH, ""),
        ({"enabled": False, "snooze_seconds": 600.0}, RunStatus.BREACH, "DISABLED"),
        ({"snooze_seconds": 61.0}, RunStatus.BREACH, "SNOOZED"),
        ({"snooze_seconds": 60.0}, RunStatus.BREACH, ""),
        ({"snooze_seconds": 600.0}, RunStatus.SUCCESS, ""),
        ({"snoozed_until_time": NOW + MINUTE}, RunStatus.SUCCESS, "SNOOZED"),
        ({"snoozed_until_time": NOW}, RunStatus.SUCCESS, ""),
        # Chosen by a clock that was ahead: noted, and by a release that did not note it.
        (
            {"snoozed_until_time": NOW + 2 * HOUR, "snoozed_time": NOW + HOUR},
            RunStatus.SUCCESS,
            "",
        ),
        ({"snoozed_until_time": NOW + 31 * 24 * HOUR}, RunStatus.SUCCESS, ""),
    ],
)
def test_who_rests_says_why(fields: dict[str, object], status: RunStatus, word: str) -> None:
    assert resting_reason(setting(**fields), last({}, status), NOW).partition(":")[0] == word


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("liquidation", ("liq_mon", "liquidation_mon")),
        ("xcom", ("xcom_mon",)),
        ("moon-phase", ("moon_phase_mon",)),
    ],
)
def test_one_scheme_names_the_variables_of_every_monitor(
    name: str, expected: tuple[str, ...]
) -> None:
    assert prefixes(name) == expected


def test_a_breach_of_a_clock_that_was_ahead_snoozes_nothing() -> None:
    ahead = replace(last({}), started_time=NOW + HOUR)
    assert not resting_reason(setting(snooze_seconds=600.0), ahead, NOW)
    beside = replace(last({}), started_time=NOW + timedelta(seconds=5))
    assert resting_reason(setting(snooze_seconds=600.0), beside, NOW), "the clock of a replica"


async def test_a_channel_seen_by_a_clock_that_was_ahead_is_seen_from_now_on() -> None:
    given = Given(asked_channels=(channel(None),))
    ahead = last({"first_seen": {"email": (NOW + 99 * HOUR).isoformat()}})
    found = await XComCheck().run(look(given, last=ahead))
    assert found.metadata["first_seen"] == {"email": NOW.isoformat()}
