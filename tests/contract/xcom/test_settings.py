"""What people set by calls: levels, channels, destinations; what the environment says wins and is
shown.
"""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from shared.errors import Conflict, InvalidArgument
from tests.contract.xcom.conftest import START_TIME, Xcom, hook_settings, mail_settings, until
from tests.fakes.databases import Databases
from tests.fakes.mail import FakeMailServer
from tests.fakes.webhook import FakeWebhook, Reply


def level_map(etag: str = "", **channels: list[str]) -> pb.UpdateLevelMapRequest:
    routes = [
        pb.LevelRoute(level=pb.Level.Value(f"LEVEL_{level}"), channels=names)
        for level, names in channels.items()
    ]
    return pb.UpdateLevelMapRequest(level_map=pb.LevelMap(routes=routes, etag=etag))


def shown(found: pb.LevelMap) -> dict[str, tuple[list[str], str]]:
    return {
        pb.Level.Name(one.level).removeprefix("LEVEL_"): (
            list(one.channels),
            pb.SettingSource.Name(one.source).removeprefix("SETTING_SOURCE_"),
        )
        for one in found.routes
    }


async def test_a_stored_level_map_takes_effect_at_once_and_the_environment_wins(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail), xcom_high_channels=("email",))
    before = await xcom.channels.GetLevelMap(pb.GetLevelMapRequest())
    assert shown(before) == {
        "LOW": (["email"], "DEFAULT"),
        "MEDIUM": (["sms"], "DEFAULT"),
        "HIGH": (["email"], "ENVIRONMENT"),
        "ACTION": (["webhook"], "DEFAULT"),
    }
    after = await xcom.channels.UpdateLevelMap(
        level_map(before.etag, LOW=["Webhook"], HIGH=["webhook"])
    )
    assert shown(after) == {
        "LOW": (["webhook"], "STORED"),
        "MEDIUM": (["sms"], "DEFAULT"),
        "HIGH": (["email"], "ENVIRONMENT"),
        "ACTION": (["webhook"], "DEFAULT"),
    }
    assert [one.channel for one in (await xcom.send("LOW")).deliveries] == ["webhook"]
    assert [one.channel for one in (await xcom.send("HIGH")).deliveries] == ["email"]
    with pytest.raises(Conflict, match="ETAG_MISMATCH"):
        await xcom.channels.UpdateLevelMap(level_map(before.etag, LOW=["email"]))
    with pytest.raises(InvalidArgument, match="UNKNOWN_NAME"):
        await xcom.channels.UpdateLevelMap(level_map(LOW=["pigeon"]))
    assert await xcom.channels.GetLevelMap(pb.GetLevelMapRequest()) == after


