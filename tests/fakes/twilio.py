"""Twilio on loopback: telephones that ring, texts, what it lists of both, its errors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

from tests.fakes.webhook import FakeWebhook, Received, Reply

SID = "ACcanarysid0000"
TOKEN = "canary-twilio-token"


@dataclass(frozen=True, slots=True)
class Ring:
    """How one call goes. `taken_after`: seconds of ringing, None for never; it lasts
    `lasts_seconds` from then on; `by`: who took it.
    """

    taken_after: float | None = None
    lasts_seconds: float = 14.0
    by: str | None = "human"
    refused_as: str = ""


NOBODY = Ring()
BUSY = Ring(refused_as="busy")
VOICEMAIL = Ring(20, 60, "machine_start")
PERSON = Ring(8)


@dataclass(slots=True)
class FakeCall:
    """A call as Twilio keeps it."""

    sid: str
    form: dict[str, str]
    created_time: datetime
    ring: Ring
    hung_up_time: datetime | None = None

    def shown(self, now: datetime) -> dict[str, object]:
        """The resource, as far as it is read here."""
        age = (now - self.created_time).total_seconds()
        shown: dict[str, object] = {
            "sid": self.sid,
            "to": self.form["To"],
            "from": self.form["From"],
            "date_created": format_datetime(self.created_time),
            "direction": "outbound-api",
            "status": "ringing",
            "answered_by": None,
            "duration": None,
        }
        taken_after = self.ring.taken_after
        if self.ring.refused_as:
            return shown | ({"status": self.ring.refused_as, "duration": "0"} if age > 3 else {})
        if taken_after is None or taken_after > float(self.form.get("Timeout", "60")):
            ends_after = float(self.form.get("Timeout", "60"))
            return shown | ({"status": "no-answer", "duration": "0"} if age >= ends_after else {})
        if age < taken_after:
            return shown
        lasts_seconds = self.ring.lasts_seconds
        if self.hung_up_time is not None:
            until = (self.hung_up_time - self.created_time).total_seconds() - taken_after
            lasts_seconds = min(lasts_seconds, until)
        by = self.ring.by if "MachineDetection" in self.form else None
        if age < taken_after + lasts_seconds:
            known = age >= taken_after + 2
            return shown | {"status": "in-progress", "answered_by": by if known else None}
        heard = by if lasts_seconds >= 1 else None
        ended = {"status": "completed", "duration": str(round(lasts_seconds))}
        return shown | ended | {"answered_by": heard}


@dataclass(slots=True)
class FakeText:
    """An incoming message."""

    sid: str
    sender: str
    body: str
    created_time: datetime
    to: str = field(default="+15005550006")

    def shown(self) -> dict[str, object]:
        moment = format_datetime(self.created_time)
        return {
            "sid": self.sid,
            "from": self.sender,
            "to": self.to,
            "body": self.body,
            "direction": "inbound",
            "status": "received",
            "date_created": moment,
            "date_sent": moment,
        }


class FakeTwilio(FakeWebhook):
    """`base_url` while entered; `refusal` is answered to everything when it is set.

    What it took is queued; asked later, a text stands as `standing` says, by its sid or for all. A
    call does too when it says something, else it goes as `take` decides of its number and how many
    there were before, by `now`.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(self._decide)
        self.now = now
        self.refusal: Reply | None = None
        self.standing: dict[str, str] = {"Calls": "completed", "Messages": "delivered"}
        self.take: Callable[[str, int], Ring] = lambda _number, _before: PERSON
        self.placed: list[FakeCall] = []
        self.incoming: list[FakeText] = []
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
        asked = [urlsplit(one.path).path for one in self.received if not one.raw]
        return [path.rpartition("/")[2].partition(".")[0] for path in asked if "/C" in path]

    def rings_to(self, number: str) -> list[datetime]:
        """When this number was called."""
        return [one.created_time for one in self.placed if one.form["To"] == number]

    def writes(self, sender: str, body: str, age: timedelta = timedelta()) -> FakeText:
        """A text comes in, `age` ago."""
        text = FakeText(f"SM{len(self.incoming) + 1:032d}", sender, body, self.now() - age)
        self.incoming.append(text)
        return text

    def _forms(self, end: str) -> list[dict[str, str]]:
        return [form(one) for one in self.received if one.raw and one.path.endswith(end)]

    def _decide(self, received: Received) -> Reply:
        wanted = "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        if received.headers.get("authorization") != wanted:
            return answer(401, {"code": 20003, "message": "Authenticate", "status": 401})
        if f"/2010-04-01/Accounts/{SID}/" not in received.path:
            return answer(404, {"code": 20404})
        if self.refusal is not None:
            return self.refusal
        address = urlsplit(received.path)
        resource, _, sid = (
            address.path.partition(f"/{SID}/")[2].removesuffix(".json").partition("/")
        )
        if not received.raw:
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            return self._shown(resource, sid, query)
        if sid:
            return self._changed(sid, form(received))
        # The first of two requests with the same token counts.
        token = received.headers["i-twilio-idempotency-token"]
        sid = self._sids.setdefault(token, f"{resource[:1]}{len(self._sids) + 1}")
        if resource == "Calls" and all(one.sid != sid for one in self.placed):
            asked = form(received)
            ring = self.take(asked["To"], len(self.rings_to(asked["To"])))
            self.placed.append(FakeCall(sid, asked, self.now(), ring))
        return answer(201, {"sid": sid, "status": "queued", "answered_by": None, "duration": None})

    def _shown(self, resource: str, sid: str, query: dict[str, str]) -> Reply:
        if not sid and resource == "Calls":
            found = [one.shown(self.now()) for one in reversed(self.placed)]
            listed = [one for one in found if one["to"] == query.get("To", one["to"])]
            return answer(200, {"calls": listed, "next_page_uri": None, "page": 0})
        if not sid:
            size = int(query.get("PageSize", "50"))
            texts = [one.shown() for one in reversed(self.incoming) if one.to == query.get("To")]
            return answer(200, {"messages": texts[:size], "next_page_uri": None, "page": 0})
        if resource == "Calls" and sid not in self.standing and self.standing["Calls"] == "":
            call = next((one for one in self.placed if one.sid == sid), None)
            if call is None:
                return answer(404, {"code": 20404, "status": 404})
            return answer(200, call.shown(self.now()))
        standing = self.standing.get(sid, self.standing[resource])
        ended = {"answered_by": "human", "duration": "14"} if standing == "completed" else {}
        return answer(200, {"sid": sid, "status": standing, **ended})

    def _changed(self, sid: str, wanted: dict[str, str]) -> Reply:
        for call in self.placed:
            if call.sid == sid and wanted.get("Status") == "completed":
                call.hung_up_time = call.hung_up_time or self.now()
                return answer(200, call.shown(self.now()))
        return answer(404, {"code": 20404, "status": 404})


def form(received: Received) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(received.raw.decode()).items()}


def answer(status: int, body: dict[str, object]) -> Reply:
    return Reply(status, (("Content-Type", "application/json"),), body=json.dumps(body).encode())
