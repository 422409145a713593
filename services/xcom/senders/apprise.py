"""Slack, Telegram, Discord, ntfy, Pushover and the rest, through one library in threads of its own.

Its log lines are kept in: they hold URLs.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import ModuleType
from typing import Any, Final

from pydantic import BaseModel, Field, SecretStr

from services.xcom.domain.fitting import Size, cut, utf8_size, utf16_size
from services.xcom.domain.messages import Answer, DeliveryAttempt, Level
from services.xcom.domain.texts import titled_text, whole_text
from services.xcom.senders.channel import Channel, refused, several
from shared.clock import Clock
from shared.config import HttpAddress

# A service that hangs keeps its thread; more than this many and it is refused until they come back.
_THREADS_PER_CHANNEL = 8
# Left free for what the library puts between title and body.
_SPARE = 4
_FORMAT = re.compile(r"([?&])format=[^&]*&?")
_ANSWERED = threading.local()
_TALKATIVE = ("apprise", "urllib3", "requests", "requests_oauthlib")
APPRISE_CHANNELS: Final = ("slack", "telegram", "discord", "ntfy", "pushover", "apprise")


class AppriseSettings(BaseModel):
    """Environment of the channels of apprise: URLs as apprise writes them, several with spaces
    between.
    """

    xcom_slack_url: SecretStr = Field(
        SecretStr(""), description="apprise URL", examples=["slack://..."]
    )
    xcom_telegram_url: SecretStr = Field(
        SecretStr(""), description="apprise URL", examples=["tgram://..."]
    )
    telegram_url: HttpAddress = Field(
        "https://api.telegram.org", description="where Telegram answers"
    )
    xcom_discord_url: SecretStr = Field(
        SecretStr(""), description="apprise URL", examples=["discord://..."]
    )
    xcom_ntfy_url: SecretStr = Field(
        SecretStr(""), description="apprise URL", examples=["ntfys://..."]
    )
    xcom_pushover_url: SecretStr = Field(
        SecretStr(""), description="apprise URL", examples=["pover://..."]
    )
    xcom_apprise_urls: SecretStr = Field(SecretStr(""), description="any apprise URLs")
    xcom_apprise_timeout_seconds: float = Field(20.0, gt=0, le=120, description="bound of one try")


class Apprise(Channel):
    """One name, one or more URLs."""

    links = True

    def __init__(self, name: str, settings: AppriseSettings, clock: Clock) -> None:
        self._clock = clock
        self.name = name
        self._setting = "xcom_apprise_urls" if name == "apprise" else f"xcom_{name}_url"
        secret: SecretStr = getattr(settings, self._setting)
        self._urls = secret.get_secret_value().split()
        self.own = several(self._urls)
        self.timeout_seconds = settings.xcom_apprise_timeout_seconds
        self._threads = threading.Semaphore(_THREADS_PER_CHANNEL)

    @property
    def missing_settings(self) -> tuple[str, ...]:
        return () if self._urls else (self._setting.upper(),)

    @property
    def destination(self) -> str:
        # After the scheme nearly everything is a key.
        return ", ".join(map(self.masked, self._urls))

    def masked(self, address: str) -> str:
        return f"{address.partition('://')[0][:20]}://***"

    async def send(self, attempt: DeliveryAttempt) -> Answer:
        if not self._threads.acquire(blocking=False):
            return Answer(accepted=False, error="earlier tries still hang")
        return await _in_thread(lambda: self._notify(attempt), self._threads.release)

    def _notify(self, attempt: DeliveryAttempt) -> Answer:
        apprise = _library()
        # A markup that the URL asks for would be read into plain text.
        url = attempt.address if attempt.is_own else self._urls[0]
        # In this thread, bounded by the caller: what is answered in it is the answer to this try.
        asset = apprise.AppriseAsset(async_mode=False, service_timeout=0)
        service = apprise.Apprise.instantiate(_unformatted(url), asset=asset)
        if not service:
            problem = "is not understood" if service is None else "names no receiver"
            error = f"{self._setting.upper()} {problem}"
            return Answer(accepted=False, error=error, permanent=True)
        kind = {
            Level.LOW: apprise.NotifyType.INFO,
            Level.MEDIUM: apprise.NotifyType.WARNING,
            Level.HIGH: apprise.NotifyType.FAILURE,
            Level.ACTION: apprise.NotifyType.INFO,
        }[attempt.level]
        _ANSWERED.last = None
        if _notified(service, attempt, kind, apprise.NotifyFormat.TEXT):
            return Answer(accepted=True, provider_status="accepted")
        return _refusal(_ANSWERED.last, self._clock.now())


def _refusal(answered: tuple[int, str] | None, now: datetime) -> Answer:
    """Why, by the last HTTP answer that the library got in this thread, if it spoke HTTP at all."""
    if answered is None or answered[0] < 300:
        return Answer(accepted=False, error="not accepted")
    status, retry_after = answered
    return refused(status, f"HTTP {status}", retry_after, now)


def _notified(service: Any, attempt: DeliveryAttempt, kind: object, plain: object) -> bool:
    """One service of the library: plain text, within what it takes."""
    dialect = _DIALECTS.get(str(service.service_name), _Dialect())
    room = min(service.body_maxlen or dialect.room, dialect.room) - _SPARE
    title = cut(attempt.subject, service.title_maxlen) if service.title_maxlen > 0 else ""
    if dialect.titled or not title:
        title, body = "", titled_text(attempt, room, dialect.size)
    else:
        body = whole_text(attempt, room - dialect.size(title), dialect.size)
    # Through the library's outermost object: by the others plain text is not always escaped.
    services = _library().Apprise()
    services.add(service)
    return bool(
        services.notify(
            title=title, body=dialect.written(body), notify_type=kind, body_format=plain
        )
    )


def _unformatted(url: str) -> str:
    return _FORMAT.sub(r"\1", url).rstrip("?&")


def _telegram_size(text: str) -> int:
    """The library ends lines with two characters there."""
    return utf16_size(text) + text.count("\n")


def _ntfy_size(text: str) -> int:
    """More bytes, or more of JSON's escapes, and it becomes an attachment."""
    return max(utf8_size(text), len(json.dumps(text)) // 2)


def _discord(text: str) -> str:
    """Discord reads its markup in everything, and calls whoever is named after an @."""
    text = re.sub(r"([\\*_~`|\[\]])", r"\\\1", text)
    text = re.sub(r"^(\s*)([>#-])", r"\1\\\2", text, flags=re.MULTILINE)
    return re.sub(r"<(?=[@#:/a-z])", "\\\\<", text).replace("@", "@\u200b")


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How one service takes plain text: how much, how it counts, what must be written otherwise.

    `titled`: the subject goes as first line, there is no other place that stays plain.
    """

    room: int = 32_000
    measure: Size = utf16_size
    written: Callable[[str], str] = str
    titled: bool = False

    def size(self, text: str) -> int:
        """As it is written."""
        return self.measure(self.written(text))


_DIALECTS: Final[Mapping[str, _Dialect]] = {
    "Discord": _Dialect(2_000, written=_discord, titled=True),
    "Telegram": _Dialect(4_096, measure=_telegram_size, titled=True),
    "ntfy": _Dialect(3_700, measure=_ntfy_size),
}


@cache
def _library() -> ModuleType:
    """Loaded when it is first needed: it is heavy, and its log lines and warnings are for nobody
    here.
    """
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = importlib.import_module("apprise")
        session = importlib.import_module("requests").Session
    # The library says only whether it worked: what was answered, and how long to wait, is seen on
    # the way.
    session.send = _listening(session.send)
    return library


def _listening(send: Callable[..., Any]) -> Callable[..., Any]:
    """Each try has a thread of its own, so what it hears last is its own answer."""

    def sent(*arguments: Any, **options: Any) -> Any:
        response = send(*arguments, **options)
        _ANSWERED.last = (int(response.status_code), str(response.headers.get("Retry-After", "")))
        return response

    return sent


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
    threading.Thread(target=run, name="xcom apprise", daemon=True).start()
    return await answered
