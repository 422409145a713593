"""Promise 4 on the whole way from a venue: what was refused, left out or judged before lowers no
level.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.price.v1 import price_pb2 as price_pb

from tests.contract.alerts.conftest import House
from tests.fakes.http_provider import HttpProvider
from tests.fakes.peers import answers

FIXTURES = Path(__file__).parents[2] / "fixtures"
ADDRESS = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
# Of a long entered at 94,250 that liquidates near 85,143.
DANGER, SAFE = "88000.00", "97412.50"
TRAVEL, MEAN_TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT, pb.ALERT_TYPE_AVG_TRAVEL_PERCENT


@pytest.fixture
async def stand() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as stand:
        yield stand


@pytest.fixture
async def house(bare_house: House, stand: HttpProvider) -> House:
    await bare_house.start_positions(jupiter_api_base=stand.url, jupiter_api_version="v1")
    await bare_house.start_alerts()
    wallet = positions_pb.Wallet(
        name="main", chain=positions_pb.CHAIN_SOLANA, public_address=ADDRESS, active=True
    )
    await bare_house.wallets.CreateWallet(positions_pb.CreateWalletRequest(wallet=wallet))
    return bare_house


def _rows(mark: str) -> list[dict[str, Any]]:
    """Two positions: a long of BTC with this mark, and one that is far from everything."""
    body = json.loads((FIXTURES / "jupiter_perps_positions_v1.json").read_text())
    rows: list[dict[str, Any]] = body["dataList"][:2]
    rows[0]["markPrice"] = mark
    for row in rows:
        row["updatedTime"] = row["createdTime"] = 1_772_300_000
    return rows


def _whole(mark: str) -> dict[str, Any]:
    return {"json": {"count": 2, "dataList": _rows(mark)}}


def _broken(field: str, value: object) -> dict[str, Any]:
    rows = _rows(SAFE)
    rows[0][field] = value
    return {"json": {"count": 2, "dataList": rows}}


SPOILT = {
    "a row with a number that is none": _broken("markPrice", "abc"),
    "a row with a negative number": _broken("entryPrice", "-1"),
    "an answer short of its count": {"json": {"count": 2, "dataList": _rows(SAFE)[1:]}},
    "a null list with a count": {"json": {"count": 2, "dataList": None}},
    "a wrong scale": _broken("markPrice", "97412500000"),
    "an error body": {"json": {"error": "busy"}},
    "no answer": {"status": 503, "text": b"busy"},
}


async def _look(
    house: House, stand: HttpProvider, answer: dict[str, Any]
) -> pb.EvaluateAlertsResponse:
    """A minute later: what the venue says now, stored and judged."""
    house.clock.advance(60)
    price = price_pb.Price(asset="BTC", price_usd=97412.5, quality=price_pb.QUALITY_GOOD)
    price.price_time.FromDatetime(house.clock.now())
    house.market.told["price.ListPrices"] = answers(price_pb.ListPricesResponse(prices=[price]))
    stand.answer("GET /v1/positions", **answer)
    sync = asyncio.ensure_future(
        house.positions.SyncPositions(positions_pb.SyncPositionsRequest(), timeout=50)
    )
    while not sync.done():
        # A venue that does not answer is asked again after a while.
        await asyncio.wait({sync}, timeout=0.1)
        house.clock.advance(0 if sync.done() else 1)
    await sync
    return await house.evaluate()


async def _alerts(house: House) -> tuple[pb.Alert, pb.Alert]:
    """Of the position in danger, and of the portfolio."""
    answer = await house.alerts.ListAlerts(pb.ListAlertsRequest(type=TRAVEL, page_size=500))
    (own,) = [alert for alert in answer.alerts if alert.side == "LONG"]
    return own, await house.alert(MEAN_TRAVEL)


@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT.keys())
async def test_one_good_answer_and_then_spoilt_ones_lower_nothing(
    house: House, stand: HttpProvider, spoilt: dict[str, Any]
) -> None:
    await house.only(TRAVEL, MEAN_TRAVEL)
    stand.answer("GET /v1/positions", **_whole(DANGER))
    await house.positions.SyncPositions(positions_pb.SyncPositionsRequest(), timeout=50)
    await house.create()
    await house.evaluate()
    levels = [alert.level for alert in await _alerts(house)]
    assert levels[0] == pb.LEVEL_HIGH
    assert levels[1] > pb.LEVEL_NORMAL

    assert not (await _look(house, stand, _whole(SAFE))).lowered_count
    for _ in range(3):
        answer = await _look(house, stand, spoilt)
        assert not answer.lowered_count
        assert not (await house.evaluate()).lowered_count
        own, mean = await _alerts(house)
        assert (own.level, own.reading_state) == (pb.LEVEL_HIGH, pb.READING_STATE_STALE)
        assert [own.level, mean.level] == levels
    waiting = await house.waiting()

    # Believed again, and that takes two different answers.
    assert not (await _look(house, stand, _whole(SAFE))).lowered_count
    await _look(house, stand, _whole(SAFE))
    assert (await _alerts(house))[0].level == pb.LEVEL_NORMAL
    assert await house.waiting() > waiting


async def test_one_answer_evaluated_again_by_hand_lowers_nothing(
    house: House, stand: HttpProvider
) -> None:
    stand.answer("GET /v1/positions", **_whole(DANGER))
    await house.positions.SyncPositions(positions_pb.SyncPositionsRequest(), timeout=50)
    await house.create()
    await house.evaluate()
    await _look(house, stand, _whole(SAFE))
    for _ in range(3):
        await house.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
        assert not (await house.evaluate()).lowered_count
    assert (await _look(house, stand, _whole(SAFE))).lowered_count
