"""LedgerService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.ledger.domain.segments import Seal
from services.alerts.ledger.service.overview import LedgerOverview
from services.alerts.ledger.service.queries import LedgerQueries
from services.alerts.ledger.service.retention import Retention
from services.alerts.ledger.service.verification import Verification
from services.alerts.servicer.mapping import Context, entry_message
from shared.codec import fill, from_duration

# The lines are plain ASCII.
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LedgerCases:
    """What can be done with the ledger."""

    queries: LedgerQueries
    verification: Verification
    retention: Retention
    overview: LedgerOverview


class LedgerServicer(rpc.LedgerServiceServicer):
    def __init__(self, cases: LedgerCases) -> None:
        self._queries = cases.queries
        self._cases = cases

    async def ListLedger(
        self, request: pb.ListLedgerRequest, context: Context
    ) -> pb.ListLedgerResponse:
        listed = await self._queries.list(
            request.page_size,
            request.page_token,
            request.alert_id,
            request.cycle_id,
            request.digest_id,
        )
        return pb.ListLedgerResponse(
            entries=map(entry_message, listed.page.rows),
            next_page_token=listed.page.next_page_token,
            segments=map(_segment_message, listed.seals),
        )

    async def VerifyLedger(
        self, request: pb.VerifyLedgerRequest, context: Context
    ) -> pb.VerifyLedgerResponse:
        found = await self._cases.verification.verify(
            request.anchor_hash, database_only=request.database_only
        )
        verdict = found.verdict
        return pb.VerifyLedgerResponse(
            intact=found.intact,
            entry_count=verdict.entry_count,
            first_bad_sequence=verdict.first_bad_sequence,
            problem=found.problem,
            head_hash=verdict.head_hash.hex(),
            unanchored_count=verdict.unanchored_count,
            sealed_row_count=verdict.left_count,
            file_count=found.file_count,
            checked_file_count=found.files.checked_count,
            bad_file=found.files.bad_file,
        )

    async def SealLedger(
        self, request: pb.SealLedgerRequest, context: Context
    ) -> pb.SealLedgerResponse:
        swept = await self._cases.retention.seal(from_duration(request, "older_than"))
        return pb.SealLedgerResponse(
            segments=map(_segment_message, swept.seals), left_count=swept.left_count
        )

    async def ListSegments(
        self, request: pb.ListSegmentsRequest, context: Context
    ) -> pb.ListSegmentsResponse:
        page = await self._cases.overview.segments(request.page_size, request.page_token)
        return pb.ListSegmentsResponse(
            segments=map(_segment_message, page.rows), next_page_token=page.next_page_token
        )

    async def GetLedgerAge(self, request: pb.GetLedgerAgeRequest, context: Context) -> pb.LedgerAge:
        age = await self._cases.overview.age()
        return fill(pb.LedgerAge, age, kept=age.kept.age, kept_row_count=age.kept.row_count)

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


def _segment_message(seal: Seal) -> pb.Segment:
    segment = seal.segment
    return fill(
        pb.Segment,
        segment,
        previous_hash=segment.previous_hash.hex(),
        last_hash=segment.last_hash.hex(),
        seal_sequence=seal.sequence,
        sealed_time=seal.row.entry.entry_time,
    )
