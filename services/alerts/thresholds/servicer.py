"""ThresholdsService on the wire."""

from __future__ import annotations

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.alerts.service.previews import Previews
from services.alerts.servicer.mapping import (
    Context,
    edit_of,
    new_threshold,
    preview_message,
    previewed_limits,
    threshold_message,
)
from services.alerts.servicer.version_mapping import comparison_message, version_message
from services.alerts.threshold_versions.service import ThresholdVersions
from services.alerts.thresholds.service.edits import ThresholdEdits
from services.alerts.thresholds.service.files import ThresholdFiles


class ThresholdsServicer(rpc.ThresholdsServiceServicer):
    def __init__(
        self,
        limits: ThresholdEdits,
        exchange: ThresholdFiles,
        previews: Previews,
        versions: ThresholdVersions,
    ) -> None:
        self._versions = versions
        self._limits = limits
        self._exchange = exchange
        self._previews = previews

    async def ListThresholds(
        self, request: pb.ListThresholdsRequest, context: Context
    ) -> pb.ListThresholdsResponse:
        page = await self._limits.list(request.page_size, request.page_token)
        return pb.ListThresholdsResponse(
            thresholds=map(threshold_message, page.rows), next_page_token=page.next_page_token
        )

    async def UpdateThreshold(
        self, request: pb.UpdateThresholdRequest, context: Context
    ) -> pb.Threshold:
        return threshold_message(await self._limits.update(edit_of(request)))

    async def CreateThreshold(
        self, request: pb.CreateThresholdRequest, context: Context
    ) -> pb.Threshold:
        return threshold_message(await self._limits.create(*new_threshold(request.threshold)))

    async def ResetThreshold(
        self, request: pb.ResetThresholdRequest, context: Context
    ) -> pb.Threshold:
        return threshold_message(await self._limits.reset(request.id, request.etag))

    async def PreviewThreshold(
        self, request: pb.PreviewThresholdRequest, context: Context
    ) -> pb.ThresholdPreview:
        return preview_message(await self._previews.show(*previewed_limits(request.threshold)))

    async def DeleteThreshold(
        self, request: pb.DeleteThresholdRequest, context: Context
    ) -> pb.DeleteThresholdResponse:
        await self._limits.delete(request.id, request.etag)
        return pb.DeleteThresholdResponse()

    async def ExportThresholds(
        self, request: pb.ExportThresholdsRequest, context: Context
    ) -> pb.ThresholdsFile:
        return pb.ThresholdsFile(json=await self._exchange.export())

    async def ImportThresholds(
        self, request: pb.ImportThresholdsRequest, context: Context
    ) -> pb.ImportThresholdsResponse:
        imported = await self._exchange.import_file(request.json, dry_run=request.dry_run)
        return pb.ImportThresholdsResponse(
            created_count=imported.created_count,
            changed_count=imported.changed_count,
            unchanged_count=imported.unchanged_count,
        )

    async def ListThresholdVersions(
        self, request: pb.ListThresholdVersionsRequest, context: Context
    ) -> pb.ListThresholdVersionsResponse:
        page = await self._versions.list(request.page_size, request.page_token)
        return pb.ListThresholdVersionsResponse(
            versions=map(version_message, page.rows), next_page_token=page.next_page_token
        )

    async def CompareThresholdVersions(
        self, request: pb.CompareThresholdVersionsRequest, context: Context
    ) -> pb.VersionComparison:
        return comparison_message(
            await self._versions.compare(request.number, request.other_number)
        )

    async def RestoreThresholds(
        self, request: pb.RestoreThresholdsRequest, context: Context
    ) -> pb.VersionComparison:
        restored = await self._versions.restore(
            request.number, request.last_number, dry_run=request.dry_run
        )
        return comparison_message(restored)
