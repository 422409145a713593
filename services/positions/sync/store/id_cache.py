"""Spares a sync the reading of ids: a position never changes its id, so what the last answer named
is right while all of it is still there. Holds no row, and may forget at any time.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from services.positions.enrichment.domain.enrichment import Column
from services.positions.sync.domain.answer_columns import AnswerColumns

# Which wallets are stored together changes; the oldest groups are forgotten.
_GROUPS = 256


class IdCache:
    """Which positions the last answers of feeds named, eight bytes each."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[bytes, NDArray[np.int64]]] = {}

    def keep(
        self,
        feed_keys: Sequence[int],
        answers: AnswerColumns,
        position_keys: Column,
        at: NDArray[np.int64],
    ) -> None:
        """Remember the keys of what the answers name; nothing when one of them is new."""
        self._known.pop(tuple(feed_keys), None)
        if len(at) and bool((at >= 0).all()):
            self._known[tuple(feed_keys)] = (_digest(answers.ids), position_keys[at])
            if len(self._known) > _GROUPS:
                del self._known[next(iter(self._known))]

    def places(
        self, feed_keys: Sequence[int], answers: AnswerColumns, position_keys: Column
    ) -> NDArray[np.int64] | None:
        """Where each named position is among these keys; None when that has to be looked up."""
        digest, known = self._known.get(tuple(feed_keys), (b"", None))
        if known is None or digest != _digest(answers.ids):
            return None
        order = np.argsort(position_keys, kind="stable")
        ordered = position_keys[order]
        places = np.searchsorted(ordered, known)
        if len(ordered) < len(known) or not np.array_equal(
            ordered.take(places, mode="clip"), known
        ):
            return None
        found: NDArray[np.int64] = order[places]
        return found


def _digest(ids: Sequence[str]) -> bytes:
    # Postgres keeps no NUL in a text: no two lists read alike.
    digest = blake2b("\0".join(ids).encode())
    digest.update(str(len(ids)).encode())
    return digest.digest()
