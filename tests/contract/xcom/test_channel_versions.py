"""Settings of channels, levels and contacts have versions; no address is ever in one."""

from __future__ import annotations

import asyncpg
import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.errors import Conflict, FailedPrecondition, NotFound
from shared.rpc import call
from tests.contract.xcom.conftest import Xcom, mail_settings
from tests.fakes.mail import FakeMailServer

ADA, BOB = "ada.long.address@example.com", "bob.long.address@example.org"
# Of the environment; a destination that is set by a call stands in for it.
NOWHERE = {"smtp_default_recipient": ""}


async def _levels(xcom: Xcom, *low: str, **more: object) -> None:
    route = pb.LevelRoute(level=pb.LEVEL_LOW, channels=low)
    request = pb.UpdateLevelMapRequest(level_map=pb.LevelMap(routes=[route]))
    await xcom.channels.UpdateLevelMap(request, **more)


async def _contacts(xcom: Xcom, **addresses: str) -> None:
    chain = pb.EscalationChain()
    for name, address in addresses.items():
        contact = chain.contacts.add(name=name)
        contact.wait.FromSeconds(60)
        contact.routes.add(channel="email", address=address)
    await xcom.escalation.UpdateEscalationChain(
        pb.UpdateEscalationChainRequest(escalation_chain=chain)
    )


async def _state(xcom: Xcom) -> tuple[object, ...]:
    """What holds, and where it really goes, but the revisions."""
    connection = await asyncpg.connect(xcom.database_url)
    try:
        rows = await connection.fetch("select name, value from setting order by name")
    finally:
        await connection.close()
    return tuple((row["name"], row["value"]) for row in rows)


async def _versions(xcom: Xcom, **page: object) -> list[pb.SettingVersion]:
    listed = await xcom.channels.ListChannelVersions(pb.ListChannelVersionsRequest(**page))
    return list(listed.versions)


async def _restore(xcom: Xcom, number: int, **more: object) -> pb.VersionComparison:
    return await xcom.channels.RestoreChannels(pb.RestoreChannelsRequest(number=number, **more))


def _words(found) -> list[tuple[str, ...]]:
    return [(one.setting_id, one.field, one.before, one.after) for one in found.changes]


async def test_every_edit_is_a_version_with_who_and_no_address(
    xcom: Xcom, mail: FakeMailServer
) -> None:
    await xcom.start(**mail_settings(mail) | NOWHERE)
    assert await _versions(xcom) == []
    await _levels(xcom, "email", "log", metadata=[(call.PERSON, "J%C3%BCrgen")])
    await xcom.set_channel("email", "destination", destination=ADA)
    hours = pb.QuietHours(start_minute=1320, end_minute=420, time_zone="Europe/Berlin")
    await xcom.set_channel("email", "quiet_hours", quiet_hours=hours)
    await _contacts(xcom, Bob=BOB)
    # The same again is no change.
    await _levels(xcom, "email", "log")
    contact, quiet, destination, levels, first = await _versions(xcom)
    assert (first.reason, first.actor, _words(first)) == ("FIRST", "", [])
    assert (levels.reason, levels.actor) == ("CHANGED", "J\u00fcrgen")
    assert _words(levels) == [
        ("level:LOW", "setting", "absent", "present"),
        ("level:LOW", "channels", "", "email, log"),
    ]
    assert ("channel:email", "destination", "", "a***@example.com") in _words(destination)
    assert _words(quiet) == [("channel:email", "quiet_hours", "", "22:00-07:00 Europe/Berlin")]
    assert _words(contact)[1:] == [
        ("contact:Bob", "place", "", "1"),
        ("contact:Bob", "wait_seconds", "", "60"),
        ("contact:Bob", "routes", "", "email b***@example.org"),
    ]
    connection = await asyncpg.connect(xcom.database_url)
    try:
        kept = await connection.fetchval("select string_agg(content::text, '') from setting_set")
    finally:
        await connection.close()
    assert "ada" not in kept
    assert "bob" not in kept.lower().replace("contact:bob", "")
    with pytest.raises(NotFound, match="VERSION_NOT_FOUND"):
        await xcom.channels.CompareChannelVersions(pb.CompareChannelVersionsRequest(number=99))


async def test_restoring_last_weeks_settings_tells_the_same_people_by_the_same_ways(
    xcom: Xcom, mail: FakeMailServer
) -> None:
    await xcom.start(**mail_settings(mail) | NOWHERE)
    await _levels(xcom, "email", "log")
    await xcom.set_channel("email", "destination", destination=ADA)
    await xcom.set_channel("log", "enabled", enabled=False)
    await _contacts(xcom, Bob=BOB, Ada=ADA)
    week_ago, state = (await _versions(xcom))[0].number, await _state(xcom)
    xcom.clock.advance(7 * 24 * 3600)
    await _levels(xcom, "log")
    await xcom.set_channel("log", "enabled", enabled=True)
    await xcom.set_channel("email", "quiet_budget_count", quiet_budget_count=3)
    await _contacts(xcom, Ada=ADA, Bob=BOB, Eve=ADA)
    would = await _restore(xcom, week_ago, dry_run=True)
    assert ("contact:Eve", "setting", "present", "absent") in _words(would)
    assert ("contact:Bob", "place", "2", "1") in _words(would)
    assert await _state(xcom) != state
    done = await _restore(xcom, week_ago, last_number=would.last_number)
    assert _words(done) == _words(would)
    assert await _state(xcom) == state
    newest = (await _versions(xcom))[0]
    assert (newest.reason, newest.number) == (f"RESTORED {week_ago}", done.last_number)
    compared = await xcom.channels.CompareChannelVersions(
        pb.CompareChannelVersionsRequest(number=week_ago)
    )
    assert _words(compared) == []
    with pytest.raises(Conflict, match="ETAG_MISMATCH"):
        await _restore(xcom, week_ago, last_number=would.last_number)


async def test_an_address_that_is_set_no_longer_is_not_made_up(
    xcom: Xcom, mail: FakeMailServer
) -> None:
    await xcom.start(**mail_settings(mail) | NOWHERE)
    await xcom.set_channel("email", "destination", destination=ADA)
    number = (await _versions(xcom))[0].number
    await xcom.set_channel("email", "destination", destination=BOB)
    before = await _state(xcom)
    with pytest.raises(FailedPrecondition, match="ADDRESS_NOT_KEPT") as caught:
        await _restore(xcom, number)
    assert "a***@example.com" in str(caught.value)
    assert ADA not in str(caught.value)
    assert await _state(xcom) == before
    # One that looks the same is another one: who and when is kept, and the present one stays.
    other = f"b{BOB}"
    await xcom.set_channel("email", "destination", destination=other)
    newest, older = (await _versions(xcom))[:2]
    assert (newest.number, _words(newest)) == (older.number + 1, [])
    assert _words(await _restore(xcom, older.number)) == []
    assert any(other in str(value) for _, value in await _state(xcom))
