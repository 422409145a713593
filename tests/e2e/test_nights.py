"""What a person hears in a night, minute by minute, through every real server.

The mark moves travel by 5 % a dollar: LOW from 96, MEDIUM from 93, HIGH from 90 down, left above
90.5.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sonic.alerts.v1 import alerts_pb2

from services.cli.plan import SERVICES, SERVICES_FOLDER
from shared.database import migrations
from tests.e2e.script import Night, nights
from tests.fakes.databases import Template
from tests.fakes.naps import Naps
from tests.fakes.webhook import STALL, Reply

pytestmark = pytest.mark.slow

DEATHS = ("HIGH", "OVER BEFORE IT WAS TOLD (was HIGH)")

SAFE, MEDIUM, HIGH, WORSE = 101.0, 92.0, 89.0, 85.0
HIGH_IS_HEARD, MEDIUM_IS_HEARD = (
    "HIGH: SOL long travel -55 % (main)",
    "MEDIUM: SOL long travel -40 % (main)",
)
ALL_IS_WELL = "RESOLVED: SOL long travel 5 % (main)"
OUTAGE_IS_HEARD = ("price monitor: prices not to be trusted: BTC stale, ETH stale, SOL stale",)
CANNOT_ACT = (
    "venue monitor: you cannot act on jupiter (1 of 1 wallets cannot be read (SERVER_ERROR));"
    " distance not known: no market price, or no liquidation price"
)
HEDGES_HISTORY = SERVICES_FOLDER / "hedges" / "migrations"
WELL_AGAIN = " monitor: all is well again"
VENUE_IS_WELL = "venue" + WELL_AGAIN + ": jupiter, jupiter down"


@pytest.fixture(scope="module")
async def system_of_nights(
    system_template: Template, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Night]:
    async with (
        system_template.copy() as databases,
        nights(databases, tmp_path_factory.mktemp("home")) as made,
    ):
        yield made


@pytest.fixture
async def night(system_of_nights: Night) -> Night:
    await system_of_nights.begin()
    return system_of_nights


async def test_a_jump_over_two_levels_is_one_high_and_its_end_one_word(night: Night) -> None:
    await night.at("10:00", mark=SAFE)
    await night.at("10:01", mark=HIGH)
    await night.until("10:06")
    assert await night.heard("10:00", "10:06") == [HIGH_IS_HEARD]
    await night.at("10:06", mark=SAFE)
    assert await night.heard("10:00", "10:07", by="mail") == [HIGH_IS_HEARD]
    await night.at("10:07", mark=SAFE)
    assert await night.heard("10:00", "10:08", by="mail") == [HIGH_IS_HEARD, ALL_IS_WELL]
    assert await night.level() == "NORMAL"


async def test_a_mark_that_flaps_around_an_edge_is_one_high(night: Night) -> None:
    await night.at("10:00", mark=SAFE)
    for minute in range(1, 6):
        await night.at(f"10:0{minute}", mark=90.2 if minute % 2 == 0 else 89.9)
    assert await night.heard("10:00", "10:06") == ["HIGH: SOL long travel -50.5 % (main)"]
    assert await night.level() == "HIGH"


async def test_a_mark_that_flaps_between_two_levels_is_one_high_within_the_cooldown(
    night: Night,
) -> None:
    await night.at("10:00", mark=HIGH)
    for minute in range(1, 5):
        await night.at(f"10:0{minute}", mark=HIGH if minute == 3 else MEDIUM)
    assert await night.heard("10:00", "10:05") == [HIGH_IS_HEARD]


async def test_an_outage_of_every_provider_keeps_the_level_and_is_itself_told_once(
    night: Night,
) -> None:
    await night.at("10:00", mark=HIGH)
    await night.until("10:01")
    night.providers_die()
    await night.until("10:05")
    said = await night.heard("10:00", "10:06")
    assert said[0] == HIGH_IS_HEARD
    assert sorted(said[1:]) == sorted((*OUTAGE_IS_HEARD, CANNOT_ACT))
    alert = await night.alert()
    assert (alert.level, alert.reading_state) == (
        alerts_pb2.LEVEL_HIGH,
        alerts_pb2.READING_STATE_STALE,
    )
    night.providers_live()
    await night.at("10:06", mark=SAFE)
    assert await night.level() == "HIGH", "one good look is not enough to be calm"
    await night.at("10:07", mark=SAFE)
    assert await night.level() == "NORMAL"
    recovered = [
        "price" + WELL_AGAIN + ": BTC, ETH, SOL",
        ALL_IS_WELL,
    ]
    # By every way on which it was heard.
    for way in ("webhook", "mail"):
        assert sorted(await night.heard("10:06", "10:08", by=way)) == sorted(recovered)
    # A venue is well when it was for five minutes, by the look after that.
    await night.until("10:13")
    for way in ("webhook", "mail"):
        assert await night.heard("10:08", "10:14", by=way) == [VENUE_IS_WELL]


async def test_prices_that_stand_still_lower_nothing(night: Night) -> None:
    # Nothing is known of this one: that does not make what is known of the other old.
    await night.holds(1, liquidation="")
    await night.at("10:00", mark=HIGH)
    badge = await night.badge("travel_risk_badge")
    assert (badge.level, badge.value, badge.stale) == ("HIGH", "SOL -55.0 %", False)
    await night.at("10:01", mark=SAFE)
    night.providers_freeze()
    await night.until("10:05")
    alert = await night.alert()
    assert (alert.level, alert.reading_state) == (
        alerts_pb2.LEVEL_HIGH,
        alerts_pb2.READING_STATE_STALE,
    )
    badge = await night.badge("travel_risk_badge")
    assert (badge.level, badge.value, badge.stale) == ("HIGH", "SOL +5.0 %", True)
    assert await night.heard("10:00", "10:01") == [HIGH_IS_HEARD]
    assert sorted(await night.heard("10:01", "10:06")) == sorted((*OUTAGE_IS_HEARD, CANNOT_ACT))
    night.providers_live()
    await night.at("10:06", mark=SAFE)
    await night.at("10:07", mark=SAFE)
    assert await night.level() == "NORMAL"
    await night.until("10:13")
    assert VENUE_IS_WELL in await night.heard("10:07", "10:14")


async def test_an_acknowledgement_ends_where_it_gets_worse(night: Night) -> None:
    await night.at("10:00", mark=MEDIUM)
    await night.acknowledge(minutes=60)
    await night.until("10:05")
    assert await night.heard("10:00", "10:05") == [MEDIUM_IS_HEARD]
    await night.at("10:05", mark=HIGH)
    assert await night.heard("10:05", "10:06") == [HIGH_IS_HEARD]


async def test_a_silence_that_ends_tells_what_stands_without_waiting_for_a_cycle(
    night: Night,
) -> None:
    await night.at("10:00", mark=SAFE)
    await night.silence(minutes=5)
    await night.at("10:01", mark=HIGH)
    await night.until("10:05")
    assert await night.heard("10:00", "10:05") == []
    night.clock.advance(59)
    await night.hears(1)
    assert await night.heard("10:05", "10:06") == [HIGH_IS_HEARD]
    await night.until("10:08")
    assert await night.heard("10:06", "10:09") == []


async def test_a_channel_that_is_down_hears_it_when_it_is_back_and_the_other_at_once(
    night: Night,
) -> None:
    night.ears.answer = Reply(503)
    await night.at("10:00", mark=HIGH)
    assert await night.heard("10:00", "10:01", by="mail") == [HIGH_IS_HEARD]
    await night.until("10:02")
    assert await night.heard("10:00", "10:02") == []
    night.ears.mend()
    await night.until("10:05")
    assert await night.heard("10:02", "10:05") == [HIGH_IS_HEARD]
    assert await night.heard("10:00", "10:05", by="mail") == [HIGH_IS_HEARD]


async def test_a_channel_that_was_down_while_it_flapped_hears_last_how_it_stands(
    night: Night,
) -> None:
    night.ears.answer = Reply(503)
    for moment, mark in (
        ("10:00", HIGH),
        ("10:02", SAFE),
        ("10:03", SAFE),
        ("10:04", HIGH),
        ("10:06", SAFE),
    ):
        await night.at(moment, mark=mark)
    await night.at("10:07", mark=SAFE)
    await night.at("10:08", mark=HIGH)
    await night.until("10:10")
    night.ears.mend()
    await night.until("10:30")
    assert await night.heard("10:00", "10:30") == [HIGH_IS_HEARD]


async def test_a_channel_that_hangs_holds_up_no_other(night: Night) -> None:
    night.ears.answer = STALL
    await night.at("10:00", mark=HIGH)
    assert await night.heard("10:00", "10:01", by="mail") == [HIGH_IS_HEARD]
    night.ears.mend()
    await night.until("10:03")
    tries = await night.arrived("10:00", "10:04")
    assert {one.subject for one in tries} == {HIGH_IS_HEARD}
    assert len({one.key for one in tries}) == 1


async def test_a_lost_receipt_is_at_most_one_duplicate_with_the_same_key(night: Night) -> None:
    night.ears.loses_answers = True
    await night.at("10:00", mark=HIGH)
    night.ears.mend()
    await night.until("10:05")
    first, second = await night.arrived("10:00", "10:05")
    assert (first.subject, first.key) == (second.subject, second.key)


async def test_high_that_nobody_acknowledges_goes_to_the_next_contact_until_somebody_does(
    night: Night,
) -> None:
    await night.contacts("one@example.org", "two@example.org", wait_seconds=120)
    await night.at("10:00", mark=HIGH)
    await night.until("10:02")
    assert await night.heard("10:00", "10:02", by="mail") == [HIGH_IS_HEARD]
    await night.until("10:04")
    assert await night.heard("10:02", "10:04", by="mail") == [HIGH_IS_HEARD]
    assert night.ears.mailbox.mails[-1].recipients == ["one@example.org"]
    await night.acknowledge_message()
    await night.until("10:08")
    assert await night.heard("10:04", "10:08", by="mail") == []


async def test_who_acknowledges_the_alert_has_stopped_its_contacts_too(night: Night) -> None:
    await night.contacts("one@example.org", wait_seconds=120)
    await night.at("10:00", mark=HIGH)
    await night.acknowledge(minutes=60)
    await night.until("10:08")
    assert await night.heard("10:00", "10:08", by="mail") == [HIGH_IS_HEARD]


async def test_who_acknowledges_the_message_has_acknowledged_the_alert(night: Night) -> None:
    await night.contacts("one@example.org", wait_seconds=120)
    await night.at("10:00", mark=HIGH)
    await night.acknowledge_message()
    await night.until("10:02")
    assert (await night.alert()).status == alerts_pb2.ALERT_STATUS_ACKNOWLEDGED
    await night.until("10:08")
    assert await night.heard("10:00", "10:08", by="mail") == [HIGH_IS_HEARD]


async def test_high_that_its_webhook_refuses_for_good_is_heard_by_mail_and_by_the_contact_at_once(
    night: Night,
) -> None:
    await night.contacts("one@example.org", wait_seconds=3600)
    night.ears.answer = Reply(410)
    await night.at("10:00", mark=HIGH)
    await night.until("10:02")
    mails = await night.heard("10:00", "10:02", by="mail")
    # The owner has HIGH by mail anyway; the contact hears it now, and both hear of the dead
    # webhook.
    assert sorted(mails) == sorted(
        [HIGH_IS_HEARD] * 2 + ["HIGH could not be delivered by webhook: 410"] * 2
    )
    night.ears.mend()


async def test_what_is_over_wakes_nobody_and_a_contact_who_was_told_hears_that(
    night: Night,
) -> None:
    await night.contacts("one@example.org", "two@example.org", wait_seconds=180)
    await night.at("10:00", mark=HIGH)
    await night.until("10:04")
    await night.at("10:04", mark=SAFE)
    await night.at("10:05", mark=SAFE)
    await night.until("10:12")
    mails = await night.arrived("10:00", "10:12", by="mail")
    # The owner and the first contact, each both; nobody else.
    assert [one.subject for one in mails] == [HIGH_IS_HEARD] * 2 + [ALL_IS_WELL] * 2
    assert {mail.recipients[0] for mail in night.ears.mailbox.mails[-2:]} == {
        "holder@example.test",
        "one@example.org",
    }
    assert await night.heard("10:00", "10:12") == [HIGH_IS_HEARD, ALL_IS_WELL]


@pytest.mark.parametrize("gone", ["xcom", "alerts"])
async def test_danger_that_comes_while_a_server_is_away_is_told_once(
    night: Night, gone: str
) -> None:
    await night.at("10:00", mark=SAFE)
    await night.goes_away(gone)
    await night.at("10:01", mark=HIGH)
    await night.until("10:03")
    await night.comes_back()
    await night.until("10:05")
    said = await night.heard("10:00", "10:05")
    assert [one for one in said if "SOL long" in one] == [HIGH_IS_HEARD]
    # Two cycles without a server are a death. That of xcom can be over before xcom tells it.
    deaths = [one for one in said if one.startswith(DEATHS) and gone in one]
    assert len(deaths) == 1, said
    assert "127.0.0.1" not in str(said), (
        "at night nobody wants to hear where a server was looked for"
    )


async def test_a_server_whose_schema_is_behind_its_program_is_told_as_down_and_one_ahead_is_not(
    night: Night,
) -> None:
    newest = migrations.head(HEDGES_HISTORY)
    assert newest is not None and newest > "0001"
    await night.at("10:00", mark=SAFE)
    await night.schema_is_at("hedges", "0099")
    await night.until("10:03")
    await night.schema_is_at("hedges", "0001")
    await night.until("10:07")
    why = f"not serving: the schema is at 0001, this needs {newest}"
    assert await night.heard("10:00", "10:07") == [
        f"operations monitor: services down: hedges ({why})"
    ]
    await night.schema_is_at("hedges", newest)
    await night.until("10:10")
    assert await night.heard("10:07", "10:10") == ["operations" + WELL_AGAIN + ": hedges"]


async def test_a_cut_tail_of_the_ledger_is_found_by_the_head_that_the_webhook_heard(
    night: Night,
) -> None:
    await night.at("10:00", mark=HIGH)
    await night.at("10:01", mark=SAFE)
    await night.at("10:02", mark=SAFE)
    heard, _end = await night.arrived("10:00", "10:03")
    head = heard.facts["ledger_head"]
    whole = await night.ledger(head)
    assert (whole.intact, whole.unanchored_count) == (True, 1)
    async with night.tail_cut_from(head):
        # Within the system nothing tells of it any more: whoever owns the tables took the anchor
        # too.
        assert (await night.ledger()).intact
        assert not (await night.ledger(head)).intact
    assert (await night.ledger(head)).intact


# Night by night another one, so that each server once restarts in each gap.
_GAPS = 5
_ROUNDS = [
    [list(SERVICES)[(first + gap) % len(SERVICES)] for gap in range(_GAPS)]
    for first in range(len(SERVICES))
]


@pytest.mark.parametrize(
    "restarted",
    [_ROUNDS[0], *(pytest.param(one, marks=pytest.mark.slow) for one in _ROUNDS[1:])],
    ids="-".join,
)
async def test_a_restart_between_any_two_events_changes_nothing(
    night: Night, restarted: list[str]
) -> None:
    restarts = iter(restarted)
    await night.at("10:00", mark=SAFE)
    await night.restart(next(restarts))
    await night.at("10:01", mark=MEDIUM)
    await night.restart(next(restarts))
    await night.acknowledge()
    await night.restart(next(restarts))
    await night.at("10:02", mark=HIGH)
    await night.restart(next(restarts))
    await night.at("10:03", mark=SAFE)
    await night.restart(next(restarts))
    await night.at("10:04", mark=SAFE)
    for ear in ("webhook", "mail"):
        assert await night.heard("10:00", "10:05", by=ear) == [
            MEDIUM_IS_HEARD,
            HIGH_IS_HEARD,
            ALL_IS_WELL,
        ]


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_in_a_burst_of_ten_thousand_low_the_one_high_is_heard_first_within_ten_seconds(
    system_template: Template, tmp_path: Path
) -> None:
    # LOW goes to the webhook too: the two must share a queue to overtake each other in it. News of
    # positions is off: one message of it is sent at the same moment and may arrive first.
    settings = {"XCOM_LOW_CHANNELS": "webhook", "ALERTS_POSITION_NEWS": ""}
    async with system_template.copy() as databases, nights(databases, tmp_path, settings) as night:
        await night.begin()
        await night.holds(9_999, liquidation=80.0)
        await night.holds(1, liquidation=94.0)
        told = asyncio.create_task(night.at("10:00", mark=95.5))
        while not await night.untold_count():
            await asyncio.sleep(0.01)
        async with Naps() as naps:
            await night.hears(1)
        assert naps.seconds < 10
        night.ears.listen(night.clock.now())
        assert night.ears.heard[0].subject == "HIGH: SOL long travel -75 % (manual)"
        # The ten thousand are one message, which says how many they are, and not ten thousand.
        assert await night.untold_count() < 10
        told.cancel()
