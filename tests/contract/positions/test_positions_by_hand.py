"""Positions entered by hand: created, read, changed, deleted;
totals and columns right after each."""

import math

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.positions.v1 import positions_pb2 as pb

from shared import columns
from shared.errors import AlreadyExists, InvalidArgument, NotFound


async def _columns(servers, *names):
    stream = servers.columns.ReadColumns(pb.ReadColumnsRequest(columns=names))
    parts = [part async for part in stream]
    return parts, [columns.decode(part) for part in parts]


async def test_a_position_by_hand_is_enriched_at_once(servers) -> None:
    made = await servers.create()
    assert made.wallet == "manual" and made.venue == "manual" and made.id.startswith("pos-")
    assert made.status == pb.STATUS_ACTIVE
    assert made.travel_percent == -50.0
    assert math.isclose(made.heat_index, 46.46159641987431, rel_tol=1e-9)
    assert made.value_usd == -150.0 and made.liquidation_distance_percent == pytest.approx(100 / 3)
    assert not made.HasField("market_price_usd") and not made.HasField("liquidation_probability")
    assert await servers.positions.GetPosition(pb.GetPositionRequest(id=made.id)) == made


async def test_totals_are_right_after_every_change(servers) -> None:
    first = await servers.create()
    await servers.create(
        side=pb.SIDE_SHORT, liquidation_price_usd=150.0, mark_price_usd=110.0, size_usd=3000.0
    )
    totals = await servers.portfolio.GetTotals(pb.GetTotalsRequest())
    assert (totals.position_count, totals.total_size_usd) == (2, 4000.0)
    assert (totals.total_long_size_usd, totals.total_short_size_usd) == (1000.0, 3000.0)
    assert totals.avg_travel_percent == pytest.approx((-50.0 * 1000 - 20.0 * 3000) / 4000)
    await servers.positions.UpdatePosition(
        pb.UpdatePositionRequest(position=pb.Position(id=first.id, size_usd=2000.0))
    )
    assert (await servers.portfolio.GetTotals(pb.GetTotalsRequest())).total_size_usd == 5000.0
    await servers.positions.DeletePosition(pb.DeletePositionRequest(id=first.id))
    assert (await servers.portfolio.GetTotals(pb.GetTotalsRequest())).total_size_usd == 3000.0


async def test_an_empty_system_streams_one_message_with_its_epoch(servers) -> None:
    parts, _ = await _columns(servers, "heat_index")
    assert len(parts) == 1 and parts[0].total_count == 0 and parts[0].membership_epoch >= 1


async def test_columns_hold_what_was_asked_and_the_key(servers) -> None:
    made = await servers.create()
    await servers.create(
        asset="ETH", side=pb.SIDE_SHORT, liquidation_price_usd=None, mark_price_usd=None
    )
    parts, (decoded,) = await _columns(
        servers, "asset_index", "side_sign", "heat_index", "position_id"
    )
    assert parts[0].position_id[0] == made.id and parts[0].total_count == 2
    assert [parts[0].asset_names[index] for index in decoded["asset_index"]] == ["BTC", "ETH"]
    assert decoded["side_sign"].tolist() == [1, -1]
    assert math.isnan(decoded["heat_index"][1]) and len(decoded["size_usd"]) == 0
    assert (decoded["position_key"][1:] > decoded["position_key"][:-1]).all()


async def test_an_unknown_column_is_refused_with_the_known_ones(servers) -> None:
    with pytest.raises(InvalidArgument, match=r"UNKNOWN_COLUMN.*heat_index"):
        await _columns(servers, "heat")


async def test_the_membership_epoch_moves_with_members_only(servers) -> None:
    async def epoch() -> int:
        parts, _ = await _columns(servers)
        return parts[0].membership_epoch

    made = await servers.create()
    before = await epoch()
    await servers.positions.UpdatePosition(
        pb.UpdatePositionRequest(position=pb.Position(id=made.id, mark_price_usd=80.0))
    )
    await servers.positions.EnrichPositions(pb.EnrichPositionsRequest())
    assert await epoch() == before
    await servers.positions.DeletePosition(pb.DeletePositionRequest(id=made.id))
    assert await epoch() > before


async def test_a_taken_id_is_refused_and_a_repeated_request_is_not(servers) -> None:
    request = pb.CreatePositionRequest(
        request_id="r1",
        position=pb.Position(
            id="mine",
            asset="btc",
            side=pb.SIDE_LONG,
            entry_price_usd=1.0,
            size_usd=1.0,
            collateral_usd=1.0,
        ),
    )
    first = await servers.positions.CreatePosition(request)
    assert await servers.positions.CreatePosition(request) == first and first.asset == "BTC"
    request.request_id = ""
    with pytest.raises(AlreadyExists, match="POSITION_EXISTS"):
        await servers.positions.CreatePosition(request)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"entry_price_usd": 0.0}, "entry_price_usd"),
        ({"entry_price_usd": None}, "entry_price_usd"),
        ({"size_usd": -1.0}, "size_usd"),
        ({"collateral_usd": -1.0}, "collateral_usd"),
        ({"liquidation_price_usd": 0.0}, "liquidation_price_usd"),
        ({"asset": ""}, "asset"),
        ({"asset": "B\x1bTC"}, "asset"),
        ({"id": "a\x1b[2Jb"}, "id"),
        ({"wallet": "a\nb"}, "wallet"),
        ({"side": 0}, "side"),
    ],
)
async def test_a_broken_field_is_named(servers, fields, named) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await servers.create(**fields)
    assert refused.value.reason == "INVALID_FIELD" and f"position.{named}" in refused.value.fields


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
async def test_a_number_that_is_not_finite_is_refused(servers, value) -> None:
    with pytest.raises(InvalidArgument, match="NOT_FINITE"):
        await servers.create(size_usd=value)


