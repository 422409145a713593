"""No body of Jupiter, however changed, gives anything but sound holdings, named refusals or a
failure.
"""

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from services.positions.domain.venue_answer import Holding
from services.positions.venues.jupiter import read_answer
from services.positions.venues.jupiter_parser import V1, V2, Shape
from shared.http import FailureKind, ProviderFailure

FIXTURES = Path(__file__).parents[2] / "fixtures"
WALLET = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
PRICES = {"BTC": 97400.0, "ETH": 3380.0, "SOL": 182.0}
SHAPES = {"v1": V1, "v2": V2}
ROWS = {
    version: json.loads((FIXTURES / f"jupiter_perps_positions_{version}.json").read_text())[
        "dataList"
    ]
    for version in SHAPES
}


def row_of(version: str, place: int = 2) -> dict[str, object]:
    return dict(ROWS[version][place])


def only(row: dict[str, object], shape: Shape) -> Holding:
    (holding,) = read_answer({"count": 1, "dataList": [row]}, shape, WALLET, PRICES, NOW).holdings
    return holding


numbers = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["NaN", "1e400", "-1", "0", "100", "100.5", "1000000", "99999999999999999999"]),
)
values = st.recursive(
    numbers,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
fields = st.sampled_from(sorted(set(row_of("v1")) | set(row_of("v2"))))


@given(
    st.lists(st.tuples(st.integers(0, 3), fields, values), max_size=6),
    st.sampled_from(["v1", "v2"]),
    values,
)
def test_no_change_of_a_body_gives_anything_but_sound_holdings_or_a_named_refusal(
    changes: list[tuple[int, str, object]], version: str, count: object
) -> None:
    rows = [row_of(version, place) for place in range(4)]
    for place, field, stated in changes:
        rows[place][field] = stated
    answer = read_answer({"count": count, "dataList": rows}, SHAPES[version], WALLET, PRICES, NOW)
    assert answer.complete == (
        count == 4 and not isinstance(count, bool | float) and not answer.refusals
    )
    for holding in answer.holdings:
        assert_sound(holding)
    for refused in answer.refusals:
        assert (
            refused.reason.isupper()
            and len(refused.masked_body) <= 2000
            and WALLET not in refused.masked_body
        )


@given(values)
def test_any_body_is_an_answer_or_a_failure(body: object) -> None:
    for shape in (V1, V2):
        for wrapped in (body, {"count": 1, "dataList": [body]}, {"count": 1, "dataList": body}):
            kind = FailureKind.BAD_BODY
            try:
                for holding in read_answer(wrapped, shape, WALLET, PRICES, NOW).holdings:
                    assert_sound(holding)
            except ProviderFailure as failure:
                kind = failure.kind
            assert kind is FailureKind.BAD_BODY


dollars = st.decimals(min_value="0.01", max_value="1e6", places=2)


@given(
    dollars,
    st.integers(min_value=1, max_value=500),
    st.decimals(min_value="20", max_value="3000", places=2),
    st.sampled_from(["long", "short"]),
)
def test_one_position_reads_the_same_in_both_forms(
    collateral: Decimal, leverage: int, mark: Decimal, side: str
) -> None:
    size = collateral * leverage

    def micro(amount: Decimal) -> str:
        return str(int(amount * 1_000_000))

    changed = {"size": size, "collateral": collateral, "markPrice": mark}
    first = {
        **row_of("v1"),
        "side": side,
        **{name: str(amount) for name, amount in changed.items()},
        "value": None,
        "pnlAfterFeesUsd": None,
    }
    second = {
        **row_of("v2"),
        "side": side,
        "valueUsd": None,
        "pnlAfterFeesUsd": None,
        "sizeUsd": micro(size),
        "collateralUsd": micro(collateral),
        "markPriceUsd": micro(mark),
    }
    dollar, micro_dollar = only(first, V1), only(second, V2)
    for name in ("size_usd", "collateral_usd", "mark_price_usd", "entry_price_usd"):
        assert getattr(dollar, name) == getattr(micro_dollar, name)


def assert_sound(holding: Holding) -> None:
    for name in ("entry_price_usd", "mark_price_usd", "size_usd"):
        assert 0 < getattr(holding, name) < math.inf
    for name in ("liquidation_price_usd", "own_liquidation_price_usd"):
        assert getattr(holding, name) is None or 0 < getattr(holding, name) < math.inf
    assert holding.collateral_usd is not None and 0 <= holding.collateral_usd < math.inf
    for name in ("pnl_after_fees_usd", "venue_value_usd"):
        assert getattr(holding, name) is None or math.isfinite(getattr(holding, name))
