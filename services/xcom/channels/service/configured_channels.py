"""Which channels can be used as things are set now, and where each leads. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from services.xcom.domain.messages import RINGING, everywhere
from services.xcom.domain.phrases import is_demo
from services.xcom.domain.settings import ChannelSetting, Route, Settings, SettingSource
from services.xcom.senders.channel import MASK, Channel
from shared.errors import InvalidArgument


@dataclass(frozen=True)
class ConfiguredChannels:
    """The channels of the environment with what people set."""

    channels: Mapping[str, Channel]
    settings: Settings

    def fit_for(self, facts: Mapping[str, str]) -> ConfiguredChannels:
        """Those that a message with these facts may take: simulated data rings nobody, unless that
        was asked for.
        """
        if not is_demo(facts):
            return self
        fit = {
            name: channel
            for name, channel in self.channels.items()
            if name not in RINGING or channel.rings_for_demo
        }
        return replace(self, channels=fit)

    def setting(self, name: str) -> ChannelSetting:
        """What was set for it."""
        return self.settings.channel(name)

    def missing(self, name: str) -> tuple[str, ...]:
        """Environment variables it lacks; a destination set by a call stands in for the
        environment's.
        """
        channel = self.channels[name]
        needed = channel.missing_settings
        return tuple(
            one for one in needed if one != channel.destination_setting or not self.address(name)
        )

    def address(self, name: str) -> str:
        """The destination set by a call; empty when the environment names one, which wins."""
        channel = self.channels[name]
        if channel.destination_setting not in channel.missing_settings:
            return ""
        return self.setting(name).destination

    def destination(self, name: str) -> str:
        """Where it goes, masked."""
        channel, address = self.channels[name], self.address(name)
        return channel.masked(address) if address else channel.destination

    def source(self, name: str) -> SettingSource:
        """Where the destination comes from."""
        if self.address(name):
            return SettingSource.STORED
        return (
            SettingSource.ENVIRONMENT if self.channels[name].destination else SettingSource.DEFAULT
        )

    def routes(self, names: Iterable[str]) -> list[Route]:
        """One a destination: a channel may lead to several."""
        return [route for name in names for route in self._routes(name)]

    def everywhere(self) -> list[Route]:
        """To every channel that can be used; see `everywhere` of the domain."""
        return self.routes(everywhere(self.names))

    def contact_routes(self) -> list[Route]:
        """Of every contact of the chain, as far as they can be used."""
        contacts = self.settings.chain.contacts
        return [route for contact in contacts for route in self.usable(contact.routes)]

    def _routes(self, name: str) -> list[Route]:
        own = () if self.address(name) else self.channels[name].own
        return [Route(name, reference) for reference in own] or [Route(name)]

    def usable(self, routes: Sequence[Route]) -> list[Route]:
        """Those of a contact's ways that lead somewhere: an address stands in for the
        environment's.
        """
        found = [
            one
            for one in routes
            if one.channel in self.channels
            and self.setting(one.channel).enabled
            and not set(self.missing(one.channel)) - self._stands_in(one)
        ]
        return [
            route
            for one in found
            for route in ([one] if one.address else self._routes(one.channel))
        ]

    def _stands_in(self, route: Route) -> set[str]:
        return {self.channels[route.channel].destination_setting} if route.address else set()

    @cached_property
    def names(self) -> Sequence[str]:
        """Channels that are complete and not switched off, best first."""
        return [
            name for name in self.channels if self.setting(name).enabled and not self.missing(name)
        ]


async def refuse_bad_destination(channel: Channel, address: str, field: str) -> None:
    """InvalidArgument DESTINATION_REFUSED with what is wrong."""
    try:
        if MASK in address:
            raise ValueError("this is an address as it is shown; give the whole one")
        await channel.check(address)
    except ValueError as error:
        raise InvalidArgument(
            "DESTINATION_REFUSED", str(error), fields={field: str(error)}
        ) from None
