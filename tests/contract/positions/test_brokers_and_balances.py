"""Brokers, balances, freshness, filters of wallets, read masks and what is forgotten by age."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from shared.errors import AlreadyExists, InvalidArgument, NotFound


async def add(servers, name: str, **fields) -> pb.Broker:
    return await servers.brokers.CreateBroker(
        pb.CreateBrokerRequest(broker=pb.Broker(name=name, **fields))
    )


async def test_a_broker_is_created_read_changed_and_deleted(servers) -> None:
    made = await add(servers, "kraken", web_address="https://kraken.example", total_holding_usd=5)
    assert await servers.brokers.GetBroker(pb.GetBrokerRequest(name="kraken")) == made
    with pytest.raises(AlreadyExists, match="BROKER_EXISTS"):
        await add(servers, "kraken")
    servers.clock.advance(1)
    changed = await servers.brokers.UpdateBroker(
        pb.UpdateBrokerRequest(broker=pb.Broker(name="kraken", total_holding_usd=7))
    )
    assert changed.total_holding_usd == 7 and changed.web_address == made.web_address
    assert changed.updated_time.seconds == made.updated_time.seconds + 1
    await servers.brokers.DeleteBroker(pb.DeleteBrokerRequest(name="kraken"))
    for call, request in (
        ("GetBroker", pb.GetBrokerRequest(name="kraken")),
        ("UpdateBroker", pb.UpdateBrokerRequest(broker=pb.Broker(name="kraken"))),
        ("DeleteBroker", pb.DeleteBrokerRequest(name="kraken")),
    ):
        with pytest.raises(NotFound, match="BROKER_NOT_FOUND"):
            await getattr(servers.brokers, call)(request)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": ""}, "INVALID_FIELD"),
        ({"name": "a", "web_address": "javascript:alert(1)"}, "INVALID_FIELD"),
        ({"name": "a", "total_holding_usd": -1}, "INVALID_FIELD"),
        ({"name": "a", "total_holding_usd": float("nan")}, "NOT_FINITE"),
        ({"name": "a", "image_path": "0x" + "ab" * 32}, "PRIVATE_KEY_REFUSED"),
    ],
)
async def test_a_broker_that_breaks_a_rule_is_refused(servers, fields, reason) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        await servers.brokers.CreateBroker(pb.CreateBrokerRequest(broker=pb.Broker(**fields)))


@pytest.mark.parametrize(
    ("order_by", "names"),
    [
        ("", ["a", "b", "c"]),
        ("name desc", ["c", "b", "a"]),
        ("updated_time", ["b", "c", "a"]),
        ("updated_time desc", ["a", "c", "b"]),
    ],
)
async def test_brokers_are_listed_in_order_over_pages(servers, order_by, names) -> None:
    for name in ("b", "c", "a"):
        await add(servers, name)
        servers.clock.advance(1)
    found, token = [], ""
    while True:
        page = await servers.brokers.ListBrokers(
            pb.ListBrokersRequest(order_by=order_by, page_size=1, page_token=token)
        )
        found += [one.name for one in page.brokers]
        token = page.next_page_token
        if not token:
            break
    assert found == names


async def test_balances_add_what_is_known_and_count_what_is_not(servers) -> None:
    await servers.create(wallet="paper", mark_price_usd=100.0)
    for name, balance in (("rich", 50.0), ("blank", None)):
        wallet = pb.Wallet(name=name, chain=pb.CHAIN_MANUAL)
        if balance is not None:
            wallet.balance_usd = balance
        await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=wallet))
    await add(servers, "a", total_holding_usd=5)
    await add(servers, "b")
    found = await servers.portfolio.GetBalances(pb.GetBalancesRequest())
    assert (found.total_wallets_usd, found.total_brokers_usd, found.total_usd) == (
        150.0,
        5.0,
        155.0,
    )
    assert (found.absent_wallet_count, found.absent_broker_count) == (1, 1)


async def test_freshness_says_when_and_by_whom_and_what_failed(servers) -> None:
    for asset in ("BTC", "ETH", "SOL"):
        servers.price.set(asset, 100.0, age_seconds=5)
    now = servers.clock.now()
    await servers.positions.SyncPositions(pb.SyncPositionsRequest())
    servers.price.down = True
    await servers.positions.SyncPositions(pb.SyncPositionsRequest())
    found = (await servers.portfolio.GetFreshness(pb.GetFreshnessRequest())).stamps
    by = {(stamp.kind, stamp.name): stamp for stamp in found}
    prices = by[pb.FRESHNESS_KIND_PRICES, ""]
    assert prices.failed and not prices.HasField("update_time")
    assert by[pb.FRESHNESS_KIND_POSITIONS, ""].update_time.seconds == int(now.timestamp())
    venue = by[pb.FRESHNESS_KIND_VENUE, "demo"]
    assert venue.failed and venue.update_time.seconds == int(now.timestamp())
    wallet = by[pb.FRESHNESS_KIND_WALLET, "demo-main"]
    assert (
        wallet.failed and wallet.reason == "PRICES_UNAVAILABLE" and wallet.HasField("update_time")
    )
    servers.price.down = False
    again = (await servers.portfolio.GetFreshness(pb.GetFreshnessRequest())).stamps[0]
    assert not again.failed and again.update_time.seconds == int(now.timestamp()) - 5


async def test_wallets_are_filtered_and_ordered(servers) -> None:
    for name, kind, tags in (
        ("b", pb.WALLET_TYPE_BOT, ["x", "y"]),
        ("a", pb.WALLET_TYPE_PERSONAL, ["y"]),
    ):
        wallet = pb.Wallet(name=name, chain=pb.CHAIN_MANUAL, type=kind, tags=tags)
        await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=wallet))
        servers.clock.advance(1)
    idle = pb.UpdateWalletRequest(wallet=pb.Wallet(name="a"))
    idle.update_mask.paths.append("active")
    await servers.wallets.UpdateWallet(idle)

    async def names(**asked) -> list[str]:
        answer = await servers.wallets.ListWallets(pb.ListWalletsRequest(**asked))
        return [one.name for one in answer.wallets]

    assert await names() == ["a", "b"]
    assert await names(order_by="created_time") == await names(order_by="name desc") == ["b", "a"]
    assert await names(tag="x") == await names(active_only=True) == await names(type=2) == ["b"]


async def test_a_read_mask_leaves_only_what_was_asked_for(servers) -> None:
    await servers.create(id="a")
    await servers.portfolio.RecordSnapshot(pb.RecordSnapshotRequest())
    await add(servers, "b")
    await servers.sessions.StartSession(pb.StartSessionRequest(name="s"))
    for call, request, field, rows in (
        (servers.positions.ListPositions, pb.ListPositionsRequest, "heat_index", "positions"),
        (servers.wallets.ListWallets, pb.ListWalletsRequest, "name", "wallets"),
        (servers.portfolio.ListSnapshots, pb.ListSnapshotsRequest, "snapshot_time", "snapshots"),
        (servers.brokers.ListBrokers, pb.ListBrokersRequest, "name", "brokers"),
        (servers.sessions.ListSessions, pb.ListSessionsRequest, "name", "sessions"),
    ):
        asked = request()
        asked.read_mask.paths.append(field)
        (row,) = getattr(await call(asked), rows)
        assert [descriptor.name for descriptor, _ in row.ListFields()] == [field]
        asked.read_mask.paths.append("colour")
        with pytest.raises(InvalidArgument, match="UNKNOWN_FIELD"):
            await call(asked)


@pytest.mark.slow
async def test_what_is_old_is_forgotten_and_what_is_needed_stays(open_system) -> None:
    servers = await open_system(
        closed_retention_days=2, snapshot_retention_days=2, request_retention_days=2
    )
    await servers.create(id="gone")
    await servers.create(id="kept")
    await servers.portfolio.RecordSnapshot(pb.RecordSnapshotRequest())
    entry = pb.Snapshot(totals=pb.Totals(total_value_usd=1))
    await servers.portfolio.CreateSnapshot(pb.CreateSnapshotRequest(snapshot=entry))
    servers.clock.advance(1)
    session = await servers.sessions.StartSession(pb.StartSessionRequest())
    await servers.portfolio.RecordSnapshot(pb.RecordSnapshotRequest())
    closing = pb.Position(id="gone", status=pb.STATUS_CLOSED)
    await servers.positions.UpdatePosition(pb.UpdatePositionRequest(position=closing))

    async def left() -> tuple[int, int]:
        positions = await servers.positions.ListPositions(
            pb.ListPositionsRequest(all_statuses=True)
        )
        snapshots = await servers.portfolio.ListSnapshots(pb.ListSnapshotsRequest())
        return len(positions.positions), len(snapshots.snapshots)

    servers.clock.advance(timedelta(days=1).total_seconds())
    assert await left() == (2, 3)
    servers.clock.advance(timedelta(days=2).total_seconds())
    # Of the snapshots go those before the open session; entries by hand stay.
    await settled(servers, left, (1, 2))
    await servers.sessions.EndSession(pb.EndSessionRequest(id=session.id))
    await settled(servers, left, (1, 1))


@pytest.mark.slow
async def test_what_people_keep_has_an_age_too(open_system) -> None:
    servers = await open_system(session_retention_days=500)
    entry = pb.Snapshot(totals=pb.Totals(total_value_usd=1))
    await servers.portfolio.CreateSnapshot(pb.CreateSnapshotRequest(snapshot=entry))
    ended = await servers.sessions.StartSession(pb.StartSessionRequest())
    await servers.sessions.EndSession(pb.EndSessionRequest(id=ended.id))
    present = await servers.sessions.StartSession(pb.StartSessionRequest())
    await servers.portfolio.RecordSnapshot(pb.RecordSnapshotRequest())

    async def left() -> tuple[list[str], int]:
        sessions = await servers.sessions.ListSessions(pb.ListSessionsRequest())
        snapshots = await servers.portfolio.ListSnapshots(pb.ListSnapshotsRequest())
        return sorted(one.id for one in sessions.sessions), len(snapshots.snapshots)

    servers.clock.advance(timedelta(days=499).total_seconds())
    assert await left() == (sorted([ended.id, present.id]), 2)
    servers.clock.advance(timedelta(days=2).total_seconds())
    # The open session stays; what is behind its first figures does not grow for ever.
    await settled(servers, left, ([present.id], 0))


async def settled(servers, read, expected) -> None:
    """Waits for the loop, which runs beside us and rests an hour."""
    for _ in range(100):
        if await read() == expected:
            return
        servers.clock.advance(60)
        await asyncio.sleep(0.02)
    assert await read() == expected
