"""What a message is, which channels it takes and when a failed try is made again: pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from services.xcom.domain.documents import Attachment, Destination
from services.xcom.domain.worst import Worst


class Level(IntEnum):
    """How loud; the numbers are those of the protocol. ACTION is for machines and escalates to
    nobody.
    """

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    ACTION = 4


class Kind(IntEnum):
    """What a message is about; the numbers are those of the protocol. News never rings unless asked
    to.
    """

    DANGER = 1
    NEWS = 2


class DeliveryState(IntEnum):
    """Where a delivery stands; the numbers are those of the protocol."""

    QUEUED = 1
    SENT = 2
    DEAD = 3
    GROUPED = 4
    CANCELLED = 5
    HANDED_OVER = 6


class DeliveryReason(IntEnum):
    """Why a delivery exists; the numbers are those of the protocol."""

    ACCEPTED = 1
    FALLBACK = 2
    ESCALATION = 3
    DIGEST = 4
    ENDED_UNTOLD = 5


class AttemptOutcome(IntEnum):
    """How a try ended; the numbers are those of the protocol."""

    UNFINISHED = 1
    SENT = 2
    FAILED = 3
    REFUSED = 4
    HANDED_OVER = 5


class ChannelsReason(StrEnum):
    """Why a message takes the channels it takes."""

    LEVEL_MAP = "LEVEL_MAP"
    EXPLICIT = "EXPLICIT"
    FALLBACK_ALL_CONFIGURED = "FALLBACK_ALL_CONFIGURED"
    WHO_HEARD = "WHO_HEARD"
    DELIVERY_DEAD = "DELIVERY_DEAD"
    FALLBACK_NEWS = "FALLBACK_NEWS"


DUPLICATE = "DUPLICATE"
NO_CHANNEL = "NO_CHANNEL"

# Who says what this service says by itself.
OWN_SOURCE = "xcom"
# Writing into our own log reaches nobody: only when asked for, or when there is nothing else.
LAST_RESORT = "log"
# A sound in a room where nobody is reaches nobody either: it never stands alone, unless asked for.
UNSURE = frozenset({LAST_RESORT, "sound"})
# They get people out of bed: news takes them only by their name.
RINGING = frozenset({"sms", "voice", "sound"})

# Of HIGH danger, and of ACTION: nothing holds it back, no quiet hours, no budget.
URGENT = 6000.0
_URGENCY_STEP = 1000.0
_DANGER_STEPS = 3
_MOST_NEAR = 499.0

MAX_TRIES = 8
# Waits after the first, second, ... failed try; the last one repeats.
RETRY_SECONDS = (5.0, 15.0, 60.0, 300.0, 900.0)
# Tries that failed together must not come back together.
JITTER_RATIO = 0.2
# A provider that asks for a longer wait than this gets this.
LONGEST_WAIT = timedelta(hours=1)

# A phone lets a caller through who calls again soon.
CALL_AGAIN = timedelta(seconds=10)
# What was refused for good is asked once more after this.
SECOND_LOOK = timedelta(seconds=10)

CRASHED = "the try was cut short; whether it arrived is not known"


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as the caller hands it over."""

    request_id: str
    level: Level
    subject: str
    body: str
    source: str
    dedupe_key: str = ""
    channels: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    incident_key: str = ""
    ends_incident: bool = False
    ended_incident_keys: tuple[str, ...] = ()
    follows_incident_key: str = ""
    superseded_request_ids: tuple[str, ...] = ()
    destinations: tuple[Destination, ...] = ()
    attachment: Attachment | None = None

    @property
    def ended_keys(self) -> list[str]:
        """Every incident that is over by this message."""
        return [*((self.incident_key,) if self.ends_incident else ()), *self.ended_incident_keys]

    kind: Kind = Kind.DANGER

    @property
    def urgency(self) -> float:
        """See `urgency`."""
        return urgency(self.level, self.kind, self.facts)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a delivery."""

    try_number: int
    attempt_time: datetime
    outcome: AttemptOutcome
    provider_status: str
    error: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on one channel; its id is the idempotency key of every try."""

    id: str
    message_id: str
    channel: str
    level: Level
    subject: str
    created_time: datetime
    due_time: datetime
    state: DeliveryState = DeliveryState.QUEUED
    tries: int = 0
    sent_time: datetime | None = None
    last_error: str = ""
    provider_status: str = ""
    reason: DeliveryReason = DeliveryReason.ACCEPTED
    contact: str = ""
    address: str = ""
    digest_id: str = ""
    urgency: float = 0.0
    handed_over_time: datetime | None = None
    attempts: Sequence[Attempt] = ()
    # What holds it besides `due_time`; worked out when it is shown.
    quiet_until_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said to people."""

    id: str
    request_id: str
    level: Level
    subject: str
    body: str
    source: str
    dedupe_key: str
    facts: Mapping[str, str]
    created_time: datetime
    suppressed_reason: str
    channels_reason: str
    deliveries: Sequence[Delivery] = ()
    acknowledged_time: datetime | None = None
    acknowledged_by: str = ""
    snoozed_until_time: datetime | None = None
    escalation_step: int = 0
    escalation_due_time: datetime | None = None
    incident_key: str = ""
    ends_incident: bool = False
    kind: Kind = Kind.DANGER
    trace: str = ""  # the traceparent of what handed it over


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages: of this level and source, accepted from and before, of these incidents or
    digests; None and empty are any.
    """

    level: Level | None = None
    source: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    incident_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """What a channel gets to send, and which try it is, counted from 1 and anew after a resend.

    `address` replaces the channel's own destination: it was set by a call, and is not to be
    trusted. `link` is where a person says that they heard; empty for none. `was_refused`: an
    earlier try was refused for good. `claimed_until`: nobody else sends it before. `receipt_id` is
    what the channel called the last one that it took, at `handed_over_time`.
    """

    delivery_id: str
    message_id: str
    channel: str
    level: Level
    subject: str
    body: str
    source: str
    facts: Mapping[str, str]
    created_time: datetime
    try_number: int = 1
    fresh_try_number: int = 1
    kind: Kind = Kind.DANGER
    reason: DeliveryReason = DeliveryReason.ACCEPTED
    address: str = ""
    link: str = ""
    claimed_until: datetime | None = None
    receipt_id: str = ""
    handed_over_time: datetime | None = None
    contact: str = ""
    was_refused: bool = False
    # The address is one of several that the environment names, and trusted.
    is_own: bool = False
    is_off: bool = False  # its channel was switched off since
    # Why it is said now: RAISED, WORSE, REPEATED, HELD_UNTIL_NOW, RESOLVED.
    reason_code: str = ""
    worst: Worst | None = None  # of a digest
    attachment: Attachment | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a channel says about one try; without secrets. `permanent`: another try would not help.

    With a `receipt_id` it was taken and is not known to have arrived: the channel can be asked by
    it. `never_taken`: what failed is known not to go on there. `unanswered`: the channel works, but
    no person heard it.
    """

    accepted: bool
    provider_status: str = ""
    receipt_id: str = ""
    error: str = ""
    permanent: bool = False
    retry_after: timedelta | None = None
    never_taken: bool = False
    # What the channel calls the message that it shows: it can be edited, and answered.
    posted_id: str = ""
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """Channels of a message, and why these."""

    channels: tuple[str, ...]
    reason: ChannelsReason


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a try makes of its delivery."""

    state: DeliveryState
    outcome: AttemptOutcome
    wait: timedelta | None = None


