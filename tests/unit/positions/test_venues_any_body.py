"""No body of dYdX or Hyperliquid gives anything but sound holdings, named refusals or a failure."""

import copy
import json
import math
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from services.positions.domain.venue_answer import Answer
from services.positions.venues.dydx import read_accounts
from services.positions.venues.dydx_parser import read_markets
from services.positions.venues.hyperliquid import read_answer
from services.positions.venues.hyperliquid_parser import read_funding
from services.positions.venues.rows import NotThat
from shared.http import ProviderFailure

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
DYDX = "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
SUBACCOUNT = json.loads((FIXTURES / "dydx_v4_subaccount.json").read_text())["subaccount"]
MARKETS = json.loads((FIXTURES / "dydx_v4_perpetual_markets.json").read_text())
STATE = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
CONTEXTS = json.loads((FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_text())

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        ["NaN", "1e400", "-1", "0", "100", "0.5", "1e-9", "9" * 200, "LONG", "SHORT", "CLOSED"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
changes = st.lists(st.tuples(st.integers(0, 10_000), values), max_size=5)


def places(body: object, path: tuple = ()) -> list[tuple]:
    """Every path of a body, outermost first."""
    inner = (
        body.items()
        if isinstance(body, dict)
        else enumerate(body)
        if isinstance(body, list)
        else ()
    )
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def changed(body: object, wanted: list[tuple[int, object]]) -> object:
    """The body with values put in place of what stands at some of its paths."""
    body = copy.deepcopy(body)
    for number, value in wanted:
        paths = places(body)
        path = paths[number % len(paths)]
        if not path:
            return value
        parent = body
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = value
    return body


def assert_sound(answer: Answer, address: str) -> None:
    assert answer.complete == (not answer.incomplete_reason)
    assert not (answer.complete and answer.refusals)
    assert all(refusal.reason.isupper() for refusal in answer.refusals)
    assert address.lower() not in repr(answer).lower()
    for held in answer.holdings:
        prices = (held.entry_price_usd, held.size_usd)
        assert all(math.isfinite(number) and number > 0 for number in prices)
        optional = (held.liquidation_price_usd, held.own_liquidation_price_usd, held.mark_price_usd)
        assert all(number is None or (math.isfinite(number) and number > 0) for number in optional)
        assert math.isfinite(held.collateral_usd) and held.collateral_usd >= 0
        assert held.terms.hourly_carry_usd is None or math.isfinite(held.terms.hourly_carry_usd)


@given(changes, changes)
def test_dydx(to_account: list[tuple[int, object]], to_markets: list[tuple[int, object]]) -> None:
    account = changed(SUBACCOUNT, to_account)
    if not isinstance(account, dict):
        return  # read_accounts is given what `subaccount` let through
    try:
        answer = read_accounts(
            [(0, account)], read_markets(changed(MARKETS, to_markets)), DYDX, {}, NOW
        )
    except NotThat:
        return
    except ProviderFailure:
        return
    assert_sound(answer, DYDX)


@given(changes, changes)
def test_hyperliquid(
    to_state: list[tuple[int, object]], to_contexts: list[tuple[int, object]]
) -> None:
    try:
        funding = read_funding(changed(CONTEXTS, to_contexts))
    except NotThat:
        funding = {}
    try:
        answer = read_answer(changed(STATE, to_state), EVM, {}, NOW, funding)
    except ProviderFailure:
        return
    assert_sound(answer, EVM)
