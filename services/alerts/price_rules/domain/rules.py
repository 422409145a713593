"""Price rules: how near a price is to what somebody waits for, and what follows. No store, no text.

ratio = metric / threshold; WARN from 0.7, BREACH from 1; back down only after two fresh
observations in a row 5 % below an edge. The anchor is the first price seen; with a window it is the
oldest price within the window.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from enum import IntEnum

from services.alerts.domain.kinds import COOLDOWN_SECONDS, Level
from services.alerts.domain.levels import MARGIN_RATIO

WARN_RATIO, BREACH_RATIO = 0.7, 1.0
WINDOWS_SECONDS = (0, 3600, 6 * 3600, 24 * 3600)
# Of an asset one price a minute is kept.
_SPACING_MICROS = 60 * 1_000_000
# What people set.
SETTINGS = (
    "asset",
    "metric",
    "direction",
    "threshold",
    "recurrence",
    "window_seconds",
    "cooldown_seconds",
    "level",
    "enabled",
    "channels",
    "notes",
)
# A ratio that should be whole may miss it by rounding.
_HAIR = 1e-9


class RuleMetric(IntEnum):
    MOVE_PERCENT = 1
    MOVE_ABS = 2
    PRICE_TARGET = 3


class RuleDirection(IntEnum):
    UP = 1
    DOWN = 2
    BOTH = 3
    CROSS = 4


class RuleRecurrence(IntEnum):
    SINGLE = 1
    RESET = 2
    LADDER = 3


class RuleState(IntEnum):
    NONE = 0
    NORMAL = 1
    WARN = 2
    BREACH = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and where it stands. Prices in USD, None: not seen; micros since 1970, 0: never."""

    rule_key: int
    asset: str
    metric: RuleMetric
    direction: RuleDirection
    threshold: float
    recurrence: RuleRecurrence = RuleRecurrence.SINGLE
    window_seconds: int = 0
    cooldown_seconds: int = COOLDOWN_SECONDS
    level: Level = Level.MEDIUM
    enabled: bool = True
    channels: tuple[str, ...] = ()
    notes: str = ""
    # Rises when somebody arms it anew or sets its anchor.
    revision: int = 1
    created_micros: int = 0
    armed: bool = True
    anchor_price_usd: float | None = None
    anchor_micros: int = 0
    state: RuleState = RuleState.NONE
    # What the last observation would have let the state fall to; NONE: it would not have.
    falling: RuleState = RuleState.NONE
    ratio: float | None = None
    price_usd: float | None = None
    price_micros: int = 0
    notified_level: int = 0
    notified_micros: int = 0
    incident_count: int = 0
    breach_count: int = 0

    @property
    def id(self) -> str:
        return f"rule-{self.rule_key}"

    @property
    def etag(self) -> str:
        """Of what people set and how often they armed it: the same settings have the same one,
        whenever.
        """
        content = [getattr(self, name) for name in SETTINGS]
        return hashlib.sha256(json.dumps([content, self.revision]).encode()).hexdigest()[:16]

    def level_of(self, state: RuleState) -> Level:
        """How bad a state is: a WARN is LOW, a BREACH what the rule says."""
        return {RuleState.WARN: Level.LOW, RuleState.BREACH: self.level}.get(state, Level.NORMAL)

    def rearmed(self) -> Rule:
        """As new: the next price is its anchor."""
        fresh = replace(self, armed=True, anchor_price_usd=None, anchor_micros=0)
        return replace(
            fresh, state=RuleState.NONE, falling=RuleState.NONE, ratio=None, price_usd=None
        )


