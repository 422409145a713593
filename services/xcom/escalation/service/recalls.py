"""Use cases of what is over, known or put off: what waits of it is called back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from services.xcom.escalation.domain.incidents import Ended
from services.xcom.escalation.domain.recalls import WaitingDelivery, recall
from services.xcom.store.incidents import IncidentStore
from services.xcom.store.recalls import RecallStore


async def call_back(store: RecallStore, waiting: Sequence[WaitingDelivery], now: datetime) -> None:
    """What need not be sent any more is not; the rest goes on."""
    await store.call_back([found for one in waiting if (found := recall(one, now)) is not None])


async def end_incidents(store: IncidentStore, keys: Collection[str], now: datetime) -> Ended:
    """Nothing of these escalates any more, nor is sent as if it still were; who heard of them."""
    ids = await store.hold_incidents(keys)
    await store.mark_ended(keys, now)
    await call_back(store, await store.waiting_of(ids), now)
    return await store.ended(keys, now) if ids else Ended(known=False)
