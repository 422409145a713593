"""Decisions for tests: a wallet that gained 10 tokens, and what else was known."""

from __future__ import annotations

from decimal import Decimal

from services.withdrawals.decisions.domain.decision import Decision, decide
from services.withdrawals.decisions.domain.inputs import Circumstances, DecisionRules
from services.withdrawals.gains.domain.evaluation import AssetGains
from services.withdrawals.gate.domain.gate import GateResult, GateSide, GateState
from services.withdrawals.prices.domain import PriceComparison
from tests.unit.withdrawals.made_supply import HOME, at, gains_of, sample


def gate_of(side: GateSide | None = GateSide.INSIDE, state: GateState | None = None) -> GateResult:
    """What the residual gate said of a point after 30 others."""
    return GateResult(state or GateState.EVALUATED, 30, side)


def prices_of(is_unavailable: bool = False, is_mismatch: bool = False, holds: bool = False):
    """What the comparison of prices said."""
    delta = None if is_unavailable else 0.01
    return PriceComparison((), delta, delta, is_mismatch, int(is_mismatch), holds)


QUIET = gate_of()


def samples_of(gains_units: list[float], holding=HOME, start: float = 1000) -> list:
    """One sample an hour: the start, then the start and the gain so far."""
    return [
        sample(hour, Decimal(str(start)) + Decimal(str(gained)), holding=holding)
        for hour, gained in enumerate([0, *gains_units])
    ]


def ten_gained() -> AssetGains:
    return gains_of(samples_of([5, 10]), as_of_hour=2)


def decided(
    gains: AssetGains | None = None,
    rules: DecisionRules | None = None,
    as_of_hour: float = 2,
    **known: object,
) -> Decision:
    """By default nothing is wrong: WITHDRAW_OK of 5 tokens."""
    return decide(
        "djed",
        ten_gained() if gains is None else gains,
        rules or DecisionRules(),
        Circumstances(at(as_of_hour), **{"gate": QUIET, **known}),
    )
