"""Links by which a person says that they heard: made for an attempt, kept as a hash only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.xcom.domain.messages import DeliveryAttempt, DeliveryReason, Kind, Level
from services.xcom.senders.channel import Channel
from services.xcom.store.queue import Queue

_TOKEN_BYTES = 16


def token_hash(token: str) -> str:
    """What is kept of a token: 128 bits of chance need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


class Links:
    """Without a URL in front there are none."""

    def __init__(self, url: str, lifetime: timedelta) -> None:
        self._url = url.rstrip("/")
        self._lifetime = lifetime

    async def attach(
        self,
        queue: Queue,
        attempts: Sequence[DeliveryAttempt],
        channels: Mapping[str, Channel],
        now: datetime,
    ) -> list[DeliveryAttempt]:
        """The attempts, those of HIGH messages on channels that carry links with a fresh one
        each."""
        tokens = {
            attempt.delivery_id: secrets.token_urlsafe(_TOKEN_BYTES)
            for attempt in attempts
            if self._url
            and attempt.level is Level.HIGH
            and attempt.kind is Kind.DANGER
            and attempt.reason is not DeliveryReason.DIGEST
            and channels[attempt.channel].links
        }
        linked = [attempt for attempt in attempts if attempt.delivery_id in tokens]
        if linked:
            hashes = [token_hash(tokens[attempt.delivery_id]) for attempt in linked]
            ids = [attempt.message_id for attempt in linked]
            await queue.add_links(hashes, ids, now, now + self._lifetime)
        return [
            replace(one, link=f"{self._url}/{tokens[one.delivery_id]}")
            if one.delivery_id in tokens
            else one
            for one in attempts
        ]
