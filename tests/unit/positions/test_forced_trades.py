"""What fills say of positions that a venue ended by itself, and every way to say it badly."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.positions.domain.venue_answer import ForcedKind, ForcedTrade, Side
from services.positions.sync.domain.events import (
    EventKind,
    Happening,
    LastHeld,
    ended_by,
    in_part,
)
from services.positions.venues import dydx_fills, hyperliquid_fills
from services.positions.venues.dydx_parser import position_id as dydx_id
from services.positions.venues.hyperliquid_parser import position_id
from shared.http import ProviderFailure

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
DYDX = "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc"
FILLS: list[dict[str, Any]] = json.loads(
    (FIXTURES / "hyperliquid_user_fills_by_time.json").read_text()
)
OF_DYDX = json.loads((FIXTURES / "dydx_v4_fills.json").read_text())
LIQUIDATED, DELEVERAGED = ForcedKind.LIQUIDATED, ForcedKind.AUTO_DELEVERAGED
AT_30 = datetime(2026, 11, 20, 23, 0, 30, tzinfo=UTC)


def of_hyperliquid(*fills: object) -> list[ForcedTrade]:
    return list(hyperliquid_fills.forced(hyperliquid_fills.read_fills(list(fills), EVM), EVM))


def of_dydx(*fills: object) -> list[ForcedTrade]:
    return dydx_fills.forced(dydx_fills.read_fills({"fills": list(fills)}, 0), DYDX)


def test_hyperliquid_tells_its_liquidations_and_deleveragings_and_not_those_of_others() -> None:
    first, second, adl = of_hyperliquid(*FILLS)
    end = ForcedTrade(position_id(EVM, "SOL"), AT_30, LIQUIDATED, Side.LONG)
    assert (first, second) == (replace(end, is_last=False), end)
    assert (adl.position_id, adl.kind, adl.side) == (
        position_id(EVM, "BTC"),
        DELEVERAGED,
        Side.SHORT,
    )


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"dir": "Liquidated Cross Long", "liquidation": None}, LIQUIDATED),
        ({"dir": "Liquidated Isolated Long"}, LIQUIDATED),
        ({"dir": "Auto-Deleveraging", "liquidation": None}, DELEVERAGED),
        ({"dir": "Auto-Deleveraging"}, LIQUIDATED),
    ],
)
def test_of_hyperliquid_the_words_and_the_liquidated_say_which_it_was(
    change: dict[str, object], kind: ForcedKind
) -> None:
    (trade,) = of_hyperliquid({**FILLS[0], **change})
    assert trade.kind is kind


@pytest.mark.parametrize(
    "change",
    [
        {"liquidation": None},
        {"liquidation": {"liquidatedUser": "0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359"}},
        {"liquidation": "yes"},
        {"liquidation": {"liquidatedUser": 7}},
        {"coin": None},
        {"time": "1795215630000"},
        {"time": True},
        {"time": -1},
        {"sz": "x"},
        {"sz": "0"},
        {"sz": 30.0},
        {"side": "SELL"},
        {"side": None},
    ],
)
def test_what_is_no_forced_fill_of_hyperliquid_is_none(change: dict[str, object]) -> None:
    assert of_hyperliquid({**FILLS[0], **change}) == []
    assert of_hyperliquid(None, 7, [], "x", {}) == []


@pytest.mark.parametrize("body", [None, 7, "busy", {}, {"error": "x"}, {"fills": []}])
def test_what_is_no_list_of_fills_of_hyperliquid_is_a_failure(body: object) -> None:
    with pytest.raises(ProviderFailure, match="no list of fills"):
        hyperliquid_fills.read_fills(body, EVM)


def test_a_later_fill_of_the_owner_on_that_side_was_the_end() -> None:
    own = {**FILLS[1], "liquidation": None, "time": FILLS[1]["time"] + 1}
    assert [one.is_last for one in of_hyperliquid(FILLS[1], own)] == [False]
    opposite = {**own, "startPosition": "-3.0", "side": "B"}
    assert [one.is_last for one in of_hyperliquid(FILLS[1], opposite)] == [True]
    assert [one.is_last for one in of_hyperliquid(own, {**FILLS[1], "time": own["time"]})] == [True]


@pytest.mark.parametrize(
    ("start", "size", "way", "is_last"),
    [
        ("50.0", "50.0", "A", True),
        ("-0.3", "0.3", "B", True),
        ("1234567.891", "1234567.891", "A", True),
        ("10.0", "2.0", "A", False),
        ("-0.3", "0.29999", "B", False),
        ("50.0", "50.0", "B", False),
        ("0.0", "2.0", "A", False),
        ("x", "2.0", "A", False),
        (None, "2.0", "A", False),
    ],
)
def test_only_a_fill_that_left_nothing_of_a_position_ended_it(
    start: str | None, size: str, way: str, is_last: bool
) -> None:
    fill = {**FILLS[0], "startPosition": start, "sz": size, "side": way}
    assert [one.is_last for one in of_hyperliquid(fill)] == [is_last]


def test_dydx_tells_its_liquidations_and_deleveragings_by_their_type() -> None:
    adl, *liquidated = of_dydx(*OF_DYDX["fills"])
    assert (adl.position_id, adl.kind, adl.side, adl.is_last) == (
        *(dydx_id(DYDX, 0, "ETH-USD"), DELEVERAGED, Side.SHORT, True),
    )
    name = dydx_id(DYDX, 0, "BTC-USD")
    end = ForcedTrade(name, AT_30, LIQUIDATED, Side.LONG, units=0.15)
    assert liquidated == [end, replace(end, units=0.2)]


SEEN = AT_30 - timedelta(seconds=20)


@pytest.mark.parametrize(
    ("units", "seen_time", "count"),
    [
        (0.35, SEEN, 2),
        (0.35, AT_30 + timedelta(seconds=4), 2),
        (0.35, AT_30 + timedelta(seconds=6), 0),
        (0.5, SEEN, 0),
        (0.2, SEEN, 0),
        (None, SEEN, 2),
    ],
)
def test_of_what_one_answer_lacked_only_trades_that_took_all_of_it_are_its_end(
    units: float | None, seen_time: datetime, count: int
) -> None:
    _, *trades = of_dydx(*OF_DYDX["fills"])
    missed = {} if units is None else {trades[0].position_id: LastHeld(units, seen_time)}
    assert len(ended_by(trades, missed)) == count
    # One-way venues name a turned position by its side, and a venue that says what a trade left is
    # believed.
    of_a_side = {f"{trades[0].position_id}-long": held for held in missed.values()}
    assert len(ended_by(trades, of_a_side)) == count
    said = [replace(one, units=None) for one in trades]
    assert len(ended_by(said, missed)) == 2


@pytest.mark.parametrize("size", [None, "", "x", "0.1"])
def test_a_fill_whose_size_is_not_said_or_another_confirms_nothing(size: str | None) -> None:
    trades = of_dydx({**OF_DYDX["fills"][1], "size": size})
    missed = {trades[0].position_id: LastHeld(0.15, SEEN)}
    assert ended_by(trades, missed) == []


@pytest.mark.parametrize(
    "change",
    [
        {"type": "LIMIT"},
        {"type": "LIQUIDATION"},
        {"type": None},
        {"market": None},
        {"side": "LONG"},
        {"createdAt": "soon"},
        {"createdAt": "2026-11-20T23:00:30"},
        {"createdAt": 7},
        {"subaccountNumber": "0"},
        {"subaccountNumber": -1},
    ],
)
def test_what_is_no_forced_fill_of_dydx_is_none(change: dict[str, object]) -> None:
    assert of_dydx({**OF_DYDX["fills"][1], **change}) == []
    assert of_dydx(None, 7, [], "x", {}) == []


@pytest.mark.parametrize("body", [None, 7, [], {}, {"fills": None}, {"errors": [{"msg": "x"}]}])
def test_what_is_no_list_of_fills_of_dydx_is_a_failure(body: object) -> None:
    with pytest.raises(ProviderFailure, match="no list of fills"):
        dydx_fills.read_fills(body, 0)


def test_of_dydx_the_subaccounts_above_the_positions_are_asked_and_not_more() -> None:
    names = [dydx_id(DYDX, number, "BTC-USD") for number in (0, 128, 1, 257)]
    assert dydx_fills.parents([*names, "dydx-x", ""]) == [0, 1]
    assert len(dydx_fills.parents([dydx_id(DYDX, n, "BTC-USD") for n in range(9)])) == 4


@pytest.mark.parametrize(
    ("position", "side", "kinds", "told"),
    [
        ("p", Side.LONG, [LIQUIDATED], EventKind.LIQUIDATED_IN_PART),
        ("p-long", Side.LONG, [LIQUIDATED], EventKind.LIQUIDATED_IN_PART),
        ("p", Side.LONG, [DELEVERAGED], EventKind.AUTO_DELEVERAGED),
        ("p", Side.LONG, [DELEVERAGED, LIQUIDATED], EventKind.LIQUIDATED_IN_PART),
        ("p", Side.SHORT, [LIQUIDATED], None),
        ("q", Side.LONG, [LIQUIDATED], None),
        ("p", Side.LONG, [], None),
    ],
)
def test_what_shrank_is_told_by_the_trades_of_its_side(
    position: str, side: Side, kinds: list[ForcedKind], told: EventKind | None
) -> None:
    shrank = Happening(3, EventKind.SHRANK, position, "SOL", side, 100.0, 40.0)
    trades = [ForcedTrade("p", AT_30, kind, Side.LONG, False) for kind in kinds]
    found = in_part([shrank], trades)
    assert [one.kind for one in found] == ([] if told is None else [told])
    assert all((one.place, one.size_after_usd) == (0, 40.0) for one in found)
