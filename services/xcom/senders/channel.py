"""What a channel is to the rest of xcom, and how its secrets stay out of what it says."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Protocol
from urllib.parse import urlsplit

from services.xcom.domain.messages import Answer, DeliveryAttempt

_SAID_LENGTH = 200
_OWN = "own:"
MASK = "***"
# Answers of 400 to 499 that may be better next time.
_PASSING = frozenset({408, 425, 429})


class Channel(Protocol):
    """One way to reach people. Secrets come once, from the environment.

    `name`: lower case. `timeout_seconds`: bound of one whole try, held by the caller.
    `cooldown_seconds`: rest between two sends to one address. `rate_limited`: LOW and MEDIUM keep
    to a budget. `followed_seconds`: how long it is asked whether what it took has arrived, at
    least every `look_seconds`. `links`: its texts carry a link to acknowledge.
    `destination_setting`: the environment variable that an address given by a call replaces; empty
    when none can.
    """

    name: str
    timeout_seconds: float
    cooldown_seconds: float = 0.0
    rate_limited: bool = True
    followed_seconds: float = 0.0
    look_seconds: float = 30.0
    links: bool = False
    # Whether it carries the file of a message.
    files: bool = False
    # Whether one that rings does so for simulated data, too.
    rings_for_demo: bool = False
    destination_setting: str = ""
    # Several destinations of the environment: each by a reference that is no secret. Empty with
    # one.
    own: Mapping[str, str] = MappingProxyType({})

    @property
    def missing_settings(self) -> tuple[str, ...]:
        """Environment variables without which it cannot send; empty when configured."""

    @property
    def destination(self) -> str:
        """Where it goes, masked; empty when not configured."""

    async def check(self, address: str) -> None:
        """ValueError with what is wrong about an address given by a call."""
        raise ValueError(f"{self.name} has one destination only, that of its environment")

    def recipient(self, address: str) -> str:
        """The number or chat that an address or reference leads to; empty where nobody answers by
        one.
        """
        return ""

    def masked(self, address: str) -> str:
        """The address as it may be shown."""
        return masked_address(address)

    def shown(self, address: str) -> str:
        """The same, also of a reference to one of several own destinations: which of them it is."""
        if not address.startswith(_OWN):
            return self.masked(address)
        if address not in self.own:
            return "one that is set no longer"
        place = list(self.own).index(address) + 1
        return f"{self.masked(self.own[address])}, {place} of {len(self.own)}"

    async def send(self, attempt: DeliveryAttempt) -> Answer:
        """One try with the attempt's delivery id as idempotency key; what it answers holds no
        secret.

        A failure is an answer, not an exception.
        """

    async def follow(self, attempt: DeliveryAttempt) -> Answer | str:
        """How what was taken under `attempt.receipt_id` ended, or a word on where it stands; may be
        empty.

        Asked again until it ends or `followed_seconds` are over.
        """
        return ""

    def unended(self, attempt: DeliveryAttempt, status: str) -> Answer:
        """What to make of it when they are over; `status` is the last word."""
        seconds = f"{self.followed_seconds:g}"
        return Answer(
            accepted=False, error=f"not known to have arrived within {seconds} s: {status}"[:300]
        )

    async def close(self) -> None:
        """Let go of connections."""
        return


def listed(text: str) -> list[str]:
    """Destinations with commas or spaces between, each once."""
    return list(dict.fromkeys(re.split(r"[\s,]+", text.strip()))) if text.strip() else []


def several(destinations: Sequence[str]) -> Mapping[str, str]:
    """References to these, when there is more than one: the same for the same destination after a
    restart.
    """
    if len(destinations) < 2:
        return MappingProxyType({})
    return {f"{_OWN}{hashlib.sha256(one.encode()).hexdigest()[:16]}": one for one in destinations}


def is_own(address: str) -> bool:
    """Whether it refers to one of several destinations of the environment."""
    return address.startswith(_OWN)


def empty(settings: Mapping[str, object]) -> tuple[str, ...]:
    """Names of those without a value."""
    return tuple(name for name, value in settings.items() if not value)


def refused(status: int, line: str, retry_after: str, now: datetime) -> Answer:
    """What an HTTP answer beyond success says of a try. 4xx is final, but for those that pass.

    `line` goes on record. `retry_after`: the header, seconds or an HTTP date.
    """
    return Answer(
        accepted=False,
        provider_status=line,
        error=f"answered {line}",
        permanent=400 <= status < 500 and status not in _PASSING,
        never_taken=400 <= status < 500,
        retry_after=_wait(retry_after.strip(), now),
    )


def _wait(header: str, now: datetime) -> timedelta | None:
    """None when it says nothing that can be understood."""
    if header.isdecimal():
        # Longer numbers than this would overflow and mean the same: very long.
        return timedelta(seconds=int(header[:9]))
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(moment - now, timedelta()) if moment.tzinfo else None


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """What a provider said, on one line, short, and without the secrets, plain or as base64."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for form in (secret, base64.b64encode(secret.encode()).decode()):
            text = text.replace(form, MASK)
    return re.sub(r"[\x00-\x20\x7f]+", " ", text).strip()[:_SAID_LENGTH]


def masked_address(address: str) -> str:
    """`jane@example.com` as `j***@example.com`."""
    name, at, domain = address.rpartition("@")
    return f"{name[:1]}{MASK}{at}{domain}"


def masked_number(number: str) -> str:
    """`+491701234567` as `+49***67`."""
    return f"{number[:3]}{MASK}{number[-2:]}"


def masked_url(url: str) -> str:
    """Scheme and host in full, the rest hidden: any word of a path may be what opens it."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    rest = f"/{MASK}" if parts.path.strip("/") or parts.query or parts.fragment else ""
    return f"{parts.scheme}://{MASK if user else ''}{at}{host}{rest}"
