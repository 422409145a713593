"""SupplyService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from sonic.withdrawals.v1 import withdrawals_pb2 as pb
from sonic.withdrawals.v1 import withdrawals_pb2_grpc as rpc

from services.withdrawals.supply.mapping import (
    flow_filter,
    flow_message,
    new_flow,
    new_reference,
    progress_message,
    reference_message,
)
from services.withdrawals.supply.service.flows import FlowsService
from services.withdrawals.supply.service.imports import ImportsService
from services.withdrawals.supply.service.sync import Span, SyncService
from shared.codec import fill, from_timestamp

Context = grpc.aio.ServicerContext[Any, Any]


class SupplyServicer(rpc.SupplyServiceServicer):
    """See protos/sonic/withdrawals/v1."""

    def __init__(self, flows: FlowsService, imports: ImportsService, sync: SyncService) -> None:
        self._flows = flows
        self._imports = imports
        self._sync = sync

    async def SyncTransactions(
        self, request: pb.SyncTransactionsRequest, context: Context
    ) -> AsyncIterator[pb.SyncProgress]:
        span = Span(from_timestamp(request, "start_time"), from_timestamp(request, "end_time"))
        async for progress in self._sync.sync(span, list(request.wallets)):
            yield progress_message(progress)

    async def ImportFlows(
        self, request: pb.ImportFlowsRequest, context: Context
    ) -> pb.ImportFlowsResponse:
        taken = await self._imports.flows(request.content, request.request_id)
        return fill(pb.ImportFlowsResponse, taken, refusals=taken.refused)

    async def ImportSamples(
        self, request: pb.ImportSamplesRequest, context: Context
    ) -> pb.ImportSamplesResponse:
        taken = await self._imports.samples(request.content, request.request_id)
        return fill(pb.ImportSamplesResponse, taken, refusals=taken.refused)

    async def ListFlows(
        self, request: pb.ListFlowsRequest, context: Context
    ) -> pb.ListFlowsResponse:
        page = await self._flows.flows(request.page_size, request.page_token, flow_filter(request))
        return pb.ListFlowsResponse(
            flows=map(flow_message, page.rows), next_page_token=page.next_page_token
        )

    async def CreateFlow(self, request: pb.CreateFlowRequest, context: Context) -> pb.Flow:
        return flow_message(await self._flows.create_flow(new_flow(request.flow)))

    async def DeleteFlow(
        self, request: pb.DeleteFlowRequest, context: Context
    ) -> pb.DeleteFlowResponse:
        await self._flows.delete_flow(request.id)
        return pb.DeleteFlowResponse()

    async def SetReference(self, request: pb.SetReferenceRequest, context: Context) -> pb.Reference:
        row = await self._flows.set_reference(new_reference(request.reference))
        return reference_message(row)

    async def ListReferences(
        self, request: pb.ListReferencesRequest, context: Context
    ) -> pb.ListReferencesResponse:
        page = await self._flows.references(request.page_size, request.page_token, request.asset)
        return pb.ListReferencesResponse(
            references=map(reference_message, page.rows), next_page_token=page.next_page_token
        )

    async def DeleteReference(
        self, request: pb.DeleteReferenceRequest, context: Context
    ) -> pb.DeleteReferenceResponse:
        await self._flows.delete_reference(request.id)
        return pb.DeleteReferenceResponse()
