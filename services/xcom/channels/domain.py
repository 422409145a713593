"""What a version of the channel settings holds, and the way back to one. No address is kept: what
is masked is shown, and what is restored is an address that is set now. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from services.xcom.domain.settings import (
    Chain,
    ChannelSetting,
    Contact,
    LevelSetting,
    QuietHours,
    Route,
    Settings,
)
from shared.errors import FailedPrecondition
from shared.versions.domain import Content, Kind

_OF_CHANNEL: Final = ("enabled", "destination", "quiet_hours", "quiet_budget_count")
KIND: Final = Kind(
    "setting", "channel settings", (*_OF_CHANNEL, "channels", "place", "wait_seconds", "routes")
)
_CHANNEL, _LEVEL, _CONTACT = "channel:", "level:", "contact:"
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d) (\S+)")
_URL = re.compile(r"(https?://[^\s/?#]+)\S*")
# The address on a channel as it may be shown; KeyError for a channel that is none.
Masked = Callable[[str, str], str]


def settings_content(settings: Settings, masked: Masked) -> Content:
    """What a version keeps: channels that differ from the default, levels that were set,
    contacts.
    """
    channels = {
        f"{_CHANNEL}{name}": {
            "enabled": one.enabled,
            "destination": _look(name, one.destination, masked),
            "quiet_hours": _hours_text(one.quiet_hours),
            "quiet_budget_count": one.quiet_budget_count,
        }
        for name, one in settings.channels.items()
        if one != ChannelSetting()
    }
    levels = {
        f"{_LEVEL}{name}": {"channels": list(names)}
        for name, names in settings.levels.routes.items()
    }
    contacts = {
        f"{_CONTACT}{one.name}": {
            "place": place,
            "wait_seconds": one.wait_seconds,
            "routes": [_route_text(route, masked) for route in one.routes],
        }
        for place, one in enumerate(settings.chain.contacts, 1)
    }
    return {**channels, **levels, **contacts}


def settings_restored(present: Settings, wanted: Content, masked: Masked) -> Settings:
    """The settings of a version, with the addresses that are set now. FailedPrecondition
    ADDRESS_NOT_KEPT, VERSION_UNREADABLE.
    """
    channels = {name: ChannelSetting() for name in present.channels}
    levels: dict[str, tuple[str, ...]] = {}
    contacts: list[tuple[int, Contact]] = []
    for id, fields in wanted.items():
        try:
            if id.startswith(_CHANNEL):
                name = id.removeprefix(_CHANNEL)
                channels[name] = _channel(name, fields, present, masked)
            elif id.startswith(_LEVEL):
                levels[id.removeprefix(_LEVEL)] = tuple(fields["channels"])
            else:
                name = id.removeprefix(_CONTACT)
                contacts.append((fields["place"], _contact(name, fields, present, masked)))
        except (KeyError, ValueError) as error:
            raise FailedPrecondition(
                "VERSION_UNREADABLE",
                f"this release cannot set {id[:80]!r} as that version has it: set what you want "
                "of it by hand",
            ) from error
    chain = Chain(tuple(one for _, one in sorted(contacts, key=lambda one: one[0])))
    return replace(present, channels=channels, levels=LevelSetting(levels), chain=chain)


def _channel(
    name: str, fields: Mapping[str, Any], present: Settings, masked: Masked
) -> ChannelSetting:
    values = {key: fields[key] for key in _OF_CHANNEL}
    now = [present.channel(name).destination]
    return ChannelSetting(
        enabled=values["enabled"],
        destination=_address(name, values["destination"], now, masked),
        quiet_hours=_hours(values["quiet_hours"]),
        quiet_budget_count=values["quiet_budget_count"],
    )


def _contact(name: str, fields: Mapping[str, Any], present: Settings, masked: Masked) -> Contact:
    """With addresses of the contact's own alone: one of another that looks the same is another
    person's.
    """
    mine = [one for one in present.chain.contacts if one.name == name]
    own = [route for one in mine for route in one.routes]
    wanted = [_brief(str(text)) for text in fields["routes"]]
    channels = [text.partition(" ")[0] for text in wanted]
    if channels == [route.channel for route in own] and wanted == [
        _route_text(route, masked) for route in own
    ]:
        return Contact(name, fields["wait_seconds"], tuple(own))
    routes = []
    for text in wanted:
        channel, _, shown = text.partition(" ")
        known = [route.address for route in own if route.channel == channel]
        found = Route(channel, _address(channel, shown, known, masked))
        routes.append(found)
        # An address is one way to a person, never two.
        own = [route for route in own if route != found]
    return Contact(name, fields["wait_seconds"], tuple(routes))


def _address(channel: str, shown: str, known: Sequence[str], masked: Masked) -> str:
    """The only one of the known addresses which is shown like this."""
    # Also without an address the channel must be one.
    masked(channel, "")
    if not shown:
        return ""
    shown = _brief(shown)
    found = {one for one in known if one and _look(channel, one, masked) == shown}
    if len(found) == 1:
        return found.pop()
    why = "more than one that is set now looks like it" if found else "is not set now"
    raise FailedPrecondition(
        "ADDRESS_NOT_KEPT",
        f"an address of {channel} was {shown} then, and {why}; versions keep no address: "
        "set it by hand, then restore",
    )


def _route_text(route: Route, masked: Masked) -> str:
    return f"{route.channel} {_look(route.channel, route.address, masked)}".rstrip()


def _look(channel: str, address: str, masked: Masked) -> str:
    return _brief(masked(channel, address)) if address else ""


def _brief(shown: str) -> str:
    """A URL by its host alone, as it is shown: releases before kept short words of its path."""
    return _URL.sub(r"\1/***", shown)


def _hours_text(hours: QuietHours | None) -> str:
    if hours is None:
        return ""
    times = [divmod(minute, 60) for minute in (hours.start_minute, hours.end_minute)]
    spans = "-".join(f"{hour:02}:{minute:02}" for hour, minute in times)
    return f"{spans} {hours.time_zone}"


def _hours(text: str) -> QuietHours | None:
    if not text:
        return None
    found = _HOURS.fullmatch(text)
    if found is None:
        raise ValueError(text)
    start_hour, start_minute, end_hour, end_minute = map(int, found.groups()[:4])
    start, end = start_hour * 60 + start_minute, end_hour * 60 + end_minute
    return QuietHours(start, end, found[5])
