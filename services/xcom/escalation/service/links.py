"""Links by which a person says that they heard: made for a letter, kept as a hash only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.xcom.domain.messages import DeliveryReason, Kind, Letter, Level
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

    async def enclose(
        self,
        queue: Queue,
        letters: Sequence[Letter],
        channels: Mapping[str, Channel],
        now: datetime,
    ) -> list[Letter]:
        """The letters, those of HIGH messages on channels that carry links with a fresh one
        each."""
        tokens = {
            letter.delivery_id: secrets.token_urlsafe(_TOKEN_BYTES)
            for letter in letters
            if self._url
            and letter.level is Level.HIGH
            and letter.kind is Kind.DANGER
            and letter.reason is not DeliveryReason.DIGEST
            and channels[letter.channel].links
        }
        linked = [letter for letter in letters if letter.delivery_id in tokens]
        if linked:
            hashes = [token_hash(tokens[letter.delivery_id]) for letter in linked]
            ids = [letter.message_id for letter in linked]
            await queue.add_links(hashes, ids, now, now + self._lifetime)
        return [
            replace(one, link=f"{self._url}/{tokens[one.delivery_id]}")
            if one.delivery_id in tokens
            else one
            for one in letters
        ]
