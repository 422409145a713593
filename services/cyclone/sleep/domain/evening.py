"""When the question before sleep is asked by itself, and what is told. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.cyclone.sleep.domain.verdicts import Reason, Verdict
from shared.texts import cut

# Later than this nobody wants to hear it any more: people sleep.
LATEST: Final = timedelta(hours=2)
# As xcom bounds them.
_SUBJECT_LENGTH, _BODY_LENGTH = 300, 10_000
_WORDS: Final = {
    Verdict.GREEN: "You can sleep",
    Verdict.AMBER: "Know this before you sleep",
    Verdict.RED: "Not now",
}


@dataclass(frozen=True, slots=True)
class Evening:
    """Each evening at this time of the zone's clock, for so many hours."""

    at: time
    zone: ZoneInfo
    hours: float


@dataclass(frozen=True, slots=True)
class EveningMessage:
    """`request_id`: one a night, whoever asks how often."""

    request_id: str
    is_good: bool
    subject: str
    body: str


def due_time(night: date, evening: Evening) -> datetime:
    """The moment of that day. A time that the clock leaves out is when it would have been; of one
    that it shows twice it is the first.
    """
    return datetime.combine(night, evening.at, tzinfo=evening.zone).astimezone(ZoneInfo("UTC"))


def night_due(now: datetime, evening: Evening) -> date | None:
    """The day whose message is due at this moment; of a server that was away until LATEST."""
    today = now.astimezone(evening.zone).date()
    for night in (today, today - timedelta(days=1)):
        if timedelta() <= now - due_time(night, evening) < LATEST:
            return night
    return None


def until_next(now: datetime, evening: Evening) -> timedelta:
    """How long until the next one."""
    today = now.astimezone(evening.zone).date()
    moments = [due_time(today + timedelta(days=days), evening) for days in range(-1, 3)]
    return min(moment for moment in moments if moment > now) - now


def evening_message(
    night: date, verdict: Verdict, reasons: Sequence[Reason], hours: float
) -> EveningMessage:
    """The verdict with the gravest reason in the subject, every reason in the text."""
    head = f"Before sleep: {verdict.name}, {_WORDS[verdict].lower()}"
    gravest = [one for one in reasons if one.verdict is not Verdict.GREEN][:1]
    subject = ". ".join([head, *(one.message for one in gravest)])
    lines = [f"{_WORDS[verdict]} ({verdict.name}, for {hours:g} h).", ""]
    lines += [f"{one.verdict.name}: {one.message}" for one in reasons]
    return EveningMessage(
        f"before-sleep-{night.isoformat()}",
        verdict is Verdict.GREEN,
        cut(subject, _SUBJECT_LENGTH),
        cut("\n".join(lines), _BODY_LENGTH),
    )
