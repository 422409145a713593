"""What an answer of a service means for its step: state, counts, reason and message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.cyclone.domain.cycle import NOT_CONFIGURED, Cycle, CycleState, Step, StepState

_SUCCEEDED, _PARTIAL, _FAILED = StepState.SUCCEEDED, StepState.PARTIAL, StepState.FAILED
# A step that is PARTIAL for this alone works: no such price was stated or entered.
NO_LIQUIDATION_PRICE = "NO_LIQUIDATION_PRICE"
_LIQUIDATION_PRICE_MISSING = "LIQUIDATION_PRICE_MISSING"
# The reason of a step whose service could not read the positions.
POSITIONS_NOT_READ = "POSITIONS_NOT_READ"
# Reason and message.
_UNFINISHED = ("UNFINISHED", "there was more than one cycle does: the next one goes on from there")
# How a call ends when its service is not there, as opposed to one that refuses.
DOWN_REASONS = frozenset({"PEER_UNAVAILABLE", "DEADLINE_EXCEEDED"})


@dataclass(frozen=True, slots=True)
class Outcome:
    state: StepState
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class PriceReading:
    """A price to hand on: `price_usd` > 0 or absent, age when it was read."""

    asset: str
    price_usd: float | None
    price_time: datetime | None
    stale: bool
    quality: str
    age: timedelta | None


@dataclass(frozen=True, slots=True)
class TotalsReading:
    """Of the portfolio: what the monitors and the outside heartbeat are told."""

    total_profit_usd: float
    total_pnl_usd: float
    oldest_mark_time: datetime | None
    position_count: int
    stale_count: int


@dataclass(frozen=True, slots=True)
class WalletReading:
    """How fetching one wallet ended: state word and reason word; parts of it that are not read."""

    name: str
    state: str
    reason: str
    unwatched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PricesAnswer:
    fresh_count: int
    missing_count: int
    closed_count: int = 0
    missing_assets: tuple[str, ...] = ()
    failed_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    wallet_count: int
    complete_count: int
    failed_count: int
    refused_count: int
    active_count: int
    stale_count: int
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnrichAnswer:
    enriched_count: int
    absent_count: int
    reasons: Mapping[str, int]
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MonitorsAnswer:
    run_count: int
    breach_count: int
    error_count: int
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlushAnswer:
    sent_count: int
    waiting_count: int


@dataclass(frozen=True, slots=True)
class Call:
    """What a step is called with: whose cycle, whether to ask prices anew, what earlier steps read,
    how long an answer is waited for.
    """

    cycle_id: str
    epoch: int
    force: bool
    market: str
    now: datetime
    prices: tuple[PriceReading, ...] = ()
    totals: TotalsReading | None = None
    wallets: tuple[WalletReading, ...] | None = None
    membership_epoch: int | None = None
    interval: timedelta | None = None
    has_prices: bool = False
    bound_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call, and the readings it leaves for later steps."""

    outcome: Outcome
    prices: tuple[PriceReading, ...] | None = None
    totals: TotalsReading | None = None
    wallets: tuple[WalletReading, ...] | None = None
    membership_epoch: int | None = None
    position_count: int | None = None


def read_prices(answer: PricesAnswer) -> Outcome:
    counts = {"fresh": answer.fresh_count, "missing": answer.missing_count}
    counts["failed_sources"] = len(answer.failed_sources)
    if answer.closed_count:
        counts["closed"] = answer.closed_count
    if not answer.missing_count:
        return Outcome(_SUCCEEDED, counts)
    without = f"a fresh price{_listed(answer.missing_assets)}"
    if not answer.fresh_count:
        return Outcome(_FAILED, counts, "NO_FRESH_PRICE", f"no tracked asset has {without}")
    message = f"{answer.missing_count} without {without}"
    return Outcome(_PARTIAL, counts, "PRICE_MISSING", message)


def read_sync(answer: SyncAnswer) -> Outcome:
    """No wallet at all is SUCCEEDED: there is nothing that could be missing."""
    counts = {
        "wallets": answer.wallet_count,
        "failed": answer.failed_count,
        "refused": answer.refused_count,
        "active": answer.active_count,
        "stale": answer.stale_count,
    }
    troubles = _listed(answer.troubles)
    if answer.wallet_count and answer.failed_count >= answer.wallet_count:
        return Outcome(_FAILED, counts, "ALL_WALLETS_FAILED", f"no wallet answered{troubles}")
    if answer.complete_count < answer.wallet_count or answer.failed_count:
        message = f"not every wallet is complete{troubles}"
        return Outcome(_PARTIAL, counts, "WALLET_FAILED", message)
    if answer.refused_count:
        return Outcome(_PARTIAL, counts, "ROW_REFUSED", f"rows refused: {answer.refused_count}")
    return Outcome(_SUCCEEDED, counts)


