"""Texts that came in for the number that sends: fetched while something may be answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from services.xcom.replies.domain import Incoming, Reply, ReplyOutcome
from services.xcom.senders.twilio import Sms, body_of

_PAGE_SIZE = 50
# Some come late, and in another order.
_OVERLAP = timedelta(minutes=10)


class TextReplies:
    """A ReplySource; `position` is when the newest one came."""

    name = "sms"
    channels: tuple[str, ...] = ("sms", "voice")
    always = False
    pause_seconds = 10.0

    def __init__(self, sms: Sms, own_number: str) -> None:
        self._sms = sms
        self._own_number = own_number

    async def incoming(self, position: str) -> Incoming | str:
        """See ReplySource."""
        query = {"To": self._own_number, "PageSize": str(_PAGE_SIZE)}
        response = await self._sms.asked("Messages", **query)
        listed = body_of(response).get("messages") if response is not None else None
        if not isinstance(listed, list):
            return "messages are not listed"
        after = datetime.fromisoformat(position) if position else datetime.min.replace(tzinfo=UTC)
        replies = sorted(
            self._replies(one for one in listed if isinstance(one, dict)),
            key=lambda one: one[0],
        )
        newest = max((moment for moment, _ in replies), default=after)
        left = [reply for moment, reply in replies if not position or moment > after - _OVERLAP]
        return Incoming(left, max(newest, after).isoformat() if replies or position else "")

    async def thank(self, reply: Reply, verdict: ReplyOutcome) -> None:
        """Nothing: every text costs."""

    def _replies(self, listed: Iterable[Mapping[str, Any]]) -> Iterable[tuple[datetime, Reply]]:
        for one in listed:
            moment = _time(one.get("date_sent") or one.get("date_created"))
            is_for_us = one.get("direction") == "inbound" and one.get("to") == self._own_number
            if is_for_us and moment is not None and one.get("sid"):
                sender, text = str(one.get("from", "")), str(one.get("body") or "")
                yield moment, Reply(str(one["sid"]), sender, text, said_time=moment)


def _time(text: object) -> datetime | None:
    try:
        found = parsedate_to_datetime(str(text))
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else None
