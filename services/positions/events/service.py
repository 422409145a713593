"""Events as people and other services read them."""

from collections.abc import Sequence

from services.positions.service.ports import Begin
from services.positions.sync.domain.events import PositionEvent
from shared import paging
from shared.paging import Page


class EventsService:
    """Reads events."""

    def __init__(self, read: Begin) -> None:
        self._read = read

    async def list(
        self,
        after_sequence: int | None,
        page_size: int,
        page_token: str,
        position_ids: Sequence[str] = (),
        kinds: Sequence[int] = (),
    ) -> Page[PositionEvent]:
        """Newest first; of those after a sequence the oldest first; no ids, no kinds: of all.
        InvalidArgument BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH.
        """
        context = paging.context("events", after_sequence, *position_ids, *kinds)
        request = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            found = await store.events.page(request, after_sequence, position_ids, kinds)
        return paging.cut(found, request, context, lambda event: (event.sequence,))
