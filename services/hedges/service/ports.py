"""What the use cases need: a way into the store, and positions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.hedges.domain.holdings import Holdings, Legs
from services.hedges.store.hedges import Store

Begin = Callable[[], AbstractAsyncContextManager[Store]]


class Positions(Protocol):
    """Where the columns come from. All raise Unavailable POSITIONS_UNAVAILABLE."""

    async def read(self) -> Holdings:
        """ACTIVE and STALE positions."""

    async def ids(self, position_keys: Sequence[int]) -> Mapping[int, str]:
        """Text ids by key, of those of these positions that are held."""

    async def legs(self, wallet: str, asset: str, position_ids: Collection[str]) -> Legs:
        """Those of these ids that are held in the wallet, of the asset, on a known side."""

    async def has_wallet(self, name: str) -> bool:
        """Whether a wallet is named so."""

    async def has_position(self, id: str) -> bool:
        """Whether it is a position's id, a closed one's too."""
