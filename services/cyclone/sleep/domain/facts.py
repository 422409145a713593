"""What was read of the night to come. Times are UTC."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import pairwise
from typing import Final


class Part(IntEnum):
    """In the order they are told when equally grave."""

    LIQUIDATION = 1
    PROBABILITY = 2
    POSITIONS = 3
    ALERTS = 4
    CHANNELS = 5
    ESCALATION = 6
    HELD = 7
    QUIET_HOURS = 8
    CYCLE = 9
    PRICES = 10
    MONITORS = 11
    HEARTBEAT = 12


@dataclass(frozen=True, slots=True)
class OutsidePing:
    """The last time the dead-man's switch outside was to be told; `problem`: why it was not."""

    time: datetime
    problem: str = ""


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """`about`: asset, side, wallet. Percent of the mark, <= 0 at or past liquidation; None is not
    known, or there is none as nobody gave a liquidation price. `probability`: of a touch within
    24 h. `is_stale`: of an earlier look, or its mark is old; `is_doubtful`: sources disagree, or it
    is not known how the account keeps its collateral. `side_sign`: +1 long, -1 short, 0 unknown.
    """

    about: str
    distance_percent: float | None
    probability: float | None
    is_stale: bool
    is_without_price: bool = False
    is_doubtful: bool = False
    id: str = ""
    asset: str = ""
    side_sign: int = 0
    liquidation_price_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Carry:
    """Funding and borrow of a position, USD an hour, below 0 it earns; and after how many hours
    they alone liquidate it at an unmoved price and rate. None: not known, or it costs nothing.
    """

    usd_per_hour: float | None
    hours_to_liquidation: float | None


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert of danger; `held_until`: acknowledged or silenced until then."""

    about: str
    level: str
    is_held: bool
    held_until: datetime | None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Of a day, in minutes of the zone's clock; over midnight when the end is before the start."""

    start_minute: int
    end_minute: int
    time_zone: str


@dataclass(frozen=True, slots=True)
class NotifyChannel:
    """A channel that HIGH goes to and that is set. `proven_time`: last receipt."""

    name: str
    is_failing: bool
    proven_time: datetime | None
    quiet_hours: QuietHours | None


@dataclass(frozen=True, slots=True)
class SilentWindow:
    """Planned silence."""

    name: str
    start_time: datetime
    end_time: datetime
    holds_high: bool


@dataclass(frozen=True, slots=True)
class CycleHealth:
    """`last_good_time`: end of the last that succeeded, wholly or in part, and judged the
    positions; `longest_pause`: without one, within the last hour.
    """

    enabled: bool
    interval: timedelta
    last_good_time: datetime | None
    last_problem: str
    longest_pause: timedelta = timedelta()


LOOKED_BACK: Final = timedelta(hours=1)


def longest_pause(good_times: Iterable[datetime], now: datetime) -> timedelta:
    """The longest part of the last hour that lay between one good cycle and the next."""
    begin = now - LOOKED_BACK
    pairs = pairwise(sorted(good_times))
    return max((b - max(a, begin) for a, b in pairs if b > begin), default=timedelta())


@dataclass(frozen=True, slots=True)
class WatchedWallet:
    """A wallet that is switched on and has a venue. `read_time`: its last complete answer."""

    name: str
    is_complete: bool
    read_time: datetime | None


@dataclass(frozen=True, slots=True)
class OwnRoute:
    """Where HIGH of one limit or alert goes that does not go by the level map."""

    about: str
    channels: Sequence[NotifyChannel]


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read. `carries` by position id. `unread`: by part, why it was not.
    `unknown_accounts`: it is not known what liquidates them. `judged_ids`: positions of which a
    limit of danger judges a reading, `distance_ids` one of the distance; `never_high`: limits that
    end below HIGH. `set_aside`: what a person switched off. `is_part`: there are more positions
    than were looked at, which are the nearest. `distance_limits`: where the distance is HIGH, in
    percent by asset, "" for every other; None: never. `silenced`: of danger, at NORMAL still.
    `evaluated_time`: when alerts were last judged. `no_channels`: what SLEEP_TELL_CHANNELS names
    and is no channel.
    """

    positions: Sequence[HeldPosition] = ()
    carries: Mapping[str, Carry] = field(default_factory=dict)
    unknown_accounts: Sequence[str] = ()
    judged_ids: Collection[str] = ()
    distance_ids: Collection[str] = ()
    never_high: Sequence[str] = ()
    distance_limits: Mapping[str, float | None] = field(default_factory=dict)
    wallets: Sequence[WatchedWallet] = ()
    set_aside: Sequence[str] = ()
    is_part: bool = False
    is_simulated: bool = False
    evaluated_time: datetime | None = None
    own_routes: Sequence[OwnRoute] = ()
    unwatched: Sequence[str] = ()
    raised: Sequence[Raised] = ()
    silenced: Sequence[Raised] = ()
    channels: Sequence[NotifyChannel] = ()
    no_channels: Sequence[str] = ()
    contact_count: int = 0
    windows: Sequence[SilentWindow] = ()
    cycle: CycleHealth | None = None
    doubtful_prices: Sequence[str] = ()
    troubled_monitors: Sequence[str] = ()
    heartbeat_configured: bool = False
    last_ping: OutsidePing | None = None
    unread: Mapping[Part, str] | None = None
