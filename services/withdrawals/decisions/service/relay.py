"""Hands changes of advice to alerts, at least once each and with the same id."""

from __future__ import annotations

from datetime import timedelta

from services.withdrawals.decisions.domain.history import News
from services.withdrawals.decisions.ports import AlertsPort
from services.withdrawals.decisions.store import Begin
from shared.backoff import backoff_seconds
from shared.clock import Clock
from shared.errors import SonicError, Unavailable
from shared.log import get_logger

_CLAIM = timedelta(seconds=30)
_LONGEST_PAUSE_SECONDS = 300.0
# Another relay was first with a later decision: this one is no news any more.
_OVERTAKEN = "STALE_EPOCH"


class NewsRelay:
    """Empties the outbox. Any number of them may run: a row is claimed by one at a time.

    Each step is one statement: `begin` commits it by itself.
    """

    def __init__(self, begin: Begin, alerts: AlertsPort, clock: Clock) -> None:
        self._begin = begin
        self._alerts = alerts
        self._clock = clock

    async def relay(self) -> bool:
        """One turn over the rows that are due; whether something is left for a later one."""
        now = self._clock.now()
        async with self._begin() as store:
            waiting = await store.claim(now, now + _CLAIM)
        taken = [await self._hand_over(news) for news in waiting]
        return not all(taken)

    async def _hand_over(self, news: News) -> bool:
        try:
            await self._alerts.report(news)
        except Unavailable as error:
            await self._put_off(news, error)
            return False
        except SonicError as error:
            if error.reason == _OVERTAKEN:
                await self._mark(news)
                return True
            get_logger().error("news refused", request_id=news.request_id, reason=error.reason)
            await self._put_off(news, error, error.reason)
            return False
        await self._mark(news)
        return True

    async def _mark(self, news: News) -> None:
        async with self._begin() as store:
            await store.mark_sent(news.record.key, self._clock.now())

    async def _put_off(self, news: News, error: SonicError, refusal: str = "") -> None:
        pause = error.retry_after or timedelta(
            seconds=backoff_seconds(news.tries + 1, 1.0, _LONGEST_PAUSE_SECONDS)
        )
        async with self._begin() as store:
            await store.put_off(news.record.key, self._clock.now() + pause, refusal)
