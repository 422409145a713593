"""One answer from twelve parts: GREEN, AMBER or RED, with the reasons, the gravest first.

What could not be read is never GREEN: RED where nobody could be saved without it, else AMBER.
Pure; times are UTC, quiet hours are of their own zone and right over a change of its clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

from services.cyclone.sleep.domain.facts import (
    CycleHealth,
    Facts,
    HeldPosition,
    NotifyChannel,
    Part,
    QuietHours,
    WatchedWallet,
)
from services.cyclone.sleep.domain.night_carry import night_carry
from services.cyclone.sleep.domain.wake_prices import wake_prices

# Chance of a touch from which one should not sleep, and from which one should know.
RED_PROBABILITY, AMBER_PROBABILITY = 0.10, 0.02
# A channel that showed itself within this is believed.
_PROVEN = timedelta(hours=24)
_LATE_INTERVALS = 3
# Between two looks further apart a position can be lost unseen.
_FAR_APART = timedelta(minutes=10)
# A wallet that failed meanwhile is not looked at any more.
_FORGOTTEN = timedelta(minutes=15)
# Clocks of two machines differ by less; what is further ahead hides that nothing happens now.
_CLOCKS_APART = timedelta(minutes=1)
_QUIET_STEP = timedelta(minutes=5)
_MOST_NAMED = 3
# Wakes a person; a mail is read in the morning.
RINGING = frozenset({"voice", "sms", "pushover"})
SEEN_ONLY = frozenset({"log", "sound"})


class Verdict(IntEnum):
    GREEN = 1
    AMBER = 2
    RED = 3


# Without these nobody would be saved.
_VITAL = frozenset({Part.LIQUIDATION, Part.POSITIONS, Part.ALERTS, Part.CHANNELS, Part.CYCLE})


@dataclass(frozen=True, slots=True)
class Reason:
    part: Part
    verdict: Verdict
    message: str


def reasons(facts: Facts, now: datetime, hours: float) -> tuple[Reason, ...]:
    """Every part with its verdict, the gravest first."""
    unread = facts.unread or {}
    judged = {
        Part.LIQUIDATION: _liquidation(facts, now),
        Part.PROBABILITY: _probability(facts, now, hours),
        Part.POSITIONS: _positions(facts, now),
        Part.ALERTS: _alerts(facts, now),
        Part.CHANNELS: _channels(facts, now),
        Part.ESCALATION: _escalation(facts),
        Part.HELD: _held(facts, now, hours),
        Part.QUIET_HOURS: _quiet_hours(facts, now, hours),
        Part.CYCLE: _cycle(facts, now),
        Part.PRICES: _listed(facts.doubtful_prices, "Prices are good", "Not to be relied on"),
        Part.MONITORS: _listed(facts.troubled_monitors, "Monitors are content", "Monitors say"),
        Part.HEARTBEAT: _heartbeat(facts, now),
    }
    found = [
        Reason(part, Verdict.RED if part in _VITAL else Verdict.AMBER, f"Not known: {unread[part]}")
        if part in unread
        else Reason(part, *judged[part])
        for part in Part
    ]
    return tuple(sorted(found, key=lambda reason: (-reason.verdict, reason.part)))


def verdict(found: Sequence[Reason]) -> Verdict:
    """The gravest of them."""
    return max((reason.verdict for reason in found), default=Verdict.RED)


def _nothing_held(facts: Facts, now: datetime) -> tuple[Verdict, str]:
    """Of what was looked at: what was not may hold anything."""
    if _unread(facts, now):
        return Verdict.AMBER, "Nothing that was read could be liquidated; not all was read"
    return Verdict.GREEN, "Nothing is held that could be liquidated"


def _unread(facts: Facts, now: datetime) -> list[str]:
    forgotten = [one.name for one in facts.wallets if _is_forgotten(one, facts, now)]
    return [*facts.unwatched, *forgotten]


def _liquidation(facts: Facts, now: datetime) -> tuple[Verdict, str]:
    known = [one for one in facts.positions if one.distance_percent is not None]
    if not known:
        return _nothing_held(facts, now)
    nearest = min(known, key=lambda one: one.distance_percent or 0.0)
    distance = nearest.distance_percent or 0.0
    if distance <= 0:
        return Verdict.RED, f"{nearest.about} is past its liquidation price"
    # How near is too near is what the person's own limits say: see ALERTS.
    said = f"Nearest to liquidation: {nearest.about}, {distance:.1f} %"
    waking = [
        f"{one.about} at {one.price_usd:,.6g} USD ({one.move_percent:+.1f} %)"
        for one in wake_prices(facts.positions, facts.distance_limits)
    ]
    return Verdict.GREEN, f"{said}. Distance rings: {_named(waking)}" if waking else said


def _probability(facts: Facts, now: datetime, hours: float) -> tuple[Verdict, str]:
    priced = [one for one in facts.positions if not one.is_without_price]
    if not priced:
        return _nothing_held(facts, now)
    found, said = _touch(priced, hours)
    by_carry, words = _carry(facts, hours)
    # What turns the answer comes first.
    both = (words, said) if by_carry > found else (said, words)
    return max(found, by_carry), ". ".join(filter(None, both))


def _touch(priced: Sequence[HeldPosition], hours: float) -> tuple[Verdict, str]:
    """The likeliest to touch its liquidation price; one that is not known hides no other."""
    missing = [one.about for one in priced if one.probability is None]
    unknown = f"The chance of liquidation is not known of {_named(missing)}" if missing else ""
    found = Verdict.AMBER if missing else Verdict.GREEN
    known = [(one.probability, one.about) for one in priced if one.probability is not None]
    if not known:
        return found, unknown
    chance, about = max(known, key=lambda one: one[0])
    if chance >= AMBER_PROBABILITY:
        found = Verdict.RED if chance >= RED_PROBABILITY else Verdict.AMBER
    # Over fewer hours it is less: what is said is never too little.
    bound = "" if hours >= 24 else "at most "
    said = f"{about} touches liquidation with {bound}{chance:.1%} within 24 h"
    words = (said, unknown) if chance >= AMBER_PROBABILITY else (unknown, said)
    return found, ". ".join(filter(None, words))


def _carry(facts: Facts, hours: float) -> tuple[Verdict, str]:
    """Funding and borrow to be paid in the hours, and what that does to the distances."""
    night = night_carry(facts.positions, facts.carries, facts.distance_limits, hours)
    of = f"Funding and borrow of {hours:g} h"
    if night.liquidated:
        return Verdict.RED, f"{of} alone liquidate {_named(night.liquidated)}"
    if night.ringing:
        return Verdict.AMBER, f"{of} bring to its limit of HIGH: {_named(night.ringing)}"
    if night.cost_usd is None:
        return Verdict.GREEN, "Funding and borrow are not known"
    verb = "earn" if night.cost_usd < 0 else "cost"
    said = f"{of} {verb} {abs(night.cost_usd):,.2f} USD"
    if night.nearest is not None:
        about, before, after = night.nearest
        said += f"; {about} goes from {before:.2f} to {after:.2f} % by them"
    rest = f"; not known of {night.unknown_count} positions" if night.unknown_count else ""
    return Verdict.GREEN, said + rest


def _positions(facts: Facts, now: datetime) -> tuple[Verdict, str]:
    if unread := _unread(facts, now):
        return Verdict.RED, f"Not watched: {_named(unread)}"
    absent = [one for one in facts.positions if one.distance_percent is None]
    if unknown := [one.about for one in absent if not one.is_without_price]:
        return Verdict.RED, f"Cannot be judged: {_named(unknown)}"
    doubts = (
        ("No liquidation price is known", [one.about for one in absent]),
        ("As of an earlier look", [one.about for one in facts.positions if one.is_stale]),
        ("Not read wholly", [one.name for one in facts.wallets if not one.is_complete]),
        ("What liquidates it is not known", facts.unknown_accounts),
        ("Figures are doubtful", [one.about for one in facts.positions if one.is_doubtful]),
        ("Set aside, not judged", facts.set_aside),
    )
    for words, names in doubts:
        if names:
            return Verdict.AMBER, f"{words}: {_named(names)}"
    count = len(facts.positions)
    if facts.is_part:
        return Verdict.AMBER, f"There are more than the {count} nearest, which were looked at"
    if facts.is_simulated:
        return Verdict.AMBER, "This is the DEMO: nothing of yours is watched"
    if not facts.wallets and not count:
        return Verdict.AMBER, "No wallet is watched: sonic wallets add"
    return Verdict.GREEN, f"{count} positions are known and judged"


def _is_forgotten(wallet: WatchedWallet, facts: Facts, now: datetime) -> bool:
    span = _FORGOTTEN
    if facts.cycle is not None:
        span = max(span, _LATE_INTERVALS * facts.cycle.interval)
    age = None if wallet.read_time is None else now - wallet.read_time
    return age is None or not -_CLOCKS_APART <= age <= span


def _alerts(facts: Facts, now: datetime) -> tuple[Verdict, str]:
    if high := [one.about for one in facts.raised if one.level == "HIGH"]:
        return Verdict.RED, f"HIGH: {_named(high)}"
    if problem := _evaluation_problem(facts, now):
        return Verdict.RED, problem
    priced = [one for one in facts.positions if not one.is_without_price]
    if unjudged := [one.about for one in priced if one.id not in facts.judged_ids]:
        return Verdict.RED, f"No limit judges: {_named(unjudged)}"
    if medium := [one.about for one in facts.raised if one.level == "MEDIUM"]:
        return Verdict.AMBER, f"MEDIUM: {_named(medium)}"
    if unseen := [one.about for one in priced if one.id not in facts.distance_ids]:
        return Verdict.AMBER, f"No limit judges the distance of {_named(unseen)}"
    if facts.never_high:
        return Verdict.AMBER, f"Limits without a HIGH: {_named(facts.never_high)}"
    return Verdict.GREEN, "No danger is above LOW"


def _evaluation_problem(facts: Facts, now: datetime) -> str:
    """Why the levels are not those of now; empty when they are."""
    if facts.evaluated_time is None:
        return "No alert was judged yet"
    age = now - facts.evaluated_time
    if age < -_CLOCKS_APART:
        return "Alerts were last judged in the future: was the clock set back?"
    if facts.cycle is not None and age > _LATE_INTERVALS * facts.cycle.interval:
        return f"Alerts were last judged {age.total_seconds() / 60:.0f} minutes ago"
    return ""


def _channels(facts: Facts, now: datetime) -> tuple[Verdict, str]:
    """The worst of the ways of HIGH: the level map's, and those of limits with their own."""
    found = [_way("HIGH", facts.channels, now)]
    found += [_way(f"HIGH of {one.about}", one.channels, now) for one in facts.own_routes]
    worst, words = max(found, key=lambda one: one[0])
    if not facts.no_channels:
        return worst, words
    wrong = f"SLEEP_TELL_CHANNELS names no channel: {_named(facts.no_channels)}"
    fix = "sonic channels list says which there are"
    before = "" if worst is Verdict.GREEN else f"{words}. "
    return max(worst, Verdict.AMBER), f"{before}{wrong}; {fix}"


