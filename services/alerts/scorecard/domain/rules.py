"""What each metric and price rule was good for, and what was known before liquidations; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from services.alerts.domain.kinds import METRICS, AlertClass, AlertType, Level
from services.alerts.ledger.domain.chain import Sealed
from services.alerts.notifications.domain import LIQUIDATED, LIQUIDATED_IN_PART
from services.alerts.scorecard.domain.incidents import (
    Followed,
    Incident,
    ToldMessages,
    ToldState,
    ends_of,
    facts_of,
    incidents_of,
)

_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Liquidation:
    """`level`: the highest that stood at it within the horizon before, NORMAL: none."""

    position_id: str
    asset: str
    wallet: str
    time: datetime
    level: int
    high_time: datetime | None
    telling: ToldState


@dataclass(frozen=True, slots=True)
class RuleScore:
    """What a metric or price rule was good for. Of its HIGH incidents `useful_count` were followed
    by a liquidation, an end or an act, `noise_count` by nothing; None: of what is no position it is
    not known what people did.
    """

    type: AlertType
    rule_id: str
    incident_count: int
    high_count: int
    useful_count: int
    noise_count: int
    pending_count: int
    unknown_count: int
    repeated_count: int
    precision: float | None
    preceded_count: int
    recall: float | None
    median_lead: timedelta | None
    median_told_after: timedelta | None
    median_acknowledged_after: timedelta | None
    alarms_per_week: float

    @property
    def is_noise(self) -> bool:
        """Whether it only made noise, as far as is known."""
        return self.noise_count > 0 and not self.useful_count


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Rules that only made noise and liquidations nobody was told of come first."""

    start_time: datetime
    end_time: datetime
    rules: Sequence[RuleScore]
    liquidations: Sequence[Liquidation]
    incidents: Sequence[Incident]


def scorecard(
    rows: Sequence[Sealed],
    digests: Mapping[int, str],
    messages: ToldMessages,
    start: datetime,
    now: datetime,
    horizon: timedelta,
) -> Scorecard:
    """Of what began since `start`; `rows` in order, may begin earlier. `digests`: the digest that
    told of a row. `horizon`: how long after the begin something is held to have followed.
    """
    ends = ends_of(rows)
    found = incidents_of(rows, ends, digests, messages, now, horizon)
    liquidations = [
        _liquidation(subject, row, found, horizon)
        for subject, subject_ends in ends.items()
        for row in subject_ends
        if row.entry.reason in (LIQUIDATED, LIQUIDATED_IN_PART) and row.entry.entry_time >= start
    ]
    counted = [one for one in found if one.begin_time is not None and one.begin_time >= start]
    rules = [
        _rule(kind, rule_id, counted, found, liquidations, horizon, now - start)
        for kind, rule_id in sorted({(one.type, one.rule_id) for one in counted})
    ]
    return Scorecard(
        start,
        now,
        sorted(rules, key=lambda one: not one.is_noise),
        sorted(liquidations, key=lambda one: (one.telling is ToldState.TOLD, one.time)),
        sorted(counted, key=lambda one: one.begin_time or now, reverse=True),
    )


def _liquidation(
    subject: str, row: Sealed, incidents: Sequence[Incident], horizon: timedelta
) -> Liquidation:
    time, facts = row.entry.entry_time, facts_of(row.entry)
    wallet = str(facts.get("wallet", ""))
    before = [one for one in incidents if _precedes(one, subject, wallet, time, horizon)]
    highs = [one.high_time for one in before if one.high_time and one.high_time <= time]
    if any(one.told_time is not None and one.told_time <= time for one in before):
        telling = ToldState.TOLD
    elif any(one.telling is ToldState.UNKNOWN for one in before):
        telling = ToldState.UNKNOWN
    else:
        telling = ToldState.NOT_TOLD
    return Liquidation(
        subject,
        str(facts.get("asset", "")),
        wallet,
        time,
        max((one.level for one in before), default=int(Level.NORMAL)),
        min(highs, default=None),
        telling,
    )


def _precedes(one: Incident, subject: str, wallet: str, time: datetime, horizon: timedelta) -> bool:
    """Whether it warned of what happened then: of the position, or of its account."""
    is_account = METRICS[one.type].alert_class is AlertClass.ACCOUNT
    is_of = one.subject == subject or (is_account and wallet != "" and one.wallet == wallet)
    begun = one.begin_time is None or one.begin_time < time
    return is_of and begun and (one.end_time is None or one.end_time >= time - horizon)


_USEFUL = (Followed.LIQUIDATED, Followed.GONE, Followed.ACTED, Followed.CLOSED)


def _rule(
    kind: AlertType,
    rule_id: str,
    counted: Sequence[Incident],
    found: Sequence[Incident],
    liquidations: Sequence[Liquidation],
    horizon: timedelta,
    window: timedelta,
) -> RuleScore:
    mine = [one for one in counted if (one.type, one.rule_id) == (kind, rule_id)]
    high = [one for one in mine if one.high_time is not None]
    is_judged = METRICS[kind].alert_class is AlertClass.POSITION and not rule_id
    useful = sum(one.followed in _USEFUL for one in high) if is_judged else 0
    noise = sum(one.followed is Followed.RECOVERED for one in high) if is_judged else 0
    pending = sum(one.followed is Followed.PENDING for one in high)
    known = [one for one in found if (one.type, one.rule_id) == (kind, rule_id)]
    leads = [
        lead
        for liquidation in liquidations
        if (lead := _lead(known, liquidation, horizon)) is not None
    ]
    return RuleScore(
        kind,
        rule_id,
        len(mine),
        len(high),
        useful,
        noise,
        pending,
        len(high) - useful - noise - pending,
        sum(one.repeated_count for one in mine),
        useful / (useful + noise) if useful + noise else None,
        len(leads),
        len(leads) / len(liquidations) if liquidations and is_judged else None,
        _median(leads),
        _median(one.told_after for one in mine),
        _median(one.acknowledged_after for one in mine),
        len(high) * (_WEEK / window),
    )


def _lead(
    incidents: Sequence[Incident], liquidation: Liquidation, horizon: timedelta
) -> timedelta | None:
    """From the first HIGH of these to the liquidation."""
    time = liquidation.time
    highs = [
        one.high_time
        for one in incidents
        if one.high_time is not None
        and one.high_time <= time
        and _precedes(one, liquidation.position_id, liquidation.wallet, time, horizon)
    ]
    return time - min(highs) if highs else None


def _median(spans: Iterable[timedelta | None]) -> timedelta | None:
    known = [one.total_seconds() for one in spans if one is not None]
    return timedelta(seconds=median(known)) if known else None
