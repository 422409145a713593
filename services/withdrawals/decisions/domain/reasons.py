"""Why a decision is what it is: the reasons, in the order they are always told in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from services.withdrawals.gains.domain.flows import Holding


class Verdict(IntEnum):
    """The decision; the value is the metric's."""

    ERROR = -1
    HOLD = 0
    WITHDRAW_OK = 1


class Reason(StrEnum):
    """Everything that can be said of a decision; reasons are told in this order."""

    NO_REFERENCE = "NO_REFERENCE"
    NO_DATA = "NO_DATA"
    # The venue knows neither a supply nor a transaction of a wallet: its address may be wrong.
    NEVER_SEEN = "NEVER_SEEN"
    STALE_DATA = "STALE_DATA"
    NON_POSITIVE_GAIN = "NON_POSITIVE_GAIN"
    # Less than nothing, or a limit of nothing: 0 is said.
    CLAMPED = "CLAMPED"
    AGGREGATE_LOSS = "AGGREGATE_LOSS"
    ANOMALY = "ANOMALY"
    DEPEG = "DEPEG"
    INSUFFICIENT_POINTS = "INSUFFICIENT_POINTS"
    DEGENERATE_SCALE = "DEGENERATE_SCALE"
    PRICE_MISMATCH = "PRICE_MISMATCH"
    PRICE_UNAVAILABLE = "PRICE_UNAVAILABLE"
    UNRESOLVED_ASSET = "UNRESOLVED_ASSET"
    LIQUIDITY_LIMIT = "LIQUIDITY_LIMIT"
    PENDING_FLOW = "PENDING_FLOW"
    COLLATERAL_LIMIT = "COLLATERAL_LIMIT"
    MARKET_FROZEN = "MARKET_FROZEN"
    BELOW_MINIMUM = "BELOW_MINIMUM"
    FEES_EXCEED = "FEES_EXCEED"
    GAINS_DISAGREE = "GAINS_DISAGREE"
    FLOWS_INCOMPLETE = "FLOWS_INCOMPLETE"
    ALREADY_TAKEN = "ALREADY_TAKEN"
    INTERNAL = "INTERNAL"
    # Mode OPPORTUNITY, and the value is not above the band.
    NO_OPPORTUNITY = "NO_OPPORTUNITY"


class Weight(IntEnum):
    """What a reason does to the decision; the heaviest decides."""

    SHOWN = 0
    HOLDS = 1
    FAILS = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason with what stands behind it; `holding` None: of the asset as a whole.

    `detail` is for people and holds no wallet address.
    """

    reason: Reason
    weight: Weight
    holding: Holding | None = None
    detail: str = ""


_ORDER = {reason: rank for rank, reason in enumerate(Reason)}


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """By reason, then holding (those of the asset first), then detail; each once."""
    none = Holding("", "")
    return tuple(
        sorted(
            set(findings),
            key=lambda one: (_ORDER[one.reason], one.holding or none, one.detail, one.weight),
        )
    )


def verdict_of(findings: tuple[Finding, ...]) -> Verdict:
    """ERROR where a finding fails, else HOLD where one holds, else WITHDRAW_OK."""
    heaviest = max((one.weight for one in findings), default=Weight.SHOWN)
    return {
        Weight.FAILS: Verdict.ERROR,
        Weight.HOLDS: Verdict.HOLD,
        Weight.SHOWN: Verdict.WITHDRAW_OK,
    }[heaviest]
