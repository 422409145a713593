"""What limits would raise by the last readings, and thresholds taken back to what they were."""

from __future__ import annotations

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.errors import Conflict, FailedPrecondition, NotFound, SonicError
from tests.contract.alerts.conftest import Servers
from tests.contract.alerts.test_limits import DEFAULTS

DISTANCE = "LIQUIDATION_DISTANCE-POSITION-BELOW"
OF_SOL = f"{DISTANCE}-SOL"


async def _preview(servers: Servers, id: str, *limits: float) -> pb.ThresholdPreview:
    low, medium, high = limits
    threshold = pb.Threshold(id=id, low=low, medium=medium, high=high)
    return await servers.thresholds.PreviewThreshold(
        pb.PreviewThresholdRequest(threshold=threshold)
    )


async def _thresholds(servers: Servers) -> dict[str, pb.Threshold]:
    listed = await servers.thresholds.ListThresholds(pb.ListThresholdsRequest(page_size=500))
    return {row.id: row for row in listed.thresholds}


async def test_a_preview_says_who_would_be_raised_and_changes_nothing(
    without_xcom: Servers,
) -> None:
    near = await without_xcom.hold(85.0)
    far = await without_xcom.hold(100.0)
    await without_xcom.create()
    await without_xcom.evaluate()
    entries = len(await without_xcom.entries())

    seen = await _preview(without_xcom, OF_SOL, 30, 6, 5)

    assert (seen.alert_count, seen.unknown_count, seen.raised_count) == (2, 0, 2)
    assert dict(seen.level_count) == {"NORMAL": 0, "LOW": 1, "MEDIUM": 1, "HIGH": 0}
    worst, other = seen.worst
    assert (worst.subject, worst.asset, worst.side) == (near, "SOL", "LONG")
    assert (worst.level, worst.present_level) == (pb.LEVEL_MEDIUM, pb.LEVEL_HIGH)
    assert worst.value == pytest.approx(100 * 5 / 85)
    assert (other.subject, other.level, other.present_level) == (
        far,
        pb.LEVEL_LOW,
        pb.LEVEL_NORMAL,
    )
    assert seen.changed_count == 2
    assert seen.HasField("evaluated_time")
    assert len(await without_xcom.entries()) == entries
    stored = (await _thresholds(without_xcom))[OF_SOL]
    assert (stored.low, stored.medium, stored.high) == DEFAULTS[OF_SOL]


async def test_a_threshold_for_every_asset_leaves_out_those_with_their_own(
    without_xcom: Servers,
) -> None:
    await without_xcom.hold(85.0)
    await without_xcom.hold(85.0, asset="BTC")
    await without_xcom.create()
    await without_xcom.evaluate()
    assert (await _preview(without_xcom, DISTANCE, 90, 80, 70)).alert_count == 1
    assert (await _preview(without_xcom, OF_SOL, 90, 80, 70)).alert_count == 1


async def test_what_has_no_reading_is_counted_apart(without_xcom: Servers) -> None:
    await without_xcom.hold(85.0)
    await without_xcom.create()
    seen = await _preview(without_xcom, OF_SOL, 90, 80, 70)
    assert (seen.alert_count, seen.unknown_count, seen.raised_count) == (1, 1, 0)
    assert not seen.HasField("evaluated_time")


@pytest.mark.parametrize(
    ("id", "limits", "reason"),
    [
        (DISTANCE, (5, 7, 10), "LIMITS_OUT_OF_ORDER"),
        (DISTANCE, (400, 7, 5), "INVALID_FIELD"),
        ("NOTHING", (1, 2, 3), "INVALID_FIELD"),
        (DISTANCE, (float("nan"), 7, 5), "NOT_FINITE"),
    ],
)
async def test_a_preview_refuses_what_an_edit_would(
    without_xcom: Servers, id: str, limits: tuple[float, float, float], reason: str
) -> None:
    with pytest.raises(SonicError) as caught:
        await _preview(without_xcom, id, *limits)
    assert caught.value.reason == reason


async def test_a_reset_brings_back_limits_channels_and_enabled(without_xcom: Servers) -> None:
    before = (await _thresholds(without_xcom))[OF_SOL]
    assert before.has_default and before.default_low == before.low
    edit = pb.UpdateThresholdRequest(threshold=pb.Threshold(id=OF_SOL, low=50, enabled=False))
    edit.update_mask.paths.extend(["low", "enabled"])
    edited = await without_xcom.thresholds.UpdateThreshold(edit)
    with pytest.raises(Conflict, match="ETAG_MISMATCH"):
        await without_xcom.thresholds.ResetThreshold(
            pb.ResetThresholdRequest(id=OF_SOL, etag=before.etag)
        )
    back = await without_xcom.thresholds.ResetThreshold(
        pb.ResetThresholdRequest(id=OF_SOL, etag=edited.etag)
    )
    assert (back.low, back.medium, back.high, back.enabled) == (*DEFAULTS[OF_SOL], True)
    assert (await without_xcom.entries())[-1].reason == "THRESHOLD_CHANGED"


async def test_a_deleted_one_comes_back_and_one_added_by_hand_has_nothing_to_go_back_to(
    without_xcom: Servers,
) -> None:
    await without_xcom.thresholds.DeleteThreshold(pb.DeleteThresholdRequest(id=OF_SOL))
    await without_xcom.thresholds.ResetThreshold(pb.ResetThresholdRequest(id=OF_SOL))
    assert (await _thresholds(without_xcom))[OF_SOL].low == DEFAULTS[OF_SOL][0]
    made = await without_xcom.thresholds.CreateThreshold(
        pb.CreateThresholdRequest(
            threshold=pb.Threshold(
                type=pb.ALERT_TYPE_HEAT_INDEX,
                condition=pb.CONDITION_ABOVE,
                asset="BTC",
                high=90,
            )
        )
    )
    assert not made.has_default
    with pytest.raises(FailedPrecondition, match="THRESHOLD_HAS_NO_DEFAULT"):
        await without_xcom.thresholds.ResetThreshold(pb.ResetThresholdRequest(id=made.id))
    with pytest.raises(NotFound, match="THRESHOLD_NOT_FOUND"):
        await without_xcom.thresholds.ResetThreshold(pb.ResetThresholdRequest(id="NOTHING"))


async def test_every_threshold_of_a_new_system_knows_its_default_and_its_bounds(
    without_xcom: Servers,
) -> None:
    for id, row in (await _thresholds(without_xcom)).items():
        assert (row.default_low, row.default_medium, row.default_high) == DEFAULTS[id]
        assert row.metric
        if row.HasField("lowest_limit"):
            assert row.lowest_limit <= min(DEFAULTS[id])
