"""When an incident of a monitor begins, who joins it, when it ends, and what of it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.domain.findings import Finding, Level, RunStatus
from services.monitor.domain.incidents import Incident, NotificationSettings, follow

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def finding(status: RunStatus, concern: str = "") -> Finding:
    return Finding(status, concern=concern)


def test_a_concern_is_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    begins = follow("price", None, finding(RunStatus.BREACH, "BTC stale"), "i1", NOW)
    assert begins.reason == "OPENED"
    assert begins.notification is not None
    assert (begins.notification.id, begins.notification.level) == ("i1-begin", Level.MEDIUM)
    goes_on = follow(
        "price", begins.after, finding(RunStatus.BREACH, "BTC stale, ETH stale"), "i2", NOW
    )
    assert goes_on.notification is None
    ends = follow("price", goes_on.after, finding(RunStatus.SUCCESS), "i3", NOW)
    assert (ends.reason, ends.after) == ("CLOSED", None)
    assert ends.notification is not None
    assert (ends.notification.id, ends.notification.level) == ("i1-end", Level.LOW)


def of(*names: str) -> Finding:
    """A breach of these members; none: all is well."""
    members = {name: f"{name} stale" for name in names}
    status = RunStatus.BREACH if names else RunStatus.SUCCESS
    return Finding(status, concern=", ".join(members.values()), members=members)


def test_who_joins_is_an_incident_of_its_own_that_the_end_ends_too() -> None:
    told, incident = [], None
    for number, names in enumerate(("SPX", "SPX BTC", "SPX BTC ETH", "")):
        change = follow("price", incident, of(*names.split()), f"i{number}", NOW)
        incident = change.after
        told += [change.notification] if change.notification else []
    assert [one.keys for one in told] == [("i0",), ("i1",), ("i2",), ("i0", "i1", "i2")]
    assert [one.ends_incident for one in told] == [False, False, False, True]


def test_of_many_that_join_the_last_are_kept_as_many_as_one_message_ends() -> None:
    incident = follow("price", None, of("SPX"), "i", NOW).after
    for number in range(1200):
        change = follow("price", incident, of("SPX", f"A{number}"), f"i{number}", NOW)
        incident = change.after
    end = follow("price", incident, of(), "over", NOW).notification
    assert end is not None and end.incident_key == "i"
    assert end.ended_incident_keys == tuple(f"i{number}" for number in range(300, 1200))


def test_who_joined_and_is_well_for_long_is_over_while_others_are_not() -> None:
    told, incident = [], None
    for minutes, names in ((0, "SPX"), (60, "SPX BTC"), (63, "SPX"), (77, "SPX"), (78, "SPX")):
        moment = NOW + timedelta(minutes=minutes)
        change = follow("price", incident, of(*names.split()), f"i{minutes}", moment)
        incident = change.after
        told += [change.notification] if change.notification else []
    assert [(one.id, one.keys, one.ends_incident) for one in told] == [
        ("i0-begin", ("i0",), False),
        ("i60-joined", ("i60",), False),
        ("i60-over", ("i60",), True),
    ]
    assert told[-1].subject == "price monitor: well again, while others are not: BTC"
    end = follow("price", incident, of(), "i99", NOW + timedelta(minutes=99)).notification
    assert end is not None and end.keys == ("i0",)


def test_the_first_is_over_too_and_comes_back_under_a_key_of_its_own() -> None:
    told, incident = [], None
    for minutes, names in ((0, "SPX"), (1, "SPX BTC"), (2, "BTC"), (20, "BTC"), (30, "BTC SPX")):
        moment = NOW + timedelta(minutes=minutes)
        change = follow("price", incident, of(*names.split()), f"i{minutes}", moment)
        incident = change.after
        told += [change.notification] if change.notification else []
    assert [one.id for one in told] == ["i0-begin", "i1-joined", "i0-over", "i30-joined"]
    end = follow("price", incident, of(), "i99", NOW + timedelta(minutes=99)).notification
    assert end is not None and end.keys == ("i1", "i30")


def test_of_those_that_nobody_heard_of_nobody_hears_the_end() -> None:
    silent = NotificationSettings(Level.NORMAL)
    incident, told = None, []
    for minutes, names in ((0, "SPX"), (1, "SPX BTC"), (2, "SPX"), (20, "SPX"), (40, "")):
        moment = NOW + timedelta(minutes=minutes)
        change = follow("price", incident, of(*names.split()), f"i{minutes}", moment, silent)
        incident = change.after
        told += [change.notification] if change.notification else []
    assert told == []


def test_who_joins_a_breach_is_told_once_and_the_end_names_who_recovered() -> None:
    told, incident = [], None
    for number, found in enumerate(
        (of("SPX"), of("SPX"), of("SPX", "BTC", "ETH"), of("BTC", "ETH"), of("BTC", "ETH"), of())
    ):
        change = follow("price", incident, found, f"i{number}", NOW)
        incident = change.after
        told += (
            []
            if change.notification is None
            else [(change.notification.id, change.notification.subject)]
        )
    assert told == [
        ("i0-begin", "price monitor: SPX stale"),
        ("i2-joined", "price monitor: now also BTC stale, ETH stale"),
        ("i0-end", "price monitor: all is well again: BTC, ETH, SPX"),
    ]


@pytest.mark.parametrize(("well_minutes", "told_count"), [(1, 1), (14, 1), (15, 2), (60, 2)])
def test_a_member_that_flaps_is_told_once_and_one_that_was_well_for_long_again(
    well_minutes: int, told_count: int
) -> None:
    incident = follow("price", None, of("SPX"), "i0", NOW).after
    joined = 0
    moment = NOW
    for names in (("SPX", "BTC"), ("SPX",), ("SPX", "BTC")):
        change = follow("price", incident, of(*names), "i1", moment)
        incident = change.after
        joined += change.notification is not None
        moment += timedelta(minutes=well_minutes)
    assert joined == told_count


def test_a_breach_that_has_no_concern_yet_neither_opens_nor_closes() -> None:
    look = Finding(RunStatus.BREACH)
    assert follow("operations", None, look, "i1", NOW).after is None
    assert follow("operations", Incident("i0"), look, "i1", NOW).after == Incident("i0")


@given(st.lists(st.sets(st.sampled_from("abcd")), max_size=20))
def test_within_a_quarter_of_an_hour_each_member_is_told_at_most_once_an_incident(
    looks: list[set[str]],
) -> None:
    incident, told = None, 0
    for number, names in enumerate(looks):
        change = follow("price", incident, of(*names), f"i{number}", NOW)
        if change.reason == "OPENED":
            told = 0
        told += change.notification is not None and change.reason != "CLOSED"
        incident = change.after
        assert told <= 4
        assert (incident is not None) is bool(names)


@pytest.mark.parametrize("status", [RunStatus.ERROR, RunStatus.SKIPPED])
@pytest.mark.parametrize("incident", [None, Incident("i1")])
def test_a_check_that_did_not_look_neither_opens_nor_closes_an_incident(
    status: RunStatus, incident: Incident | None
) -> None:
    change = follow("price", incident, finding(status), "i2", NOW)
    assert (change.changed, change.after, change.notification) == (False, incident, None)


@pytest.mark.parametrize(
    ("settings", "usable", "expected"),
    [
        (NotificationSettings(), (), (Level.MEDIUM, ())),
        (NotificationSettings(Level.HIGH, ("email",)), (), (Level.HIGH, ("email",))),
        (NotificationSettings(None, ("email", "sms")), ("sms", "log"), (Level.MEDIUM, ("sms",))),
        (NotificationSettings(None, ("email",)), ("sms", "log"), (Level.MEDIUM, ("sms", "log"))),
    ],
)
def test_a_notice_goes_where_people_chose_as_far_as_that_can_be_used(
    settings: NotificationSettings,
    usable: tuple[str, ...],
    expected: tuple[Level, tuple[str, ...]],
) -> None:
    found = Finding(RunStatus.BREACH, concern="email is silent", channels=usable)
    notification = follow("xcom", None, found, "i1", NOW, settings).notification
    assert notification is not None
    assert (notification.level, notification.channels) == expected


def test_a_concern_that_nobody_wants_to_hear_is_still_an_incident() -> None:
    silent = NotificationSettings(Level.NORMAL)
    change = follow("price", None, finding(RunStatus.BREACH, "BTC stale"), "i1", NOW, silent)
    assert (change.reason, change.notification) == ("OPENED", None)


def test_who_was_well_by_a_clock_that_was_ahead_is_told_when_it_fails_again() -> None:
    incident = follow("price", None, of("SPX", "BTC"), "i0", NOW).after
    ahead = NOW + timedelta(hours=3)
    incident = follow("price", incident, of("SPX"), "i1", ahead).after
    change = follow("price", incident, of("SPX", "BTC"), "i2", NOW)
    assert change.notification is not None and change.notification.id == "i2-joined"
    # Or it is well since the clock is right.
    change = follow("price", incident, of("SPX"), "i2", NOW)
    assert change.after is not None and change.after.members["BTC"] == NOW and change.changed