@dataclass(frozen=True, slots=True)
class Observation:
    """A price now; `reference_usd`: the oldest within the rule's window, None without one."""

    price_usd: float
    observed_micros: int
    stale: bool = False
    reference_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A price to be kept for windows."""

    asset: str
    observed_micros: int
    price_usd: float


@dataclass(frozen=True, slots=True)
class Window:
    """Which kept prices a rule looks at: since and until when, and what counts as kept of late."""

    asset: str
    since_micros: int
    recent_micros: int
    until_micros: int


@dataclass(frozen=True, slots=True)
class Event:
    """A rule came nearer or went away; `move` is in the rule's unit, from `anchor_price_usd`.
    `is_fall`: it went away by its price, not by a new anchor.
    """

    rule: Rule
    state_before: RuleState
    state_after: RuleState
    anchor_price_usd: float
    price_usd: float
    ratio: float
    move: float
    notified: bool
    step_count: int
    is_fall: bool = False


def window_of(rule: Rule, observed_micros: int) -> Window | None:
    """What a rule with a window looks at when a price of that moment comes."""
    if not rule.window_seconds:
        return None
    since = max(observed_micros - rule.window_seconds * 1_000_000, rule.anchor_micros)
    return Window(rule.asset, since, observed_micros - _SPACING_MICROS, observed_micros)


def unhindered(rule: Rule, observation: Observation, now_micros: int) -> Rule:
    """The rule as an observation finds it: a last one of the future, left by a clock that was
    ahead, holds nothing up.
    """
    is_ahead = rule.price_micros > now_micros and observation.observed_micros != rule.price_micros
    return replace(rule, price_micros=0) if is_ahead else rule


def judge_rule(rule: Rule, observation: Observation, now_micros: int) -> tuple[Rule, list[Event]]:
    """The rule after a sight, and what happened. A stale price raises, sets no anchor and lowers
    nothing; of a window in which it is the only one it says nothing.

    An observation that is not later than the last one changes nothing.
    """
    if not rule.enabled or not rule.armed or observation.observed_micros <= rule.price_micros:
        return rule, []
    if rule.anchor_price_usd is None:
        if observation.stale:
            return rule, []
        rule = replace(
            rule, anchor_price_usd=observation.price_usd, anchor_micros=observation.observed_micros
        )
    anchor = _anchor(rule, observation)
    if anchor is None:
        return rule, []
    move, ratio = measure(rule, anchor, observation.price_usd)
    seen = replace(
        rule, ratio=ratio, price_usd=observation.price_usd, price_micros=observation.observed_micros
    )
    state, falling = _state(rule, ratio, stale=observation.stale)
    seen = replace(seen, falling=falling)
    if state is rule.state:
        stands = state is RuleState.BREACH and falling is RuleState.NONE and not observation.stale
        return _anchored_anew(seen, anchor, move) if stands else (seen, [])
    if rule.state is RuleState.NONE and state is RuleState.NORMAL:
        return replace(seen, state=state), []
    return _turned(seen, state, anchor, move, ratio, now_micros, stale=observation.stale)


def measure(rule: Rule, anchor: float, price: float) -> tuple[float, float]:
    """The move from the anchor in the rule's unit, and metric / threshold, never below 0."""
    if rule.metric is RuleMetric.PRICE_TARGET:
        return price - anchor, _target_ratio(rule, anchor, price)
    move = price - anchor
    if rule.metric is RuleMetric.MOVE_PERCENT:
        move = 100 * move / anchor
    signed = {RuleDirection.UP: move, RuleDirection.DOWN: -move}.get(rule.direction, abs(move))
    return move, max(signed / rule.threshold, 0.0)


def _anchor(rule: Rule, observation: Observation) -> float | None:
    """What the move is measured from; None when no price within the window is known but a stale
    one.
    """
    since_micros = observation.observed_micros - rule.window_seconds * 1_000_000
    if rule.window_seconds and observation.reference_usd is not None:
        return observation.reference_usd
    if rule.window_seconds and rule.anchor_micros < since_micros:
        return None if observation.stale else observation.price_usd
    return rule.anchor_price_usd


def _target_ratio(rule: Rule, anchor: float, price: float) -> float:
    """The share of the way from anchor to target that is done; 1 at and beyond the target."""
    target = rule.threshold
    if rule.direction is RuleDirection.UP:
        reached, possible = price >= target, anchor < target
    elif rule.direction is RuleDirection.DOWN:
        reached, possible = price <= target, anchor > target
    else:
        before, possible = _before(rule, anchor), anchor != target
        reached = before != target and (before - target) * (price - target) <= 0
    share = (price - anchor) / (target - anchor) if possible else 0.0
    # Short of it, and never rounded up to it.
    return max(share, 1.0) if reached else min(max(share, 0.0), 1 - 2 * _HAIR)


def _before(rule: Rule, anchor: float) -> float:
    """From which side the price comes: the anchor's, or for a crossing the last one's."""
    is_crossing = rule.direction is RuleDirection.CROSS or anchor == rule.threshold
    return rule.price_usd if is_crossing and rule.price_usd is not None else anchor


def _state(rule: Rule, ratio: float, *, stale: bool) -> tuple[RuleState, RuleState]:
    """The next state and the memory: up at an edge, down when two in a row are 5 % below."""
    before, raw = rule.state, _plain_state(ratio)
    floor = max(raw, min(before, _plain_state(ratio / (1 - MARGIN_RATIO))))
    if floor >= before:
        return floor, RuleState.NONE
    if stale:
        return before, RuleState.NONE
    if rule.falling is RuleState.NONE:
        return before, floor
    fallen = min(max(floor, rule.falling), before)
    return fallen, floor if floor < fallen else RuleState.NONE


