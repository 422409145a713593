"""A random night of an invented market: positions that come and go, faults, what people do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from services.alerts.alerts.domain.alert_columns import HAND_BIT, AlertColumns, fresh_columns
from services.alerts.alerts.domain.compiled_limits import CompiledLimits, ThresholdTables
from services.alerts.alerts.domain.estimates import NO_FROZEN, FrozenMarks
from services.alerts.alerts.domain.evaluation import Outcome, evaluate
from services.alerts.alerts.domain.extremes import NO_EXTREMES, Extremes
from services.alerts.alerts.domain.gathering import LedgerPlace, gather, ways_of
from services.alerts.alerts.domain.readings import NOTHING_HELD, Inputs, Positions, Reading
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import (
    OF_PORTFOLIO,
    AlertStatus,
    AlertType,
    Condition,
    kind_of,
)
from services.alerts.price_rules.domain.rules import (
    Observation,
    Rule,
    RuleDirection,
    RuleMetric,
    judge_rule,
)
from services.alerts.recorder.domain.recording import Judgement, Telling
from services.alerts.thresholds.domain import Scope, Threshold, ThresholdSet

START_MICROS = 1_770_000_000_000_000
ASSETS = ("", "BTC", "ETH", "SOL")
_MINUTE = 60_000_000
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_ABOVE, _BELOW = Condition.ABOVE, Condition.BELOW
LIMITS: Mapping[tuple[AlertType, Condition], tuple[float, float, float]] = {
    (AlertType.HEAT_INDEX, _ABOVE): (30, 40, 50),
    (AlertType.LIQUIDATION_PROBABILITY, _ABOVE): (0.05, 0.15, 0.3),
    (AlertType.PROFIT, _ABOVE): (10, 25, 50),
    (AlertType.TRAVEL_PERCENT, _BELOW): (-20, -35, -50),
    (AlertType.LIQUIDATION_DISTANCE, _BELOW): (10, 7, 5),
    (AlertType.AVG_LEVERAGE, _ABOVE): (2, 5, 10),
}
_OF_POSITIONS = [kind_of(*scope) for scope in LIMITS if scope[0] is not AlertType.AVG_LEVERAGE]


def thresholds() -> list[Threshold]:
    return [
        Threshold(Scope(*scope), *limits, True, (), (), ("sms",), 1, _NEVER)
        for scope, limits in LIMITS.items()
    ]


class Night:
    """Cycles one after the other; `faults`: what does not answer, is late, or stands still."""

    def __init__(self, seed: int, position_count: int, *, faults: bool = True) -> None:
        self.chance = np.random.default_rng(seed)
        self.thresholds = thresholds()
        self._faults = faults
        self._now = START_MICROS
        self._price = np.array([0.0, 50_000.0, 2_500.0, 150.0])
        self._next_key, self._next_alert = 1, 1
        self._keys = np.empty(0, np.int64)
        self._terms = np.empty((0, 5))
        self._columns = AlertColumns.of(ASSETS, fresh_columns(0))
        self._head = 100
        self._rule = Rule(1, "BTC", RuleMetric.MOVE_PERCENT, RuleDirection.BOTH, 0.2)
        self._add_market()
        self._open(position_count)

    def cycles(self, count: int) -> Iterator[tuple[Judgement, Outcome]]:
        """What each judged and what came of it."""
        for number in range(count):
            self._now += _MINUTE + int(self.chance.integers(-5_000_000, 5_000_000))
            self._price *= np.exp(self.chance.normal(0, 0.004, len(self._price)))
            if self._faults:
                self._people()
            yield self._cycle(f"cyc-{number:05}")

    def _cycle(self, cycle_id: str) -> tuple[Judgement, Outcome]:
        inputs, columns = self._inputs(), self._columns
        known = ThresholdSet(self.thresholds)
        limits = CompiledLimits(ThresholdTables(*known.tables(columns.assets)), columns)
        places = limits.reading_index.places(inputs.positions)
        outcome = evaluate(columns, limits, places, inputs, most=100_000)
        rules = self._rules(inputs)
        events = [
            event
            for rule, seen in rules
            for event in judge_rule(rule, seen, inputs.guarded_micros)[1]
        ]
        for rule, seen in rules:
            self._rule = judge_rule(rule, seen, inputs.guarded_micros)[0]
        place = LedgerPlace(20, len(outcome.changed) + len(events), self._head)
        notified = outcome.changed[outcome.notified]
        ways = ways_of(outcome.columns, notified, known, {})
        outcome, gathered = gather(outcome, ways, inputs.positions, place)
        self._head += place.first_place + len(gathered.digests)
        self._columns = outcome.columns
        subjects = {
            key: Subject(key, f"pos-{key}" if key > 0 else "", "wallet", 1, "")
            for key in columns.subject_key[outcome.changed].tolist()
        }
        judgement = Judgement(
            cycle_id, True, 100_000, False, columns, self.thresholds, inputs, subjects, rules,
            Telling(place, {}),
        )  # fmt: skip
        return judgement, outcome

    def _rules(self, inputs: Inputs) -> list[tuple[Rule, Observation]]:
        reading = inputs.prices.get("BTC")
        if reading is None or reading.value is None:
            return []
        return [(self._rule, Observation(reading.value, reading.observed_micros))]

    def _inputs(self) -> Inputs:
        happens = self.chance.random() if self._faults else 1.0
        if happens < 0.05:
            return Inputs(NOTHING_HELD, {}, {}, self._now, self._now, unread=True)
        late = int(self.chance.integers(0, 120_000_000)) if happens < 0.1 else 0
        prices = {
            asset: Reading(float(price), self._now - late, stale=happens < 0.15)
            for asset, price in zip(ASSETS[1:], self._price[1:], strict=True)
            if happens > 0.2 or asset != "ETH"
        }
        leverage = float(self.chance.random() * 8)
        totals = {kind: Reading(leverage, self._now) for kind in OF_PORTFOLIO}
        positions = self._positions(self._now - late, standing=happens < 0.3)
        return Inputs(positions, totals, prices, self._now, self._now - 1_000)

    def _positions(self, observed_micros: int, *, standing: bool) -> Positions:
        count = len(self._keys)
        asset, entry, liquidation, size, fees = self._terms.T
        mark = self._price[asset.astype(np.int64)]
        side = np.sign(entry - liquidation)
        distance = side * (mark - liquidation)
        gain, way = side * (mark - entry), side * (entry - liquidation)
        pnl, near = size / entry * gain, np.clip(100 * (1 - distance / way), 5, 100)
        figures = {
            "entry_price_usd": entry,
            "mark_price_usd": mark,
            "risk_liquidation_price_usd": liquidation,
            "size_usd": size,
            "pnl_usd": pnl,
            "pnl_after_fees_usd": pnl - fees,
            "travel_percent": 100.0 * gain / way + 0.0,
            "liquidation_distance_usd": distance,
            "liquidation_distance_percent": 100.0 * distance / mark + 0.0,
            "heat_index": near**1.1,
            "liquidation_probability": np.exp(-np.maximum(distance / mark, 0) * 30.0),
        }
        status, flags = np.ones(count, np.int64), np.zeros(count, np.int64)
        if self._faults and count:
            absent = self.chance.random(count) < 0.02
            figures = {name: np.where(absent, np.nan, column) for name, column in figures.items()}
            status[self.chance.random(count) < 0.02] = 2
            flags[self.chance.random(count) < 0.02] = 1 << 8
        frozen = self._frozen(asset, flags)
        micros = np.full(count, observed_micros - 200_000_000 if standing else observed_micros)
        worst = mark * np.where(side > 0, 0.995, 1.005)
        extremes = Extremes(worst, micros - 30_000_000, {"BTC": "binance"}, observed_micros)
        is_seen = not self._faults or self.chance.random() < 0.7
        return Positions(
            self._next_key, self._keys, status, flags, micros, figures, {"BTC": 2},
            extremes if is_seen and count else NO_EXTREMES, frozen=frozen,
        )  # fmt: skip

    def _frozen(self, asset: np.ndarray, flags: np.ndarray) -> FrozenMarks:
        """Now and then the marks of an asset stand still, far from its market, if that is known."""
        if not self._faults or not len(asset) or self.chance.random() > 0.2:
            return NO_FROZEN
        still = asset == self.chance.integers(1, len(ASSETS))
        flags[still] |= 1 << 12
        price = self._price[asset.astype(np.int64)] * self.chance.uniform(0.85, 1.15)
        known = still & (self.chance.random(len(asset)) < 0.9)
        since = np.where(still, self._now - 5 * _MINUTE, 0)
        return FrozenMarks(since, np.where(known, price, np.nan))

    def _people(self) -> None:
        happens, count = self.chance.random(), len(self._columns)
        if happens < 0.1:
            self._open(int(self.chance.integers(1, 4)))
        elif happens < 0.15 and len(self._keys) > 2:
            self._close(self._keys[int(self.chance.integers(0, len(self._keys)))])
        elif happens < 0.3:
            rows = self.chance.choice(count, min(count, 5), replace=False)
            status = self.chance.choice([AlertStatus.SILENCED, AlertStatus.ACKNOWLEDGED])
            self._columns = self._columns.with_values(
                np.sort(rows),
                {
                    "held_status": int(status),
                    "held_level": int(self.chance.integers(2, 5)),
                    "held_until_micros": self._now + 10 * _MINUTE,
                },
            )
        elif happens < 0.35:
            place = int(self.chance.integers(0, len(self.thresholds)))
            one = self.thresholds[place]
            changed = replace(one, enabled=not one.enabled)
            self.thresholds = [*self.thresholds]
            self.thresholds[place] = changed

    def _open(self, count: int) -> None:
        keys = np.arange(self._next_key, self._next_key + count)
        self._next_key += count
        asset = self.chance.integers(1, len(ASSETS), count)
        entry = self._price[asset] * (1 + self.chance.normal(0, 0.01, count))
        side = self.chance.choice([-1, 1], count)
        liquidation = entry * (1 - side * self.chance.uniform(0.03, 0.2, count))
        size, fees = self.chance.uniform(100, 20_000, count), self.chance.uniform(0, 20, count)
        self._keys = np.concatenate([self._keys, keys])
        terms = np.column_stack([asset, entry, liquidation, size, fees])
        self._terms = np.concatenate([self._terms, terms])
        subject = np.repeat(keys, len(_OF_POSITIONS))
        kinds = np.tile(_OF_POSITIONS, count)
        self._alerts(subject, kinds, np.repeat(asset, len(_OF_POSITIONS)))

    def _close(self, key: int) -> None:
        kept = self._keys != key
        self._keys, self._terms = self._keys[kept], self._terms[kept]
        if self.chance.random() < 0.5:
            gone = np.flatnonzero(self._columns.subject_key == key)
            self._columns = self._columns.without(gone)

    def _add_market(self) -> None:
        kinds = [
            kind_of(AlertType.AVG_LEVERAGE, _ABOVE),
            kind_of(AlertType.PRICE_THRESHOLD, _BELOW),
            kind_of(AlertType.DELTA_CHANGE, _BELOW),
            kind_of(AlertType.TIME, _ABOVE),
        ]
        triggers = [np.nan, 49_900.0, -0.5, START_MICROS / 1_000_000 + 3600]
        subjects, assets = np.array([0, -1, -2, 0]), np.array([0, 1, 1, 0])
        self._alerts(subjects, np.array(kinds), assets, np.array(triggers))

    def _alerts(
        self,
        subject: np.ndarray,
        kind: np.ndarray,
        asset: np.ndarray,
        trigger: np.ndarray | None = None,
    ) -> None:
        made = fresh_columns(len(subject))
        made["alert_key"][:] = np.arange(self._next_alert, self._next_alert + len(subject))
        self._next_alert += len(subject)
        made["subject_key"][:], made["kind"][:], made["asset_key"][:] = subject, kind, asset
        made["created_micros"][:] = self._now
        if trigger is not None:
            made["trigger_value"][:] = trigger
            made["trait_bits"][:] = np.where(np.isnan(trigger), 0, HAND_BIT)
        self._columns = self._columns.followed_by(ASSETS, made)