def _way(what: str, channels: Sequence[NotifyChannel], now: datetime) -> tuple[Verdict, str]:
    telling = [one for one in channels if one.name not in SEEN_ONLY]
    if not telling:
        return Verdict.RED, f"{what} reaches nobody: no channel is set"
    if all(one.is_failing for one in telling):
        return Verdict.RED, f"Every channel of {what} fails: {_named([c.name for c in telling])}"
    ringing = [one for one in telling if one.name in RINGING and not one.is_failing]
    if not ringing:
        names = _named([one.name for one in telling])
        return Verdict.AMBER, f"Nothing rings at night: {what} goes to {names}"
    proven = [
        one
        for one in ringing
        if one.proven_time and -_CLOCKS_APART <= now - one.proven_time <= _PROVEN
    ]
    if not proven:
        name = ringing[0].name
        return Verdict.AMBER, f"{name} showed no receipt for 24 h: sonic channels test {name}"
    return (
        Verdict.GREEN,
        f"{what} rings: {_named([one.name for one in proven])}, proven within 24 h",
    )


def _escalation(facts: Facts) -> tuple[Verdict, str]:
    if not facts.contact_count:
        return Verdict.AMBER, "Nobody is told next when you do not answer: no escalation chain"
    return Verdict.GREEN, f"{facts.contact_count} contacts are told one after the other"


