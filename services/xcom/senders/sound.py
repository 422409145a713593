"""Sounds for pages that listen, and on the machine itself when a player is set."""

from __future__ import annotations

import asyncio
import shlex

from pydantic import BaseModel, Field

from services.xcom.domain.messages import Answer, DeliveryAttempt
from services.xcom.senders.channel import Channel


class SoundSettings(BaseModel):
    """Environment of the sound channel."""

    xcom_sound: bool = Field(False, description="pages that listen may play a sound")
    xcom_sound_command: str = Field("", description="plays a sound on this machine; empty: none")


# Whoever hands it to a page writes that down.
_OFFERED = Answer(accepted=True, provider_status="offered to pages", receipt_id="pages")


class Sound(Channel):
    """Sent means heard: the player ended well, or a page that listens got it within a minute."""

    name = "sound"
    rate_limited = False
    timeout_seconds = 20.0
    followed_seconds = 60.0

    def __init__(self, settings: SoundSettings) -> None:
        self._on = settings.xcom_sound
        self._command = shlex.split(settings.xcom_sound_command)

    @property
    def missing_settings(self) -> tuple[str, ...]:
        return () if self._on or self._command else ("XCOM_SOUND",)

    @property
    def destination(self) -> str:
        places = [name for name, used in (("pages", self._on), ("player", self._command)) if used]
        return " and ".join(places)

    async def send(self, attempt: DeliveryAttempt) -> Answer:
        answer = await self._played() if self._command else _OFFERED
        # A page may hear what the player could not play.
        return _OFFERED if self._on and not answer.accepted else answer

    def unended(self, attempt: DeliveryAttempt, status: str) -> Answer:
        """Too late to be of use: others are notified instead."""
        return Answer(accepted=False, error="no page listened", permanent=True)

    async def _played(self) -> Answer:
        try:
            # No shell, and nothing of the message among the words.
            player = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            return Answer(accepted=False, error=f"player not started: {type(error).__name__}")
        try:
            code = await player.wait()
        finally:
            if player.returncode is None:
                player.kill()
        if code:
            return Answer(accepted=False, error=f"player ended with {code}")
        return Answer(accepted=True, provider_status="played")
