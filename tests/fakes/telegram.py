"""Telegram for bots on loopback: chats, buttons, updates kept until confirmed, errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.webhook import FakeWebhook, Received, Reply

TOKEN = "123456789:canary-telegram-token"
CHAT, OTHER_CHAT = "12345", "67890"


@dataclass(slots=True)
class Posted:
    """A message as the chat shows it."""

    message_id: int
    chat: str
    text: str
    buttons: list[str]
    edits: int = 0


class FakeTelegram(FakeWebhook):
    """`base_url` while entered; `down` answers everything with it."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(self._decide)
        self.now = now
        self.down: Reply | None = None
        self.posted: list[Posted] = []
        self.thanked: list[str] = []
        self._updates: list[dict[str, Any]] = []
        self._numbers = 700

    @property
    def base_url(self) -> str:
        return self.url.removesuffix("/hook")

    @property
    def waiting_count(self) -> int:
        """Updates that were not confirmed."""
        return len(self._updates)

    def presses(self, posted: Posted, data: str, chat: str | None = None) -> dict[str, Any]:
        """Somebody presses a button of this message."""
        message = self._message(posted.message_id, chat or posted.chat, posted.text)
        pressed = {
            "id": f"query-{self._numbers}",
            "from": {"id": 1, "is_bot": False, "first_name": "Jane"},
            "message": message,
            "chat_instance": "1",
            "data": data,
        }
        return self.comes({"callback_query": pressed})

    def writes(
        self, text: str, chat: str = CHAT, to: Posted | None = None, at: datetime | None = None
    ) -> dict[str, Any]:
        """Somebody writes into a chat."""
        message = self._message(9_000 + self._numbers, chat, text, at)
        if to is not None:
            message["reply_to_message"] = self._message(to.message_id, to.chat, to.text)
        return self.comes({"message": message})

    def repeats(self, update: dict[str, Any]) -> None:
        """An update that was confirmed comes once more."""
        self._updates.append(update)

    def comes(self, update: dict[str, Any]) -> dict[str, Any]:
        """An update of whatever kind; it gets the next number."""
        self._numbers += 1
        update["update_id"] = self._numbers
        self._updates.append(update)
        return update

    def _message(
        self, message_id: int, chat: str, text: str, at: datetime | None = None
    ) -> dict[str, Any]:
        return {
            "message_id": message_id,
            "date": int((at or self.now()).timestamp()),
            "chat": {"id": int(chat), "type": "private", "first_name": "Jane"},
            "text": text,
        }

    def _decide(self, received: Received) -> Reply:
        if self.down is not None:
            return self.down
        address = urlsplit(received.path)
        _, bot, method = address.path.split("/")
        if bot != f"bot{TOKEN}":
            return failed(401, "Unauthorized")
        if method == "getUpdates":
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            offset = int(query.get("offset", "0"))
            self._updates = [one for one in self._updates if one["update_id"] >= offset]
            return done(self._updates)
        body = json.loads(received.raw)
        if method == "answerCallbackQuery":
            self.thanked.append(body["text"])
            return done(True)
        if method == "editMessageText":
            return self._edited(body)
        if not body["text"] or len(body["text"].encode("utf-16-le")) // 2 > 4096:
            return failed(400, "Bad Request: message is too long")
        if str(body["chat_id"]) not in (CHAT, OTHER_CHAT):
            return failed(400, "Bad Request: chat not found")
        posted = Posted(len(self.posted) + 1, str(body["chat_id"]), body["text"], _buttons(body))
        self.posted.append(posted)
        return done(self._message(posted.message_id, posted.chat, posted.text))

    def _edited(self, body: dict[str, Any]) -> Reply:
        for one in self.posted:
            if (one.message_id, one.chat) == (body["message_id"], str(body["chat_id"])):
                if (one.text, one.buttons) == (body["text"], _buttons(body)):
                    return failed(400, "Bad Request: message is not modified")
                one.text, one.buttons, one.edits = body["text"], _buttons(body), one.edits + 1
                return done(self._message(one.message_id, one.chat, one.text))
        return failed(400, "Bad Request: message to edit not found")


def _buttons(body: dict[str, Any]) -> list[str]:
    rows = body.get("reply_markup", {}).get("inline_keyboard", [])
    return [button["callback_data"] for row in rows for button in row]


def done(result: object) -> Reply:
    return _json(200, {"ok": True, "result": result})


def failed(status: int, description: str, **parameters: int) -> Reply:
    body: dict[str, object] = {"ok": False, "error_code": status, "description": description}
    return _json(status, body | ({"parameters": parameters} if parameters else {}))


def _json(status: int, body: dict[str, object]) -> Reply:
    return Reply(status, (("Content-Type", "application/json"),), body=json.dumps(body).encode())