# Whether something arrived is asked about this long after it was handed over, then ever more
# rarely.
_FIRST_LOOK_SECONDS = 2.0


def next_look(age: timedelta, longest_seconds: float) -> timedelta:
    """How long to wait before asking again about what was handed over `age` ago."""
    seconds = min(max(age.total_seconds() / 2, _FIRST_LOOK_SECONDS), longest_seconds)
    return timedelta(seconds=seconds)


def urgency(level: Level, kind: Kind, facts: Mapping[str, str]) -> float:
    """How early it goes, larger first: danger before news, then the louder, then the nearer to
    liquidation.

    Thousands say which of these it is, from 1000 (LOW news) to 7000 (ACTION); 0 to 998 what is left
    of 499 after the distance to liquidation in percent, 0 when that is not known.
    """
    is_news = kind is Kind.NEWS and level is not Level.ACTION
    step = level.value + (0 if is_news else _DANGER_STEPS)
    try:
        distance_percent = float(facts.get("liquidation_distance_percent", ""))
    except ValueError:
        return _URGENCY_STEP * step
    if not math.isfinite(distance_percent):
        return _URGENCY_STEP * step
    return _URGENCY_STEP * step + _MOST_NEAR - min(max(distance_percent, -_MOST_NEAR), _MOST_NEAR)


