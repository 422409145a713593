"""Sessions and the strategy, judged by the value of the portfolio as last enriched."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from services.positions.service.ports import Begin
from services.positions.service.sorting import ordered
from services.positions.sessions.domain import Session, SessionStatus, Strategy, drawdown
from services.positions.store import Store
from services.positions.wallets.domain.addresses import refuse_secret
from shared import paging
from shared.clock import Clock
from shared.errors import FailedPrecondition, NotFound, invalid
from shared.names import new_id
from shared.paging import Page

STRATEGY_CHANGEABLE = ("start_value_usd", "description")


class SessionsService:
    """Use cases of sessions and of the strategy."""

    def __init__(self, begin: Begin, read: Begin, clock: Clock) -> None:
        self._begin = begin
        self._read = read
        self._clock = clock

    async def start(self, name: str, note: str) -> Session:
        """Open one at the present value. Raises SESSION_OPEN, PRIVATE_KEY_REFUSED."""
        refuse_secret(name, "name")
        refuse_secret(note, "note")
        now, session_id = self._clock.now(), new_id("ses")
        async with self._begin() as store:
            value = (await store.enrichment.totals()).total_value_usd
            if not await store.sessions.open(session_id, name.strip(), note, value, now):
                raise FailedPrecondition("SESSION_OPEN", "a session is open already; end it first")
            return await self._judged(store, _there(await store.sessions.find(session_id)), now)

    async def end(self, session_id: str) -> Session:
        """Close it at the present value. Raises SESSION_NOT_FOUND, SESSION_ENDED."""
        now = self._clock.now()
        async with self._begin() as store:
            kept = _there(await store.sessions.find(session_id, lock=True))
            if kept.status is SessionStatus.ENDED:
                raise FailedPrecondition(
                    "SESSION_ENDED", "the session has ended; its figures are final"
                )
            judged = await self._judged(store, kept, now)
            ended = replace(judged, status=SessionStatus.ENDED, ended_time=now)
            await store.sessions.end(ended)
        return ended

    async def get(self, session_id: str) -> Session:
        """Raises NotFound SESSION_NOT_FOUND."""
        async with self._read() as store:
            kept = _there(await store.sessions.find(session_id))
            return await self._judged(store, kept, self._clock.now())

    async def list(
        self, status: SessionStatus | None, order_by: str, page_size: int, page_token: str
    ) -> Page[Session]:
        """Newest first by default. Raises UNKNOWN_NAME, BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH."""
        _, descending = ordered(order_by or "started_time desc", ("started_time",))
        context = paging.context("sessions", status, descending)
        request = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            rows = await store.sessions.page(request, status, descending=descending)
            page = paging.cut(rows, request, context, lambda row: (row.started_time, row.id))
            now = self._clock.now()
            return Page(
                [await self._judged(store, kept, now) for kept in page.rows], page.next_page_token
            )

    async def strategy(self) -> Strategy:
        """With the present value."""
        async with self._read() as store:
            value = (await store.enrichment.totals()).total_value_usd
            return replace(await store.sessions.strategy(), value_usd=value)

    async def update_strategy(self, values: Mapping[str, object]) -> Strategy:
        """`values` by names of STRATEGY_CHANGEABLE. Raises INVALID_FIELD, PRIVATE_KEY_REFUSED."""
        refuse_secret(str(values.get("description", "")), "strategy.description")
        async with self._begin() as store:
            present = await store.sessions.strategy()
            changed = replace(present, **values)  # type: ignore[arg-type]  # names and kinds are the servicer's
            if changed.start_value_usd is not None and changed.start_value_usd < 0:
                sentence = "start_value_usd is 0 or more"
                raise invalid("strategy.start_value_usd", "0 or more", sentence)
            await store.sessions.keep_strategy(changed, self._clock.now())
        return await self.strategy()

    async def _judged(self, store: Store, kept: Session, now: datetime) -> Session:
        if kept.status is SessionStatus.ENDED:
            return kept
        value = (await store.enrichment.totals()).total_value_usd
        between = await store.sessions.values(kept.started_time, now)
        fall, fall_percent = drawdown([kept.start_value_usd, *between, value])
        return replace(
            kept, value_usd=value, max_drawdown_usd=fall, max_drawdown_percent=fall_percent
        )


def _there(found: Session | None) -> Session:
    if found is None:
        raise NotFound("SESSION_NOT_FOUND", "no session has this id")
    return found
