"""When the summary of a month is due, and what it says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from shared.texts import cut

# A system that was away then still tells within so long.
LATEST: Final = timedelta(days=3)
# As xcom bounds them.
_SUBJECT_LENGTH, _BODY_LENGTH = 300, 10_000


@dataclass(frozen=True, slots=True)
class Monthly:
    """On the first of each month at this time of the zone's clock."""

    at: time
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A metric or price rule: its HIGH incidents, those of use, those that were noise; shares 0 to
    1, None: not known.
    """

    name: str
    high_count: int
    useful_count: int
    noise_count: int
    precision: float | None
    recall: float | None
    only_noise: bool


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """What the scorecard says; `untold`: positions of whose liquidation nobody had been told,
    `unknown_count`: of so many it is not known.
    """

    start_time: datetime
    end_time: datetime
    incident_count: int
    liquidation_count: int
    untold: Sequence[str]
    unknown_count: int
    rules: Sequence[RuleLine]


@dataclass(frozen=True, slots=True)
class MonthMessage:
    """`request_id`: one a month, whoever asks how often."""

    request_id: str
    subject: str
    body: str


def month_time(month: date, monthly: Monthly) -> datetime:
    """The moment on this first of a month."""
    return datetime.combine(month, monthly.at, tzinfo=monthly.zone).astimezone(ZoneInfo("UTC"))


def month_due(now: datetime, monthly: Monthly) -> date | None:
    """The first of the month whose message is due at this moment, until LATEST."""
    first = now.astimezone(monthly.zone).date().replace(day=1)
    return first if timedelta() <= now - month_time(first, monthly) < LATEST else None


def until_next_month(now: datetime, monthly: Monthly) -> timedelta:
    """How long until the next one."""
    first = now.astimezone(monthly.zone).date().replace(day=1)
    later = (first + timedelta(days=32)).replace(day=1)
    return min(one for day in (first, later) if (one := month_time(day, monthly)) > now) - now


def days_before(month: date) -> int:
    """How many days the month before this first had."""
    return (month - timedelta(days=1)).day


def month_message(month: date, facts: MonthFacts) -> MonthMessage:
    """Liquidations nobody was told of and rules that only made noise come first."""
    told = month - timedelta(days=1)
    high, noise = (
        sum(getattr(rule, name) for rule in facts.rules) for name in ("high_count", "noise_count")
    )
    plural = "" if facts.liquidation_count == 1 else "s"
    unknown = f", {facts.unknown_count} not known" if facts.unknown_count else ""
    subject = (
        f"Alerts in {told:%B %Y}: {facts.liquidation_count} liquidation{plural},"
        f" {len(facts.untold)} nobody was told of{unknown};"
        f" {high} times HIGH, {noise} of them noise"
    )
    lines = [f"{facts.start_time:%Y-%m-%d %H:%M} to {facts.end_time:%Y-%m-%d %H:%M} UTC.", ""]
    lines += [f"Nobody had been told before the liquidation of {name}." for name in facts.untold]
    lines += [_line(rule) for rule in facts.rules]
    lines += [f"{facts.incident_count} incidents of all levels. More: sonic scorecard"]
    return MonthMessage(
        f"scorecard-{told:%Y-%m}",
        cut(subject, _SUBJECT_LENGTH),
        cut("\n".join(lines), _BODY_LENGTH),
    )


def _line(rule: RuleLine) -> str:
    words = [f"{rule.high_count} times HIGH"]
    if rule.useful_count + rule.noise_count:
        words.append(f"{rule.useful_count} of use, {rule.noise_count} noise")
    if rule.precision is not None:
        words.append(f"precision {100 * rule.precision:.0f} %")
    if rule.recall is not None:
        words.append(f"HIGH before {100 * rule.recall:.0f} % of liquidations")
    only = "only noise: " if rule.only_noise else ""
    return f"{only}{rule.name}: {', '.join(words)}"
