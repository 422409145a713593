"""What goes through Twilio's REST interface, and SMS; calls are in telephone.py."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx
from pydantic import BaseModel, Field, SecretStr, field_validator

from services.xcom.domain.messages import Answer, DeliveryAttempt
from services.xcom.domain.texts import short_text
from services.xcom.senders.channel import (
    Channel,
    empty,
    is_own,
    listed,
    masked_number,
    redacted,
    refused,
    several,
)
from shared.clock import Clock
from shared.http import trust

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_SID = re.compile(r"[A-Za-z0-9]{1,64}")
_BODY_LENGTH = 100_000


class TwilioSettings(BaseModel):
    """Environment of the sms and voice channels."""

    twilio_account_sid: SecretStr = Field(
        SecretStr(""), description="Twilio account", examples=["AC..."]
    )
    twilio_auth_token: SecretStr = Field(SecretStr(""), description="Twilio password")
    twilio_from: str = Field(
        "", description="number that sends and calls", examples=["+15005550006"]
    )
    twilio_to: str = Field(
        "",
        description="number that is told; several with commas between",
        examples=["+491701234567"],
    )
    twilio_url: str = Field("https://api.twilio.com", description="where Twilio answers")
    twilio_timeout_seconds: float = Field(15.0, gt=0, le=120, description="bound of one try")
    voice_cooldown_seconds: float | None = Field(
        None, description="no longer used: calls follow docs/waking.md; accepted, and told"
    )
    public_url: str = Field(
        "",
        description="address of the gateway as Twilio reaches it: a call is then acknowledged"
        " by a key",
        examples=["https://sonic.example.com"],
    )
    sms_cooldown_seconds: float = Field(
        10.0,
        ge=0,
        le=3600,
        description="rest between two texts to one number; what waits becomes one",
    )

    @field_validator("public_url")
    @classmethod
    def _is_public(cls, value: str) -> str:
        if value and not value.startswith("https://"):
            raise ValueError("not an https URL")
        return value

    @field_validator("twilio_to")
    @classmethod
    def _are_numbers(cls, value: str) -> str:
        if not all(map(_NUMBER.fullmatch, listed(value))):
            raise ValueError(
                "not a phone number like +491701234567, or several with commas between"
            )
        return value

    @field_validator("twilio_from")
    @classmethod
    def _is_number(cls, value: str) -> str:
        if value and not _NUMBER.fullmatch(value):
            raise ValueError("not a phone number like +491701234567")
        return value


class Twilio(Channel):
    """What both have in common: account, numbers, and how an answer is read."""

    destination_setting = "TWILIO_TO"
    _resource = ""
    _arrived: frozenset[str] = frozenset()
    _failed: frozenset[str] = frozenset()

    def __init__(self, settings: TwilioSettings, clock: Clock) -> None:
        self._clock = clock
        self._settings = settings
        self._numbers = listed(settings.twilio_to)
        self.own = several(self._numbers)
        self._sid = settings.twilio_account_sid.get_secret_value()
        self._token = settings.twilio_auth_token.get_secret_value()
        self._client: httpx.AsyncClient | None = None
        self.timeout_seconds = settings.twilio_timeout_seconds

    @property
    def missing_settings(self) -> tuple[str, ...]:
        return empty(
            {
                "TWILIO_ACCOUNT_SID": self._sid,
                "TWILIO_AUTH_TOKEN": self._token,
                "TWILIO_FROM": self._settings.twilio_from,
                "TWILIO_TO": self._settings.twilio_to,
            }
        )

    @property
    def destination(self) -> str:
        return ", ".join(map(masked_number, self._numbers))

    async def check(self, address: str) -> None:
        if not _NUMBER.fullmatch(address):
            raise ValueError("not a phone number like +491701234567")

    def recipient(self, address: str) -> str:
        if is_own(address):
            return self.own.get(address, "")
        return address or (self._numbers[0] if self._numbers else "")

    def masked(self, address: str) -> str:
        return masked_number(address)

    async def send(self, attempt: DeliveryAttempt) -> Answer:
        number = attempt.address or self._numbers[0]
        url = self.url(self._resource)
        form = {"To": number, "From": self._settings.twilio_from, **self._text_fields(attempt)}
        # Twilio keeps the first of two requests with the same token. One that failed there needs
        # another.
        parts = filter(None, (attempt.delivery_id, attempt.receipt_id))
        headers = {"I-Twilio-Idempotency-Token": "-".join(parts)}
        try:
            response = await self.opened().post(url, data=form, headers=headers)
        except httpx.TimeoutException:
            return Answer(accepted=False, error="no answer in time")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Without a connection nothing was asked.
            unasked = isinstance(error, httpx.ConnectError | httpx.InvalidURL)
            problem = f"not reached: {type(error).__name__}"
            return Answer(accepted=False, error=problem, never_taken=unasked)
        return self._read(response, number)

    async def follow(self, attempt: DeliveryAttempt) -> Answer | str:
        response = await self.asked(f"{self._resource}/{attempt.receipt_id}")
        status = found(response, "status") if response is not None else ""
        if response is None or not status:
            return ""
        text = self.without_secrets(
            attempt, " ".join(filter(None, (status, found(response, "error_code"))))
        )
        if status in self._arrived:
            return Answer(accepted=True, provider_status=text)
        if status in self._failed:
            return Answer(accepted=False, provider_status=text, error=f"did not arrive: {text}")
        return text

    async def asked(self, path: str, **query: str) -> httpx.Response | None:
        """What is answered of a resource; None when it is no answer."""
        try:
            response = await self.opened().get(self.url(path), params=query)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        return response if response.is_success else None

    def without_secrets(self, attempt: DeliveryAttempt, text: str) -> str:
        """What may go on record."""
        return redacted(text, (self._token, self._sid, attempt.address or self._numbers[0]))

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    def _text_fields(self, attempt: DeliveryAttempt) -> Mapping[str, str]:
        raise NotImplementedError

    def url(self, path: str) -> str:
        """Of a resource of the account."""
        return (
            f"{self._settings.twilio_url.rstrip('/')}/2010-04-01/Accounts/{self._sid}/{path}.json"
        )

    def opened(self) -> httpx.AsyncClient:
        """The client, with the account's name and password."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                auth=(self._sid, self._token),
                timeout=self.timeout_seconds,
                follow_redirects=False,
                trust_env=False,
                verify=trust(),
            )
        return self._client

    def _read(self, response: httpx.Response, number: str) -> Answer:
        status = response.status_code
        answered = _answered(response)
        hidden = (self._token, self._sid, number, self._settings.twilio_from)
        line = redacted(f"HTTP {status} {answered}", hidden)
        if response.is_success:
            # Queued there is not arrived: it is asked about by this name.
            name = found(response, "sid")
            if _SID.fullmatch(name):
                return Answer(accepted=True, provider_status=line, receipt_id=name)
            # Somebody between, or an error: nothing is known to be on its way. Should it be after
            # all, the token keeps the next try from being a second one.
            error = f"answered {line}, which names nothing that was taken"
            return Answer(accepted=False, provider_status=line, error=error)
        retry_after = response.headers.get("Retry-After", "")
        return refused(status, line, retry_after, self._clock.now())


