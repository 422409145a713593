"""Every channel of this release: a new one is its own file and one line here, its settings one name
more.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from pydantic import Field, field_validator

from services.xcom.senders.apprise import APPRISE_CHANNELS, Apprise, AppriseSettings
from services.xcom.senders.channel import Channel
from services.xcom.senders.email import Email, EmailSettings
from services.xcom.senders.guard import Guard
from services.xcom.senders.log import Log
from services.xcom.senders.sound import Sound, SoundSettings
from services.xcom.senders.twilio import Sms, TwilioSettings, Voice
from services.xcom.senders.webhook import Webhook, WebhookSettings
from shared.clock import Clock

# Best first: the order of a fallback.
NAMES = (Email.name, Sms.name, Voice.name, Webhook.name, *APPRISE_CHANNELS, Sound.name, Log.name)


class ChannelSettings(
    EmailSettings, TwilioSettings, WebhookSettings, AppriseSettings, SoundSettings
):
    """What the channels read from the environment."""

    xcom_allowed_networks: tuple[str, ...] = Field(
        (),
        description="own networks that destinations set by a call may reach",
        examples=["10.1.0.0/16"],
    )

    @field_validator("xcom_allowed_networks")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                ipaddress.ip_network(one)
            except ValueError:
                raise ValueError("not a list of networks like 10.1.0.0/16") from None
        return value


class Channels:
    """The channels by name as a Part: lets go of their connections at the end."""

    def __init__(self, settings: ChannelSettings, clock: Clock) -> None:
        guard = Guard([ipaddress.ip_network(one) for one in settings.xcom_allowed_networks])
        channels: tuple[Channel, ...] = (
            Email(settings),
            Sms(settings, clock),
            Voice(settings, clock),
            Webhook(settings, clock, guard),
            *(Apprise(name, settings, clock) for name in APPRISE_CHANNELS),
            Sound(settings),
            Log(),
        )
        self.by_name: Mapping[str, Channel] = {channel.name: channel for channel in channels}

    async def start(self) -> None:
        """Nothing to do: a channel that cannot be reached must not keep the service from
        starting."""

    async def stop(self) -> None:
        for channel in self.by_name.values():
            await channel.close()
