"""A signed HTTP POST to the operator's own address."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, Field, SecretStr, field_validator

from services.xcom.domain.messages import Answer, DeliveryAttempt
from services.xcom.senders.channel import Channel, empty, masked_url, redacted, refused, several
from services.xcom.senders.guard import Guard, Refused
from services.xcom.senders.transport import Answered, Client
from shared.clock import Clock


class WebhookSettings(BaseModel):
    """Environment of the webhook channel."""

    webhook_url: SecretStr = Field(
        SecretStr(""),
        description="http or https URL; several with spaces between",
        examples=["https://example.com/hook"],
    )
    webhook_secret: SecretStr = Field(SecretStr(""), description="key of the signature")
    webhook_key_id: str = Field(
        "default",
        min_length=1,
        max_length=64,
        pattern=r"^[!-~]+$",
        description="tells the receiver which key",
    )
    webhook_timeout_seconds: float = Field(10.0, gt=0, le=120, description="bound of one try")

    @field_validator("webhook_url")
    @classmethod
    def _is_webhook_url(cls, value: SecretStr) -> SecretStr:
        if not all(map(_is_usable, value.get_secret_value().split())):
            # Not the value itself: it may hold a password.
            raise ValueError("not an http or https URL")
        return value


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class Webhook(Channel):
    """POSTs {message_id, delivery_id, level, reason, subject, body, source, facts, created_time} as
    JSON. `reason`: RAISED, WORSE, REPEATED, HELD_UNTIL_NOW or RESOLVED.

    A receiver checks a request like this, before it parses anything:

    1. Read the raw body, and the headers X-Sonic-Timestamp (unix seconds), X-Sonic-Key-Id and
       X-Sonic-Signature ("v1=" and 64 hex digits).
    2. Refuse when the timestamp is more than 300 s away from your clock: a replay.
    3. Look up the secret of the key id, compute

           signed = timestamp.encode() + b"." + raw_body
           "v1=" + hmac.new(secret, signed, hashlib.sha256).hexdigest()

       and compare with hmac.compare_digest; refuse when they differ.
    4. Idempotency-Key is the delivery id, the same on every try: when you have seen it,
       answer 200 and do nothing.
    5. Answer 2xx once it is stored. 408, 425, 429, 5xx and silence are tried again (Retry-After
       is honoured), any other 4xx is final, and asked once more before it is believed. Redirects
       are not followed. Proxies of the environment are not used.
    """

    name = "webhook"
    destination_setting = "WEBHOOK_URL"

    def __init__(self, settings: WebhookSettings, clock: Clock, guard: Guard) -> None:
        self._urls = settings.webhook_url.get_secret_value().split()
        self.own = several(self._urls)
        self._secret = settings.webhook_secret.get_secret_value()
        self._key_id = settings.webhook_key_id
        self._clock = clock
        self._guard = guard
        # To addresses of the environment, and to one that a call has set.
        self._client, self._guarded = Client(), guard.client()
        self.timeout_seconds = settings.webhook_timeout_seconds

    @property
    def missing_settings(self) -> tuple[str, ...]:
        return empty({"WEBHOOK_URL": self._urls, "WEBHOOK_SECRET": self._secret})

    @property
    def destination(self) -> str:
        return ", ".join(map(masked_url, self._urls))

    async def check(self, address: str) -> None:
        await self._guard.check(address)

    def masked(self, address: str) -> str:
        return masked_url(address)

    async def send(self, attempt: DeliveryAttempt) -> Answer:
        client = self._guarded if attempt.address and not attempt.is_own else self._client
        url, body = attempt.address or self._urls[0], _body(attempt)
        try:
            headers = self._headers(attempt.delivery_id, body)
            return self._read(await client.post(url, headers, body), url)
        except Refused as error:
            return Answer(accepted=False, error=f"destination refused: {error}", permanent=True)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, EOFError, ValueError) as error:
            # Only the kind: the words may quote the URL.
            return Answer(accepted=False, error=f"not reached: {type(error).__name__}")

    async def close(self) -> None:
        await self._client.aclose()
        await self._guarded.aclose()

    def _headers(self, delivery_id: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._clock.now().timestamp()))
        return {
            "Content-Type": "application/json",
            "Idempotency-Key": delivery_id,
            "X-Sonic-Timestamp": timestamp,
            "X-Sonic-Key-Id": self._key_id,
            "X-Sonic-Signature": signature(self._secret, timestamp, body),
        }

    def _read(self, answered: Answered, url: str) -> Answer:
        status = answered.status_code
        line = redacted(f"HTTP {status} {answered.reason}", (self._secret, url))
        if 200 <= status < 300:
            return Answer(accepted=True, provider_status=line)
        retry_after = answered.headers.get("retry-after", "")
        answer = refused(status, line, retry_after, self._clock.now())
        if 300 <= status < 400:
            return replace(answer, error=f"{answer.error}; redirects are not followed")
        return answer


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of X-Sonic-Signature."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def _body(attempt: DeliveryAttempt) -> bytes:
    return json.dumps(
        {
            "message_id": attempt.message_id,
            "delivery_id": attempt.delivery_id,
            "level": attempt.level.name,
            "reason": attempt.reason_code,
            "subject": attempt.subject,
            "body": attempt.body,
            "source": attempt.source,
            "facts": dict(attempt.facts),
            "created_time": attempt.created_time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        },
        ensure_ascii=False,
    ).encode()
