"""FilesService over gRPC; decides nothing."""

import asyncio
from collections.abc import AsyncIterator

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.domain.venue_answer import Status
from services.positions.files.domain.imports import Format
from services.positions.files.service.files import FilesService
from services.positions.files.service.imports import ImportService, Progress
from services.positions.positions.domain import Filter
from services.positions.servicer.mapping import Context, imported_message, refusal_message
from shared.codec import fill


class FilesServicer(rpc.FilesServiceServicer):
    """Messages of files."""

    def __init__(self, service: FilesService, imports: ImportService) -> None:
        self._service = service
        self._imports = imports

    async def ExportPositions(
        self, request: pb.ExportPositionsRequest, context: Context
    ) -> pb.ExportPositionsResponse:
        statuses = () if request.all_statuses else (Status.ACTIVE, Status.STALE)
        wanted = Filter(
            request.wallet, request.venue.lower(), request.asset.strip(), None, statuses
        )
        content, count = await self._service.export_positions(wanted, _format(request.format))
        return pb.ExportPositionsResponse(content=content, position_count=count)

    async def ImportPositionsStream(
        self, request: pb.ImportPositionsStreamRequest, context: Context
    ) -> AsyncIterator[pb.ImportProgress]:
        # At most one message per 5,000 rows of a file of 64 MiB waits here.
        reports: asyncio.Queue[Progress | None] = asyncio.Queue()
        work = asyncio.create_task(
            self._imports.take(
                request.content,
                _format(request.format),
                request.wallet,
                dry_run=False,
                on_progress=reports.put_nowait,
            )
        )
        work.add_done_callback(lambda _: reports.put_nowait(None))
        stage = pb.IMPORT_STAGE_PARSED
        try:
            while (progress := await reports.get()) is not None:
                yield fill(pb.ImportProgress, progress, unset=("result",), stage=stage)
                stage = pb.IMPORT_STAGE_WRITING
            done = await work
        finally:
            work.cancel()
        yield fill(
            pb.ImportProgress,
            done,
            stage=pb.IMPORT_STAGE_DONE,
            written_count=done.row_count,
            result=imported_message(done),
        )

    async def ExportWallets(
        self, request: pb.ExportWalletsRequest, context: Context
    ) -> pb.ExportWalletsResponse:
        content, count = await self._service.export_wallets(_format(request.format))
        return pb.ExportWalletsResponse(content=content, wallet_count=count)

    async def ImportWallets(
        self, request: pb.ImportWalletsRequest, context: Context
    ) -> pb.ImportWalletsResponse:
        done = await self._service.import_wallets(
            request.content, _format(request.format), dry_run=request.dry_run
        )
        refusals = map(refusal_message, done.refusals)
        return fill(pb.ImportWalletsResponse, done, refusals=refusals)


def _format(value: int) -> Format:
    return "CSV" if value == pb.FILE_FORMAT_CSV else "JSON"
