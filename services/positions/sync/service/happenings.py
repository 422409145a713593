"""What the answers of a sync say has happened to positions, before any of it is stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.positions.store import Store
from services.positions.sync.domain.answer_columns import AnswerColumns
from services.positions.sync.domain.events import (
    DELISTED_APART,
    EventKind,
    Happening,
    listed_no_more,
    of_gone,
    of_held,
    summed,
)
from services.positions.sync.domain.sync_rows import Decision, Stored
from services.positions.sync.service.forced_ends import Shrunk

# The simulation's comings and goings are nobody's news.
_DEMO_VENUE: Final = "demo"


async def happened(
    store: Store,
    decision: Decision,
    known: Stored,
    rows: AnswerColumns,
    at: NDArray[np.int64],
    assets: Mapping[str, int],
    pairs: Sequence[tuple[str, str]],
    feed_keys: Sequence[int],
    now: datetime,
) -> list[Happening]:
    """What these answers say has happened, before any of it is written; nothing of the simulation
    is news.
    """
    told = np.array([venue != _DEMO_VENUE for _, venue in pairs], np.bool_)
    found = of_held(decision, known, rows, at, told)
    if any(one.kind is EventKind.OPENED for one in found):
        unread = await store.events.unread_feeds(feed_keys)
        first = frozenset(place for place, key in enumerate(feed_keys) if key in unread)
        found = summed(found, first)
    ids: dict[int, str] = {}
    untold: dict[int, str] = {}
    if len(decision.closed_keys):
        ids = await store.enrichment.position_ids(decision.closed_keys.tolist())
    lost = listed_no_more(decision)
    if lost.any():
        keys = known.columns["position_key"][lost].tolist()
        untold = await store.events.untold_delistings(keys, now - DELISTED_APART)
    if ids or untold:
        names = {key: name for name, key in assets.items()}
        gone = of_gone(decision, known, ids | untold, names, told, untold)
        # Whoever adds a subaccount as a wallet knows that it is read there from then on.
        found += [one for one in gone if not rows.apart(one.position_id, one.place)]
    return found


async def shrank(
    store: Store, events: Sequence[Happening], pairs: Sequence[tuple[str, str]], now: datetime
) -> dict[tuple[str, str], Sequence[Shrunk]]:
    """What became smaller, and when it was seen last, before these answers are stored."""
    smaller = [one for one in events if one.kind is EventKind.SHRANK]
    if not smaller:
        return {}
    times = await store.forced.seen_times([one.position_id for one in smaller])
    found: dict[tuple[str, str], list[Shrunk]] = {}
    for one in smaller:
        if (since := times.get(one.position_id)) is not None:
            found.setdefault(pairs[one.place], []).append(Shrunk(one, since, now))
    return dict(found)
