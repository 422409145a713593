"""Results through xcom, and which of its channels can carry them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cyclone.results.domain import Result, parted, recipients
from shared.rpc.client import Channel

_SECONDS = 10.0
_MOST_PAGE_BYTES = 2 * 1024 * 1024


class ResultClient:
    """`allowed`: the addresses that results may go to beside channels."""

    def __init__(self, xcom: Channel, allowed: Collection[str]) -> None:
        self._xcom = xcom.stub(xcom_pb2_grpc.XComServiceStub)
        self._allowed = allowed

    async def checked(self, deliver_to: Sequence[str]) -> tuple[str, ...]:
        """See `recipients`; raises Unavailable PEER_UNAVAILABLE too."""
        answer = await self._xcom.ListChannels(xcom_pb2.ListChannelsRequest(), timeout=_SECONDS)
        missing = {
            one.name: [*one.missing_settings, *([] if one.enabled else ["it is switched off"])]
            for one in answer.channels
        }
        return recipients(deliver_to, missing, self._allowed)

    async def send(self, result: Result) -> str:
        """See Outbox."""
        routes = [parted(one) for one in result.recipients]
        request = xcom_pb2.SendRequest(
            request_id=result.request_id,
            level=xcom_pb2.LEVEL_LOW if result.is_good else xcom_pb2.LEVEL_MEDIUM,
            kind=xcom_pb2.KIND_NEWS,
            subject=result.subject,
            body=result.body,
            source="cyclone",
            channels=[channel for channel, address in routes if not address],
            facts={"event": "CYCLE_RESULT", "cycle_id": result.cycle_id},
        )
        if result.is_demo:
            request.facts["demo"] = "true"
        destinations = [
            xcom_pb2.ContactRoute(channel=channel, address=address)
            for channel, address in routes
            if address
        ]
        document = xcom_pb2.SendDocumentRequest(message=request, destinations=destinations)
        content = result.page.encode("utf-8", "replace")
        if content and len(content) <= _MOST_PAGE_BYTES:
            document.attachment.name = f"sonic-{result.cycle_id}.html"
            document.attachment.media_type = "text/html"
            document.attachment.content = content
        answer = await self._xcom.SendDocument(document, timeout=_SECONDS)
        return "" if answer.deliveries else str(answer.suppressed_reason)