async def test_a_wallet_that_is_not_there_comes_with_the_first_position_in_it(servers) -> None:
    await servers.create(wallet="by-hand")
    await servers.create(wallet="by-hand")
    found = await servers.wallets.GetWallet(pb.GetWalletRequest(name="by-hand"))
    assert found.chain == pb.CHAIN_MANUAL


async def test_a_wallet_name_that_looks_like_a_secret_is_refused_and_not_repeated(servers) -> None:
    secret = "ab" * 32
    with pytest.raises(InvalidArgument, match="PRIVATE_KEY_REFUSED") as refused:
        await servers.create(wallet=secret)
    assert secret not in str(refused.value)


async def test_an_unset_field_of_the_mask_takes_the_mark_away(servers) -> None:
    made = await servers.create()
    changed = await servers.positions.UpdatePosition(
        pb.UpdatePositionRequest(
            position=pb.Position(id=made.id), update_mask=FieldMask(paths=["mark_price_usd"])
        )
    )
    assert not changed.HasField("mark_price_usd") and pb.FLAG_MARK_MISSING in changed.flags
    assert not changed.HasField("heat_index")


async def test_what_cannot_be_changed_is_refused(servers) -> None:
    made = await servers.create()
    with pytest.raises(InvalidArgument, match="UNKNOWN_FIELD"):
        await servers.positions.UpdatePosition(
            pb.UpdatePositionRequest(
                position=pb.Position(id=made.id), update_mask=FieldMask(paths=["heat_index"])
            )
        )
    with pytest.raises(InvalidArgument, match="INVALID_FIELD"):
        await servers.positions.UpdatePosition(
            pb.UpdatePositionRequest(position=pb.Position(id=made.id, status=pb.STATUS_STALE))
        )


async def test_an_inactive_position_is_kept_and_not_judged(servers) -> None:
    made = await servers.create()
    changed = await servers.positions.UpdatePosition(
        pb.UpdatePositionRequest(position=pb.Position(id=made.id, status=pb.STATUS_INACTIVE))
    )
    assert changed.status == pb.STATUS_INACTIVE and not changed.HasField("heat_index")
    assert (await servers.portfolio.GetTotals(pb.GetTotalsRequest())).position_count == 0


async def test_deleting_all_needs_the_word(servers) -> None:
    await servers.create()
    with pytest.raises(InvalidArgument, match="NOT_CONFIRMED"):
        await servers.positions.DeleteAllPositions(pb.DeleteAllPositionsRequest(confirm="yes"))
    answer = await servers.positions.DeleteAllPositions(
        pb.DeleteAllPositionsRequest(confirm="delete")
    )
    assert answer.deleted_count == 1
    assert (await servers.portfolio.GetTotals(pb.GetTotalsRequest())).position_count == 0


async def test_a_position_that_is_not_there_is_not_found(servers) -> None:
    for call in (
        servers.positions.GetPosition(pb.GetPositionRequest(id="x")),
        servers.positions.DeletePosition(pb.DeletePositionRequest(id="x")),
        servers.positions.UpdatePosition(
            pb.UpdatePositionRequest(position=pb.Position(id="x", size_usd=1.0))
        ),
        servers.positions.EvaluateAtPrice(
            pb.EvaluateAtPriceRequest(position_id="x", prices_usd=[1.0])
        ),
    ):
        with pytest.raises(NotFound, match="POSITION_NOT_FOUND"):
            await call


async def test_what_cannot_be_meant_is_refused_by_name_when_created_and_when_changed(
    servers,
) -> None:
    servers.price.set("BTC", 91_250.0)
    wrong = {
        "entry_price_usd": {"entry_price_usd": 912.0, "mark_price_usd": None},
        "mark_price_usd": {"entry_price_usd": 90_000.0, "mark_price_usd": 9.1e9},
        "size_usd": {"entry_price_usd": 90_000.0, "mark_price_usd": None, "size_usd": 0.5},
    }
    for field, terms in wrong.items():
        with pytest.raises(InvalidArgument) as refused:
            await servers.create(**terms)
        assert (refused.value.reason, set(refused.value.fields)) == (
            "IMPLAUSIBLE",
            {f"position.{field}"},
        )
    meant = await servers.create(
        entry_price_usd=90_000.0, liquidation_price_usd=80_000.0, mark_price_usd=91_000.0
    )
    change = pb.Position(id=meant.id, mark_price_usd=91.0)
    with pytest.raises(InvalidArgument) as refused:
        await servers.positions.UpdatePosition(pb.UpdatePositionRequest(position=change))
    assert set(refused.value.fields) == {"position.mark_price_usd"}
    noted = pb.Position(id=meant.id, note="a note is no figure")
    assert (await servers.positions.UpdatePosition(pb.UpdatePositionRequest(position=noted))).note
