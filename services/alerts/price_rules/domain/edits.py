"""What people may set of a price rule, and what an edit makes of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.alerts.domain.kinds import LONGEST_QUIET_SECONDS, Level
from services.alerts.price_rules.domain.rules import (
    WINDOWS_SECONDS,
    Rule,
    RuleDirection,
    RuleMetric,
    RuleRecurrence,
    RuleState,
)
from shared.errors import invalid


def check(rule: Rule) -> None:
    """InvalidArgument INVALID_FIELD for what cannot be judged."""
    is_target = rule.metric is RuleMetric.PRICE_TARGET
    if not rule.asset:
        raise invalid("rule.asset", "an asset symbol")
    if not 0 < rule.threshold < math.inf:
        raise invalid("rule.threshold", "a number above 0")
    if rule.direction is RuleDirection.CROSS and not is_target:
        raise invalid("rule.direction", "CROSS is for a price target; BOTH for a move")
    if rule.window_seconds not in WINDOWS_SECONDS or (rule.window_seconds and is_target):
        raise invalid("rule.window", "0, 1 h, 6 h or 24 h; a price target has none")
    if rule.recurrence is RuleRecurrence.LADDER and (is_target or rule.window_seconds):
        raise invalid("rule.recurrence", "LADDER needs a move without a window")
    falls = rule.metric is RuleMetric.MOVE_PERCENT and rule.direction is RuleDirection.DOWN
    if falls and rule.threshold >= 100:
        raise invalid("rule.threshold", "nothing falls by 100 percent")
    if rule.level not in (Level.LOW, Level.MEDIUM, Level.HIGH):
        raise invalid("rule.level", "LOW, MEDIUM or HIGH")
    if not 0 <= rule.cooldown_seconds <= LONGEST_QUIET_SECONDS:
        raise invalid("rule.cooldown", "0 to 7 days")


def rule_key_of(id: str) -> int | None:
    """Of the id of a rule; None when it is none."""
    digits = id.removeprefix("rule-")
    known = digits != id and digits.isascii() and digits.isdecimal() and len(digits) < 19
    return int(digits) if known else None


def changed(before: Rule, values: Mapping[str, Any], now_micros: int) -> Rule:
    """With other settings; armed by hand, or when it measures something else, it begins anew."""
    by_hand = {"armed", "anchor_price_usd"} & set(values)
    after = replace(before, **values, revision=before.revision + bool(by_hand))
    measured = {"direction", "threshold", "recurrence", "window_seconds"} & set(values)
    if values.get("armed") or measured:
        after = replace(after.rearmed(), armed=values.get("armed", before.armed))
    anchor = values.get("anchor_price_usd")
    if anchor is not None:
        after = replace(
            after, anchor_price_usd=anchor, anchor_micros=now_micros, state=RuleState.NORMAL
        )
    return after
