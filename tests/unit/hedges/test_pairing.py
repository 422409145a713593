"""Which positions become a hedge, and its figures."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hedges.domain.grouping import Stored, grouped, pair, relink
from services.hedges.domain.holdings import Holdings

ORACLE = json.loads(
    (Path(__file__).parents[2] / "oracle" / "portfolio_hedges_alerts.json").read_text()
)
SIGN = {"LONG": 1, "SHORT": -1, "UNKNOWN": 0}


def holdings(rows: list[tuple[str, str, str, float]], **columns: list[float]) -> Holdings:
    """(wallet, asset, side, size) rows; every other column is given or absent."""
    wallets = sorted({row[0] for row in rows})
    assets = sorted({row[1] for row in rows})
    absent = np.full(len(rows), np.nan)
    names = ("entry_price_usd", "mark_price_usd", "value_usd", "pnl_usd", "heat_index")
    return Holdings(
        wallet_names=wallets,
        asset_names=assets,
        wallet=np.array([wallets.index(row[0]) for row in rows], dtype=np.int64),
        asset=np.array([assets.index(row[1]) for row in rows], dtype=np.int64),
        side=np.array([SIGN[row[2]] for row in rows], dtype=np.int64),
        position_key=np.arange(len(rows), dtype=np.int64),
        size_usd=np.array([row[3] for row in rows], dtype=np.float64),
        stale=np.array(columns.pop("stale", np.zeros(len(rows))), dtype=np.bool_),
        **{name: np.array(columns.get(name, absent), dtype=np.float64) for name in names},
    )


def oracle_rows() -> list[tuple[str, str, str, float]]:
    return [
        (wallet.strip(), asset, side.upper(), float(size))
        for _, wallet, asset, side, size in ORACLE["hedge_links"]["rows"]
    ]


def test_the_groups_are_those_of_the_oracle() -> None:
    ids = [row[0] for row in ORACLE["hedge_links"]["rows"]]
    groups = pair(holdings(oracle_rows()))
    assert [[ids[row] for row in group.rows] for group in groups] == ORACLE["hedge_links"]["expect"]
    for group, totals in zip(groups, ORACLE["hedge_links"]["totals"], strict=True):
        assert group.total_long_size_usd == totals["long"]
        assert group.total_short_size_usd == totals["short"]


def test_a_group_whose_only_short_becomes_long_is_no_hedge_any_more() -> None:
    rows = oracle_rows()
    stored = {
        (group.wallet, group.asset): Stored(f"h{n}", group.member_signature)
        for n, group in enumerate(pair(holdings(rows)))
    }
    rows[1] = (*rows[1][:2], "LONG", rows[1][3])
    change = relink(stored, pair(holdings(rows)), lambda: "fresh")
    assert change.unlinked == [(stored["W1", "BTC"].id, ("W1", "BTC"))]
    assert [id for id, _ in change.kept] == [stored["W2", "ETH"].id]


def test_ids_stay_the_same_when_linked_again() -> None:
    groups = pair(holdings(oracle_rows()))
    fresh = (f"h{n}" for n in itertools.count())
    first = relink({}, groups, lambda: next(fresh))
    stored = {
        (group.wallet, group.asset): Stored(id, group.member_signature)
        for id, group in first.linked
    }
    second = relink(stored, groups, lambda: next(fresh))
    assert [id for id, _ in second.kept] == [id for id, _ in first.linked]
    assert not second


@pytest.mark.parametrize("case", ORACLE["hedge_pair"]["at"], ids=lambda case: str(case["price"]))
def test_the_figures_of_a_pair_are_those_of_the_oracle(case: dict[str, float]) -> None:
    price = case["price"]
    legs = ORACLE["hedge_pair"]
    group = pair(
        holdings(
            [
                ("w", "BTC", "LONG", legs["long"]["size_usd"]),
                ("w", "BTC", "SHORT", legs["short"]["size_usd"]),
            ],
            entry_price_usd=[legs["long"]["entry"], legs["short"]["entry"]],
            mark_price_usd=[price, price],
            value_usd=[case["long_value"], case["short_value"]],
            pnl_usd=[case["long_pnl"], case["short_pnl"]],
        )
    )[0]
    assert group.imbalance_usd == pytest.approx(case["imbalance"], abs=2e-6)
    assert group.net_pnl_usd == pytest.approx(case["net_pnl"], abs=2e-6)
    assert group.net_delta_tokens == pytest.approx(legs["net_delta_tokens"], abs=1e-6)
    assert group.net_delta_usd == pytest.approx(legs["net_delta_tokens"] * price, abs=1e-3)


def test_a_sum_with_an_absent_member_is_absent_and_never_half_a_sum() -> None:
    group = pair(
        holdings(
            [("w", "BTC", "LONG", 10), ("w", "BTC", "SHORT", 20), ("w", "BTC", "SHORT", 5)],
            entry_price_usd=[1, 1, 1],
            mark_price_usd=[2, 2, np.nan],
            value_usd=[5, 6, np.nan],
            pnl_usd=[1, 1, np.nan],
            heat_index=[40, np.nan, 10],
        )
    )[0]
    assert (group.imbalance_usd, group.net_pnl_usd, group.net_delta_usd) == (None, None, None)
    assert (group.long_heat, group.short_heat, group.total_heat) == (40, 10, 50)
    assert group.hedge_ratio == pytest.approx(10 / 25)


def test_an_unknown_asset_or_side_hedges_nothing() -> None:
    assert pair(holdings([("w", "UNKNOWN", "LONG", 1), ("w", "UNKNOWN", "SHORT", 1)])) == []
    assert pair(holdings([("w", "BTC", "LONG", 1), ("w", "BTC", "UNKNOWN", 1)])) == []
    assert pair(holdings([])) == []


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "b"]),
        st.sampled_from(["BTC", "ETH", "UNKNOWN"]),
        st.sampled_from(["LONG", "SHORT", "UNKNOWN"]),
        st.floats(1, 1e6),
    ),
    max_size=40,
)


@given(ROWS)
def test_it_equals_the_plain_definition_row_by_row(rows: list[tuple[str, str, str, float]]) -> None:
    expected = {}
    for wallet, asset in {(row[0], row[1]) for row in rows}:
        members = [
            n for n, row in enumerate(rows) if row[:2] == (wallet, asset) and row[2] != "UNKNOWN"
        ]
        sides = {rows[n][2] for n in members}
        if wallet and asset != "UNKNOWN" and sides == {"LONG", "SHORT"}:
            expected[wallet, asset] = members
    found = {(group.wallet, group.asset): group.rows.tolist() for group in pair(holdings(rows))}
    assert found == expected


@given(ROWS)
def test_swapping_the_sides_mirrors_the_figures(rows: list[tuple[str, str, str, float]]) -> None:
    there = holdings(rows, entry_price_usd=[10.0] * len(rows), heat_index=[7.0] * len(rows))
    back = replace(there, side=-there.side)
    for group, mirrored in zip(pair(there), pair(back), strict=True):
        assert group.total_long_size_usd == mirrored.total_short_size_usd
        assert group.long_heat == mirrored.short_heat
        assert group.net_delta_tokens == pytest.approx(-(mirrored.net_delta_tokens or 0.0))


def test_a_grouping_is_used_again_while_only_figures_move_and_gives_the_same_groups() -> None:
    before = holdings([("main", "BTC", "LONG", 10.0), ("main", "BTC", "SHORT", 20.0)])
    moved = replace(before, mark_price_usd=before.mark_price_usd * 2)
    grouping = grouped(before)
    assert grouping.fits(moved)
    for kept, made in zip(pair(moved, grouping), pair(moved), strict=True):
        assert kept.rows.tolist() == made.rows.tolist()
        assert replace(kept, rows=made.rows) == made


@pytest.mark.parametrize(
    "changed",
    [
        {"side": np.array([1, 1])},
        {"wallet": np.array([0, 1]), "wallet_names": ["main", "other"]},
        {"wallet_names": ["other"]},
        {"asset_names": ["ETH"]},
        {"position_key": np.array([1, 9])},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_grouping_of_other_members_is_not_used_again(changed: dict[str, object]) -> None:
    before = holdings([("main", "BTC", "LONG", 10.0), ("main", "BTC", "SHORT", 20.0)])
    assert not grouped(before).fits(replace(before, **changed))  # type: ignore[arg-type]


def test_a_hedge_is_stale_when_one_of_its_members_is() -> None:
    rows = [("w", asset, side, 10.0) for asset in ("BTC", "ETH") for side in ("LONG", "SHORT")]
    found = pair(holdings(rows, stale=[0, 0, 1, 0]))
    assert [(group.asset, group.stale) for group in found] == [("BTC", False), ("ETH", True)]
