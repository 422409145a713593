"""Calls through Twilio: asked about until it is known whether a person heard it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape, quoteattr

import httpx

from services.xcom.calls.domain import RING_SECONDS, CallStatus, PlacedCall, unheard
from services.xcom.domain.messages import Answer, DeliveryAttempt, Kind, Level
from services.xcom.domain.texts import spoken_text
from services.xcom.senders.twilio import Twilio, TwilioSettings, body_of, found
from shared.clock import Clock
from shared.log import get_logger

# Where Twilio says which key was pressed, at the gateway.
KEYS_PATH = "/calls/keys"
_TAKEN = frozenset({"in-progress", "completed"})
_KEY_WORDS = "To acknowledge, press any key."
# Twilio tells a person from a machine within this, or says unknown.
_DETECTION_SECONDS = 10


class Voice(Twilio):
    """One call an attempt, in which the text is spoken. HIGH danger has arrived when a person heard
    it, anything else when something took the call.
    """

    name = "voice"
    # A ring, a machine found out, a text spoken twice: and time to call again within 150 s.
    followed_seconds = 110.0
    look_seconds = 4.0
    cooldown_seconds = 45.0
    _resource = "Calls"
    _arrived = _TAKEN
    _failed = frozenset({"busy", "failed", "no-answer", "canceled"})

    def __init__(self, settings: TwilioSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self._public_url = settings.public_url.rstrip("/")

    async def placed(self, number: str) -> Sequence[PlacedCall] | None:
        """See Telephone."""
        query = {"To": number, "From": self._settings.twilio_from, "PageSize": "50"}
        response = await self.asked("Calls", **query)
        listed = body_of(response).get("calls") if response is not None else None
        if not isinstance(listed, list):
            return None
        return list(_placed(one for one in listed if isinstance(one, dict)))

    async def follow(self, attempt: DeliveryAttempt) -> Answer | str:
        if not _must_be_heard(attempt):
            return await super().follow(attempt)
        response = await self.asked(f"Calls/{attempt.receipt_id}")
        if response is None:
            return ""
        call = _status(response)
        words = " ".join(filter(None, (call.status, call.answered_by)))
        text = self.without_secrets(attempt, words)
        why = unheard(call)
        if why is None:
            return text
        if why == "":
            heard = f"heard by a person, {call.duration_seconds:g} s"
            return Answer(accepted=True, provider_status=heard)
        if call.status == "in-progress":
            # Nobody is spoken to, and the line is needed.
            await self._hang_up(attempt.receipt_id)
        return Answer(
            accepted=False, provider_status=text, error=f"nobody heard it: {why}", unanswered=True
        )

    def unended(self, attempt: DeliveryAttempt, status: str) -> Answer:
        """Somebody still listens, or it is called again."""
        if not _must_be_heard(attempt):
            return super().unended(attempt, status)
        if status == "in-progress human":
            return Answer(accepted=True, provider_status="a person listens")
        return Answer(
            accepted=False, error=f"nobody is known to have heard it: {status}", unanswered=True
        )

    def _text_fields(self, attempt: DeliveryAttempt) -> Mapping[str, str]:
        said = _say(spoken_text(attempt))
        if not _must_be_heard(attempt):
            return {"Twiml": f"<Response>{said}</Response>", "Timeout": str(RING_SECONDS)}
        if self._public_url:
            # The answer must know its call before the call is known by name.
            query = urlencode({"delivery": attempt.delivery_id})
            address = quoteattr(f"{self._public_url}{KEYS_PATH}?{query}")
            # Any key: else the hash key would only end the wait for one.
            said = (
                f'<Gather numDigits="1" finishOnKey="" timeout="5" method="POST" action={address}>'
                f"{_say(_KEY_WORDS)}{said}{_say(_KEY_WORDS)}</Gather>"
            )
        return {
            "Twiml": f"<Response>{said}</Response>",
            "Timeout": str(RING_SECONDS),
            "MachineDetection": "Enable",
            "MachineDetectionTimeout": str(_DETECTION_SECONDS),
        }

    async def _hang_up(self, receipt_id: str) -> None:
        try:
            url = self.url(f"Calls/{receipt_id}")
            await self.opened().post(url, data={"Status": "completed"})
        except httpx.HTTPError as error:
            get_logger().warning("call not ended", kind=type(error).__name__)


def _must_be_heard(attempt: DeliveryAttempt) -> bool:
    return attempt.level is Level.HIGH and attempt.kind is Kind.DANGER


def _say(text: str) -> str:
    spoken = "".join(character for character in text if character.isprintable())
    return f"<Say>{escape(spoken)}</Say>"


def _status(response: httpx.Response) -> CallStatus:
    duration = found(response, "duration")
    return CallStatus(
        found(response, "status"),
        found(response, "answered_by"),
        float(duration) if duration.isdecimal() else None,
    )


def _placed(listed: Iterable[dict[str, Any]]) -> Iterable[PlacedCall]:
    for one in listed:
        created_time = _time(one.get("date_created"))
        if created_time is not None and one.get("sid"):
            yield PlacedCall(str(one["sid"]), created_time)


def _time(text: object) -> datetime | None:
    try:
        found = parsedate_to_datetime(str(text))
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else None
