"""Before sleep: each part alone turns the answer, what is not known is never GREEN, the same facts
give the same answer.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.sleep.domain.facts import (
    CycleHealth,
    Facts,
    HeldPosition,
    NotifyChannel,
    OutsidePing,
    OwnRoute,
    Part,
    QuietHours,
    Raised,
    SilentWindow,
    WatchedWallet,
    longest_pause,
)
from services.cyclone.sleep.domain.verdicts import Verdict, is_quiet_within, reasons, verdict

NOW = datetime(2026, 11, 29, 22, tzinfo=UTC)
HOURS = 8
BTC = HeldPosition("BTC LONG in main", 12.5, 0.004, is_stale=False, id="btc")
MAIN = WatchedWallet("main", True, NOW - timedelta(seconds=30))
VOICE = NotifyChannel("voice", False, NOW - timedelta(hours=2), None)
LOG = NotifyChannel("log", False, NOW, None)
GOOD = Facts(
    positions=[BTC],
    judged_ids={"btc"},
    distance_ids={"btc"},
    wallets=[MAIN],
    evaluated_time=NOW - timedelta(seconds=20),
    channels=[VOICE],
    contact_count=2,
    cycle=CycleHealth(True, timedelta(minutes=1), NOW - timedelta(seconds=20), ""),
    heartbeat_configured=True,
    unread={},
)
ALL_DAY = QuietHours(0, 1439, "UTC")
HIGH = Raised("BTC long liquidation distance", "HIGH", False, None)
# What is wrong with one part alone, and what it makes of the answer.
FAULTS: dict[Part, tuple[dict[str, Any], Verdict]] = {
    Part.LIQUIDATION: ({"positions": [replace(BTC, distance_percent=-0.1)]}, Verdict.RED),
    Part.PROBABILITY: ({"positions": [replace(BTC, probability=0.05)]}, Verdict.AMBER),
    Part.POSITIONS: ({"unwatched": ["dex xyz, 1,000 USD"]}, Verdict.RED),
    Part.ALERTS: ({"raised": [HIGH]}, Verdict.RED),
    Part.CHANNELS: ({"channels": []}, Verdict.RED),
    Part.ESCALATION: ({"contact_count": 0}, Verdict.AMBER),
    Part.HELD: (
        {"windows": [SilentWindow("move", NOW, NOW + timedelta(hours=1), holds_high=False)]},
        Verdict.AMBER,
    ),
    Part.QUIET_HOURS: ({"channels": [replace(VOICE, quiet_hours=ALL_DAY)]}, Verdict.AMBER),
    Part.CYCLE: ({"cycle": None}, Verdict.RED),
    Part.PRICES: ({"doubtful_prices": ["SOL STALE"]}, Verdict.AMBER),
    Part.MONITORS: ({"troubled_monitors": ["disk ERROR"]}, Verdict.AMBER),
    Part.HEARTBEAT: ({"heartbeat_configured": False}, Verdict.AMBER),
}


def asked(facts: Facts, hours: float = HOURS) -> dict[Part, Verdict]:
    return {reason.part: reason.verdict for reason in reasons(facts, NOW, hours)}


def test_a_night_without_a_fault_is_green_and_every_part_says_why() -> None:
    found = reasons(GOOD, NOW, HOURS)
    assert verdict(found) is Verdict.GREEN
    assert [reason.part for reason in found] == list(Part)
    assert all(reason.message for reason in found)


@pytest.mark.parametrize("part", Part)
def test_each_part_alone_turns_the_answer(part: Part) -> None:
    change, expected = FAULTS[part]
    found = reasons(replace(GOOD, **change), NOW, HOURS)
    assert verdict(found) is expected
    assert (found[0].part, found[0].verdict) == (part, expected)
    others = {reason.part: reason.verdict for reason in found if reason.part is not part}
    assert set(others.values()) == {Verdict.GREEN}


@pytest.mark.parametrize("part", Part)
def test_what_was_not_read_is_never_green(part: Part) -> None:
    found = reasons(replace(GOOD, unread={part: "gone"}), NOW, HOURS)
    assert verdict(found) >= Verdict.AMBER
    assert found[0].part is part
    assert found[0].message == "Not known: gone"


def test_all_combinations_of_the_twelve_give_the_gravest_and_keep_its_order() -> None:
    for wrong in product((False, True), repeat=len(Part)):
        facts = GOOD
        chosen = [part for part, is_wrong in zip(Part, wrong, strict=True) if is_wrong]
        for part in chosen:
            change = FAULTS[part][0]
            if part is Part.PROBABILITY and Part.LIQUIDATION in chosen:
                change = {"positions": [replace(BTC, distance_percent=-0.1, probability=0.05)]}
            if part is Part.QUIET_HOURS and Part.CHANNELS in chosen:
                continue
            facts = replace(facts, **change)
        found = reasons(facts, NOW, HOURS)
        expected = {part: FAULTS[part][1] for part in chosen}
        if {Part.CHANNELS, Part.QUIET_HOURS} <= expected.keys():
            # Without a channel there is none whose quiet hours hold anything.
            del expected[Part.QUIET_HOURS]
        assert verdict(found) is max(expected.values(), default=Verdict.GREEN)
        assert {r.part: r.verdict for r in found if r.verdict > Verdict.GREEN} == expected
        assert list(found) == sorted(found, key=lambda one: (-one.verdict, one.part))


@pytest.mark.parametrize(
    ("change", "part", "expected", "words"),
    [
        ({"positions": []}, Part.LIQUIDATION, Verdict.GREEN, "Nothing is held"),
        ({"positions": [], "wallets": [replace(MAIN, read_time=None)]}, Part.LIQUIDATION,
         Verdict.AMBER, "not all was read"),
        ({"positions": [], "unwatched": ["main: dex xyz"]}, Part.PROBABILITY, Verdict.AMBER,
         "not all was read"),
        ({"positions": [replace(BTC, distance_percent=None)]}, Part.POSITIONS, Verdict.RED,
         "Cannot be judged: BTC LONG in main"),
        ({"positions": [replace(BTC, distance_percent=None, probability=None,
                                is_without_price=True)]},
         Part.POSITIONS, Verdict.AMBER, "No liquidation price is known"),
        ({"positions": [replace(BTC, is_stale=True)]}, Part.POSITIONS, Verdict.AMBER, "earlier"),
        ({"positions": [replace(BTC, probability=None)]}, Part.PROBABILITY, Verdict.AMBER,
         "not known"),
        ({"positions": [replace(BTC, probability=0.2)]}, Part.PROBABILITY, Verdict.RED,
         "at most 20.0%"),
        # One that is not known hides no other, nor another it.
        ({"positions": [replace(BTC, about="dust", probability=None),
                        replace(BTC, probability=0.2)]}, Part.PROBABILITY, Verdict.RED,
         "touches liquidation with at most 20.0% within 24 h. The chance of"),
        ({"positions": [replace(BTC, about="dust", probability=None),
                        replace(BTC, probability=0.001)]}, Part.PROBABILITY, Verdict.AMBER,
         "not known of dust. BTC LONG in main touches"),
        ({"last_ping": OutsidePing(NOW - timedelta(seconds=40))}, Part.HEARTBEAT, Verdict.GREEN,
         "was told 40 s ago"),
        ({"last_ping": OutsidePing(NOW - timedelta(seconds=40), "no answer (ConnectError)")},
         Part.HEARTBEAT, Verdict.AMBER, "does not hear, 40 s ago: no answer (ConnectError)"),
        ({"last_ping": None}, Part.HEARTBEAT, Verdict.GREEN, "not yet"),
        ({"raised": [replace(HIGH, level="MEDIUM")]}, Part.ALERTS, Verdict.AMBER, "MEDIUM"),
        ({"raised": [replace(HIGH, level="LOW")]}, Part.ALERTS, Verdict.GREEN, "above LOW"),
        ({"raised": [replace(HIGH, level="LOW", is_held=True, held_until=NOW)]}, Part.HELD,
         Verdict.AMBER, "until 2026-11-29 22:00"),
        ({"windows": [SilentWindow("x", NOW, NOW + timedelta(hours=1), True)]}, Part.HELD,
         Verdict.RED, "holds HIGH"),
        ({"windows": [SilentWindow("x", NOW + timedelta(hours=9), NOW + timedelta(days=1), True)]},
         Part.HELD, Verdict.GREEN, "Nothing"),
        ({"channels": [replace(VOICE, name="email")]}, Part.CHANNELS, Verdict.AMBER, "rings"),
        ({"channels": [replace(VOICE, name="log")]}, Part.CHANNELS, Verdict.RED, "nobody"),
        ({"channels": [replace(VOICE, is_failing=True)]}, Part.CHANNELS, Verdict.RED, "fails"),
        ({"channels": [replace(VOICE, proven_time=None)]}, Part.CHANNELS, Verdict.AMBER,
         "sonic channels test voice"),
        ({"channels": [replace(VOICE, proven_time=NOW - timedelta(hours=25))]}, Part.CHANNELS,
         Verdict.AMBER, "24 h"),
        ({"channels": [replace(VOICE, proven_time=NOW + timedelta(hours=1))]}, Part.CHANNELS,
         Verdict.AMBER, "24 h"),
        ({"channels": [VOICE, replace(VOICE, name="sms", quiet_hours=ALL_DAY)]},
         Part.QUIET_HOURS, Verdict.GREEN, "through the night"),
        ({"cycle": CycleHealth(False, timedelta(minutes=1), NOW, "")}, Part.CYCLE, Verdict.RED,
         "off"),
        ({"cycle": CycleHealth(True, timedelta(minutes=1), None, "")}, Part.CYCLE, Verdict.RED,
         "No cycle"),
        ({"cycle": CycleHealth(True, timedelta(minutes=1), NOW - timedelta(minutes=4), "")},
         Part.CYCLE, Verdict.RED, "4 minutes"),
        ({"cycle": CycleHealth(True, timedelta(minutes=1), NOW, "PARTIAL")}, Part.CYCLE,
         Verdict.AMBER, "PARTIAL"),
        ({"cycle": CycleHealth(True, timedelta(minutes=1), NOW, "", timedelta(minutes=3))},
         Part.CYCLE, Verdict.GREEN, "on schedule"),
        ({"cycle": CycleHealth(True, timedelta(minutes=1), NOW, "", timedelta(minutes=20))},
         Part.CYCLE, Verdict.AMBER, "In the last hour nothing was looked at for 20 minutes"),
        ({"cycle": CycleHealth(True, timedelta(hours=12), NOW, "")}, Part.CYCLE, Verdict.AMBER,
         "every 720 minutes"),
        ({"wallets": [replace(MAIN, read_time=None)]}, Part.POSITIONS, Verdict.RED,
         "Not watched: main"),
        ({"wallets": [replace(MAIN, read_time=NOW - timedelta(hours=1))]}, Part.POSITIONS,
         Verdict.RED, "Not watched: main"),
        ({"wallets": [replace(MAIN, is_complete=False)]}, Part.POSITIONS, Verdict.AMBER,
         "Not read wholly: main"),
        ({"positions": [replace(BTC, is_doubtful=True)]}, Part.POSITIONS, Verdict.AMBER,
         "doubtful"),
        ({"set_aside": ["ETH SHORT in main"]}, Part.POSITIONS, Verdict.AMBER, "Set aside"),
        ({"unknown_accounts": ["hyperliquid cross of main"]}, Part.POSITIONS, Verdict.AMBER,
         "What liquidates it is not known: hyperliquid cross of main"),
        ({"is_part": True}, Part.POSITIONS, Verdict.AMBER, "more than the 1 nearest"),
        ({"is_simulated": True}, Part.POSITIONS, Verdict.AMBER, "DEMO"),
        ({"positions": [], "wallets": []}, Part.POSITIONS, Verdict.AMBER, "No wallet"),
        ({"evaluated_time": None}, Part.ALERTS, Verdict.RED, "No alert was judged"),
        ({"evaluated_time": NOW - timedelta(hours=1)}, Part.ALERTS, Verdict.RED,
         "60 minutes ago"),
        ({"evaluated_time": NOW + timedelta(hours=1)}, Part.ALERTS, Verdict.RED, "clock"),
        ({"cycle": CycleHealth(True, timedelta(minutes=1), NOW + timedelta(hours=1), "")},
         Part.CYCLE, Verdict.RED, "clock"),
        ({"wallets": [replace(MAIN, read_time=NOW + timedelta(hours=1))]}, Part.POSITIONS,
         Verdict.RED, "Not watched: main"),
        ({"judged_ids": set(), "distance_ids": set()}, Part.ALERTS, Verdict.RED,
         "No limit judges: BTC LONG in main"),
        ({"distance_ids": set()}, Part.ALERTS, Verdict.AMBER, "distance of BTC"),
        ({"never_high": ["LIQUIDATION_DISTANCE-POSITION-BELOW"]}, Part.ALERTS, Verdict.AMBER,
         "without a HIGH"),
        ({"own_routes": [OwnRoute("BTC distance", [LOG])]}, Part.CHANNELS, Verdict.RED,
         "HIGH of BTC distance reaches nobody"),
        ({"own_routes": [OwnRoute("BTC distance", [replace(VOICE, name="email")])]},
         Part.CHANNELS, Verdict.AMBER, "HIGH of BTC distance goes to email"),
        ({"silenced": [replace(HIGH, level="NORMAL", is_held=True, held_until=NOW)]}, Part.HELD,
         Verdict.AMBER, "until 2026-11-29 22:00"),
    ],
)  # fmt: skip
def test_what_each_part_says(
    change: dict[str, Any], part: Part, expected: Verdict, words: str
) -> None:
    found = {one.part: one for one in reasons(replace(GOOD, **change), NOW, HOURS)}
    assert found[part].verdict is expected
    assert words in found[part].message


def test_over_a_whole_day_a_chance_is_no_bound_any_more() -> None:
    facts = replace(GOOD, positions=[replace(BTC, probability=0.2)])
    assert "at most" not in reasons(facts, NOW, 24)[0].message


@pytest.mark.parametrize(
    ("quiet", "now", "hours", "expected"),
    [
        (QuietHours(22 * 60, 7 * 60, "UTC"), NOW, 1, True),
        (QuietHours(7 * 60, 22 * 60, "UTC"), NOW, 8, False),
        (QuietHours(7 * 60, 22 * 60, "UTC"), NOW, 9, True),
        (QuietHours(23 * 60, 7 * 60, "Europe/Berlin"), NOW, 0.1, True),
        (QuietHours(23 * 60, 7 * 60, "Europe/Berlin"), NOW - timedelta(hours=1), 0.5, False),
        # The clock goes from 1:59 to 3:00: this hour is not there on that night.
        (QuietHours(125, 175, "Europe/Berlin"), datetime(2026, 3, 29, 0, 30, tzinfo=UTC), 1, False),
        # And from 2:59 back to 2:00: it is there twice.
        (QuietHours(125, 175, "Europe/Berlin"), datetime(2026, 10, 25, 1, 2, tzinfo=UTC), 1, True),
        (QuietHours(0, 0, "UTC"), NOW, 24, False),
    ],
)  # fmt: skip
def test_quiet_hours_go_by_the_clock_of_their_zone(
    quiet: QuietHours, now: datetime, hours: float, expected: bool
) -> None:
    assert is_quiet_within(quiet, now, hours) is expected


@given(st.permutations(list(range(5))))
def test_the_order_in_which_things_are_read_changes_nothing(order: list[int]) -> None:
    held = [replace(BTC, about=f"p{place}", distance_percent=3.0 + place) for place in order]
    first = reasons(replace(GOOD, positions=held), NOW, HOURS)
    assert "p0, 3.0 %" in next(one.message for one in first if one.part is Part.LIQUIDATION)


@pytest.mark.parametrize(
    ("minutes_ago", "pause"),
    [
        ([], 0),
        ([0], 0),
        ([0, 1, 2, 3], 1),
        ([3, 0, 1, 20], 17),
        # What lay before the hour is not of it.
        ([0, 5, 55, 200], 50),
        ([0, 5, 40, 200], 35),
        ([0, 5, 20, 200], 40),
        ([0, 61, 200], 60),
    ],
)
def test_the_longest_pause_is_of_the_last_hour(minutes_ago: list[int], pause: int) -> None:
    times = [NOW - timedelta(minutes=one) for one in minutes_ago]
    assert longest_pause(times, NOW) == timedelta(minutes=pause)
