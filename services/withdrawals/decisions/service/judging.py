"""One asset judged: from what is kept and what was gathered to a decision with its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from services.withdrawals.assets.domain.settings import Asset, AssetSettings
from services.withdrawals.decisions.domain.allowance import TakenRule
from services.withdrawals.decisions.domain.decision import decide
from services.withdrawals.decisions.domain.even_points import evenly
from services.withdrawals.decisions.domain.inputs import (
    Circumstances,
    DecisionRules,
    GateMode,
    HoldingFailure,
    MarketTerms,
)
from services.withdrawals.decisions.domain.reasons import Reason
from services.withdrawals.decisions.domain.record import DecisionRecord, recorded
from services.withdrawals.decisions.service.gathering import Gathered, price_rules
from services.withdrawals.gains.domain.evaluation import (
    AssetGains,
    GainRules,
    HoldingFacts,
    evaluate_gains,
)
from services.withdrawals.gains.domain.exact import decimal_of
from services.withdrawals.gains.domain.flow_gain import FlowCoverage
from services.withdrawals.gains.domain.flows import Holding
from services.withdrawals.gains.domain.references import (
    ReferenceEvent,
    ReferenceMode,
    ReferenceRules,
)
from services.withdrawals.gains.domain.samples import SampleColumns, SupplySample
from services.withdrawals.gains.domain.total_series import total_series
from services.withdrawals.gate.domain.gate import (
    GateBand,
    GateMethod,
    GateSettings,
    Micros,
    Numbers,
    judge,
)
from services.withdrawals.prices.domain import compare
from services.withdrawals.supply.domain.rows import SCALE, Cursor, ReferenceRow, SampleRow
from services.withdrawals.supply.domain.venue import Market
from services.withdrawals.supply.service.loading import Loaded
from services.withdrawals.supply.service.sync import FIRST_TIME


@dataclass(frozen=True, slots=True)
class Judgement:
    """The decision, the price mismatches in a row after it, and until when it stands by itself
    (None: it is to be judged whenever it is asked for).
    """

    record: DecisionRecord
    mismatch_count: int
    due_time: datetime | None = None


class Before(NamedTuple):
    """What the judgement before left: price mismatches in a row, and when the price was true by
    which the peg is lost (None: it is not).
    """

    mismatch_count: int = 0
    peg_lost_time: datetime | None = None


def judgement_of(
    asset: Asset,
    loaded: Loaded,
    gathered: Gathered,
    before: Before,
    as_of: datetime,
    cycle_id: str,
) -> Judgement:
    """By what was known up to `as_of`."""
    settings = asset.settings
    gains = asset_gains(asset, loaded, gathered, as_of)
    prices = compare(gathered.quotes, price_rules(settings.price), as_of, before.mismatch_count)
    is_asked = settings.gated and settings.gate.mode != "OFF"
    gate = judge(*gate_series(settings, gains), gate_settings(settings)) if is_asked else None
    price = None if prices.chosen is None else prices.chosen.price_usd
    oldest = as_of - settings.price.age_limit
    unlisted = _unlisted(settings, loaded.told, gathered)
    circumstances = Circumstances(
        as_of,
        is_resolved=not (gathered.is_unresolved and (unlisted or not gains.holdings)),
        price_usd=None if price is None else decimal_of(price),
        sample_price_since=max(oldest, before.peg_lost_time or oldest),
        markets=_terms(gathered.market),
        collateral_units=gathered.collateral_units,
        gate=gate,
        prices=prices,
        failures=(*gathered.failures, *unlisted),
        never_seen=tuple(one for one in gathered.empty if _is_never_seen(one, loaded.cursors)),
    )
    decision = decide(settings.name, gains, _rules(settings), circumstances)
    record = recorded(decision, settings, gate, prices, demo=asset.demo, cycle_id=cycle_id)
    return Judgement(record, prices.mismatch_count, gathered.due_time)


def asset_gains(asset: Asset, loaded: Loaded, gathered: Gathered, as_of: datetime) -> AssetGains:
    """The gains of every holding of an asset; samples gathered and not kept count too."""
    settings = asset.settings
    columns = of_wallets(joined(loaded.samples, gathered.samples), settings.wallets)
    flows = [
        row.flow for row in loaded.flows if not settings.wallets or row.wallet in settings.wallets
    ]
    holdings = {*columns.holdings, *(flow.holding for flow in flows)}
    return evaluate_gains(
        columns,
        flows,
        list(map(_event, loaded.references)),
        GainRules(
            SCALE,
            ReferenceRules(
                ReferenceMode(settings.ref_mode.lower()),
                settings.reference_keyword,
                settings.range_start_time,
            ),
            settings.flow_lag,
            settings.sample_age_limit,
        ),
        as_of,
        facts=_facts(asset, holdings, loaded.cursors, gathered, as_of),
    )


def gate_series(settings: AssetSettings, gains: AssetGains) -> tuple[Micros, Numbers]:
    """What the gate looks at: microseconds since 1970, and tokens or USD a token."""
    total = total_series(gains.series, settings.sample_age_limit)
    is_price = settings.gate.series == "PRICE"
    values = total.price_usd if is_price else total.corrected_units / 10.0**SCALE.decimals
    return evenly(total.time_micros, values, settings.gate.lookback)


def gate_settings(settings: AssetSettings) -> GateSettings:
    """As the gate has them; no step of a series is finer than a smallest unit."""
    gate = settings.gate
    return GateSettings(
        method=GateMethod(gate.method),
        order=gate.order,
        band=GateBand(gate.band),
        k_sigma=gate.k_sigma,
        central_confidence=gate.central_confidence,
        alpha=gate.alpha,
        lookback=gate.lookback,
        min_points=gate.min_points,
        tick=10.0**-SCALE.decimals,
    )


def joined(kept: SampleColumns, fresh: Iterable[SampleRow]) -> SampleColumns:
    """The kept samples and new ones; one that is kept already counts once."""
    samples = [
        SupplySample(
            Holding(row.wallet, row.market),
            row.sample_time,
            row.units,
            row.price_usd,
            row.receipt_units,
            row.exchange_rate,
        )
        for row in fresh
    ]
    if not samples:
        return kept
    more = SampleColumns.of(samples, SCALE)
    if not len(kept):
        return more
    holdings = tuple(dict.fromkeys((*kept.holdings, *more.holdings)))
    places = np.array([holdings.index(holding) for holding in more.holdings], np.int64)
    return SampleColumns(
        holdings,
        np.r_[kept.holding_key, places[more.holding_key]],
        np.r_[kept.time_micros, more.time_micros],
        np.r_[kept.units, more.units],
        np.r_[kept.price_usd, more.price_usd],
        np.r_[kept.receipt_units, more.receipt_units],
        np.r_[kept.exchange_rate, more.exchange_rate],
    )


def of_wallets(columns: SampleColumns, wallets: tuple[str, ...]) -> SampleColumns:
    """Rows of these wallets; of all when none is named."""
    if not wallets:
        return columns
    kept = [key for key, holding in enumerate(columns.holdings) if holding.wallet in wallets]
    place = np.full(len(columns.holdings) + 1, -1, np.int64)
    place[kept] = np.arange(len(kept))
    key = place[columns.holding_key]
    rows = columns.pick(np.flatnonzero(key >= 0))
    return SampleColumns(
        tuple(columns.holdings[one] for one in kept),
        key[key >= 0],
        rows.time_micros,
        rows.units,
        rows.price_usd,
        rows.receipt_units,
        rows.exchange_rate,
    )


def _event(row: ReferenceRow) -> ReferenceEvent:
    return ReferenceEvent(row.reference_time, row.wallet or None, row.tx_id, row.note, row.actor)


def _facts(
    asset: Asset,
    holdings: Iterable[Holding],
    cursors: Mapping[str, Cursor],
    gathered: Gathered,
    as_of: datetime,
) -> dict[Holding, HoldingFacts]:
    return {
        holding: HoldingFacts(
            _coverage(asset, holding, cursors, gathered, as_of),
            gathered.venue_yield_units.get(holding),
        )
        for holding in holdings
    }


def _coverage(
    asset: Asset,
    holding: Holding,
    cursors: Mapping[str, Cursor],
    gathered: Gathered,
    as_of: datetime,
) -> FlowCoverage:
    """Whole: every transaction was read since the venue's first. Nobody speaks for imports."""
    if asset.demo:
        return FlowCoverage(whole=True)
    cursor = cursors.get(holding.wallet)
    is_left = cursor is not None and asset.settings.name in cursor.passed_over
    if is_left and not gathered.is_unresolved:
        return FlowCoverage(since=as_of)
    if cursor is not None:
        whole = cursor.since_time <= FIRST_TIME
        return FlowCoverage(whole, None if whole else cursor.since_time, cursor.until_time)
    if gathered.is_asked and holding.wallet in gathered.wallets:
        # It should have been read, and was not.
        return FlowCoverage(since=as_of)
    return FlowCoverage()


