"""Decisions as metrics: the last one of each asset, without any wallet.

A series whose value is gone disappears: a stale number would look like a fresh one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from services.withdrawals.decisions.domain.record import DecisionRecord
from shared.metrics import Metrics

_LABELS = ("asset", "alternate_asset_name", "ref_mode")
_MEANINGS = {
    "wo_decision": "1 withdraw, 0 hold, -1 error",
    "wo_wmax_usd": "What may be withdrawn now over all wallets, USD",
    "wo_g_usd": "Gain since the reference at the last price, USD",
    "wo_v_ref_usd": "Value at the reference, USD",
    "wo_v_t1_usd": "Value at the last sample, USD",
    "wo_t0_timestamp_seconds": "The reference, seconds since 1970",
    "wo_t1_timestamp_seconds": "The last sample, seconds since 1970",
    "wo_residual_usd": "Last point less what the gate expected, USD",
    "wo_sigma_usd": "Scale of the residuals before, USD",
    "wo_k_sigma": "Half width of the gate's band in scales",
    "wo_residual_trigger": "1 when the last point lies outside the band, else 0",
    "wo_price_usd": "Price of a source, USD",
    "wo_price_delta_abs": "Highest price less the lowest, USD",
    "wo_price_delta_rel": "The same as a part of the highest",
    "wo_price_mismatch": "1 when the sources disagree, else 0",
    "wo_price_compare_unavailable": "1 when fewer than two sources answered, else 0",
    "wo_last_eval_timestamp_seconds": "Last evaluation, seconds since 1970",
}
METRIC_NAMES = tuple(_MEANINGS)
# Metric, its labels, its value.
_Series = tuple[str, tuple[str, ...], float]


class ExposedDecisions:
    """Gauges of these names; the rest is not shown."""

    def __init__(self, metrics: Metrics, names: Collection[str]) -> None:
        self._gauges = {
            name: metrics.gauge(
                name, meaning, (*_LABELS, "source") if name == "wo_price_usd" else _LABELS
            )
            for name, meaning in _MEANINGS.items()
            if name in names
        }
        self._shown: dict[str, set[tuple[str, tuple[str, ...]]]] = {}

    def show(self, records: Sequence[DecisionRecord], watched: Collection[str]) -> None:
        """These are the last ones of their assets; of an asset that is watched no more all goes."""
        for asset in set(self._shown) - set(watched):
            for name, labels in self._shown.pop(asset):
                self._gauges[name].remove(*labels)
        for record in records:
            fresh = [one for one in _series(record) if one[0] in self._gauges]
            names = {(name, labels) for name, labels, _ in fresh}
            for name, labels in self._shown.get(record.asset, set()) - names:
                self._gauges[name].remove(*labels)
            for name, labels, value in fresh:
                self._gauges[name].labels(*labels).set(value)
            self._shown[record.asset] = names


def _series(record: DecisionRecord) -> Iterator[_Series]:
    labels = (record.asset, record.alternate_name, record.ref_mode)
    for name, value in _values(record).items():
        if value is not None:
            yield name, labels, float(value)
    for quote in record.prices.quotes:
        if quote.price_usd is not None and not quote.problem:
            yield "wo_price_usd", (*labels, quote.source), quote.price_usd


def _values(record: DecisionRecord) -> dict[str, float | None]:
    gate, prices = record.gate, record.prices
    # The gate of the price looks at USD already; that of the position at tokens.
    is_price = record.settings.gate.series == "PRICE"
    rate = 1.0 if is_price else record.price_usd
    residual = sigma = k_sigma = trigger = None
    if gate is not None:
        residual = _times(gate.residual, rate)
        sigma = _times(gate.sigma, rate)
        if gate.side is not None:
            trigger = float(gate.side != "INSIDE")
        if gate.high is not None and gate.sigma:
            k_sigma = gate.high / gate.sigma
    return {
        "wo_decision": record.value,
        "wo_wmax_usd": record.allowance_usd,
        "wo_g_usd": record.gain_usd,
        "wo_v_ref_usd": record.base_value_usd,
        "wo_v_t1_usd": record.last_value_usd,
        "wo_t0_timestamp_seconds": _seconds(record.reference_time),
        "wo_t1_timestamp_seconds": _seconds(record.last_time),
        "wo_residual_usd": residual,
        "wo_sigma_usd": sigma,
        "wo_k_sigma": k_sigma,
        "wo_residual_trigger": trigger,
        "wo_price_delta_abs": prices.delta_abs,
        "wo_price_delta_rel": prices.delta_rel,
        "wo_price_mismatch": None if prices.is_unavailable else float(prices.is_mismatch),
        "wo_price_compare_unavailable": float(prices.is_unavailable),
        "wo_last_eval_timestamp_seconds": _seconds(record.evaluated_time),
    }


def _times(value: float | None, rate: float | None) -> float | None:
    return None if value is None or rate is None else value * rate


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