async def test_an_action_is_a_signed_webhook_that_quiet_hours_do_not_hold_and_nobody_is_woken_for(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    hours = pb.QuietHours(start_minute=0, end_minute=1439)
    channel = pb.Channel(name="webhook", quiet_hours=hours)
    await xcom.channels.UpdateChannel(pb.UpdateChannelRequest(channel=channel))
    message = await xcom.send("ACTION")
    assert [one.channel for one in message.deliveries] == ["webhook"]
    await xcom.settled(message.id, "webhook", tries=1)
    assert [one.body["level"] for one in hook.received] == ["ACTION"]
    await xcom.push_until(lambda: clock.now() > START_TIME + timedelta(hours=2), 600)
    assert (len(hook.received), mail.mails) == (1, [])


async def test_a_channel_switched_off_gets_nothing_new(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    off = await xcom.set_channel("webhook", "enabled", enabled=False)
    assert (off.enabled, off.configured) == (False, True)
    assert [one.channel for one in (await xcom.send("HIGH")).deliveries] == ["email"]
    await xcom.set_channel("webhook", "enabled", enabled=True)
    assert [one.channel for one in (await xcom.send("HIGH")).deliveries] == ["email", "webhook"]


async def test_what_waits_on_a_channel_that_is_switched_off_goes_by_the_others(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    hook.answer = lambda _received: Reply(503)
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    raised = await xcom.send("HIGH", channels=["webhook"])
    await xcom.settled(raised.id, "webhook")
    await xcom.set_channel("webhook", "enabled", enabled=False)
    await xcom.push_until(lambda: len(mail.mails) == 2)
    assert raised.subject in [one.message["Subject"] for one in mail.mails]
    dead = (await xcom.deliveries(raised.id))["webhook"]
    assert (dead.state, dead.last_error) == (pb.DELIVERY_STATE_DEAD, "this channel is switched off")
    assert len(hook.received) == 1


async def test_only_settings_can_be_changed_and_only_as_they_were_read(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    await xcom.start(**hook_settings(hook))
    with pytest.raises(InvalidArgument, match="UNKNOWN_FIELD"):
        await xcom.set_channel("webhook", "configured", configured=True)
    with pytest.raises(InvalidArgument, match="INVALID_FIELD"):
        await xcom.set_channel(
            "webhook", "quiet_hours", quiet_hours=pb.QuietHours(time_zone="Mars/Base")
        )
    first = await xcom.set_channel("webhook", "quiet_budget_count", quiet_budget_count=5)
    assert first.quiet_budget_count == 5
    old = pb.Channel(name="webhook", etag="0", enabled=False)
    with pytest.raises(Conflict, match="ETAG_MISMATCH"):
        await xcom.channels.UpdateChannel(
            pb.UpdateChannelRequest(channel=old, update_mask=FieldMask(paths=["enabled"]))
        )
    assert (await xcom.channel("webhook")).enabled


async def test_a_destination_set_by_a_call_is_used_where_the_environment_names_none(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    settings = mail_settings(mail) | {"smtp_default_recipient": ""}
    await xcom.start(
        **settings,
        webhook_secret="key",
        xcom_allowed_networks=("127.0.0.0/8",),
        xcom_low_channels=("email",),
    )
    assert not (await xcom.channel("email")).configured
    changed = await xcom.set_channel("email", "destination", destination="joe@example.net")
    assert (changed.configured, changed.destination) == (True, "j***@example.net")
    assert changed.destination_source == pb.SETTING_SOURCE_STORED
    await xcom.set_channel("webhook", "destination", destination=hook.url)
    await xcom.send("LOW")
    assert (await mail.wait_for(1))[0].recipients == ["joe@example.net"]
    message = await xcom.send("LOW", channels=["webhook"])
    assert (await xcom.settled(message.id, "webhook")).state == pb.DELIVERY_STATE_SENT
    assert hook.received[0].is_signed_with("key")


async def test_a_claim_that_was_open_when_a_destination_was_set_uses_it_for_what_came_after(
    xcom: Xcom, mail: FakeMailServer, databases: Databases
) -> None:
    await xcom.start(
        **mail_settings(mail) | {"smtp_default_recipient": ""}, xcom_low_channels=("log",)
    )
    await xcom.settled((await xcom.send("LOW")).id, "log")
    admin = await asyncpg.connect(databases.admin_url)
    async with admin.transaction():
        # Every claim reads or writes there; accepting and setting do not.
        await admin.execute("lock table xcom.attempt in access exclusive mode")
        await xcom.send("LOW")

        async def is_held_up() -> bool | None:
            return (
                await admin.fetchval("select exists (select from pg_locks where not granted)")
                or None
            )

        await until(is_held_up)
        await xcom.set_channel("email", "destination", destination="joe@example.net")
        await xcom.send("LOW", channels=["email"])
    assert (await mail.wait_for(1))[0].recipients == ["joe@example.net"]
    await admin.close()


async def test_a_destination_of_the_environment_is_trusted_and_not_replaced(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    await xcom.start(**hook_settings(hook), xcom_allowed_networks=("127.0.0.0/8",))
    kept = await xcom.set_channel("webhook", "destination", destination="http://127.0.0.1:1/else")
    assert kept.destination_source == pb.SETTING_SOURCE_ENVIRONMENT
    assert kept.destination == hook.url.removesuffix("/hook") + "/***"
    message = await xcom.send("LOW", channels=["webhook"])
    assert (await xcom.settled(message.id, "webhook")).state == pb.DELIVERY_STATE_SENT


REFUSED = [
    ("webhook", "http://127.0.0.1/hook"),
    ("webhook", "http://localhost:80/"),
    ("webhook", "http://169.254.169.254/latest/meta-data"),
    ("webhook", "http://[::ffff:10.0.0.1]/"),
    ("webhook", "https://user:pass@example.com/"),
    ("webhook", "file:///etc/passwd"),
    ("webhook", "http://2130706433/"),
    ("email", "joe@example.net\r\nBcc: all@example.net"),
    ("sms", "0170 1234567"),
    ("voice", "+49170x"),
    ("slack", "https://hooks.example.com/"),
    ("log", "anything"),
]


async def test_destinations_that_calls_may_not_set_are_refused(xcom: Xcom) -> None:
    await xcom.start(webhook_secret="key")
    for channel, destination in REFUSED:
        with pytest.raises(InvalidArgument) as refused:
            await xcom.set_channel(channel, "destination", destination=destination)
        assert refused.value.reason == "DESTINATION_REFUSED", destination
        assert list(refused.value.fields) == ["channel.destination"]


async def test_a_destination_is_checked_again_when_it_is_connected_to(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    # Allowed when it was set; the operator took the network back since.
    await xcom.start(webhook_secret="key", xcom_allowed_networks=("127.0.0.0/8",))
    await xcom.set_channel("webhook", "destination", destination=hook.url)
    await xcom.app.stop()
    await xcom.start(webhook_secret="key")
    message = await xcom.send("LOW", channels=["webhook"])
    dead = await xcom.refused(message.id, "webhook")
    assert (dead.state, hook.received) == (pb.DELIVERY_STATE_DEAD, [])
    assert "destination refused" in dead.last_error