def read_enrich(answer: EnrichAnswer) -> Outcome:
    """PARTIAL while a position cannot be judged, with how many, why and which. Where a venue states
    no liquidation price nothing is amiss, and the reason is a word of its own:
    NO_LIQUIDATION_PRICE.
    """
    reasons = {f"absent_{reason.lower()}": count for reason, count in answer.reasons.items()}
    counts = {"enriched": answer.enriched_count, "absent": answer.absent_count, **reasons}
    if not answer.absent_count:
        return Outcome(_SUCCEEDED, counts)
    unstated = set(answer.reasons) == {_LIQUIDATION_PRICE_MISSING}
    why = ", ".join(f"{reason} {count}" for reason, count in answer.reasons.items())
    total = answer.enriched_count + answer.absent_count
    message = f"{answer.absent_count} of {total} positions cannot be judged ({why})"
    reason = NO_LIQUIDATION_PRICE if unstated else "POSITIONS_NOT_JUDGED"
    return Outcome(_PARTIAL, counts, reason, message + _listed(answer.absent))


def read_counts(counts: Mapping[str, int], *, unfinished: bool = False) -> Outcome:
    """For a step that either works or fails whole, or did a part of it."""
    return Outcome(_PARTIAL, counts, *_UNFINISHED) if unfinished else Outcome(_SUCCEEDED, counts)


def read_creation(counts: Mapping[str, int], *, unread: bool, unfinished: bool) -> Outcome:
    """PARTIAL while positions cannot be read: those that are new have no alerts."""
    if unread:
        message = "positions could not be read: new ones have no alerts yet"
        return Outcome(_PARTIAL, counts, POSITIONS_NOT_READ, message)
    return read_counts(counts, unfinished=unfinished)


def read_evaluation(
    counts: Mapping[str, int], unseen: Sequence[str] = (), *, unfinished: bool = False
) -> Outcome:
    """PARTIAL while an alert has no reading; an old one is judged and lowers nothing. `unseen`:
    what nobody could look at between two marks, which is said, not counted as a failure.
    """
    left, unknown = counts["unjudged"], counts["unknown"]
    if left:
        message = (
            f"positions could not be read: {left} alerts hold their levels, the others were judged"
        )
        return Outcome(_PARTIAL, counts, POSITIONS_NOT_READ, message)
    if unfinished:
        return Outcome(_PARTIAL, counts, *_UNFINISHED)
    if unknown:
        message = f"alerts without a reading: {unknown}; their levels hold"
        return Outcome(_PARTIAL, counts, "READING_UNKNOWN", message)
    if unseen:
        message = f"not looked at between two marks{_listed(unseen)}"
        return Outcome(_SUCCEEDED, counts, "EXTREMES_UNSEEN", message)
    return Outcome(_SUCCEEDED, counts)


def read_monitors(answer: MonitorsAnswer) -> Outcome:
    """A breach is what monitors are for; only a run that failed leaves the step PARTIAL."""
    counts = {"runs": answer.run_count, "breaches": answer.breach_count}
    counts["errors"] = answer.error_count
    if not answer.error_count:
        return Outcome(_SUCCEEDED, counts)
    return Outcome(_PARTIAL, counts, "MONITOR_ERROR", f"monitors failed{_listed(answer.errors)}")


def read_flush(answer: FlushAnswer) -> Outcome:
    counts = {"sent": answer.sent_count, "waiting": answer.waiting_count}
    if not answer.waiting_count:
        return Outcome(_SUCCEEDED, counts)
    message = f"{answer.waiting_count} not handed over yet"
    return Outcome(_PARTIAL, counts, "STILL_WAITING", message)


def read_advice(
    counts: Mapping[str, int], failed: Sequence[str], *, not_configured: bool
) -> Outcome:
    """A decision to hold is what the step is for; only one that cannot be made is amiss."""
    if not_configured:
        message = "no supply is watched: sonic withdrawals assets-add"
        return Outcome(StepState.SKIPPED, {}, NOT_CONFIGURED, message)
    if failed:
        return Outcome(_PARTIAL, counts, "NO_DECISION", f"no decision{_listed(failed)}")
    return Outcome(_SUCCEEDED, counts)


def without_positions(outcome: Outcome) -> Outcome:
    """The outcome of judging when positions could not be read: their levels hold."""
    if outcome.state is _FAILED or outcome.reason == POSITIONS_NOT_READ:
        return outcome
    message = "positions could not be read: their levels hold, the others were judged"
    if outcome.state is _PARTIAL:
        message = f"{message}; {outcome.message}"
    return replace(outcome, state=_PARTIAL, reason=POSITIONS_NOT_READ, message=message)


def is_without_positions(step: Step | None) -> bool:
    """Whether the step did its work on all but the positions."""
    return step is not None and step.reason == POSITIONS_NOT_READ


def read_failure(reason: str, message: str) -> Outcome:
    """A call that gave no answer: nothing usable."""
    return Outcome(_FAILED, {}, reason, message)


def _listed(names: Sequence[str], most: int = 8) -> str:
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f": {', '.join(names[:most])}{more}"


def works(cycle: Cycle) -> bool:
    """Whether every step worked: what nobody asked for and a missing liquidation price would keep
    pings back for ever.
    """
    return cycle.state in (CycleState.SUCCEEDED, CycleState.PARTIAL) and all(
        step.is_well or step.reason == NO_LIQUIDATION_PRICE for step in cycle.steps
    )
