"""LedgerService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.ledger.service import LedgerQueries
from services.alerts.servicer.mapping import Context, entry_message

# The lines are plain ASCII.
_PIECE_BYTES = 1024 * 1024


class LedgerServicer(rpc.LedgerServiceServicer):
    def __init__(self, queries: LedgerQueries) -> None:
        self._queries = queries

    async def ListLedger(
        self, request: pb.ListLedgerRequest, context: Context
    ) -> pb.ListLedgerResponse:
        page = await self._queries.list(
            request.page_size,
            request.page_token,
            request.alert_id,
            request.cycle_id,
            request.digest_id,
        )
        return pb.ListLedgerResponse(
            entries=map(entry_message, page.rows), next_page_token=page.next_page_token
        )

    async def VerifyLedger(
        self, request: pb.VerifyLedgerRequest, context: Context
    ) -> pb.VerifyLedgerResponse:
        verdict = await self._queries.verify(request.anchor_hash)
        return pb.VerifyLedgerResponse(
            intact=verdict.intact,
            entry_count=verdict.entry_count,
            first_bad_sequence=verdict.first_bad_sequence,
            problem=verdict.problem,
            head_hash=verdict.head_hash.hex(),
            unanchored_count=verdict.unanchored_count,
        )

    async def ExportLedger(
        self, request: pb.ExportLedgerRequest, context: Context
    ) -> AsyncIterator[pb.ExportLedgerResponse]:
        async for lines in self._queries.export(request.after_sequence):
            for piece in _pieces(lines):
                yield pb.ExportLedgerResponse(lines=piece)


def _pieces(lines: str) -> Iterator[str]:
    """Whole lines up to what a message may hold; a longer line goes on in the next piece."""
    start = 0
    while start < len(lines):
        end = start + _PIECE_BYTES
        if end < len(lines):
            end = lines.rfind("\n", start, end) + 1 or end
        yield lines[start:end]
        start = end
