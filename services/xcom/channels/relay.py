"""Slack, Telegram, Discord, ntfy, Pushover and the rest, through one library in threads of its own.

Refuses to know any of these services, and to let the library's log lines (they hold URLs) out.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
import warnings
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Final

from pydantic import BaseModel, Field, SecretStr

from services.xcom.channels.channel import Channel
from services.xcom.domain.messages import Answer, Letter, Level
from services.xcom.domain.texts import whole_text

# A service that hangs keeps its thread; more than this many and it is refused until they come back.
_THREADS_PER_CHANNEL = 8
_TALKATIVE = ("apprise", "urllib3", "requests", "requests_oauthlib")
RELAYED: Final = ("slack", "telegram", "discord", "ntfy", "pushover", "apprise")


class RelaySettings(BaseModel):
    """Environment of the relayed channels: URLs as apprise writes them, several with spaces between."""

    xcom_slack_url: SecretStr = Field(SecretStr(""), description="apprise URL", examples=["slack://..."])
    xcom_telegram_url: SecretStr = Field(SecretStr(""), description="apprise URL", examples=["tgram://..."])
    xcom_discord_url: SecretStr = Field(SecretStr(""), description="apprise URL", examples=["discord://..."])
    xcom_ntfy_url: SecretStr = Field(SecretStr(""), description="apprise URL", examples=["ntfys://..."])
    xcom_pushover_url: SecretStr = Field(SecretStr(""), description="apprise URL", examples=["pover://..."])
    xcom_apprise_urls: SecretStr = Field(SecretStr(""), description="any apprise URLs")
    xcom_apprise_timeout_seconds: float = Field(20.0, gt=0, le=120, description="bound of one try")


class Relay(Channel):
    """One name, one or more URLs."""

    links = True

    def __init__(self, name: str, settings: RelaySettings) -> None:
        self.name = name
        self._setting = "xcom_apprise_urls" if name == "apprise" else f"xcom_{name}_url"
        secret: SecretStr = getattr(settings, self._setting)
        self._urls = secret.get_secret_value().split()
        self.timeout_seconds = settings.xcom_apprise_timeout_seconds
        self._threads = threading.Semaphore(_THREADS_PER_CHANNEL)

    @property
    def missing_settings(self) -> tuple[str, ...]:
        """See Channel."""
        return () if self._urls else (self._setting.upper(),)

    @property
    def destination(self) -> str:
        """See Channel."""
        # After the scheme nearly everything is a key.
        return ", ".join(f"{url.partition('://')[0][:20]}://***" for url in self._urls)

    async def send(self, letter: Letter) -> Answer:
        """See Channel."""
        if not self._threads.acquire(blocking=False):
            return Answer(accepted=False, error="earlier tries still hang")
        return await _in_thread(lambda: self._notify(letter), self._threads.release)

    def _notify(self, letter: Letter) -> Answer:
        apprise = _library()
        relay = apprise.Apprise()
        # Every one is added, also after one that is not understood.
        if [url for url in self._urls if not relay.add(url)]:
            return Answer(accepted=False, error=f"{self._setting.upper()} is not understood", permanent=True)
        kind = {
            Level.LOW: apprise.NotifyType.INFO,
            Level.MEDIUM: apprise.NotifyType.WARNING,
            Level.HIGH: apprise.NotifyType.FAILURE,
            Level.ACTION: apprise.NotifyType.INFO,
        }[letter.level]
        if relay.notify(title=letter.subject, body=whole_text(letter), notify_type=kind):
            return Answer(accepted=True, provider_status="accepted")
        return Answer(accepted=False, error="not accepted")


@cache
def _library() -> ModuleType:
    """Loaded when it is first needed: it is heavy, and its log lines and warnings are for nobody here."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("apprise")


async def _in_thread(work: Callable[[], Answer], done: Callable[[], None]) -> Answer:
    """The answer of `work`; a thread that hangs is left behind and ends with the process."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Answer] = loop.create_future()

    def settle(answer: Answer) -> None:
        if not answered.done():
            answered.set_result(answer)

    def run() -> None:
        try:
            answer = work()
        except Exception as error:  # noqa: BLE001  a plug-in of the library may raise anything
            answer = Answer(accepted=False, error=f"fault of the library: {type(error).__name__}")
        finally:
            done()
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, answer)

    # Not the shared executor: what hangs there would hold up everybody, and the end of the process.
    threading.Thread(target=run, name="xcom relay", daemon=True).start()
    return await answered
