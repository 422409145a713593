"""What happened to groups and why: the rows of the link history, made of a pass's changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.hedges.domain.grouping import Change
from services.hedges.domain.holdings import LONG, SHORT, Holdings

Members = tuple[str, ...]


class Kind(IntEnum):
    """What happened; the numbers are those of the proto."""

    LINKED = 1
    UNLINKED = 2
    MEMBERS_CHANGED = 3


class Cause(IntEnum):
    """Why."""

    BOTH_SIDES_HELD = 1
    NO_LONG_LEFT = 2
    NO_SHORT_LEFT = 3
    NOTHING_LEFT = 4
    UNLINKED_BY_HAND = 5
    MEMBERS_JOINED = 6
    MEMBERS_LEFT = 7
    MEMBERS_REPLACED = 8


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """A change of one group; `position_ids` are its members after it (UNLINKED: before it)."""

    hedge_id: str
    wallet: str
    asset: str
    kind: Kind
    reason: Cause
    position_ids: Members
    joined_position_ids: Members = ()
    left_position_ids: Members = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChange(LinkEvent):
    """A stored event."""

    id: int
    change_time: datetime
    cycle_id: str


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass writes: groups, the members of those that came or changed, and the history."""

    change: Change
    members: Mapping[str, Members]
    events: Sequence[LinkEvent]


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Empty or None = all; `start_time` is included, `end_time` is not."""

    hedge_id: str = ""
    wallet: str = ""
    asset: str = ""
    kind: Kind | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


def written(
    change: Change,
    holdings: Holdings | None,
    before: Mapping[str, Members],
    after: Mapping[str, Members],
) -> Pass:
    """What a pass writes; `before`: members by id of hedges that end or change, `after`: of those
    that come or change. `holdings` None: unlinked by hand.
    """
    events = [
        LinkEvent(
            id,
            group.wallet,
            group.asset,
            Kind.LINKED,
            Cause.BOTH_SIDES_HELD,
            after[id],
            joined_position_ids=after[id],
        )
        for id, group in change.linked
    ]
    for id, group in change.regrouped:
        joined, left = _without(after[id], before[id]), _without(before[id], after[id])
        if joined or left:
            cause, kind = _cause(joined, left), Kind.MEMBERS_CHANGED
            events.append(
                LinkEvent(id, group.wallet, group.asset, kind, cause, after[id], joined, left)
            )
    for id, (wallet, asset) in change.unlinked:
        cause = Cause.UNLINKED_BY_HAND if holdings is None else _ending(holdings, wallet, asset)
        gone = before[id]
        events.append(
            LinkEvent(id, wallet, asset, Kind.UNLINKED, cause, gone, left_position_ids=gone)
        )
    return Pass(change, after, events)


def _cause(joined: Members, left: Members) -> Cause:
    if joined and left:
        return Cause.MEMBERS_REPLACED
    return Cause.MEMBERS_JOINED if joined else Cause.MEMBERS_LEFT


def _without(members: Members, others: Members) -> Members:
    gone = set(others)
    return tuple(member for member in members if member not in gone)


def _ending(holdings: Holdings, wallet: str, asset: str) -> Cause:
    same_wallet = holdings.wallet == _place(holdings.wallet_names, wallet)
    sides = holdings.side[same_wallet & (holdings.asset == _place(holdings.asset_names, asset))]
    if (sides == LONG).any():
        return Cause.NO_SHORT_LEFT
    return Cause.NO_LONG_LEFT if (sides == SHORT).any() else Cause.NOTHING_LEFT


def _place(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else -1
