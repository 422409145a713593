"""The checks: a new one is a file here and a line in the registry, or a package of others.

A check reads by `CheckContext` and returns a Finding; it writes nothing. Sent are but a ping, and
to positions which marks stand still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from services.monitor.domain.findings import Finding, Level, Part, Run
from services.monitor.domain.states import Heartbeat
from services.monitor.domain.venues import FrozenMark, VenueReading


@dataclass(frozen=True, slots=True)
class PriceReading:
    """One tracked asset: quality word and age; None = no price known."""

    asset: str
    quality: str
    price_usd: float | None
    age_seconds: float | None


@dataclass(frozen=True, slots=True)
class PastPrice:
    """A price of the history."""

    price_time: datetime
    price_usd: float


@dataclass(frozen=True, slots=True)
class WalletReading:
    """One active wallet that is fetched: outcome word of its last fetch and the reason; parts of
    its account that are not read, as positions words them.
    """

    name: str
    state: str
    reason: str
    unwatched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HoldingsReading:
    """Counts and sums over what is held; USD."""

    position_count: int
    stale_count: int
    total_profit_usd: float
    total_pnl_usd: float
    wallets: tuple[WalletReading, ...] = ()


@dataclass(frozen=True, slots=True)
class SubjectReading:
    """A subject (position id; empty for the portfolio) judged above NORMAL; None = no reading."""

    subject: str
    asset: str
    level: Level
    value: float | None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class JudgedReading:
    """What was judged of one metric: the worst level, its value and subject; old readings among
    them.

    An alert that never had a reading has none that is old: it does not count as stale. `raised`:
    the subjects above NORMAL, worst first, the worst few of them.
    """

    kind: str
    scope: str
    level: Level
    worst_value: float | None
    worst_asset: str
    alert_count: int
    stale_count: int
    worst_by_asset: Mapping[str, float] = field(default_factory=dict)
    raised: tuple[SubjectReading, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerReading:
    """Whether somebody answered: how long it took, and what was wrong (empty: nothing)."""

    name: str
    seconds: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ChannelReading:
    """A way to reach people that is configured; None = never."""

    name: str
    last_sent_time: datetime | None
    verified_time: datetime | None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class DiskReading:
    """The disk with the least room of those the state is on."""

    folder: str
    free_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LedgerReading:
    """How old the ledger of alerts may get, None = for ever; its rows here and in sealed files.

    `file_bytes`: of the folder for these, None without one. `overdue`: rows are past their age and
    still here; `problem`: why.
    """

    kept_days: float | None
    row_count: int
    oldest_time: datetime | None
    sealed_row_count: int
    file_count: int
    file_bytes: int | None
    overdue: bool
    problem: str


@dataclass(frozen=True, slots=True)
class BackupReading:
    """Where backups go and how often; when the last was taken (None: never), and since when there
    is something to save (None: not known). `problem`: why none can be taken now.
    """

    folder: str
    interval: timedelta
    last_time: datetime | None
    since_time: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CertificateReading:
    """From when until when a certificate is good; None: it cannot be read, for this problem."""

    name: str
    begin_time: datetime | None
    end_time: datetime | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class StreamReading:
    """A stream: OFF, CONNECTED or RECONNECTING since when, and why it is not CONNECTED."""

    name: str
    state: str
    since_time: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CycleReadings:
    """What a cycle read already; None = to be asked for, of streams: none are followed. `demo`:
    all is simulated.
    """

    prices: tuple[PriceReading, ...] | None = None
    holdings: HoldingsReading | None = None
    demo: bool | None = None
    streams: tuple[StreamReading, ...] | None = None


class Readings(Protocol):
    """What others know, asked once a pass; outside a cycle it is refreshed first."""

    async def prices(self) -> tuple[PriceReading, ...]: ...

    async def history(self, asset: str, since: datetime) -> tuple[PastPrice, ...]:
        """Oldest first."""

    async def holdings(self) -> HoldingsReading: ...

    async def judged(self) -> tuple[JudgedReading, ...]: ...

    async def venues(self) -> tuple[VenueReading, ...]:
        """Every venue at which a wallet is looked at."""

    async def frozen_marks(self) -> tuple[FrozenMark, ...]:
        """Marks that positions believes to stand still, in order."""

    async def set_frozen_marks(self, marks: Sequence[FrozenMark]) -> None:
        """Tell positions that these stand still, and no other."""

    async def refused_advice(self) -> Mapping[str, str] | None:
        """Assets whose change of advice alerts refused, with the reason; None without the
        withdrawals service.
        """

    async def services(self) -> tuple[AnswerReading, ...]:
        """Health and a cheap read of every service that is known; never raises for one of them."""

    async def hosts(self) -> tuple[AnswerReading, ...]:
        """A round trip to every configured provider host; never raises for one of them."""

    async def channels(self) -> tuple[ChannelReading, ...]:
        """The configured channels."""

    async def ping(self, channel: str) -> str:
        """A LOW test message through one channel: empty when accepted, else what went wrong."""

    async def streams(self) -> tuple[StreamReading, ...] | None:
        """As the cycle hears them; None outside a cycle, or where none are followed."""

    async def disk(self) -> DiskReading | None:
        """The disk of the state's folder, None where there is none."""

    async def backup(self) -> BackupReading | None:
        """The backups of this machine, None where none are to be taken."""

    async def certificates(self) -> tuple[CertificateReading, ...]:
        """The certificates of this machine's servers; never raises for one of them."""

    async def storage(self) -> Mapping[str, int]:
        """Bytes that each service keeps in the database."""

    async def ledger(self) -> LedgerReading | None:
        """How old the ledger of alerts is; None when alerts does not answer."""

    async def twilio(self) -> str | None:
        """Empty when the credentials are good, else what is wrong; None without any."""


