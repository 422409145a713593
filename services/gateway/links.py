"""The page behind a link of a message: it shows what will be acknowledged, and acts on POST alone.

What reads mail ahead of people (a scanner, a preview) opens links: a GET changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qs

from sonic.xcom.v1 import xcom_pb2 as pb
from starlette.responses import Response

from services.gateway.peers import Peers
from services.gateway.simple_page import page
from services.gateway.surface import Route
from shared.clock import Clock
from shared.errors import FailedPrecondition, InvalidArgument, NotFound, SonicError

TEMPLATE = "/link/{token}"
_PATH = re.compile(r"/link/([A-Za-z0-9_-]{1,128})")
_ACTIONS = {
    "acknowledge": pb.LINK_ACTION_ACKNOWLEDGE,
    "snooze": pb.LINK_ACTION_SNOOZE,
}
_WORDS = {
    "LINK_NOT_FOUND": (404, "This link is not known", "It may be cut off: open the whole link."),
    "LINK_EXPIRED": (410, "This link is too old", "Nothing was changed."),
    "LINK_USED": (410, "This link was used before", "It works once. Nothing was changed."),
}
_UNKNOWN_ACTION = (400, "Nothing was asked for", "Nothing was changed: choose a button.")


class LinkPages:
    """GET shows, POST acts."""

    def __init__(self, routes: Sequence[Route], peers: Peers, clock: Clock) -> None:
        by_name = {route.method.name: route for route in routes if route.service == "xcom"}
        self._preview, self._use = by_name["PreviewLink"], by_name["UseLink"]
        self._peers = peers
        self._clock = clock

    def __contains__(self, path: str) -> bool:
        return _PATH.fullmatch(path) is not None

    async def answer(self, path: str, body: bytes, *, acts: bool) -> Response:
        """The page, after what the form asks for when it `acts`; whatever is wrong is said in words
        on it.
        """
        found = _PATH.fullmatch(path)
        token = found[1] if found else ""
        try:
            if acts:
                return await self._used(token, _action(body))
            return await self._shown(token)
        except (NotFound, FailedPrecondition, InvalidArgument) as error:
            return page(*_WORDS.get(error.reason, _WORDS["LINK_NOT_FOUND"]))
        except SonicError:
            return page(
                503, "Sonic does not answer now", "Nothing is known to have changed. Try again."
            )

    async def _shown(self, token: str) -> Response:
        link: Any = await self._peers.ask(self._preview, pb.PreviewLinkRequest(token=token))
        if link.HasField("used_time"):
            return page(*_WORDS["LINK_USED"])
        subject = _subject(link, self._clock.now())
        if link.HasField("acknowledged_time"):
            subject += '<p class="quiet">Somebody has acknowledged this already.</p>'
        form = (
            '<form method="post">'
            '<button class="first" name="action" value="acknowledge">I have seen it</button>'
            '<button name="action" value="snooze">Remind me in 15 minutes</button></form>'
            '<p class="quiet">Until one of them is pressed the next contact is still told.</p>'
        )
        return page(200, "Acknowledge?", "", subject + form)

    async def _used(self, token: str, action: Any) -> Response:
        if action is None:
            return page(*_UNKNOWN_ACTION)
        wanted = pb.UseLinkRequest(token=token, action=action)
        link: Any = await self._peers.ask(self._use, wanted)
        done = "Acknowledged" if action == pb.LINK_ACTION_ACKNOWLEDGE else "Snoozed"
        words = (
            "Nobody else is told of this."
            if action == pb.LINK_ACTION_ACKNOWLEDGE
            else "The next contact is told if nobody acknowledges within 15 minutes."
        )
        return page(200, done, words, _subject(link, self._clock.now()))


def _action(body: bytes) -> Any:
    """What the form asks for; None when it is no word of ours."""
    given = parse_qs(body.decode("ascii", errors="replace")).get("action", [""])
    return _ACTIONS.get(given[0])


def _subject(link: Any, now: datetime) -> str:
    level = pb.Level.Name(link.level).removeprefix("LEVEL_")
    created = link.created_time.ToDatetime(UTC)
    return (
        f'<p><strong class="{level}">{level}</strong> {escape(link.subject)}</p>'
        f'<p class="quiet">sent {_ago(now - created)}, {created:%Y-%m-%d %H:%M} UTC</p>'
    )


def _ago(age: timedelta) -> str:
    seconds = max(age.total_seconds(), 0)
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} seconds ago"
