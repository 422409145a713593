"""WatchPositions: the present first, then each pass's changes; the latest for who is slow."""

from __future__ import annotations

import asyncio

from sonic.positions.v1 import positions_pb2 as pb

LIMIT_SECONDS = 5


class Watching:
    """A stream read one message at a time."""

    def __init__(self, call) -> None:
        self._call = call
        self._messages = aiter(call)

    async def next(self) -> pb.WatchPositionsResponse:
        return await asyncio.wait_for(anext(self._messages), LIMIT_SECONDS)

    def cancel(self) -> None:
        self._call.cancel()


def watch(servers, **wanted) -> Watching:
    return Watching(servers.positions.WatchPositions(pb.WatchPositionsRequest(**wanted)))


async def remark(servers, position_id: str, price_usd: float) -> None:
    changed = pb.Position(id=position_id, mark_price_usd=price_usd)
    await servers.positions.UpdatePosition(pb.UpdatePositionRequest(position=changed))


async def test_the_present_comes_first_and_then_only_what_changed(servers) -> None:
    await servers.create(id="a")
    await servers.create(id="b")
    news = watch(servers)
    first = await news.next()
    assert [one.id for one in first.positions] == ["a", "b"] and not first.gap
    assert first.positions[0] == await servers.positions.GetPosition(pb.GetPositionRequest(id="a"))
    servers.clock.advance(1)
    await remark(servers, "a", 80.0)
    second = await news.next()
    assert [(one.id, one.mark_price_usd, one.travel_percent) for one in second.positions] == [
        ("a", 80, -40)
    ]
    assert second.enriched_time.seconds == first.enriched_time.seconds + 1
    servers.clock.advance(1)
    await servers.create(id="c")
    third = await news.next()
    assert [one.id for one in third.positions] == ["c"]
    assert third.membership_epoch > second.membership_epoch
    servers.clock.advance(1)
    await servers.positions.DeletePosition(pb.DeletePositionRequest(id="b"))
    assert (await news.next()).removed_ids == ["b"]
    news.cancel()


async def test_an_empty_system_answers_at_once(servers) -> None:
    news = watch(servers)
    assert not (await news.next()).positions
    await servers.create(id="a")
    assert [one.id for one in (await news.next()).positions] == ["a"]
    news.cancel()


async def test_a_note_is_a_change_though_no_figure_moves(servers) -> None:
    await servers.create(id="a")
    news = watch(servers)
    await news.next()
    servers.clock.advance(1)
    noted = pb.Position(id="a", note="keep")
    await servers.positions.UpdatePosition(pb.UpdatePositionRequest(position=noted))
    assert [one.note for one in (await news.next()).positions] == ["keep"]
    news.cancel()


async def test_only_the_asset_asked_for_is_told(servers) -> None:
    await servers.create(id="a")
    await servers.create(id="e", asset="ETH")
    news = watch(servers, asset="eth")
    assert [one.id for one in (await news.next()).positions] == ["e"]
    servers.clock.advance(1)
    await remark(servers, "a", 80.0)
    servers.clock.advance(1)
    await remark(servers, "e", 80.0)
    assert [one.id for one in (await news.next()).positions] == ["e"]
    news.cancel()


async def test_passes_of_another_process_are_seen_and_what_was_left_out_is_marked(
    servers, open_system
) -> None:
    await servers.create(id="a")
    other = await open_system()
    news = watch(servers)
    await news.next()
    await remark(other, "a", 80.0)
    await remark(other, "a", 90.0)
    waiting = asyncio.ensure_future(news.next())
    for _ in range(100):
        servers.clock.advance(1)
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        if done:
            break
    latest = await waiting
    assert latest.gap and [one.mark_price_usd for one in latest.positions] == [90.0]
    news.cancel()


async def test_a_large_system_comes_in_pieces(servers) -> None:
    lines = ["id,asset,side,entry_price_usd,size_usd,collateral_usd"]
    lines += [f"p{row:04},BTC,LONG,100,10,1" for row in range(1100)]
    await servers.positions.ImportPositions(
        pb.ImportPositionsRequest(format=pb.FILE_FORMAT_CSV, content="\n".join(lines).encode())
    )
    news = watch(servers)
    sizes = [len((await news.next()).positions) for _ in range(8)]
    assert sizes == [*[150] * 7, 50]
    news.cancel()


async def test_who_watches_alike_is_told_alike_and_who_leaves_takes_nothing_along(servers) -> None:
    await servers.create(id="a")
    watchers = [watch(servers) for _ in range(3)] + [watch(servers, asset="ETH")]
    for watcher in watchers:
        await watcher.next()
    watchers.pop(0).cancel()
    servers.clock.advance(1)
    await remark(servers, "a", 80.0)
    first, second = [await watcher.next() for watcher in watchers[:2]]
    assert first == second and [one.mark_price_usd for one in first.positions] == [80.0]
    servers.clock.advance(1)
    await servers.create(id="e", asset="ETH")
    assert [one.id for one in (await watchers[2].next()).positions] == ["e"]
    for watcher in watchers:
        watcher.cancel()
