"""Every channel of this release: a new one is its own file and one line here, its settings one name more."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.xcom.channels.channel import Channel
from services.xcom.channels.email import Email, EmailSettings
from services.xcom.channels.log import Log
from services.xcom.channels.webhook import Webhook, WebhookSettings
from shared.clock import Clock


class ChannelSettings(EmailSettings, WebhookSettings):
    """What the channels read from the environment."""


# Best first: the order of a fallback.
REGISTRY: Mapping[str, Callable[[ChannelSettings, Clock], Channel]] = {
    Email.name: lambda settings, _clock: Email(settings),
    Webhook.name: Webhook,
    Log.name: lambda _settings, _clock: Log(),
}


class Channels:
    """The channels by name as a Part: lets go of their connections at the end."""

    def __init__(self, settings: ChannelSettings, clock: Clock) -> None:
        self.by_name: Mapping[str, Channel] = {name: make(settings, clock) for name, make in REGISTRY.items()}

    async def start(self) -> None:
        """Nothing to do: a channel that cannot be reached must not keep the service from starting."""

    async def stop(self) -> None:
        for channel in self.by_name.values():
            await channel.close()
