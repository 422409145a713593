"""Assets, wallets, tokens, and configuration as a file."""

from __future__ import annotations

import json

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from shared.errors import AlreadyExists, Conflict, InvalidArgument, NotFound
from tests.contract.withdrawals.conftest import Bench

POLICY = "8db269c3ec630e06ae29f74bc39edd1f87c819f1056206e879a1cd61"
FIRST_TOOLS = """
settings: {timezone: "Asia/Tokyo"}
wallets:
  - {name: main, address: addr1qexample}
  - {address_env: OTHER_ADDRESS}
domain: {assets: ["djed", "usdc"]}
data: {date_range: {start: "2025-11-04", end: null}}
prices: {sources: ["liqwid", "minswap", "other"]}
analysis:
  decision:
    reference: {keyword: "alert_driven", fallback: "data_range"}
    gate:
      {enabled: true, basis: corrected_position, method: median, threshold_mode: percentile,
       central_confidence: 0.7, min_points: 30, lookback_hours: 72, sigma_epsilon: 1e-6}
    safety_factor: {c: 0.4}
  price_compare:
    {epsilon_mode: relative, tolerance_epsilon: 0.02, persistence_threshold: 2,
     per_asset_overrides: {usdc: {tolerance_epsilon: 0}}}
runtime: {schedule: {interval_minutes: 60}}
"""


async def update(bench: Bench, asset: pb.Asset, *paths: str) -> pb.Asset:
    request = pb.UpdateAssetRequest(asset=asset, update_mask=FieldMask(paths=paths))
    return await bench.assets.UpdateAsset(request)


async def test_what_is_left_out_of_a_new_asset_is_as_by_default(bench: Bench) -> None:
    made = await bench.watch_djed(gate=pb.GateSettings(k_sigma=3))
    assert made.enabled
    assert made.safety_factor == 0.5
    assert (made.gate.k_sigma, made.gate.method) == (3, pb.GATE_METHOD_ROBUST)
    assert made.price.epsilon == 0.01
    assert list(made.price.sources) == ["liqwid", "minswap", "price"]
    assert made.taken_rule == pb.TAKEN_RULE_ALL
    with pytest.raises(AlreadyExists):
        await bench.watch_djed()