class Sms(Twilio):
    """One short text an attempt."""

    name = "sms"
    links = True
    followed_seconds = 300.0
    _resource = "Messages"
    _arrived = frozenset({"delivered", "read"})
    _failed = frozenset({"undelivered", "failed", "canceled"})

    def __init__(self, settings: TwilioSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self.cooldown_seconds = settings.sms_cooldown_seconds

    def unended(self, attempt: DeliveryAttempt, status: str) -> Answer:
        """Not every operator reports arrival: what left Twilio counts,
        what did not is sent again."""
        if status == "sent":
            return Answer(
                accepted=True, provider_status="sent; the operator does not tell of arrival"
            )
        return super().unended(attempt, status)

    def _text_fields(self, attempt: DeliveryAttempt) -> Mapping[str, str]:
        return {"Body": short_text(attempt)}


def _answered(response: httpx.Response) -> str:
    """Status and code of Twilio's own answer."""
    return " ".join(filter(None, (found(response, name) for name in ("status", "code", "message"))))


def found(response: httpx.Response, name: str) -> str:
    """A field of the answer as text; empty when there is none."""
    value = body_of(response).get(name)
    return str(value) if value else ""


def body_of(response: httpx.Response) -> Mapping[str, object]:
    """The answer's object; empty when it is none, or too long."""
    if len(response.content) > _BODY_LENGTH:
        return {}
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
