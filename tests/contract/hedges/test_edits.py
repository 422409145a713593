"""What people change of hedges, who is told, and what the contract says of itself."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.hedges.v1 import hedges_pb2_grpc as rpc

from shared import errors
from shared.database import migrations
from shared.errors import Conflict, InvalidArgument, NotFound
from shared.rpc.client import Channel
from tests.contract.hedges.conftest import Bench, hedges_of
from tests.fakes.databases import Databases

SERVICE = Path(__file__).parents[3] / "services" / "hedges"
SOON_SECONDS = 5.0


def noted(id: str, note: str, etag: str = "", *paths: str) -> pb.UpdateHedgeRequest:
    return pb.UpdateHedgeRequest(
        hedge=pb.Hedge(id=id, note=note, etag=etag), update_mask=FieldMask(paths=paths)
    )


@pytest.mark.slow
async def test_a_note_is_written_and_stays_when_linked_again(bench: Bench) -> None:
    hedge_id, _, _ = await bench.pair()
    answer = await bench.hedges.UpdateHedge(noted(hedge_id, "keep until June"))
    assert answer.note == "keep until June"
    await bench.link()
    (hedge,) = await bench.listed()
    assert (hedge.note, hedge.etag) == ("keep until June", answer.etag)
    cleared = await bench.hedges.UpdateHedge(noted(hedge_id, "", hedge.etag, "note"))
    assert cleared.note == ""


async def test_an_edit_on_top_of_an_edit_that_was_not_seen_is_refused(bench: Bench) -> None:
    hedge_id, _, _ = await bench.pair()
    seen = (await bench.listed())[0].etag
    await bench.hedges.UpdateHedge(noted(hedge_id, "first", seen))
    with pytest.raises(Conflict) as refused:
        await bench.hedges.UpdateHedge(noted(hedge_id, "second", seen))
    assert refused.value.reason == "ETAG_MISMATCH"
    assert (await bench.listed())[0].note == "first"


async def test_only_the_note_of_a_hedge_that_is_there_can_be_changed(bench: Bench) -> None:
    hedge_id, _, _ = await bench.pair()
    with pytest.raises(InvalidArgument) as refused:
        await bench.hedges.UpdateHedge(noted(hedge_id, "", "", "wallet"))
    assert refused.value.reason == "UNKNOWN_FIELD"
    with pytest.raises(NotFound):
        await bench.hedges.UpdateHedge(noted("hedge-none", "x"))


async def test_a_note_that_holds_a_private_key_is_refused_and_not_kept(bench: Bench) -> None:
    hedge_id, _, _ = await bench.pair()
    key = "9f3c" * 16
    with pytest.raises(InvalidArgument) as refused:
        await bench.hedges.UpdateHedge(noted(hedge_id, f"the key is {key}"))
    assert (refused.value.reason, list(refused.value.fields)) == (
        "PRIVATE_KEY_REFUSED",
        ["hedge.note"],
    )
    assert key not in str(refused.value)
    assert (await bench.listed())[0].note == ""


async def test_the_hedge_of_a_position_is_found_by_it(bench: Bench) -> None:
    hedge_id, long, _ = await bench.pair()
    await bench.hold("BTC", "LONG", "other")
    await bench.hold("BTC", "SHORT", "other")
    await bench.link()
    found = await bench.hedges.ListHedges(pb.ListHedgesRequest(position_id=long))
    assert [hedge.id for hedge in found.hedges] == [hedge_id]


async def test_modifiers_start_at_their_defaults_and_are_set_as_a_whole(bench: Bench) -> None:
    first = await bench.hedges.GetModifiers(pb.GetModifiersRequest())
    assert (first.fee_percentage, first.target_margin, first.adjustment_factor) == (0.234, 60, 1)
    wanted = pb.HedgeModifiers(
        fee_percentage=0, target_margin=40, adjustment_factor=2, etag=first.etag
    )
    second = await bench.hedges.SetModifiers(pb.SetModifiersRequest(modifiers=wanted))
    assert await bench.hedges.GetModifiers(pb.GetModifiersRequest()) == second
    with pytest.raises(Conflict) as refused:
        await bench.hedges.SetModifiers(pb.SetModifiersRequest(modifiers=wanted))
    assert refused.value.reason == "ETAG_MISMATCH"
    lacks = pb.SetModifiersRequest(modifiers=pb.HedgeModifiers(fee_percentage=1))
    with pytest.raises(InvalidArgument) as lacking:
        await bench.hedges.SetModifiers(lacks)
    assert lacking.value.reason == "MODIFIER_MISSING"
    wanted.target_margin = float("inf")
    with pytest.raises(InvalidArgument) as infinite:
        await bench.hedges.SetModifiers(pb.SetModifiersRequest(modifiers=wanted))
    assert infinite.value.reason == "NOT_FINITE"


async def test_modifiers_leave_and_come_back_as_json(bench: Bench) -> None:
    exported = await bench.hedges.ExportModifiers(pb.ExportModifiersRequest())
    changed = exported.content.replace("0.234", "0.5")
    answer = await bench.hedges.ImportModifiers(pb.ImportModifiersRequest(content=changed))
    assert answer.modifiers.fee_percentage == 0.5
    assert (await bench.hedges.ExportModifiers(pb.ExportModifiersRequest())).content == changed
    with pytest.raises(InvalidArgument) as refused:
        await bench.hedges.ImportModifiers(
            pb.ImportModifiersRequest(content=changed.replace("0.5", "-1"))
        )
    assert refused.value.reason == "MODIFIER_NEGATIVE"
    assert (await bench.hedges.ExportModifiers(pb.ExportModifiersRequest())).content == changed


async def following(stream: AsyncIterator[pb.WatchHedgesResponse]) -> pb.WatchHedgesResponse:
    async with asyncio.timeout(SOON_SECONDS):
        return await anext(stream)


async def test_a_watcher_sees_the_present_first_and_then_every_change(bench: Bench) -> None:
    hedge_id, long, _ = await bench.pair()
    call = bench.hedges.WatchHedges(pb.WatchHedgesRequest())
    stream = aiter(call)
    first = await following(stream)
    assert [hedge.id for hedge in first.hedges] == [hedge_id]
    await bench.hedges.UpdateHedge(noted(hedge_id, "seen"))
    assert [hedge.note for hedge in (await following(stream)).hedges] == ["seen"]
    await bench.drop(long)
    await bench.link()
    ended = await following(stream)
    assert (list(ended.hedges), list(ended.unlinked_ids)) == ([], [hedge_id])
    call.cancel()


async def test_a_watcher_of_one_wallet_hears_of_no_other_and_no_hedge_is_told_too(
    bench: Bench,
) -> None:
    await bench.hold("BTC", "LONG", "mine")
    call = bench.hedges.WatchHedges(pb.WatchHedgesRequest(wallet="mine"))
    stream = aiter(call)
    assert not (await following(stream)).hedges
    await bench.pair()
    await bench.hold("BTC", "SHORT", "mine")
    await bench.link()
    assert [hedge.wallet for hedge in (await following(stream)).hedges] == ["mine"]
    call.cancel()


async def test_a_watcher_hears_what_another_replica_wrote(
    bench: Bench, databases: Databases
) -> None:
    await bench.pair()
    async with hedges_of(databases, bench.positions_app, bench.clock) as replica:
        channel = Channel(replica.address)
        stream = aiter(channel.stub(rpc.HedgesServiceStub).WatchHedges(pb.WatchHedgesRequest()))
        assert len((await following(stream)).hedges) == 1
        await bench.hedges.UnlinkHedges(pb.UnlinkHedgesRequest())
        waiting = asyncio.ensure_future(following(stream))
        while not waiting.done():
            # A replica looks once a second.
            bench.clock.advance(0.5)
            await asyncio.wait({waiting}, timeout=0.02)
        assert len(waiting.result().unlinked_ids) == 1
        await channel.stop()


# Raised for us by the plumbing: masks, names, pages, fences, times, validation.
PLUMBING = {
    "UNKNOWN_FIELD",
    "UNKNOWN_NAME",
    "BAD_PAGE_TOKEN",
    "PAGE_TOKEN_MISMATCH",
    "STALE_EPOCH",
    "EPOCH_AHEAD",
    "BAD_TIME",
    "PRIVATE_KEY_REFUSED",
}
# In the contract of an earlier release, and never sent.
GIVEN_UP = {"INVALID_FIELD"}


def raised() -> set[str]:
    known = {name for name in vars(errors) if name[0].isupper()}
    calls = (
        node
        for file in SERVICE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known
    )
    return {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}


def test_every_reason_raised_is_in_the_contract_and_the_reverse() -> None:
    values = pb.DESCRIPTOR.enum_types_by_name["ErrorReason"].values
    named = {value.name.removeprefix("ERROR_REASON_") for value in values} - {"UNSPECIFIED"}
    assert raised() | PLUMBING | GIVEN_UP == named


async def test_the_migrated_schema_equals_the_tables(databases: Databases) -> None:
    await migrations.check(databases.owner_url("hedges"), "hedges", SERVICE / "migrations")


@pytest.mark.parametrize("note", ["x" * 2001, "a\0b"], ids=["long", "zero"])
async def test_a_note_that_no_database_or_reader_wants_is_refused(bench: Bench, note: str) -> None:
    hedge_id, _, _ = await bench.pair()
    with pytest.raises(InvalidArgument):
        await bench.hedges.UpdateHedge(noted(hedge_id, note))
