"""References: the moment since which a gain is counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.withdrawals.gains.domain.exact import exact_micros
from services.withdrawals.gains.domain.flows import Flow, FlowKind, Holding


class ReferenceMode(StrEnum):
    """As a setting: where a reference may come from. Of a reference: where it came from; the value
    is the label `ref_mode` of metrics.
    """

    # The later of the last withdrawal with the keyword and the last event.

    KEYWORD = "keyword"
    # The last event alone.
    EVENT = "event"
    # As KEYWORD; where there is none, the start of the range.
    DATA_RANGE = "data_range"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ReferenceEvent:
    """A reference a person set, for one wallet or (None) for all of the asset."""

    time: datetime
    wallet: str | None = None
    tx_id: str = ""
    note: str = ""
    who: str = ""

    def __post_init__(self) -> None:
        exact_micros(self.time, "reference.time")


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference of a holding: its moment t0 (None exactly for NONE) and where it is from."""

    mode: ReferenceMode
    time: datetime | None = None
    tx_id: str = ""
    note: str = ""


NO_REFERENCE = Reference(ReferenceMode.NONE)


@dataclass(frozen=True, slots=True)
class ReferenceRules:
    """`keyword` in the note of a withdrawal makes it a reference, in any case; empty: none does.

    `range_start`: with DATA_RANGE the reference where nothing else is; None: the first sample.
    """

    mode: ReferenceMode = ReferenceMode.KEYWORD
    keyword: str = ""
    range_start: datetime | None = None

    def __post_init__(self) -> None:
        if self.range_start is not None:
            exact_micros(self.range_start, "range_start")


NO_RULES = ReferenceRules()


def choose_reference(
    holding: Holding,
    flows: Iterable[Flow],
    events: Iterable[ReferenceEvent],
    rules: ReferenceRules,
    as_of: datetime,
    first_sample: datetime | None = None,
) -> Reference:
    """The later of the holding's last withdrawal with the keyword and the last event of its scope,
    as far as the mode lets; with DATA_RANGE else the start of the range, else none.

    Nothing after `as_of` counts. Of one instant the event is taken, of two events the one for the
    wallet alone.
    """
    mode = rules.mode
    if mode is ReferenceMode.NONE:
        return NO_REFERENCE
    found: list[tuple[datetime, int, Reference]] = []
    for event in events:
        if event.wallet in {None, holding.wallet} and event.time <= as_of:
            rank = 1 if event.wallet is None else 2
            reference = Reference(ReferenceMode.EVENT, event.time, event.tx_id, event.note)
            found.append((event.time, rank, reference))
    for flow in () if mode is ReferenceMode.EVENT else flows:
        if flow.holding == holding and flow.time <= as_of and _carries(flow, rules.keyword):
            reference = Reference(ReferenceMode.KEYWORD, flow.time, flow.tx_id, flow.note)
            found.append((flow.time, 0, reference))
    if found:
        return max(found, key=lambda one: (one[0], one[1], one[2].tx_id, one[2].note))[2]
    start = first_sample if rules.range_start is None else rules.range_start
    if mode is ReferenceMode.DATA_RANGE and start is not None and start <= as_of:
        return Reference(ReferenceMode.DATA_RANGE, start)
    return NO_REFERENCE


def _carries(flow: Flow, keyword: str) -> bool:
    wanted = keyword.strip().casefold()
    return bool(wanted) and flow.kind is FlowKind.WITHDRAWAL and wanted in flow.note.casefold()