@dataclass(frozen=True, slots=True)
class CheckContext:
    """One run: what may be read, the time, the settings that count, and what the last run found.

    `last`: the last run not SKIPPED; `others`: those of the monitors that this one goes `beside`,
    as far as they are on. `beat`, `start_time` (of this process): for heartbeat.
    `interval`: how far its runs are apart, as it is set.
    """

    readings: Readings
    now: datetime
    threshold_percent: float | None = None
    last: Run | None = None
    by_hand: bool = False
    beat: Heartbeat = field(default_factory=Heartbeat)
    start_time: datetime | None = None
    interval: timedelta = timedelta()
    others: Mapping[str, Run] = field(default_factory=dict)


class Check(Protocol):
    """One named check.

    `every_cycle` ones run in every cycle, the others when their interval has passed; `outside` ones
    are also run when no cycle comes. After a BREACH or an ERROR it runs again after
    `retry_interval`, when that is shorter. `threshold_percent` is its own limit, None = as judged
    by others; `takes_threshold`: another one may be chosen. `remembers`: its metadata is what it
    remembers, and outlives a run that found none. `beside`: monitors whose last runs it reads.
    """

    name: str
    description: str
    interval: timedelta
    every_cycle: bool = False
    outside: bool = False
    retry_interval: timedelta | None = None
    threshold_percent: float | None = None
    takes_threshold: bool = False
    remembers: bool = False
    beside: tuple[str, ...] = ()

    async def run(self, context: CheckContext) -> Finding:
        """Say what was found; whatever it raises becomes an ERROR row."""


def metric(
    judged: tuple[JudgedReading, ...], kind: str, scope: str = "POSITION"
) -> JudgedReading | None:
    """The reading of one metric, None when it has no alert."""
    return next(
        (reading for reading in judged if (reading.kind, reading.scope) == (kind, scope)), None
    )


def is_too_many(bad_count: int, count: int, threshold_percent: float | None) -> bool:
    """Whether more than `threshold_percent` of all are bad; without one, whether one is."""
    return bad_count > 0 and 100 * bad_count / count > (threshold_percent or 0.0)


def shown(pattern: str, asset: str, value: float | None) -> str:
    """An asset and its value as a badge shows them."""
    return f"{asset} {'?' if value is None else pattern.format(value)}".strip()


def unread_level(reading: JudgedReading) -> Level:
    """The highest of subjects whose value is not known: no threshold of a value hides it."""
    unread = (one.level for one in reading.raised if one.value is None)
    return max(unread, default=Level.NORMAL)


def raised_parts(raised: Iterable[SubjectReading], pattern: str, sign: int) -> list[Part]:
    """A part a subject; `sign`: 1 where the higher value is the worse one, -1 where the lower."""
    return [
        Part(
            one.subject,
            shown(pattern, one.asset, one.value),
            one.level,
            one.stale,
            None if one.value is None else sign * one.value,
        )
        for one in raised
    ]