async def test_an_edit_changes_what_it_names_and_nothing_else(bench: Bench) -> None:
    made = await bench.watch_djed(gate=pb.GateSettings(k_sigma=3))
    wanted = pb.Asset(name="djed", price=pb.PriceSettings(epsilon=0), cap_units="12.5")
    after = await update(bench, wanted, "price.epsilon", "cap_units")
    assert (after.price.epsilon, after.cap_units, after.gate) == (0, "12.5", made.gate)
    assert after.etag != made.etag
    with pytest.raises(Conflict) as stale:
        await update(bench, pb.Asset(name="djed", etag=made.etag), "cap_units")
    assert stale.value.reason == "ETAG_MISMATCH"
    with pytest.raises(InvalidArgument) as unknown:
        await update(bench, wanted, "colour")
    assert unknown.value.reason == "UNKNOWN_FIELD"
    back = await update(bench, pb.Asset(name="djed"), "gate.k_sigma", "cap_units")
    assert (back.gate.k_sigma, back.cap_units) == (2, "")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (pb.Asset(name="total"), "asset.name"),
        (pb.Asset(name="djed", wallets=["nobody"]), "asset.wallets"),
        (pb.Asset(name="djed", cap_units="-1"), "asset.cap_units"),
        (pb.Asset(name="djed", cap_units="x"), "asset.cap_units"),
        (pb.Asset(name="djed", fee_units="1e999999"), "asset.fee_units"),
    ],
)
async def test_a_setting_that_breaks_its_rule_is_named(
    bench: Bench, wrong: pb.Asset, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await bench.assets.CreateAsset(pb.CreateAssetRequest(asset=wrong))
    assert (refused.value.reason, list(refused.value.fields)) == ("INVALID_FIELD", [field])


async def test_assets_and_wallets_are_deleted(bench: Bench) -> None:
    made = await bench.watch_djed()
    with pytest.raises(Conflict):
        await bench.assets.DeleteAsset(pb.DeleteAssetRequest(name="djed", etag="9"))
    await bench.assets.DeleteAsset(pb.DeleteAssetRequest(name="djed", etag=made.etag))
    with pytest.raises(NotFound) as missing:
        await bench.assets.DeleteAsset(pb.DeleteAssetRequest(name="djed"))
    assert missing.value.reason == "ASSET_NOT_FOUND"
    await bench.assets.DeleteWallet(pb.DeleteWalletRequest(name="main"))
    with pytest.raises(NotFound):
        await bench.assets.DeleteWallet(pb.DeleteWalletRequest(name="main"))
    assert not (await bench.assets.ListWallets(pb.ListWalletsRequest())).wallets


async def test_a_token_registry_is_taken_or_refused_with_its_line(bench: Bench) -> None:
    good = f"# tokens\nasset,policy_id,token_name_hex\ndjed,{POLICY},446a65644d6963726f555344\n"
    taken = await bench.assets.ImportTokenRegistry(pb.ImportTokenRegistryRequest(content=good))
    assert taken.token_count == 1
    for wrong, said in (
        (f"{good}usdm,{POLICY[:-1]},00\n", "line 4: policy_id"),
        (f"{good}usdm,{POLICY},0\n", "line 4: token_name_hex"),
        (f"djed,{POLICY},00\n", "line 1: the header"),
    ):
        with pytest.raises(InvalidArgument, match=said) as refused:
            await bench.assets.ImportTokenRegistry(pb.ImportTokenRegistryRequest(content=wrong))
        assert refused.value.reason == "BAD_IMPORT"


async def test_the_first_tools_file_is_taken_and_what_has_no_place_is_listed(
    bench: Bench,
) -> None:
    request = pb.ImportConfigRequest(content=FIRST_TOOLS, dry_run=True)
    looked = await bench.assets.ImportConfig(request)
    assert not (await bench.assets.ListAssets(pb.ListAssetsRequest())).assets
    request.dry_run = False
    taken = await bench.assets.ImportConfig(request)
    assert taken == looked
    assert (taken.asset_count, taken.wallet_count) == (2, 1)
    left_out = "\n".join(taken.left_out)
    assert "settings.timezone: has no place here" in left_out
    assert "OTHER_ADDRESS" in left_out
    assert "prices.sources: other is no source here" in left_out
    djed, usdc = (await bench.assets.ListAssets(pb.ListAssetsRequest())).assets
    assert (djed.safety_factor, djed.reference_keyword) == (0.4, "alert_driven")
    assert djed.ref_mode == pb.REF_MODE_DATA_RANGE
    assert djed.range_start_time.ToJsonString() == "2025-11-04T00:00:00Z"
    assert (djed.gate.method, djed.gate.band) == (pb.GATE_METHOD_MEDIAN, pb.GATE_BAND_QUANTILE)
    assert djed.gate.lookback.ToTimedelta().total_seconds() == 72 * 3600
    assert (djed.price.epsilon, usdc.price.epsilon) == (0.02, 0)
    schedule = await bench.advisor.GetSchedule(pb.GetScheduleRequest())
    assert schedule.interval.ToSeconds() == 3600


async def test_every_problem_of_a_file_is_said_at_once(bench: Bench) -> None:
    wrong = FIRST_TOOLS.replace("c: 0.4", "c: 4").replace("method: median", "method: magic")
    answer = await bench.assets.ValidateConfig(pb.ValidateConfigRequest(content=wrong))
    assert answer.config_json == ""
    assert "analysis" not in answer.config_json
    text = "\n".join(answer.problems)
    assert "djed: safety_factor: 0.0 to 1.0" in text
    assert "gate.method: one of median" in text
    with pytest.raises(InvalidArgument) as refused:
        await bench.assets.ImportConfig(pb.ImportConfigRequest(content=wrong))
    assert refused.value.reason == "BAD_IMPORT"
    assert (await bench.assets.ValidateConfig(pb.ValidateConfigRequest(content="a: ["))).problems


async def test_what_is_stored_is_a_file_that_can_be_taken_again(bench: Bench) -> None:
    await bench.watch_djed(cap_units="12.5", gate=pb.GateSettings(k_sigma=3))
    stored = await bench.assets.ValidateConfig(pb.ValidateConfigRequest())
    document = json.loads(stored.config_json)
    assert document["assets"][0]["gate"]["k_sigma"] == 3
    await bench.assets.DeleteAsset(pb.DeleteAssetRequest(name="djed"))
    await bench.assets.ImportConfig(pb.ImportConfigRequest(content=stored.config_json))
    (djed,) = (await bench.assets.ListAssets(pb.ListAssetsRequest())).assets
    assert (djed.cap_units, djed.gate.k_sigma) == ("12.5", 3)
    document["assets"][0]["colour"] = "red"
    answer = await bench.assets.ValidateConfig(
        pb.ValidateConfigRequest(content=json.dumps(document))
    )
    assert list(answer.problems) == ["assets.1.colour: is not known"]