def _plain_state(ratio: float) -> RuleState:
    if ratio >= BREACH_RATIO - _HAIR:
        return RuleState.BREACH
    return RuleState.WARN if ratio >= WARN_RATIO - _HAIR else RuleState.NORMAL


def _turned(
    rule: Rule,
    state: RuleState,
    anchor: float,
    move: float,
    ratio: float,
    now_micros: int,
    *,
    stale: bool,
) -> tuple[Rule, list[Event]]:
    before, level = rule.state, rule.level_of(state)
    rises = state > max(before, RuleState.NORMAL)
    starts = rises and before <= RuleState.NORMAL
    age = now_micros - rule.notified_micros
    repeated = level <= rule.notified_level and 0 <= age < rule.cooldown_seconds * 1_000_000
    breach = rises and state is RuleState.BREACH
    # Of one that is disarmed by it nobody hears later.
    is_last = breach and rule.recurrence is RuleRecurrence.SINGLE
    if breach and repeated and not is_last and _lasts(rule):
        return rule, []
    notified = rises and (is_last or not repeated)
    after = replace(
        rule,
        state=state,
        notified_level=level if notified else rule.notified_level,
        notified_micros=now_micros if notified else rule.notified_micros,
        incident_count=rule.incident_count + starts,
        breach_count=rule.breach_count + breach,
    )
    final, steps = _after_breach(after, move, stale=stale) if breach else (after, 0)
    event = Event(
        after,
        max(before, RuleState.NORMAL),
        state,
        anchor,
        _price(rule),
        ratio,
        move,
        notified,
        steps,
        is_fall=state < before,
    )
    return final, [event, *_ended(final, state, anchor, move)]


def _lasts(rule: Rule) -> bool:
    """Whether a breach is one still when the cooldown is over, if the price stays: it waits until
    then with its anchor, and is told whole. A crossing is of one moment.
    """
    ways = (RuleDirection.UP, RuleDirection.DOWN)
    return rule.metric is not RuleMetric.PRICE_TARGET or rule.direction in ways


def _ended(final: Rule, state: RuleState, anchor: float, move: float) -> list[Event]:
    """A level above the new one ends with the new anchor."""
    if final.state is state:
        return []
    return [
        Event(final, state, final.state, anchor, _price(final), final.ratio or 0.0, move, False, 0)
    ]


def _anchored_anew(rule: Rule, anchor: float, move: float) -> tuple[Rule, list[Event]]:
    """A breach that an old price raised still stands: now its anchor moves. A SINGLE one is
    disarmed.

    A ladder that is held by the margin alone has no whole step to move by: it stands as it is.
    """
    final, steps = _after_breach(rule, move, stale=False)
    if not steps:
        return rule, []
    return final, _ended(final, rule.state, anchor, move)


def _price(rule: Rule) -> float:
    return math.nan if rule.price_usd is None else rule.price_usd


def _after_breach(rule: Rule, move: float, *, stale: bool) -> tuple[Rule, int]:
    """SINGLE disarms; RESET takes the price as anchor; LADDER moves the anchor by whole steps.

    A stale price moves no anchor: the next fresh one does.
    """
    if rule.recurrence is RuleRecurrence.SINGLE:
        return replace(rule, armed=False), 1
    if stale:
        return rule, 1
    price, steps = _price(rule), 1
    anchor = price
    if rule.recurrence is RuleRecurrence.LADDER:
        anchor, steps = _ladder(rule, price, move)
    moved = replace(rule, anchor_price_usd=anchor, anchor_micros=rule.price_micros)
    if rule.metric is RuleMetric.PRICE_TARGET and rule.direction in (
        RuleDirection.UP,
        RuleDirection.DOWN,
    ):
        # The target is reached and stays so: it fires again only after the price has left it.
        return replace(moved, ratio=1.0), steps
    ratio = 0.0 if anchor == price else measure(moved, anchor, price)[1]
    return replace(moved, ratio=ratio, state=min(_plain_state(ratio), RuleState.WARN)), steps


def _ladder(rule: Rule, price: float, move: float) -> tuple[float, int]:
    """The next anchor and how many whole steps lie between, each of the anchor before it."""
    anchor = rule.anchor_price_usd or price
    step = math.copysign(rule.threshold, move)
    if rule.metric is RuleMetric.MOVE_ABS:
        count = math.floor((price - anchor) / step + _HAIR)
        return anchor + count * step, count
    factor = 1 + step / 100
    count = math.floor(math.log(price / anchor) / math.log(factor) + _HAIR)
    return anchor * factor**count, count
