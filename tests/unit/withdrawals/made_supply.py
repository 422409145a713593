"""Supply histories for tests: samples, flows, receipts and rates that fit each other."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

from services.withdrawals.gains.domain.evaluation import (
    AssetGains,
    GainRules,
    HoldingFacts,
    evaluate_gains,
)
from services.withdrawals.gains.domain.exact import UnitScale
from services.withdrawals.gains.domain.flow_gain import FlowCoverage
from services.withdrawals.gains.domain.flows import Flow, FlowKind, Holding
from services.withdrawals.gains.domain.references import ReferenceEvent
from services.withdrawals.gains.domain.samples import SampleColumns, SupplySample

TESTS = Path(__file__).parents[2]
ORACLE = json.loads((TESTS / "oracle" / "withdrawals.json").read_text())
GOLDEN = json.loads((TESTS / "fixtures" / "golden" / "withdrawal_advisor_djed.json").read_text())

START = datetime(2026, 11, 1, tzinfo=UTC)
HOME = Holding("addr1home", "DJED")
OTHER = Holding("addr1other", "DJED")
SCALE = UnitScale(6)
WHOLE = HoldingFacts(FlowCoverage(whole=True))
_UNIT = Decimal("0.000001")


def dec(number: object) -> Decimal:
    return Decimal(str(number))


def at(hour: float) -> datetime:
    return START + timedelta(hours=hour)


def sample(
    hour: float, units: object, price_usd: float | None = 1.0, holding: Holding = HOME
) -> SupplySample:
    return SupplySample(holding, at(hour), None if units is None else dec(units), price_usd)


def flow(hour: float, units: object, holding: Holding = HOME, **more: object) -> Flow:
    """A deposit for units above 0, else a withdrawal."""
    amount = dec(units)
    kind = FlowKind.DEPOSIT if amount > 0 else FlowKind.WITHDRAWAL
    given = {"tx_id": f"tx{hour}{units}", **more}
    return Flow(kind=kind, holding=holding, time=at(hour), units=abs(amount), **given)


def since(hour: float) -> list[ReferenceEvent]:
    return [ReferenceEvent(at(hour))]


def gains_of(
    samples: Sequence[SupplySample],
    flows: Sequence[Flow] = (),
    reference_hour: float | None = 0,
    as_of_hour: float = 10_000,
    rules: GainRules | None = None,
    facts: HoldingFacts | None = None,
    **more: object,
) -> AssetGains:
    holdings = {one.holding for one in (*samples, *flows)}
    return evaluate_gains(
        SampleColumns.of(samples, SCALE),
        flows,
        [] if reference_hour is None else since(reference_hour),
        rules or GainRules(),
        at(as_of_hour),
        facts={holding: facts or HoldingFacts() for holding in holdings},
        **more,
    )


@dataclass
class History:
    """A holding whose samples, flows, receipts and rates come from one account."""

    samples: list[SupplySample]
    flows: list[Flow]
    reference_hour: float

    def evaluate(self, **more: object) -> AssetGains:
        return gains_of(self.samples, self.flows, self.reference_hour, facts=WHOLE, **more)


def random_history(seed: int, holding: Holding = HOME) -> History:
    """Receipts kept to six digits, a rate that grows unevenly, flows at their own rates."""
    chance = random.Random(seed)
    hours = sorted(chance.sample(range(1, 400), chance.randint(3, 12)))
    rate = dec(round(chance.uniform(0.02, 1.2), 6))
    receipts = Decimal(0)
    samples: list[SupplySample] = []
    flows: list[Flow] = []
    last = 0
    for index, hour in enumerate(hours):
        count = chance.choice([0, 0, 1, 2]) if index else 1
        for moment in sorted(chance.sample(range((hour - last) * 60), count)):
            rate *= 1 + dec(round(chance.uniform(0, 2e-4), 9))
            rate = rate.quantize(Decimal("1e-10"), ROUND_HALF_EVEN)
            place = last + (moment + 1) / 60
            worth = receipts * rate
            is_out = receipts > 0 and chance.random() < 0.4
            share = dec(round(chance.uniform(0.05, 0.9), 3))
            moved = receipts * share if is_out else dec(round(chance.uniform(50, 5000), 2)) / rate
            moved = moved.quantize(_UNIT, ROUND_HALF_EVEN)
            units = (moved * rate).quantize(_UNIT, ROUND_HALF_EVEN)
            assert not is_out or units <= worth
            receipts += -moved if is_out else moved
            flows.append(
                flow(
                    place,
                    -units if is_out else units,
                    holding,
                    tx_id=f"{seed}-{len(flows)}",
                    receipt_units=moved,
                    exchange_rate=rate,
                )
            )
        rate *= 1 + dec(round(chance.uniform(0, 2e-4), 9))
        rate = rate.quantize(Decimal("1e-10"), ROUND_HALF_EVEN)
        samples.append(
            SupplySample(
                holding,
                at(hour),
                (receipts * rate).quantize(_UNIT, ROUND_HALF_EVEN),
                round(chance.uniform(0.99, 1.01), 4),
                receipts,
                float(rate),
            )
        )
        last = hour
    return History(samples, flows, chance.choice([0, *hours[:-1]]))


def corrupted(history: History, chance: random.Random) -> tuple[History, str, int]:
    """One number of one row off by 5 % to 50 %, among flows and the samples from the base on; the
    kind and index of the row.
    """
    factor = dec(round(chance.choice([-1, 1]) * chance.uniform(0.05, 0.5) + 1, 3))
    first = next(
        index for index, one in enumerate(history.samples) if one.time >= at(history.reference_hour)
    )
    rows = [("flow", index) for index in range(len(history.flows))]
    rows += [
        ("sample", index)
        for index in range(first, len(history.samples))
        if history.samples[index].units
    ]
    kind, index = chance.choice(rows)
    field = chance.choice(["units", "receipt_units", "exchange_rate"])
    samples, flows = list(history.samples), list(history.flows)
    rows_of: list = flows if kind == "flow" else samples
    value = getattr(rows_of[index], field)
    wrong = float(factor) * value if isinstance(value, float) else factor * value
    rows_of[index] = replace(rows_of[index], **{field: wrong})
    return History(samples, flows, history.reference_hour), kind, index
