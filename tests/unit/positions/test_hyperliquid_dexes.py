"""Dexes of one Hyperliquid address as one answer, and every way for one of them to fail."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from services.positions.domain.venue_answer import Answer, Side
from services.positions.sync.domain.answer_columns import answered, is_complete
from services.positions.venues.hyperliquid import read_answer
from services.positions.venues.hyperliquid_account import STANDARD_ACCOUNT, Account, AccountMode
from services.positions.venues.hyperliquid_dexes import of_dex as dex_answer
from services.positions.venues.hyperliquid_dexes import with_parts
from services.positions.venues.hyperliquid_parser import position_id
from shared.http import ProviderFailure

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
FIRST = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
XYZ = json.loads((FIXTURES / "hyperliquid_dex_state.json").read_text())


def first() -> Answer:
    return read_answer(FIRST, EVM, {"SOL": 182.0}, NOW, {"SOL": 0.0}, STANDARD_ACCOUNT)


def of_dex(body: object) -> Answer:
    return read_answer(body, EVM, {}, NOW, {}, STANDARD_ACCOUNT, {}, "xyz")


def ages(answer: Answer, coin: str) -> bool:
    """Whether a position of this coin that is not in the answer comes nearer to being closed."""
    columns = answered(answer)
    return columns.complete[0] and not columns.unread(position_id(EVM, coin), 0)


def test_the_positions_of_all_dexes_are_one_answer_with_the_names_of_their_dexes() -> None:
    answer = with_parts(first(), [dex_answer("xyz", of_dex(XYZ))], STANDARD_ACCOUNT, EVM)
    assert is_complete(answer) and answer.row_count == 4 and not answer.unwatched
    assert [(one.asset, one.side) for one in answer.holdings[2:]] == [
        ("xyz:TSLA", Side.LONG),
        ("xyz:GOLD", Side.SHORT),
    ]
    tesla, gold = answer.holdings[2:]
    assert (tesla.mark_price_usd, gold.mark_price_usd) == (410.0, 4050.0)
    assert tesla.own_liquidation_price_usd == pytest.approx(378.947368421)
    assert gold.own_liquidation_price_usd == pytest.approx(4682.926829268)
    names = [one.name for one in answer.accounts or ()]
    assert names == ["cross", "isolated BTC", "cross xyz", "isolated xyz:TSLA"]
    cross = (answer.accounts or ())[2]
    assert cross.margin.equity_usd == pytest.approx(1500.0) and not cross.estimated
    assert ages(answer, "ETH") and ages(answer, "xyz:GOLD")


def damaged(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    body = copy.deepcopy(XYZ)
    change(body)
    return body


BODIES = {
    "null": None,
    "list": [],
    "words": "busy",
    "error": {"error": "busy"},
    "no rows": damaged(lambda body: body.pop("assetPositions")),
    "the first dex": FIRST,
    "another dex": json.loads(json.dumps(XYZ).replace("xyz:", "abc:")),
    "no prefix": json.loads(json.dumps(XYZ).replace("xyz:", "")),
    "from the future": {**XYZ, "time": XYZ["time"] + 3_600_000},
    "no time": {**XYZ, "time": "now"},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_what_is_no_state_of_this_dex_is_a_failure_of_this_dex_alone(body: object) -> None:
    with pytest.raises(ProviderFailure) as caught:
        of_dex(body)
    failed = dex_answer("xyz", None, caught.value.message)
    answer = with_parts(first(), [failed], STANDARD_ACCOUNT, EVM)
    assert (answer.complete, answer.incomplete_reason) == (False, "DEX_UNREAD")
    assert [one.words for one in answer.unwatched] == ["not looked at: dex xyz"]
    assert answer.message.startswith("dex xyz: hyperliquid answered")
    assert len(answer.holdings) == 2 and not answer.refusals
    assert ages(answer, "ETH") and ages(answer, "abc:GOLD") and not ages(answer, "xyz:GOLD")


PARTS = {
    "a row of garbage": damaged(lambda body: body["assetPositions"][0]["position"].update(szi="x")),
    "no size": damaged(lambda body: body["assetPositions"][1]["position"].pop("szi")),
    "NaN": damaged(lambda body: body["assetPositions"][1]["position"].update(entryPx="NaN")),
    "cut down": damaged(lambda body: (body["assetPositions"].clear(), body.pop("marginSummary"))),
    "fewer than stated": damaged(lambda body: body["assetPositions"].pop(1)),
    "old": {**XYZ, "time": XYZ["time"] - 600_000},
}


@pytest.mark.parametrize("body", PARTS.values(), ids=PARTS.keys())
def test_a_state_that_is_not_whole_ages_no_position_of_its_dex_and_all_others(
    body: object,
) -> None:
    answer = with_parts(first(), [dex_answer("xyz", of_dex(body))], STANDARD_ACCOUNT, EVM)
    assert (is_complete(answer), answer.incomplete_reason) == (False, "DEX_UNREAD")
    assert "dex xyz" in answer.message
    assert ages(answer, "ETH") and not ages(answer, "xyz:GOLD")
    assert {one.asset for one in answer.holdings} >= {"SOL", "BTC"}


def test_of_an_old_state_of_a_dex_nothing_is_taken() -> None:
    answer = with_parts(first(), [dex_answer("xyz", of_dex(PARTS["old"]))], STANDARD_ACCOUNT, EVM)
    assert len(answer.holdings) == 2 and answer.observed_time == NOW
    assert [one.words for one in answer.unwatched] == ["not looked at: dex xyz"]


def test_when_the_first_dex_is_not_whole_nothing_ages() -> None:
    cut = copy.deepcopy(FIRST)
    cut["assetPositions"].pop()
    part = read_answer(cut, EVM, {}, NOW, {}, STANDARD_ACCOUNT)
    for dexes in ([dex_answer("xyz", of_dex(XYZ))], [dex_answer("xyz", None, "HTTP 500")]):
        answer = with_parts(part, dexes, STANDARD_ACCOUNT, EVM)
        assert not is_complete(answer) and answer.incomplete_reason == "POSITIONS_MISSING"
        assert not ages(answer, "BTC") and not ages(answer, "xyz:GOLD")


def test_while_the_list_of_dexes_is_unknown_no_position_of_any_of_them_ages() -> None:
    account = Account(AccountMode.STANDARD, unread_dexes=("*",))
    answer = with_parts(first(), [], account, EVM)
    assert ages(answer, "ETH") and not ages(answer, "xyz:GOLD") and not ages(answer, "abc:X")
    assert not is_complete(answer)


def test_a_pattern_names_one_dex_of_one_address() -> None:
    (pattern,) = with_parts(
        first(), [dex_answer("xyz", None, "")], STANDARD_ACCOUNT, EVM
    ).unread_ids
    assert fnmatchcase(position_id(EVM, "xyz:TSLA") + "-short", pattern)
    others = [
        position_id(EVM, "xyzz:TSLA"),
        position_id(EVM, "BTC"),
        position_id("0x1", "xyz:TSLA"),
    ]
    assert not any(fnmatchcase(one, pattern) for one in others)


GONE = Account(AccountMode.STANDARD, unlisted_dexes=("xyz",))


def test_a_dex_that_is_neither_listed_nor_read_keeps_the_answer_whole_and_closes_nothing() -> None:
    answer = with_parts(first(), [dex_answer("xyz", None, "HTTP 500")], GONE, EVM)
    assert is_complete(answer) and not answer.incomplete_reason and not answer.message
    assert [one.words for one in answer.unwatched] == [
        "not watched: dex xyz is listed no more, its positions are STALE"
    ]
    assert ages(answer, "ETH") and not ages(answer, "xyz:GOLD")
    columns = answered(answer)
    assert columns.delisted(position_id(EVM, "xyz:GOLD"), 0)
    assert not columns.delisted(position_id(EVM, "ETH"), 0)


def test_a_dex_that_is_read_is_believed_whatever_the_list_says() -> None:
    answer = with_parts(first(), [dex_answer("xyz", of_dex(XYZ))], GONE, EVM)
    assert is_complete(answer) and not answer.unwatched and not answer.delisted_ids
    assert ages(answer, "xyz:BRENT")


def test_another_dex_that_cannot_be_read_is_still_unread() -> None:
    dexes = [dex_answer("xyz", None, "HTTP 500"), dex_answer("abc", None, "HTTP 500")]
    answer = with_parts(first(), dexes, GONE, EVM)
    assert (answer.complete, answer.incomplete_reason) == (False, "DEX_UNREAD")
    assert answer.message == "dex abc: HTTP 500"
    assert [one.reason for one in answer.unwatched] == ["DELISTED", "UNREAD"]
    assert ages(answer, "ETH") and not ages(answer, "abc:GOLD") and not ages(answer, "xyz:GOLD")


def test_beside_a_first_dex_that_is_not_whole_nothing_is_said_to_be_delisted() -> None:
    body = copy.deepcopy(FIRST)
    body["assetPositions"][0]["position"]["entryPx"] = "-1"
    answer = read_answer(body, EVM, {"SOL": 182.0}, NOW, {"SOL": 0.0}, STANDARD_ACCOUNT)
    whole = with_parts(answer, [dex_answer("xyz", None, "HTTP 500")], GONE, EVM)
    assert not whole.complete and not whole.delisted_ids and not ages(whole, "ETH")
