"""Simulated data rings nobody, by whatever way a message goes on, unless that was asked for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.xcom.server import Config
from tests.contract.xcom.conftest import Xcom, hook_settings, mail_settings, twilio_settings
from tests.contract.xcom.test_escalating import by_reason, contact, set_chain
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import FakeTwilio
from tests.fakes.webhook import FakeWebhook, Reply

DEMO = {"demo": "true"}


async def channels_of(xcom: Xcom, **fields: object) -> list[str]:
    return sorted(one.channel for one in (await xcom.send("HIGH", **fields)).deliveries)


async def test_the_demo_takes_no_channel_that_rings_even_by_its_name(
    xcom: Xcom, twilio: FakeTwilio, mail: FakeMailServer
) -> None:
    await xcom.start(**twilio_settings(twilio), **mail_settings(mail), xcom_sound=True)
    assert await channels_of(xcom, facts=DEMO) == ["email"]
    assert await channels_of(xcom, facts=DEMO, channels=["sms", "voice"]) == ["email"]
    assert await channels_of(xcom) == ["sms", "sound", "voice"]


async def test_a_demo_that_only_a_phone_could_tell_is_written_to_the_log(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(twilio))
    assert await channels_of(xcom, facts=DEMO) == ["log"]


async def test_a_demo_that_dies_on_its_way_rings_nobody_either(
    xcom: Xcom, twilio: FakeTwilio, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    hook.answer = lambda _received: Reply(410)
    await xcom.start(**twilio_settings(twilio), **hook_settings(hook), **mail_settings(mail))
    message = await xcom.send("HIGH", facts=DEMO, channels=["webhook"])
    await xcom.push_until(lambda: len(mail.mails) >= 2)
    assert [one.channel for one in await by_reason(xcom, message.id, "FALLBACK")] == ["email"]
    assert not twilio.received


async def test_a_demo_that_nobody_acknowledges_goes_to_contacts_without_their_phones(
    xcom: Xcom, twilio: FakeTwilio, mail: FakeMailServer
) -> None:
    await xcom.start(**twilio_settings(twilio), **mail_settings(mail))
    await set_chain(
        xcom,
        contact("jane", 60, sms="+4915112345678"),
        contact("john", 60, email="john@example.com", sms="+4915112345679"),
    )
    message = await xcom.send("HIGH", facts=DEMO)
    await xcom.push_until(lambda: len(mail.mails) >= 2)
    told = await by_reason(xcom, message.id, "ESCALATION")
    assert [(one.channel, one.contact) for one in told] == [("email", "john")]
    assert not twilio.received


async def test_a_phone_rings_for_the_demo_where_that_was_asked_for(
    xcom: Xcom, twilio: FakeTwilio, mail: FakeMailServer
) -> None:
    await xcom.start(
        **twilio_settings(twilio), **mail_settings(mail), xcom_demo_channels=(" SMS ",)
    )
    assert await channels_of(xcom, facts=DEMO) == ["sms"]


def test_only_what_rings_can_be_asked_for() -> None:
    with pytest.raises(ValidationError, match="email does not ring"):
        Config.model_validate({"database_url": "postgresql://x", "xcom_demo_channels": ("email",)})
