"""Market rules by tables: how near, what happened, where the anchor goes; and what no price may
ever do.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.domain.kinds import Level
from services.alerts.price_rules.domain.edits import check
from services.alerts.price_rules.domain.rules import (
    Event,
    Observation,
    Rule,
    RuleDirection,
    RuleMetric,
    RuleRecurrence,
    RuleState,
    judge_rule,
    unhindered,
)
from shared.errors import InvalidArgument

PERCENT, ABS, TARGET = RuleMetric.MOVE_PERCENT, RuleMetric.MOVE_ABS, RuleMetric.PRICE_TARGET
UP, DOWN, BOTH, CROSS = (
    RuleDirection.UP,
    RuleDirection.DOWN,
    RuleDirection.BOTH,
    RuleDirection.CROSS,
)
SINGLE, RESET, LADDER = RuleRecurrence.SINGLE, RuleRecurrence.RESET, RuleRecurrence.LADDER
MINUTE = 60_000_000
SHORT = {RuleState.NONE: "-", RuleState.NORMAL: "n", RuleState.WARN: "W", RuleState.BREACH: "B"}


def _rule(metric: RuleMetric, direction: RuleDirection, threshold: float, **more: object) -> Rule:
    rule = Rule(1, "BTC", metric, direction, threshold, **more)
    check(rule)
    return rule


def _run(rule: Rule, prices: list[float], stale: bool = False) -> tuple[Rule, list[list[Event]]]:
    happened = []
    for minute, price in enumerate(prices, 1):
        rule, events = judge_rule(
            rule, Observation(price, rule.price_micros + minute * MINUTE, stale), minute * MINUTE
        )
        happened.append(events)
    return rule, happened


@pytest.mark.parametrize(
    ("rule", "prices", "states"),
    [
        (_rule(PERCENT, UP, 10), [100, 106, 107, 109.9, 110], "nnWWB"),
        (_rule(PERCENT, DOWN, 10), [100, 110, 93.1, 93, 90], "nnnWB"),
        (_rule(PERCENT, BOTH, 10), [100, 93, 107, 90], "nWWB"),
        (_rule(ABS, UP, 500), [1000, 1349, 1350, 1500], "nnWB"),
        (_rule(ABS, DOWN, 500), [1000, 1500, 650, 500], "nnWB"),
        # A warning ends 5 % below its edge, not at it, and only after two observations there.
        (_rule(PERCENT, UP, 10), [100, 107, 106.7, 106.6, 106.6], "nWWWn"),
        (_rule(PERCENT, UP, 10), [100, 107, 106.6, 106.7, 106.6], "nWWWW"),
        (_rule(TARGET, UP, 120), [100, 113, 114, 119.99, 120], "nnWWB"),
        (_rule(TARGET, DOWN, 80), [100, 87, 86, 80.01, 80], "nnWWB"),
        # Beyond the target at first sight: it is reached.
        (_rule(TARGET, UP, 90), [100], "B"),
        (_rule(TARGET, BOTH, 90), [100, 95, 90.1, 90], "nnWB"),
        (_rule(TARGET, BOTH, 90), [100, 89.9], "nB"),
        (_rule(TARGET, BOTH, 110), [100, 110], "nB"),
        (_rule(TARGET, CROSS, 100), [101, 100.5, 99], "nnB"),
        (_rule(TARGET, CROSS, 100), [100, 101, 99], "nnB"),
        (_rule(TARGET, BOTH, 100), [100, 101, 99], "nnB"),
        (_rule(TARGET, CROSS, 100), [99, 99.1, 101], "nnB"),
    ],
)
def test_a_rule_comes_near_and_is_reached(rule: Rule, prices: list[float], states: str) -> None:
    seen = ""
    for minute, price in enumerate(prices, 1):
        rule, _ = judge_rule(rule, Observation(float(price), minute * MINUTE), minute * MINUTE)
        seen += SHORT[rule.state]
    assert seen == states


def test_single_fires_once_and_is_disarmed() -> None:
    rule, happened = _run(_rule(PERCENT, UP, 10), [100, 120, 100, 150])
    assert [len(events) for events in happened] == [0, 1, 0, 0]
    assert (rule.armed, rule.breach_count) == (False, 1)
    again = rule.rearmed()
    assert (again.armed, again.anchor_price_usd, again.state) == (True, None, RuleState.NONE)


def test_reset_takes_the_price_as_its_anchor() -> None:
    rule, _ = _run(_rule(PERCENT, BOTH, 10, recurrence=RESET), [100, 115])
    assert (rule.anchor_price_usd, rule.state, rule.breach_count) == (115, RuleState.NORMAL, 1)
    rule, _ = _run(rule, [125, 127])
    assert rule.breach_count == 2


@pytest.mark.parametrize(
    ("rule", "prices", "anchor", "steps"),
    [
        (_rule(ABS, UP, 100, recurrence=LADDER), [1000, 1350], 1300, 3),
        (_rule(ABS, BOTH, 100, recurrence=LADDER), [1000, 790], 800, 2),
        (_rule(ABS, UP, 100, recurrence=LADDER), [1000, 1100], 1100, 1),
        (_rule(PERCENT, UP, 10, recurrence=LADDER), [100, 125], 121, 2),
        (_rule(PERCENT, DOWN, 10, recurrence=LADDER), [100, 80], 81, 2),
        (_rule(PERCENT, DOWN, 10, recurrence=LADDER), [100, 5], 100 * 0.9**28, 28),
    ],
)
def test_ladder_moves_its_anchor_by_whole_steps(
    rule: Rule, prices: list[float], anchor: float, steps: int
) -> None:
    rule, happened = _run(rule, prices)
    assert rule.anchor_price_usd == pytest.approx(anchor)
    assert happened[-1][0].step_count == steps
    assert rule.state < RuleState.BREACH


def test_a_target_that_recurs_fires_again_only_after_the_price_has_left_it() -> None:
    rule, happened = _run(
        _rule(TARGET, UP, 110, recurrence=RESET, cooldown_seconds=0),
        [100, 111, 115, 109, 110, 109, 109, 110],
    )
    assert [sum(event.notified for event in events) for events in happened] == [
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        1,
    ]
    assert rule.breach_count == 2


@pytest.mark.parametrize(("recurrence", "steps", "anchor"), [(RESET, 1, 139), (LADDER, 2, 132.759)])
def test_what_a_cooldown_kept_is_told_whole_when_it_is_over_and_still_stands(
    recurrence: RuleRecurrence, steps: int, anchor: float
) -> None:
    rule = _rule(PERCENT, UP, 10, recurrence=recurrence, cooldown_seconds=300)
    rule, happened = _run(rule, [100, 108, 112, 125, 139, 139, 139, 139])
    told = [[(event.state_after.name, event.notified) for event in events] for events in happened]
    assert told[1:3] == [[("WARN", True)], [("BREACH", True), ("NORMAL", False)]]
    assert told[3:7] == [[]] * 4
    assert told[7][0] == ("BREACH", True)
    assert (happened[7][0].step_count, rule.breach_count) == (steps, 2)
    assert rule.anchor_price_usd == pytest.approx(anchor, rel=0.01)
    # What does not stand then is told to nobody.
    back = _rule(PERCENT, UP, 10, recurrence=recurrence, cooldown_seconds=300)
    _, happened = _run(back, [100, 108, 112, 125, 113, 113, 113, 113, 113])
    assert not any(events for events in happened[3:])


@pytest.mark.parametrize("level", [Level.LOW, Level.HIGH])
def test_what_disarms_a_rule_is_told_whatever_was_told_just_before(level: Level) -> None:
    rule, happened = _run(_rule(PERCENT, DOWN, 10, level=level), [100, 92, 90])
    assert [[event.notified for event in events] for events in happened] == [[], [True], [True]]
    # Armed anew at once, and it falls on.
    rule, _ = judge_rule(rule.rearmed(), Observation(90, 7 * MINUTE), 4 * MINUTE)
    _, (event,) = judge_rule(rule, Observation(80, 8 * MINUTE), 5 * MINUTE)
    assert event.notified


def test_a_price_of_the_future_that_a_clock_left_makes_no_rule_deaf() -> None:
    """The clock was a day ahead: else nothing was judged for a day."""
    rule, _ = _run(_rule(PERCENT, DOWN, 10), [100, 99])
    ahead, now = replace(rule, price_micros=1440 * MINUTE), 3 * MINUTE
    seen = Observation(85, now)
    assert judge_rule(ahead, seen, now)[1] == []
    _, (event,) = judge_rule(unhindered(ahead, seen, now), seen, now)
    assert (event.state_after, event.notified) == (RuleState.BREACH, True)
    # The same observation is not judged twice, whatever its time.
    same = Observation(85, ahead.price_micros)
    assert unhindered(ahead, same, now) is ahead


def test_levels_are_low_for_a_warning_and_the_rules_own_for_a_breach() -> None:
    rule = _rule(ABS, UP, 1, level=Level.HIGH)
    assert [rule.level_of(state) for state in RuleState] == [1, 1, Level.LOW, Level.HIGH]


def test_a_window_measures_from_the_oldest_price_within_it() -> None:
    rule = _rule(PERCENT, UP, 10, window_seconds=3600)
    rule, _ = judge_rule(rule, Observation(100, MINUTE, reference_usd=100), MINUTE)
    rule, events = judge_rule(rule, Observation(109, 120 * MINUTE, reference_usd=105), MINUTE)
    assert not events
    rule, events = judge_rule(rule, Observation(116, 130 * MINUTE, reference_usd=105), MINUTE)
    assert events[0].anchor_price_usd == 105


@pytest.mark.parametrize("recurrence", [SINGLE, RESET])
def test_of_a_window_without_a_known_price_no_move_is_known(recurrence: RuleRecurrence) -> None:
    rule = _rule(PERCENT, BOTH, 5, window_seconds=3600, recurrence=recurrence)
    rule, _ = judge_rule(rule, Observation(60_000, MINUTE, reference_usd=60_000), MINUTE)
    # Within the window the anchor is what is known, also to a stale price.
    _, (event,) = judge_rule(rule, Observation(64_000, 61 * MINUTE, stale=True), MINUTE)
    assert event.anchor_price_usd == 60_000
    late = 62 * MINUTE
    assert judge_rule(rule, Observation(90_000, late, stale=True), late) == (rule, [])
    after, events = judge_rule(rule, Observation(90_000, late), late)
    assert (after.armed, after.state, after.ratio, events) == (True, RuleState.NORMAL, 0.0, [])


@pytest.mark.parametrize(
    "broken",
    [
        {"threshold": 0.0},
        {"threshold": math.inf},
        {"threshold": math.nan},
        {"direction": CROSS},
        {"window_seconds": 60},
        {"recurrence": LADDER, "window_seconds": 3600},
        {"metric": TARGET, "window_seconds": 3600},
        {"metric": TARGET, "recurrence": LADDER},
        {"direction": DOWN, "threshold": 100.0},
        {"level": Level.NORMAL},
        {"cooldown_seconds": -1},
        {"asset": ""},
    ],
)
def test_what_cannot_be_judged_is_refused(broken: dict) -> None:
    with pytest.raises(InvalidArgument):
        check(replace(_rule(PERCENT, UP, 10), **broken))


prices = st.floats(0.01, 1e6)
rules = st.builds(
    Rule,
    rule_key=st.just(1),
    asset=st.just("BTC"),
    metric=st.sampled_from([PERCENT, ABS]),
    direction=st.sampled_from([UP, DOWN, BOTH]),
    threshold=st.floats(0.5, 99),
    recurrence=st.sampled_from(list(RuleRecurrence)),
)


@given(rule=rules, seen=st.lists(prices, min_size=1, max_size=12))
def test_after_any_prices_a_rule_is_armed_below_its_breach_or_disarmed(
    rule: Rule, seen: list[float]
) -> None:
    last, happened = _run(rule, seen)
    breaches = sum(event.state_after is RuleState.BREACH for events in happened for event in events)
    assert last.breach_count == breaches
    assert last.armed is (rule.recurrence is not SINGLE or not breaches)
    assert last.state < RuleState.BREACH or not last.armed
    if last.armed:
        assert last.anchor_price_usd is not None
        assert 0 < last.anchor_price_usd < math.inf


@given(rule=rules, seen=st.lists(prices, min_size=1, max_size=6), old=prices)
def test_a_stale_price_lowers_nothing_and_anchors_nothing(
    rule: Rule, seen: list[float], old: float
) -> None:
    assert judge_rule(rule, Observation(old, MINUTE, stale=True), 0)[0].anchor_price_usd is None
    last, _ = _run(rule, seen)
    after, _ = judge_rule(last, Observation(old, last.price_micros + MINUTE, stale=True), 0)
    assert after.state >= last.state
    assert after.anchor_price_usd == last.anchor_price_usd


@pytest.mark.parametrize(("recurrence", "anchor"), [(RESET, 118), (LADDER, 110)])
def test_a_breach_by_a_stale_price_is_told_once_and_anchored_by_the_next_fresh_one(
    recurrence: RuleRecurrence, anchor: float
) -> None:
    rule, _ = _run(_rule(PERCENT, UP, 10, recurrence=recurrence), [100])
    rule, events = judge_rule(rule, Observation(115, rule.price_micros + MINUTE, stale=True), 0)
    assert [(event.state_after, event.notified) for event in events] == [(RuleState.BREACH, True)]
    assert (rule.anchor_price_usd, rule.state) == (100, RuleState.BREACH)
    rule, events = judge_rule(rule, Observation(116, rule.price_micros + MINUTE, stale=True), 0)
    assert (rule.anchor_price_usd, events) == (100, [])
    rule, events = judge_rule(rule, Observation(118, rule.price_micros + MINUTE), 0)
    assert not any(event.notified for event in events)
    assert (rule.anchor_price_usd, rule.breach_count) == (pytest.approx(anchor), 1)
    assert rule.state < RuleState.BREACH


def test_a_ladder_that_an_old_price_raised_and_the_margin_holds_is_not_lowered_by_one_price() -> (
    None
):
    rule, _ = _run(_rule(PERCENT, BOTH, 66, recurrence=LADDER), [1.0])
    rule, _ = judge_rule(rule, Observation(2.0, rule.price_micros + MINUTE, stale=True), 0)
    for _ in range(3):
        rule, events = judge_rule(rule, Observation(0.34375, rule.price_micros + MINUTE), 0)
        assert (rule.state, rule.anchor_price_usd, events) == (RuleState.BREACH, 1.0, [])


@given(rule=rules, seen=st.lists(st.tuples(prices, st.booleans()), min_size=1, max_size=12))
def test_a_state_falls_only_by_two_fresh_observations_in_a_row(
    rule: Rule, seen: list[tuple[float, bool]]
) -> None:
    fresh_count = 0
    for minute, (price, stale) in enumerate(seen, 1):
        before, level = rule, rule.state
        rule, events = judge_rule(rule, Observation(price, minute * MINUTE, stale), minute * MINUTE)
        fresh_count = 0 if stale else fresh_count + 1
        if rule.state < level and rule.anchor_price_usd == before.anchor_price_usd:
            assert fresh_count >= 2
            assert not any(event.notified for event in events)


@given(rule=rules, seen=st.lists(prices, min_size=1, max_size=6), again=prices)
def test_the_same_observation_changes_nothing(rule: Rule, seen: list[float], again: float) -> None:
    last, _ = _run(rule, seen)
    assert judge_rule(last, Observation(again, last.price_micros), 0) == (last, [])
