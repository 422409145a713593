"""The simulated supply: two wallets, growth with a little noise, flows, and what is to come: an
anomaly half an hour after the start, a lost peg an hour after it.

Everything follows from the seed and the start, so that a restart continues it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from services.withdrawals.assets.domain.settings import Asset, AssetSettings
from services.withdrawals.gains.domain.flows import FlowKind
from services.withdrawals.supply.domain.rows import (
    DEMO_MARKET,
    SCALE,
    FlowRow,
    RowSource,
    SampleRow,
)

DEMO_ASSET = AssetSettings("djed", alternate_name="DEMO", wallets=())
DEMO_ASSETS = (Asset(DEMO_ASSET, 1, demo=True),)
HISTORY = timedelta(days=14)
STEP = timedelta(minutes=10)
ANOMALY = (timedelta(minutes=30), timedelta(minutes=50))
DEPEG = (timedelta(minutes=60), timedelta(minutes=80))
_FIRST_RATE = 0.02
_GROWTH_A_YEAR = 0.09
_NOISE = 2e-6
_JUMP = 2e-3
_DEPEGGED_USD = 0.965
_YEAR = timedelta(days=365)
# Wallet, hours after the beginning of the history, tokens (below zero: out), note.
_MOVES = (
    ("demo-main", 0, 10_000, ""),
    ("demo-second", 0, 4_000, ""),
    ("demo-main", 48, -50, "reference: from here on"),
    ("demo-second", 60, -20, "reference"),
    ("demo-main", 120, 500, ""),
    ("demo-main", 230, -4, "taken"),
)


def demo_rate(seed: str, start: datetime, moment: datetime) -> float:
    """Tokens a receipt token at a moment."""
    grown = _FIRST_RATE * math.exp(_GROWTH_A_YEAR * ((moment - start + HISTORY) / _YEAR))
    noise = random.Random(f"{seed} rate {moment.timestamp():.0f}").gauss(0, _NOISE)
    jump = _JUMP if ANOMALY[0] <= moment - start < ANOMALY[1] else 0.0
    return round(grown * (1 + noise + jump), 12)


def demo_price_usd(seed: str, start: datetime, moment: datetime, source: str) -> float:
    """USD a token as a source tells it."""
    if DEPEG[0] <= moment - start < DEPEG[1]:
        return _DEPEGGED_USD
    noise = random.Random(f"{seed} {source} {moment.timestamp():.0f}").gauss(0, 4e-4)
    return round(0.999 + noise, 6)


def demo_flows(seed: str, start: datetime) -> list[FlowRow]:
    """Every flow; all of them lie in the history."""
    return [flow for flow, _ in _moved(seed, start)]


def demo_samples(
    seed: str, start: datetime, after: datetime | None, until: datetime
) -> list[SampleRow]:
    """Samples later than `after`, one a wallet every ten minutes."""
    moves = list(_moved(seed, start))
    rows = []
    for moment in _instants(start, after, until):
        rate = demo_rate(seed, start, moment)
        for wallet in ("demo-main", "demo-second"):
            receipts = sum(
                (
                    signed
                    for flow, signed in moves
                    if flow.wallet == wallet and flow.flow_time <= moment
                ),
                Decimal(0),
            )
            rows.append(
                SampleRow(
                    DEMO_ASSET.name,
                    wallet,
                    DEMO_MARKET,
                    moment,
                    SCALE.rounded_down(receipts * Decimal(repr(rate))),
                    demo_price_usd(seed, start, moment, "liqwid"),
                    receipts,
                    rate,
                    RowSource.DEMO,
                )
            )
    return rows


def next_sample_time(start: datetime, now: datetime) -> datetime:
    """When the simulation goes on: the first instant of a sample after `now`."""
    first = start - HISTORY
    return first + ((now - first) // STEP + 1) * STEP


def _instants(start: datetime, after: datetime | None, until: datetime) -> Iterator[datetime]:
    first = start - HISTORY
    if after is None or after < until - HISTORY:
        # It was switched off for long: nobody draws what was long ago.
        after = max(first, until - HISTORY) - STEP
    moment = first + max(0, (after - first) // STEP + 1) * STEP
    while moment <= until:
        yield moment
        moment += STEP


def _moved(seed: str, start: datetime) -> Iterator[tuple[FlowRow, Decimal]]:
    """Each flow with its receipt tokens, below zero on the way out."""
    for number, (wallet, hours, tokens, note) in enumerate(_MOVES, 1):
        moment = start - HISTORY + timedelta(hours=hours)
        rate = demo_rate(seed, start, moment)
        receipts = SCALE.rounded_down(Decimal(abs(tokens)) / Decimal(repr(rate)))
        flow = FlowRow(
            asset=DEMO_ASSET.name,
            wallet=wallet,
            market=DEMO_MARKET,
            tx_id=f"demo-{number}",
            kind=FlowKind.DEPOSIT if tokens > 0 else FlowKind.WITHDRAWAL,
            units=Decimal(abs(tokens)),
            flow_time=moment,
            note=note,
            source=RowSource.DEMO,
            receipt_units=receipts,
            exchange_rate=rate,
        )
        yield flow, receipts if tokens > 0 else -receipts
