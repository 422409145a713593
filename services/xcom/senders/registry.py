"""Every channel of this release: a new one is its own file and one line here, its settings one name
more.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from pydantic import Field, field_validator

from services.xcom.domain.messages import RINGING
from services.xcom.replies.service.replies import ReplySource
from services.xcom.senders.apprise import APPRISE_CHANNELS, Apprise, AppriseSettings
from services.xcom.senders.channel import Channel
from services.xcom.senders.email import Email, EmailSettings
from services.xcom.senders.guard import Guard
from services.xcom.senders.log import Log
from services.xcom.senders.sound import Sound, SoundSettings
from services.xcom.senders.telegram import Telegram, TelegramAddress
from services.xcom.senders.telephone import Voice
from services.xcom.senders.text_replies import TextReplies
from services.xcom.senders.twilio import Sms, TwilioSettings
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

    xcom_demo_channels: tuple[str, ...] = Field(
        (),
        description="of sms, voice and sound those that ring for the DEMO too; empty: none",
        examples=["sound"],
    )

    @field_validator("xcom_demo_channels")
    @classmethod
    def _ring(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(name.strip().lower() for name in value)
        if unknown := [name for name in names if name not in RINGING]:
            known = ", ".join(sorted(RINGING))
            raise ValueError(f"{', '.join(unknown)[:60]} does not ring; those that do are {known}")
        return names

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
            *(_chat(name, settings, clock) for name in APPRISE_CHANNELS),
            Sound(settings),
            Log(),
        )
        for channel in channels:
            channel.rings_for_demo = channel.name in settings.xcom_demo_channels
        self._own_number = settings.twilio_from
        self.by_name: Mapping[str, Channel] = {channel.name: channel for channel in channels}

    @property
    def reply_sources(self) -> list[ReplySource]:
        """Where what people answer is fetched, as far as it is set."""
        sms, telegram = self.by_name["sms"], self.by_name["telegram"]
        found: list[ReplySource] = []
        if isinstance(sms, Sms) and "TWILIO_FROM" not in sms.missing_settings:
            found.append(TextReplies(sms, self._own_number))
        if isinstance(telegram, Telegram):
            found.append(telegram)
        return found

    async def start(self) -> None:
        """Nothing to do: a channel that cannot be reached must not keep the service from
        starting."""

    async def stop(self) -> None:
        for channel in self.by_name.values():
            await channel.close()


def _chat(name: str, settings: ChannelSettings, clock: Clock) -> Channel:
    """Telegram by its own interface, which knows buttons and edits; a URL with more than a bot and
    its chats is for the library, like every other service.
    """
    address = TelegramAddress(settings.xcom_telegram_url.get_secret_value().strip())
    if name != Telegram.name or not address.chats:
        return Apprise(name, settings, clock)
    return Telegram(address, settings.telegram_url, settings.xcom_apprise_timeout_seconds, clock)
