"""What each metric and price rule was good for, and what was known before liquidations; pure."""

from __future__ import annotations

from collections import defaultdict
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
    warnings = _Warnings(found)
    liquidations = [
        _liquidation(subject, row, warnings, horizon)
        for subject, subject_ends in ends.items()
        for row in subject_ends
        if row.entry.reason in (LIQUIDATED, LIQUIDATED_IN_PART) and row.entry.entry_time >= start
    ]
    counted = [one for one in found if one.begin_time is not None and one.begin_time >= start]
    known, mine = _by_rule(found), _by_rule(counted)
    rules = [
        _rule(*rule, mine[rule], _Warnings(known[rule]), liquidations, horizon, now - start)
        for rule in sorted(mine)
    ]
    return Scorecard(
        start,
        now,
        sorted(rules, key=lambda one: not one.is_noise),
        sorted(liquidations, key=lambda one: (one.telling is ToldState.TOLD, one.time)),
        sorted(counted, key=lambda one: one.begin_time or now, reverse=True),
    )


def _by_rule(incidents: Iterable[Incident]) -> Mapping[tuple[AlertType, str], list[Incident]]:
    found: dict[tuple[AlertType, str], list[Incident]] = defaultdict(list)
    for one in incidents:
        found[one.type, one.rule_id].append(one)
    return found


class _Warnings:
    """Incidents by what they warn of: each question looks at those of one position alone."""

    def __init__(self, incidents: Iterable[Incident]) -> None:
        self._by_subject: dict[str, list[Incident]] = defaultdict(list)
        self._by_wallet: dict[str, list[Incident]] = defaultdict(list)
        for one in incidents:
            self._by_subject[one.subject].append(one)
            if one.wallet and METRICS[one.type].alert_class is AlertClass.ACCOUNT:
                self._by_wallet[one.wallet].append(one)

    def before(
        self, subject: str, wallet: str, time: datetime, horizon: timedelta
    ) -> list[Incident]:
        """Which warned of what happened then: of the position, or of its account."""
        own, account = self._by_subject.get(subject, []), self._by_wallet.get(wallet, [])
        about = own + [one for one in account if one.subject != subject]
        return [one for one in about if _precedes(one, time, horizon)]


def _liquidation(subject: str, row: Sealed, warnings: _Warnings, horizon: timedelta) -> Liquidation:
    time, facts = row.entry.entry_time, facts_of(row.entry)
    wallet = str(facts.get("wallet", ""))
    before = warnings.before(subject, wallet, time, horizon)
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


def _precedes(one: Incident, time: datetime, horizon: timedelta) -> bool:
    begun = one.begin_time is None or one.begin_time < time
    return begun and (one.end_time is None or one.end_time >= time - horizon)


_USEFUL = (Followed.LIQUIDATED, Followed.GONE, Followed.ACTED, Followed.CLOSED)


def _rule(
    kind: AlertType,
    rule_id: str,
    mine: Sequence[Incident],
    warnings: _Warnings,
    liquidations: Sequence[Liquidation],
    horizon: timedelta,
    window: timedelta,
) -> RuleScore:
    high = [one for one in mine if one.high_time is not None]
    is_judged = METRICS[kind].alert_class is AlertClass.POSITION and not rule_id
    useful = sum(one.followed in _USEFUL for one in high) if is_judged else 0
    noise = sum(one.followed is Followed.RECOVERED for one in high) if is_judged else 0
    pending = sum(one.followed is Followed.PENDING for one in high)
    leads = [
        lead
        for liquidation in liquidations
        if (lead := _lead(warnings, liquidation, horizon)) is not None
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


def _lead(warnings: _Warnings, liquidation: Liquidation, horizon: timedelta) -> timedelta | None:
    """From the first HIGH of these to the liquidation."""
    time = liquidation.time
    highs = [
        one.high_time
        for one in warnings.before(liquidation.position_id, liquidation.wallet, time, horizon)
        if one.high_time is not None and one.high_time <= time
    ]
    return time - min(highs) if highs else None


def _median(spans: Iterable[timedelta | None]) -> timedelta | None:
    known = [one.total_seconds() for one in spans if one is not None]
    return timedelta(seconds=median(known)) if known else None