def _held(facts: Facts, now: datetime, hours: float) -> tuple[Verdict, str]:
    end = now + timedelta(hours=hours)
    silent = [one for one in facts.windows if one.start_time < end and one.end_time > now]
    if deaf := [one for one in silent if one.holds_high]:
        return Verdict.RED, f"A window holds HIGH back: {deaf[0].name}, {_until(deaf[0].end_time)}"
    held = [one for one in (*facts.raised, *facts.silenced) if one.is_held]
    said = [f"{one.about} {_until(one.held_until)}" for one in held]
    said += [f"window {one.name} {_until(one.end_time)}" for one in silent]
    if said:
        return Verdict.AMBER, f"Kept quiet tonight: {_named(said)}"
    return Verdict.GREEN, "Nothing is silenced, acknowledged or planned to be quiet"


def _quiet_hours(facts: Facts, now: datetime, hours: float) -> tuple[Verdict, str]:
    telling = [one for one in facts.channels if one.name not in SEEN_ONLY and not one.is_failing]
    quiet = [
        one.name
        for one in telling
        if one.quiet_hours is not None and is_quiet_within(one.quiet_hours, now, hours)
    ]
    if quiet and len(quiet) == len(telling):
        return Verdict.AMBER, f"Quiet hours hold MEDIUM back tonight on {_named(quiet)}"
    return Verdict.GREEN, "MEDIUM is told through the night"


