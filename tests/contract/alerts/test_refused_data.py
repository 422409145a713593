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

from tests.contract.alerts.conftest import Servers
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
async def servers(not_started: Servers, stand: HttpProvider) -> Servers:
    await not_started.start_positions(jupiter_api_base=stand.url, jupiter_api_version="v1")
    await not_started.start_alerts()
    wallet = positions_pb.Wallet(
        name="main", chain=positions_pb.CHAIN_SOLANA, public_address=ADDRESS, active=True
    )
    await not_started.wallets.CreateWallet(positions_pb.CreateWalletRequest(wallet=wallet))
    return not_started


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
    servers: Servers, stand: HttpProvider, answer: dict[str, Any]
) -> pb.EvaluateAlertsResponse:
    """A minute later: what the venue says now, stored and judged."""
    servers.clock.advance(60)
    price = price_pb.Price(asset="BTC", price_usd=97412.5, quality=price_pb.QUALITY_GOOD)
    price.price_time.FromDatetime(servers.clock.now())
    servers.market.told["price.ListPrices"] = answers(price_pb.ListPricesResponse(prices=[price]))
    stand.answer("GET /v1/positions", **answer)
    sync = asyncio.ensure_future(
        servers.positions.SyncPositions(positions_pb.SyncPositionsRequest(), timeout=50)
    )
    while not sync.done():
        # A venue that does not answer is asked again after a while.
        await asyncio.wait({sync}, timeout=0.1)
        servers.clock.advance(0 if sync.done() else 1)
    await sync
    return await servers.evaluate()


async def _alerts(servers: Servers) -> tuple[pb.Alert, pb.Alert]:
    """Of the position in danger, and of the portfolio."""
    answer = await servers.alerts.ListAlerts(pb.ListAlertsRequest(type=TRAVEL, page_size=500))
    (own,) = [alert for alert in answer.alerts if alert.side == "LONG"]
    return own, await servers.alert(MEAN_TRAVEL)


@pytest.mark.slow
@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT.keys())
async def test_one_good_answer_and_then_spoilt_ones_lower_nothing(
    servers: Servers, stand: HttpProvider, spoilt: dict[str, Any]
) -> None:
    await servers.only(TRAVEL, MEAN_TRAVEL)
    stand.answer("GET /v1/positions", **_whole(DANGER))
    await servers.positions.SyncPositions(positions_pb.SyncPositionsRequest(), timeout=50)
    await servers.create()
    await servers.evaluate()
    levels = [alert.level for alert in await _alerts(servers)]
    assert levels[0] == pb.LEVEL_HIGH
    assert levels[1] > pb.LEVEL_NORMAL

    assert not (await _look(servers, stand, _whole(SAFE))).lowered_count
    for _ in range(3):
        answer = await _look(servers, stand, spoilt)
        assert not answer.lowered_count
        assert not (await servers.evaluate()).lowered_count
        own, mean = await _alerts(servers)
        assert (own.level, own.reading_state) == (pb.LEVEL_HIGH, pb.READING_STATE_STALE)
        assert [own.level, mean.level] == levels
    waiting = await servers.waiting()

    # Believed again, and that takes two different answers.
    assert not (await _look(servers, stand, _whole(SAFE))).lowered_count
    await _look(servers, stand, _whole(SAFE))
    assert (await _alerts(servers))[0].level == pb.LEVEL_NORMAL
    assert await servers.waiting() > waiting


async def test_one_answer_evaluated_again_by_hand_lowers_nothing(
    servers: Servers, stand: HttpProvider
) -> None:
    stand.answer("GET /v1/positions", **_whole(DANGER))
    await servers.positions.SyncPositions(positions_pb.SyncPositionsRequest(), timeout=50)
    await servers.create()
    await servers.evaluate()
    await _look(servers, stand, _whole(SAFE))
    for _ in range(3):
        await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
        assert not (await servers.evaluate()).lowered_count
    assert (await _look(servers, stand, _whole(SAFE))).lowered_count
