"""Twilio on loopback: keeps the forms it gets, answers as told. Knows the account it lets in."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

from tests.fakes.webhook import FakeWebhook, Received, Reply

SID = "ACcanarysid0000"
TOKEN = "canary-twilio-token"


class FakeTwilio(FakeWebhook):
    """`base_url` while entered; `refusal` is answered to everything when it is set."""

    def __init__(self) -> None:
        super().__init__(self._decide)
        self.refusal: Reply | None = None

    @property
    def base_url(self) -> str:
        return self.url.removesuffix("/hook")

    @property
    def texts(self) -> list[dict[str, str]]:
        """Forms of the SMS, oldest first."""
        return [form(one) for one in self.received if one.path.endswith("/Messages.json")]

    @property
    def calls(self) -> list[dict[str, str]]:
        """Forms of the calls, oldest first."""
        return [form(one) for one in self.received if one.path.endswith("/Calls.json")]

    def _decide(self, received: Received) -> Reply:
        wanted = "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        if received.headers.get("authorization") != wanted:
            return answer(401, {"code": 20003, "message": "Authenticate"})
        if f"/2010-04-01/Accounts/{SID}/" not in received.path:
            return answer(404, {"code": 20404})
        return self.refusal or answer(201, {"sid": "SM1", "status": "queued"})


def form(received: Received) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(received.raw.decode()).items()}


def answer(status: int, body: dict[str, object]) -> Reply:
    return Reply(status, (("Content-Type", "application/json"),), body=json.dumps(body).encode())