def _cycle(facts: Facts, now: datetime) -> tuple[Verdict, str]:
    health = facts.cycle
    if health is None:
        return Verdict.RED, "Not known: the schedule was not read"
    if not health.enabled:
        return Verdict.RED, "The schedule is off: nothing is looked at"
    if health.last_good_time is None:
        return Verdict.RED, "No cycle has succeeded yet"
    age = now - health.last_good_time
    if age > _LATE_INTERVALS * health.interval:
        return Verdict.RED, f"The last good cycle ended {age.total_seconds() / 60:.0f} minutes ago"
    if age < -_CLOCKS_APART:
        return Verdict.RED, "The last good cycle ended in the future: was the clock set back?"
    if warning := _irregular(health):
        return Verdict.AMBER, warning
    return Verdict.GREEN, f"Looked {age.total_seconds():.0f} s ago, on schedule"


def _irregular(health: CycleHealth) -> str:
    """What is wrong with cycles that do look; empty: nothing."""
    if health.last_problem:
        return f"The last cycle: {health.last_problem}"
    if health.longest_pause > _LATE_INTERVALS * health.interval:
        minutes = health.longest_pause.total_seconds() / 60
        return f"In the last hour nothing was looked at for {minutes:.0f} minutes"
    if health.interval > _FAR_APART:
        return f"It looks only every {health.interval.total_seconds() / 60:.0f} minutes"
    return ""


def _heartbeat(facts: Facts, now: datetime) -> tuple[Verdict, str]:
    if not facts.heartbeat_configured:
        return Verdict.AMBER, "Nobody outside notices when this machine dies: set HEARTBEAT_URL"
    ping = facts.last_ping
    if ping is None:
        return Verdict.GREEN, "A dead-man's switch outside is told after each good cycle; not yet"
    seconds = max((now - ping.time).total_seconds(), 0.0)
    if ping.problem:
        return (
            Verdict.AMBER,
            f"The dead-man's switch does not hear, {seconds:.0f} s ago: {ping.problem}",
        )
    return Verdict.GREEN, f"The dead-man's switch outside was told {seconds:.0f} s ago"


def _listed(names: Sequence[str], good: str, bad: str) -> tuple[Verdict, str]:
    return (Verdict.AMBER, f"{bad}: {_named(names)}") if names else (Verdict.GREEN, good)


def is_quiet_within(quiet: QuietHours, now: datetime, hours: float) -> bool:
    """Whether any moment of the hours to come is quiet, by the zone's own clock."""
    zone = ZoneInfo(quiet.time_zone or "UTC")
    steps = int(timedelta(hours=hours) / _QUIET_STEP)
    return any(
        _is_quiet(quiet, (now + step * _QUIET_STEP).astimezone(zone)) for step in range(steps + 1)
    )


def _is_quiet(quiet: QuietHours, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    if quiet.start_minute <= quiet.end_minute:
        return quiet.start_minute <= minute < quiet.end_minute
    return minute >= quiet.start_minute or minute < quiet.end_minute


def _until(end: datetime | None) -> str:
    return f"until {end:%Y-%m-%d %H:%M} UTC" if end is not None else "until it is released"


def _named(names: Sequence[str]) -> str:
    rest = len(names) - _MOST_NAMED
    listed = ", ".join(names[:_MOST_NAMED])
    return f"{listed} and {rest} more" if rest > 0 else listed
