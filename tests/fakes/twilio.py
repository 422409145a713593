"""Twilio on loopback: keeps the forms it gets, answers as told."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

from tests.fakes.webhook import FakeWebhook, Received, Reply

SID = "ACcanarysid0000"
TOKEN = "canary-twilio-token"


class FakeTwilio(FakeWebhook):
    """`base_url` while entered; `refusal` is answered to everything when it is set.

    What it took is queued; asked later, a call or text stands as `standing` says, by its sid or for
    all.
    """

    def __init__(self) -> None:
        super().__init__(self._decide)
        self.refusal: Reply | None = None
        self.standing: dict[str, str] = {"Calls": "completed", "Messages": "delivered"}
        self._sids: dict[str, str] = {}

    @property
    def base_url(self) -> str:
        return self.url.removesuffix("/hook")

    @property
    def texts(self) -> list[dict[str, str]]:
        """Forms of the SMS, oldest first."""
        return self._forms("/Messages.json")

    @property
    def calls(self) -> list[dict[str, str]]:
        """Forms of the calls, oldest first."""
        return self._forms("/Calls.json")

    @property
    def looks(self) -> list[str]:
        """Sids that were asked about."""
        return [
            one.path.rpartition("/")[2].partition(".")[0] for one in self.received if not one.raw
        ]

    def _forms(self, end: str) -> list[dict[str, str]]:
        return [form(one) for one in self.received if one.raw and one.path.endswith(end)]

    def _decide(self, received: Received) -> Reply:
        wanted = "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        if received.headers.get("authorization") != wanted:
            return answer(401, {"code": 20003, "message": "Authenticate"})
        if f"/2010-04-01/Accounts/{SID}/" not in received.path:
            return answer(404, {"code": 20404})
        if self.refusal is not None:
            return self.refusal
        resource, _, sid = (
            received.path.partition(f"/{SID}/")[2].removesuffix(".json").partition("/")
        )
        if not received.raw:
            return answer(
                200, {"sid": sid, "status": self.standing.get(sid, self.standing[resource])}
            )
        # The first of two requests with the same token counts.
        token = received.headers["i-twilio-idempotency-token"]
        sid = self._sids.setdefault(token, f"{resource[:1]}{len(self._sids) + 1}")
        return answer(201, {"sid": sid, "status": "queued"})


def form(received: Received) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(received.raw.decode()).items()}


def answer(status: int, body: dict[str, object]) -> Reply:
    return Reply(status, (("Content-Type", "application/json"),), body=json.dumps(body).encode())
