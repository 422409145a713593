"""An asset that its venue spells with small letters (kPEPE) is found in whatever case it is asked
for, and its own limits judge it.
"""

from __future__ import annotations

import json

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.errors import AlreadyExists, InvalidArgument
from tests.contract.alerts.conftest import Servers

DISTANCE = "LIQUIDATION_DISTANCE-POSITION-BELOW"
KIND = pb.ALERT_TYPE_LIQUIDATION_DISTANCE


async def _holds(servers: Servers, asset: str) -> str:
    """A position 20 percent from its end, in an asset as a venue spells it."""
    id = await servers.hold(100.0, asset="RENAMED")
    connection = await asyncpg.connect(servers.databases.owner_url("positions"))
    try:
        await connection.execute("update asset set name = $1 where name = 'RENAMED'", asset)
    finally:
        await connection.close()
    await servers.mark(id, 100.0)
    return id


async def _cycle(servers: Servers) -> None:
    await servers.create()
    servers.clock.advance(60)
    reading = pb.PriceReading(asset="BTC", price_usd=100.0)
    reading.price_time.FromDatetime(servers.clock.now())
    await servers.alerts.EvaluateAlerts(
        pb.EvaluateAlertsRequest(
            cycle_id=f"cyc-{servers.clock.now():%H%M%S}", epoch=1, prices=[reading]
        )
    )


def _limit(asset: str, **fields: object) -> pb.Threshold:
    values = {"type": KIND, "condition": pb.CONDITION_BELOW, "high": 30.0, **fields}
    return pb.Threshold(asset=asset, **values)


async def _set(servers: Servers, asset: str) -> pb.Threshold:
    return await servers.thresholds.CreateThreshold(
        pb.CreateThresholdRequest(threshold=_limit(asset))
    )


async def _listed(servers: Servers, asset: str) -> list[str]:
    request = pb.ListAlertsRequest(asset=asset, type=KIND)
    return [one.position_id for one in (await servers.alerts.ListAlerts(request)).alerts]


@pytest.mark.parametrize("typed", ["kPEPE", "kpepe", "KPEPE", " kPEPE "])
async def test_alerts_are_listed_and_watched_by_the_asset_in_any_case(
    without_xcom: Servers, typed: str
) -> None:
    id = await _holds(without_xcom, "kPEPE")
    await _cycle(without_xcom)
    assert await _listed(without_xcom, typed) == [id]
    request = pb.WatchAlertsRequest(asset=typed, type=KIND)
    shown = await anext(aiter(without_xcom.attention.WatchAlerts(request)))
    assert [(one.position_id, one.asset) for one in shown.alerts] == [(id, "kPEPE")]


async def test_two_assets_that_differ_by_case_alone_stay_two(without_xcom: Servers) -> None:
    small, large = await _holds(without_xcom, "kPEPE"), await _holds(without_xcom, "KPEPE")
    await _cycle(without_xcom)
    assert await _listed(without_xcom, "kPEPE") == [small]
    assert await _listed(without_xcom, "KPEPE") == [large]
    assert sorted(await _listed(without_xcom, "kpepe")) == sorted([small, large])
    assert [(await _set(without_xcom, name)).asset for name in ("kPEPE", "KPEPE")] == [
        "kPEPE",
        "KPEPE",
    ]
    with pytest.raises(InvalidArgument, match="kpepe is not tracked; one of BTC, KPEPE, kPEPE"):
        await _set(without_xcom, "kpepe")


@pytest.mark.parametrize("typed", ["kPEPE", "kpepe", "KPEPE"])
async def test_a_limit_is_kept_as_the_venue_spells_its_asset_and_judges_it(
    without_xcom: Servers, typed: str
) -> None:
    id = await _holds(without_xcom, "kPEPE")
    await _cycle(without_xcom)
    assert (await without_xcom.alert(KIND, id)).level == pb.LEVEL_NORMAL
    preview = pb.PreviewThresholdRequest(threshold=_limit(typed))
    seen = await without_xcom.thresholds.PreviewThreshold(preview)
    assert (seen.alert_count, seen.raised_count) == (1, 1)
    assert (await _set(without_xcom, typed)).id == f"{DISTANCE}-kPEPE"
    await _cycle(without_xcom)
    assert (await without_xcom.alert(KIND, id)).level == pb.LEVEL_HIGH
    with pytest.raises(AlreadyExists):
        await _set(without_xcom, typed.lower())
    edit = pb.UpdateThresholdRequest(threshold=pb.Threshold(id=f"{DISTANCE}-{typed}", high=5.0))
    edit.update_mask.paths.append("high")
    assert (await without_xcom.thresholds.UpdateThreshold(edit)).id == f"{DISTANCE}-kPEPE"
    await without_xcom.thresholds.DeleteThreshold(
        pb.DeleteThresholdRequest(id=f"{DISTANCE}-{typed}")
    )


@pytest.mark.parametrize("typed", ["kPEPE", "kpepe", "KPEPE"])
@pytest.mark.parametrize("by_file", [False, True])
async def test_a_limit_set_before_the_first_cycle_judges_too(
    without_xcom: Servers, typed: str, by_file: bool
) -> None:
    if by_file:
        rows = [{"type": "LIQUIDATION_DISTANCE", "asset": typed, "high": 30.0}]
        await without_xcom.thresholds.ImportThresholds(
            pb.ImportThresholdsRequest(json=json.dumps({"thresholds": rows}))
        )
    else:
        await _set(without_xcom, typed)
    id = await _holds(without_xcom, "kPEPE")
    await _cycle(without_xcom)
    assert (await without_xcom.alert(KIND, id)).level == pb.LEVEL_HIGH
    preview = pb.PreviewThresholdRequest(threshold=pb.Threshold(id=DISTANCE, high=90.0))
    assert (await without_xcom.thresholds.PreviewThreshold(preview)).alert_count == 0


async def test_a_file_is_taken_in_as_it_was_given_out_and_finds_assets_in_any_case(
    without_xcom: Servers,
) -> None:
    await _holds(without_xcom, "kPEPE")
    await _cycle(without_xcom)
    await _set(without_xcom, "kPEPE")
    file = await without_xcom.thresholds.ExportThresholds(pb.ExportThresholdsRequest())
    for content in (file.json, file.json.replace("kPEPE", "kpepe").replace('"SOL"', '"sol"')):
        taken = await without_xcom.thresholds.ImportThresholds(
            pb.ImportThresholdsRequest(json=content)
        )
        assert (taken.created_count, taken.changed_count) == (0, 0)


async def test_a_price_limit_is_of_the_asset_as_prices_spell_it(without_xcom: Servers) -> None:
    made = await without_xcom.thresholds.CreateThreshold(
        pb.CreateThresholdRequest(
            threshold=_limit(
                "Btc", type=pb.ALERT_TYPE_PRICE_THRESHOLD, condition=pb.CONDITION_ABOVE
            )
        )
    )
    assert made.asset == "BTC"
