"""A key pressed in a call, as its provider tells of it: signed, and once a call."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from services.xcom.calls.service.calls import Begin
from shared.clock import Clock
from shared.errors import FailedPrecondition, NotFound, PermissionDenied

_SAID = "Acknowledged. Good bye."
# A call is over long before.
_KEY_WITHIN = timedelta(minutes=10)
_CALL = "call"

Acknowledge = Callable[[str, str], Awaitable[object]]


def signature_of(token: str, address: str, fields: Mapping[str, str]) -> str:
    """Twilio's own: HMAC-SHA1 over the address and every field of the form, sorted by name."""
    text = address + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


class Keys:
    """`acknowledge(message_id, by)`. Without a token or a public address there are no keys."""

    def __init__(
        self, begin: Begin, public_url: str, token: str, acknowledge: Acknowledge, clock: Clock
    ) -> None:
        self._begin = begin
        self._public_url = public_url.rstrip("/")
        self._token = token
        self._acknowledge = acknowledge
        self._clock = clock

    async def press(self, path: str, fields: Mapping[str, str], signature: str) -> str:
        """What is said in the call.

        FailedPrecondition CHANNEL_NOT_CONFIGURED, PermissionDenied SIGNATURE_WRONG, NotFound
        CALL_NOT_FOUND.
        """
        if not self._token or not self._public_url:
            raise FailedPrecondition(
                "CHANNEL_NOT_CONFIGURED",
                "keys need PUBLIC_URL and TWILIO_AUTH_TOKEN",
                metadata={"channel": "voice", "missing_settings": "PUBLIC_URL, TWILIO_AUTH_TOKEN"},
            )
        wanted = signature_of(self._token, self._public_url + path, fields)
        if not hmac.compare_digest(wanted.encode(), signature.encode()):
            raise PermissionDenied("SIGNATURE_WRONG", "this is not signed by the provider")
        delivery_id = parse_qs(urlsplit(path).query).get("delivery", [""])[0]
        now = self._clock.now()
        async with self._begin() as store:
            found = await store.keyed(delivery_id, now - _KEY_WITHIN)
        if found is None:
            raise NotFound("CALL_NOT_FOUND", "no call of this delivery waits for a key")
        call_id, message_id = found
        await self._acknowledge(message_id, _CALL)
        async with self._begin() as store:
            await store.key(call_id, now)
        return f"<Response><Say>{_SAID}</Say><Hangup/></Response>"
