"""What a recording holds beside columns, as values of JSON: numbers come back bit for bit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final, get_type_hints

from services.alerts.alerts.domain.accounts import ACCOUNT_FIGURES, Account, Accounts
from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.gathering import LedgerPlace
from services.alerts.alerts.domain.readings import Inputs, Positions, Reading
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import AlertType, Condition
from services.alerts.price_rules.domain.rules import Observation, Rule
from services.alerts.recorder.domain.recording import Judgement, Recording, Telling
from services.alerts.thresholds.domain import CHANNELS, LIMITS, Scope, Threshold

Header = Mapping[str, Any]
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RULE_TYPES: Final = get_type_hints(Rule)


def header_of(recording: Recording) -> Header:
    """By name; each is left out where the base says the same."""
    judgement = recording.judgement
    inputs, telling = judgement.inputs, judgement.telling
    return {
        "cycle_id": judgement.cycle_id,
        "notifying": judgement.notifying,
        "most": judgement.most,
        "demo": judgement.demo,
        "assets": list(judgement.columns.assets),
        "thresholds": [threshold_values(one) for one in judgement.thresholds],
        "membership_epoch": inputs.positions.membership_epoch,
        "probability_models": dict(inputs.positions.probability_models),
        "has_extremes": len(inputs.positions.extremes.price_usd) > 0,
        "has_frozen": bool(inputs.positions.frozen),
        "extreme_sources": dict(inputs.positions.extremes.sources),
        "accounts": [_account(one) for one in inputs.positions.accounts.rows],
        "totals": {str(int(kind)): _reading(one) for kind, one in inputs.totals.items()},
        "prices": {asset: _reading(one) for asset, one in inputs.prices.items()},
        "now_micros": inputs.now_micros,
        "guarded_micros": inputs.guarded_micros,
        "unread": inputs.unread,
        "fresh_only": inputs.fresh_only,
        "subjects": [list(one) for one in judgement.subjects.values()],
        "rules": [[asdict(rule), asdict(seen)] for rule, seen in judgement.rules],
        "place": [telling.place.most, telling.place.first_place, telling.place.head_sequence],
        "own_channels": {id: list(names) for id, names in telling.own_channels.items()},
        "news_count": telling.news_count,
        "fingerprint": recording.changes.fingerprint,
    }


def judgement_of(header: Header, columns: AlertColumns, positions: Positions) -> Judgement:
    """The way back. KeyError, ValueError for what is not of this form."""
    inputs = Inputs(
        positions,
        {AlertType(int(kind)): Reading(*one) for kind, one in header["totals"].items()},
        {asset: Reading(*one) for asset, one in header["prices"].items()},
        header["now_micros"],
        header["guarded_micros"],
        header["unread"],
        # Absent in those of earlier releases.
        header.get("fresh_only", False),
    )
    own = {id: tuple(names) for id, names in header["own_channels"].items()}
    return Judgement(
        cycle_id=header["cycle_id"],
        notifying=header["notifying"],
        most=header["most"],
        demo=header["demo"],
        columns=columns,
        thresholds=[threshold_of(*one) for one in header["thresholds"]],
        inputs=inputs,
        subjects={one[0]: Subject(*one) for one in header["subjects"]},
        rules=[(_rule(rule), Observation(**seen)) for rule, seen in header["rules"]],
        telling=Telling(LedgerPlace(*header["place"]), own, header["news_count"]),
    )


def threshold_values(threshold: Threshold) -> list[Any]:
    """What judges, and what tells."""
    scope = threshold.scope
    return [
        int(scope.type),
        int(scope.condition),
        scope.asset,
        [getattr(threshold, name) for name in LIMITS],
        threshold.enabled,
        [list(getattr(threshold, name)) for name in CHANNELS],
    ]


def threshold_of(
    kind: int,
    condition: int,
    asset: str,
    limits: Sequence[float | None],
    enabled: bool,
    channels: Sequence[Sequence[str]],
) -> Threshold:
    scope = Scope(AlertType(kind), Condition(condition), asset)
    low, medium, high = limits
    of_low, of_medium, of_high = (tuple(names) for names in channels)
    return Threshold(scope, low, medium, high, enabled, of_low, of_medium, of_high, 0, _NEVER)


def _reading(one: Reading) -> list[Any]:
    seen = [one.value, one.observed_micros, one.stale]
    return [*seen, True] if one.stale_by_rows else seen


def _account(one: Account) -> list[Any]:
    figures = [None if math.isnan(figure) else figure for figure in one.figures]
    seen = [one.id, one.label, one.wallet, figures, one.observed_micros, one.stale]
    return [*seen, list(one.at_worst)] if one.at_worst else seen


def _figures(kept: Sequence[float | None]) -> list[float]:
    known = [math.nan if one is None else one for one in kept]
    return known + [math.nan] * (len(ACCOUNT_FIGURES) - len(known))


def accounts_of(header: Header) -> Accounts:
    """Recorded before accounts were judged, there are none; a figure that was not kept then is not
    known.
    """
    return Accounts.of(
        Account(id, label, wallet, _figures(figures), *seen)
        for id, label, wallet, figures, *seen in header.get("accounts", ())
    )


def _rule(values: Mapping[str, Any]) -> Rule:
    found = dict(values)
    for one in fields(Rule):
        kind = _RULE_TYPES[one.name]
        if isinstance(kind, type) and issubclass(kind, IntEnum):
            found[one.name] = kind(found[one.name])
    return Rule(**{**found, "channels": tuple(found["channels"])})