def choose_channels(
    explicit: Sequence[str],
    mapped: Sequence[str],
    configured: Collection[str],
    kind: Kind = Kind.DANGER,
) -> Choice:
    """Explicit channels replace the level's; those not configured are left out.

    When none is left that surely reaches people, every configured channel is used, the last resort
    only if there is no other. Who names `sound` or `log` alone gets what they named. News takes no
    channel that rings unless it is named.
    """
    wanted, reason = (
        (explicit, ChannelsReason.EXPLICIT) if explicit else (mapped, ChannelsReason.LEVEL_MAP)
    )
    if kind is Kind.NEWS and not explicit:
        wanted = [name for name in mapped if name not in RINGING]
    usable = tuple(name for name in dict.fromkeys(wanted) if name in configured)
    if usable and (set(wanted) <= UNSURE or not set(usable) <= UNSURE):
        return Choice(usable, reason)
    fallback = (
        ChannelsReason.FALLBACK_NEWS
        if kind is Kind.NEWS
        else ChannelsReason.FALLBACK_ALL_CONFIGURED
    )
    return Choice(everywhere(configured, kind), fallback)


def everywhere(configured: Collection[str], kind: Kind = Kind.DANGER) -> tuple[str, ...]:
    """Every channel that is configured, the last resort only when nothing else surely reaches
    people.
    """
    fit = [name for name in configured if kind is not Kind.NEWS or name not in RINGING]
    surely = any(name not in UNSURE for name in fit)
    return tuple(name for name in fit if name != LAST_RESORT or not surely)


def retry_wait(try_number: int, chance: float, retry_after: timedelta | None = None) -> timedelta:
    """How long to wait after the failed try `try_number` (from 1); `chance` in [0, 1) is the
    jitter.

    Never shorter than the provider asked for, up to LONGEST_WAIT.
    """
    seconds = RETRY_SECONDS[min(try_number, len(RETRY_SECONDS)) - 1]
    wait = timedelta(seconds=seconds * (1 + JITTER_RATIO * chance))
    return max(wait, min(retry_after, LONGEST_WAIT)) if retry_after is not None else wait


def judge(answer: Answer, try_number: int, chance: float, *, was_refused: bool) -> Verdict:
    """SENT when accepted, HANDED_OVER when that is not all; else QUEUED again.

    DEAD when refused for good twice, or after the last try.
    """
    if answer.accepted and answer.receipt_id:
        wait = next_look(timedelta(), _FIRST_LOOK_SECONDS)
        return Verdict(DeliveryState.HANDED_OVER, AttemptOutcome.HANDED_OVER, wait)
    if answer.accepted:
        return Verdict(DeliveryState.SENT, AttemptOutcome.SENT)
    if answer.unanswered:
        # Calls are counted where they are placed.
        state = DeliveryState.DEAD if answer.permanent else DeliveryState.QUEUED
        return Verdict(state, AttemptOutcome.FAILED, None if answer.permanent else CALL_AGAIN)
    if answer.permanent and not was_refused and try_number < MAX_TRIES:
        # One answer may be a mistake: a deployment, a proxy. The same one again is believed.
        wait = max(SECOND_LOOK * (1 + JITTER_RATIO * chance), answer.retry_after or timedelta())
        return Verdict(DeliveryState.QUEUED, AttemptOutcome.REFUSED, min(wait, LONGEST_WAIT))
    if answer.permanent:
        return Verdict(DeliveryState.DEAD, AttemptOutcome.REFUSED)
    if try_number >= MAX_TRIES:
        return Verdict(DeliveryState.DEAD, AttemptOutcome.FAILED)
    wait = retry_wait(try_number, chance, answer.retry_after)
    return Verdict(DeliveryState.QUEUED, AttemptOutcome.FAILED, wait)
