"""What runs without being asked: updates for watchers, retention of the history."""

from collections.abc import AsyncIterator, Awaitable, Callable

from services.price.domain.prices import News
from services.price.store.rows import Changes
from shared.clock import Clock
from shared.feed import Feed
from shared.lifecycle import Loop
from shared.log import get_logger

_TRIM_SECONDS = 3600.0
# The first prices come before a year of candles.
_MOVES_DELAY_SECONDS = 2.0
# Changes that wait for a watcher; one that is further behind gets the present state.
_WAITING_LIMIT = 16


def retention(trim: Callable[[], Awaitable[int]], clock: Clock) -> Loop:
    """Deletes what the history keeps no longer, at the start and every hour."""

    async def body() -> float:
        if count := await trim():
            get_logger().info("price history trimmed", row_count=count)
        return _TRIM_SECONDS

    return Loop("price history trimming", body, clock)


def learning(refresh: Callable[[], Awaitable[float]], clock: Clock) -> Loop:
    """Makes the moves of the touch probability anew after each hour, beside everything else."""
    return Loop("price moves", refresh, clock, first_delay_seconds=_MOVES_DELAY_SECONDS)


class PriceFeed(Feed[Changes]):
    """The changes after a revision, whoever made them."""

    def __init__(
        self,
        revision: Callable[[], Awaitable[int]],
        changes: Callable[[int], Awaitable[Changes]],
        clock: Clock,
    ) -> None:
        async def present() -> Changes:
            return await changes(0)

        async def changed(seen: Changes) -> Changes | None:
            if await revision() == seen.revision:
                return None
            return await changes(seen.revision)

        super().__init__("price feed", present, clock, changed=changed, kept_count=_WAITING_LIMIT)

    async def news(self) -> AsyncIterator[News]:
        """The present state first, then every change."""
        revision = -1
        async for changes, gap in self.watch():
            if changes.reset:
                # What was deleted is no change of a price.
                changes, gap = await self._present(), True
            if changes.revision > revision or gap:
                revision = changes.revision
                yield News(changes.prices, gap)