def _unlisted(
    settings: AssetSettings, told: Iterable[Holding], gathered: Gathered
) -> list[HoldingFailure]:
    """Holdings that the venue told of once and now, though it answers, lists no market for, or
    none with a rate: neither what they hold nor what limits them is known.
    """
    market = gathered.market
    if market is None and not gathered.is_unresolved:
        return []
    return [
        HoldingFailure(
            holding,
            Reason.NO_DATA,
            "the venue tells no exchange rate of its market"
            if market is not None and holding.market == market.id
            else "the venue lists no such market of this asset",
        )
        for holding in told
        if not settings.wallets or holding.wallet in settings.wallets
        if market is None or market.exchange_rate is None or holding.market != market.id
    ]


def _is_never_seen(holding: Holding, cursors: Mapping[str, Cursor]) -> bool:
    """Every transaction since the venue's first was asked for, and there was none."""
    cursor = cursors.get(holding.wallet)
    return cursor is not None and cursor.since_time <= FIRST_TIME and cursor.is_seen is False


def _terms(market: Market | None) -> dict[str, MarketTerms]:
    if market is None:
        return {}
    terms = MarketTerms(
        market.closed, market.liquidity_units, market.withdraw_cap_units, market.minimum_units
    )
    return {market.id: terms}


def _rules(settings: AssetSettings) -> DecisionRules:
    return DecisionRules(
        safety_factor=decimal_of(settings.safety_factor),
        cap_units=settings.cap_units,
        fee_units=settings.fee_units,
        taken=TakenRule(settings.taken_rule),
        hold_on_aggregate_loss=settings.hold_on_aggregate_loss,
        gate_mode=GateMode(settings.gate.mode),
        is_gated=settings.gated,
        depeg_ratio=decimal_of(settings.price.depeg_limit_percent) / Decimal(100),
        stale_age=settings.sample_age_limit,
        scale=SCALE,
    )
