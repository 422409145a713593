"""Files of flows and samples: good rows are kept, bad ones named."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

from services.withdrawals.supply.domain.files import Read, read_flows, read_samples
from services.withdrawals.supply.domain.rows import FlowRow, SampleRow
from services.withdrawals.supply.store.supply import Begin, SupplyStore
from shared.clock import Clock
from shared.errors import Conflict

T = TypeVar("T", FlowRow, SampleRow)


@dataclass(frozen=True, slots=True)
class Taken:
    """Rows that are new, rows that were there, rows refused: the first hundred as lines."""

    new_count: int
    known_count: int
    refused: list[str]
    refused_count: int


class ImportsService:
    """All good rows of a file in one transaction. The same request id and file answer as before."""

    def __init__(self, begin: Begin, clock: Clock) -> None:
        self._begin = begin
        self._clock = clock

    async def flows(self, content: str, request_id: str) -> Taken:
        """BAD_IMPORT, REQUEST_ID_REUSED."""

        async def write(store: SupplyStore, rows: list[FlowRow]) -> int:
            return len(await store.add_flows(rows, self._clock.now()))

        return await self._take("flows", content, request_id, read_flows, write)

    async def samples(self, content: str, request_id: str) -> Taken:
        """BAD_IMPORT, REQUEST_ID_REUSED."""

        async def write(store: SupplyStore, rows: list[SampleRow]) -> int:
            names = [(row.asset, row.wallet, row.market) for row in rows]
            keys = await store.holding_keys(names)
            return await store.add_samples(rows, [keys[name] for name in names])

        return await self._take("samples", content, request_id, read_samples, write)

    async def _take(
        self,
        noun: str,
        content: str,
        request_id: str,
        read: Callable[[str], Read[T]],
        write: Callable[[SupplyStore, list[T]], Awaitable[int]],
    ) -> Taken:
        digest = hashlib.sha256(f"{noun}\n{content}".encode()).digest()
        found = await asyncio.to_thread(read, content)
        async with self._begin() as store:
            if request_id and (known := await store.answer(request_id)):
                if known[0] != digest:
                    raise Conflict("REQUEST_ID_REUSED", "this request id was another file's")
                return Taken(**known[1])
            new_count = await write(store, found.rows) if found.rows else 0
            if new_count:
                await store.input_changed(row.asset for row in found.rows)
            taken = Taken(
                new_count, len(found.rows) - new_count, found.refused, found.refused_count
            )
            if request_id:
                await store.record(request_id, digest, asdict(taken), self._clock.now())
        return taken
