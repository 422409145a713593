"""Telegram's own interface: messages with buttons, edited later, and what is answered to them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from services.xcom.deliveries.domain.standing import Posted
from services.xcom.domain.fitting import utf16_size
from services.xcom.domain.messages import Answer, DeliveryAttempt, Kind, Level
from services.xcom.domain.texts import titled_text
from services.xcom.replies.domain import Incoming, Reply, ReplyOutcome
from services.xcom.senders.channel import Channel, is_own, redacted, refused, several
from shared.clock import Clock
from shared.http import trust

_URL = re.compile(r"tgram://(\d+:[A-Za-z0-9_-]{10,})((?:/(?:-?\d+|@\w+))+)/?")
_ROOM = 4096
_LONG_POLL_SECONDS = 25
_BUTTONS = {
    "inline_keyboard": [
        [
            {"text": "Acknowledge", "callback_data": "ack"},
            {"text": "Silence 1 h", "callback_data": "silence 1h"},
        ]
    ]
}
_SAID = {
    ReplyOutcome.ACKNOWLEDGED: "Acknowledged",
    ReplyOutcome.SILENCED: "Silenced",
    ReplyOutcome.NOTHING_OPEN: "Nothing is open here",
    ReplyOutcome.TOO_OLD: "That was before the last message",
    ReplyOutcome.NOT_A_WORD: "Not understood: ack, or silence 1h",
}


class TelegramAddress:
    """What a URL like `tgram://TOKEN/CHAT/CHAT` says."""

    def __init__(self, url: str) -> None:
        found = _URL.fullmatch(url)
        self.token = found[1] if found else ""
        self.chats: Sequence[str] = found[2].strip("/").split("/") if found else ()


class Telegram(Channel):
    """One bot, one or more chats."""

    name = "telegram"
    channels: tuple[str, ...] = ("telegram",)
    links = True
    always = True
    pause_seconds = 1.0

    def __init__(
        self, address: TelegramAddress, base_url: str, timeout_seconds: float, clock: Clock
    ) -> None:
        self._address = address
        self._url = f"{base_url.rstrip('/')}/bot{address.token}"
        self._clock = clock
        self.own = several(list(address.chats))
        self.timeout_seconds = timeout_seconds
        self._client: httpx.AsyncClient | None = None

    @property
    def missing_settings(self) -> tuple[str, ...]:
        return ()

    @property
    def destination(self) -> str:
        return ", ".join(map(self.masked, self._address.chats))

    def masked(self, address: str) -> str:
        return f"tgram://***{address[-2:]}"

    def recipient(self, address: str) -> str:
        if is_own(address):
            return self.own.get(address, "")
        return address or self._address.chats[0]

    async def send(self, attempt: DeliveryAttempt) -> Answer:
        chat = self.recipient(attempt.address)
        body: dict[str, object] = {"chat_id": chat, "text": titled_text(attempt, _ROOM, utf16_size)}
        if can_be_answered(attempt):
            body["reply_markup"] = _BUTTONS
        try:
            response = await self._opened().post(f"{self._url}/sendMessage", json=body)
        except httpx.TimeoutException:
            return Answer(accepted=False, error="no answer in time")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(accepted=False, error=f"not reached: {type(error).__name__}")
        answered = _answered(response)
        if not response.is_success or answered.get("ok") is not True:
            return self._refused(response, answered)
        posted = _inside(answered, "result")
        return Answer(
            accepted=True,
            provider_status="accepted",
            posted_id=f"{chat}/{posted.get('message_id', '')}",
        )

    async def incoming(self, position: str) -> Incoming | str:
        """See ReplySource: held open until something comes, half a minute at most."""
        query: dict[str, str | int] = {
            "timeout": _LONG_POLL_SECONDS,
            "allowed_updates": '["message","callback_query"]',
        }
        if position:
            query["offset"] = position
        try:
            response = await self._opened().get(
                f"{self._url}/getUpdates", params=query, timeout=_LONG_POLL_SECONDS + 10
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"not reached: {type(error).__name__}"
        answered = _answered(response)
        updates = answered.get("result")
        if answered.get("ok") is not True or not isinstance(updates, list):
            return self._refused(response, answered).error
        known = [one for one in updates if isinstance(one, dict) and _is_number(one, "update_id")]
        replies = [reply for one in known if (reply := self._reply(one)) is not None]
        newest = max((one["update_id"] for one in known), default=None)
        return Incoming(replies, position if newest is None else str(newest + 1))

    async def thank(self, reply: Reply, verdict: ReplyOutcome) -> None:
        """See ReplySource."""
        said = _SAID.get(verdict)
        if said is None:
            return
        if reply.thanks_id:
            body: dict[str, object] = {"callback_query_id": reply.thanks_id, "text": said}
            await self._told("answerCallbackQuery", body)
        elif verdict is not ReplyOutcome.NOT_A_WORD or reply.answers:
            await self._told("sendMessage", {"chat_id": reply.sender, "text": said})

    async def edit(self, posted: Posted) -> Answer:
        """See Editable; a message that is gone, or reads so already, is no failure."""
        chat, _, message_id = posted.posted_id.rpartition("/")
        first = titled_text(posted.attempt, _ROOM - len(posted.head) - 2, utf16_size)
        body: dict[str, object] = {
            "chat_id": chat,
            "message_id": int(message_id or 0),
            "text": f"{posted.head}\n\n{first}",
        }
        if posted.is_open and can_be_answered(posted.attempt):
            body["reply_markup"] = _BUTTONS
        return await self._told("editMessageText", body)

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    def _reply(self, update: dict[str, Any]) -> Reply | None:
        """What an update says, as far as it is of a chat."""
        pressed = _inside(update, "callback_query")
        said = _inside(pressed, "message") if pressed else _inside(update, "message")
        chat = self._chat(_inside(said, "chat"))
        provider_id = str(update["update_id"])
        if pressed:
            return Reply(
                provider_id,
                chat,
                str(pressed.get("data", "")),
                answers=f"{chat}/{said.get('message_id', '')}",
                thanks_id=str(pressed.get("id", "")),
            )
        if not said:
            return None
        before = _inside(said, "reply_to_message")
        return Reply(
            provider_id,
            chat,
            str(said.get("text", "")),
            answers=f"{chat}/{before['message_id']}" if "message_id" in before else "",
            said_time=_time(said.get("date")),
        )

    def _chat(self, chat: Mapping[str, Any]) -> str:
        """As it is configured: by number, or by the name of a channel."""
        named = f"@{chat.get('username', '')}".lower()
        own = (one for one in self._address.chats if one.lower() == named)
        return next(own, str(chat.get("id", "")))

    async def _told(self, method: str, body: Mapping[str, object]) -> Answer:
        try:
            response = await self._opened().post(f"{self._url}/{method}", json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(accepted=False, error=f"not reached: {type(error).__name__}")
        answered = _answered(response)
        if answered.get("ok") is True:
            return Answer(accepted=True)
        return self._refused(response, answered)

    def _refused(self, response: httpx.Response, answered: Mapping[str, Any]) -> Answer:
        line = f"HTTP {response.status_code} {answered.get('description', '')}"
        hidden = (self._address.token, *self._address.chats)
        wait = _inside(answered, "parameters").get("retry_after")
        seconds = str(wait) if isinstance(wait, int) else response.headers.get("Retry-After", "")
        return refused(response.status_code, redacted(line, hidden), seconds, self._clock.now())

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=self.timeout_seconds,
                follow_redirects=False,
                trust_env=False,
                verify=trust(),
            )
        return self._client


def can_be_answered(attempt: DeliveryAttempt) -> bool:
    """Whether there is anything to acknowledge."""
    is_danger = attempt.kind is Kind.DANGER and attempt.level in (Level.MEDIUM, Level.HIGH)
    return is_danger and attempt.facts.get("event") != "RESOLVED"


def _answered(response: httpx.Response) -> Mapping[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _inside(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _is_number(found: Mapping[str, Any], name: str) -> bool:
    return isinstance(found.get(name), int)


def _time(value: object) -> datetime | None:
    if not isinstance(value, int):
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
    except OverflowError:
        return None
