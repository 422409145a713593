"""Wallets over gRPC: checked addresses, no private keys, addresses never in the log."""

from __future__ import annotations

import asyncio

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.positions.v1 import positions_pb2 as pb

from shared.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound

ADDRESS = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
PRIVATE_KEY = "0x" + "4c0883a69102937d6231471b5dbb6204fe512961708279f3e2e9a1d1e5b3c7f8"


async def create(servers, name: str = "main", **fields) -> pb.Wallet:
    terms = {"chain": pb.CHAIN_SOLANA, "public_address": ADDRESS}
    return await servers.wallets.CreateWallet(
        pb.CreateWalletRequest(wallet=pb.Wallet(name=name, **{**terms, **fields}))
    )


async def test_a_wallet_is_made_active_read_changed_and_deleted(servers) -> None:
    made = await create(servers, tags=["cold"], type=pb.WALLET_TYPE_BOT)
    assert made.active and made.type == pb.WALLET_TYPE_BOT and not made.HasField("balance_usd")
    assert await servers.wallets.GetWallet(pb.GetWalletRequest(name="main")) == made
    changed = await servers.wallets.UpdateWallet(
        pb.UpdateWalletRequest(
            wallet=pb.Wallet(name="main", balance_usd=12.5),
            update_mask=FieldMask(paths=["active", "balance_usd"]),
        )
    )
    assert not changed.active and changed.balance_usd == 12.5 and list(changed.tags) == ["cold"]
    assert (await servers.positions.GetMode(pb.GetModeRequest())).mode == pb.MODE_DEMO
    await servers.wallets.DeleteWallet(pb.DeleteWalletRequest(name="main"))
    with pytest.raises(NotFound, match="WALLET_NOT_FOUND"):
        await servers.wallets.GetWallet(pb.GetWalletRequest(name="main"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"public_address": "nonsense!"}, "BAD_ADDRESS"),
        ({"public_address": ""}, "BAD_ADDRESS"),
        ({"public_address": PRIVATE_KEY}, "PRIVATE_KEY_REFUSED"),
        ({"tags": [PRIVATE_KEY]}, "PRIVATE_KEY_REFUSED"),
        ({"image_path": PRIVATE_KEY}, "PRIVATE_KEY_REFUSED"),
        ({"name": ""}, "INVALID_FIELD"),
        ({"chain": 0}, "INVALID_FIELD"),
        ({"balance_native": -1.0}, "INVALID_FIELD"),
        ({"balance_usd": -0.01}, "INVALID_FIELD"),
    ],
)
async def test_a_bad_wallet_is_refused_without_repeating_it(
    servers, capsys, fields, reason
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await create(servers, **fields)
    assert refused.value.reason == reason
    told = f"{refused.value} {refused.value.fields} {capsys.readouterr()}"
    assert PRIVATE_KEY not in told
    assert not (await servers.wallets.ListWallets(pb.ListWalletsRequest())).wallets


async def test_a_note_that_looks_like_a_key_is_refused(servers) -> None:
    with pytest.raises(InvalidArgument, match="PRIVATE_KEY_REFUSED"):
        await servers.create(note=PRIVATE_KEY)
    made = await servers.create()
    with pytest.raises(InvalidArgument, match="PRIVATE_KEY_REFUSED"):
        await servers.positions.UpdatePosition(
            pb.UpdatePositionRequest(position=pb.Position(id=made.id, note=PRIVATE_KEY))
        )


async def test_a_name_is_taken_once(servers) -> None:
    await create(servers)
    with pytest.raises(AlreadyExists, match="WALLET_EXISTS"):
        await create(servers)


async def test_a_wallet_that_holds_positions_goes_by_force_only(servers) -> None:
    made = await servers.create()
    with pytest.raises(FailedPrecondition, match="WALLET_IN_USE"):
        await servers.wallets.DeleteWallet(pb.DeleteWalletRequest(name="manual"))
    gone = await servers.wallets.DeleteWallet(pb.DeleteWalletRequest(name="manual", force=True))
    assert gone.deleted_position_count == 1
    with pytest.raises(NotFound, match="POSITION_NOT_FOUND"):
        await servers.positions.GetPosition(pb.GetPositionRequest(id=made.id))
    assert (await servers.portfolio.GetTotals(pb.GetTotalsRequest())).position_count == 0


async def test_wallets_are_listed_by_name_chain_and_page(servers) -> None:
    for name in ("c", "a", "b"):
        await create(servers, name)
    await servers.create()
    page = await servers.wallets.ListWallets(pb.ListWalletsRequest(page_size=2))
    rest = await servers.wallets.ListWallets(
        pb.ListWalletsRequest(page_size=2, page_token=page.next_page_token)
    )
    assert [one.name for one in [*page.wallets, *rest.wallets]] == ["a", "b", "c", "manual"]
    assert rest.wallets[1].balance_usd == -150.0, "the value of its positions"
    manual = await servers.wallets.ListWallets(pb.ListWalletsRequest(chain=pb.CHAIN_MANUAL))
    assert [one.name for one in manual.wallets] == ["manual"]


async def test_the_address_is_never_logged(servers, capsys) -> None:
    await create(servers)
    syncing = asyncio.ensure_future(servers.positions.SyncPositions(pb.SyncPositionsRequest()))
    while not syncing.done():
        # The venue cannot be reached; its retries wait for this clock.
        servers.clock.advance(1)
        await asyncio.wait([syncing], timeout=0.01)
    assert syncing.result().failed_count == 1
    told = capsys.readouterr()
    assert ADDRESS not in told.out + told.err
