"""Events of positions over gRPC. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.alerts.clients.failures import positions_asked
from services.alerts.position_events.domain import PositionEvent
from shared.codec import number, read
from shared.rpc.client import Channel

_SECONDS = 5.0
_ENDS = (pb.POSITION_EVENT_KIND_CLOSED, pb.POSITION_EVENT_KIND_LIQUIDATED)
_MOST_EVENTS = 500  # that ListPositionEvents gives


class EventsClient:
    """See services.alerts.position_events.service.EventSource."""

    def __init__(self, channel: Channel) -> None:
        self._stub = channel.stub(rpc.PositionsServiceStub)

    async def events(self, after_sequence: int) -> tuple[Sequence[PositionEvent], bool]:
        request = pb.ListPositionEventsRequest(
            page_size=_MOST_EVENTS, after_sequence=after_sequence
        )
        with positions_asked():
            answer = await self._stub.ListPositionEvents(request, timeout=_SECONDS)
        return list(map(_event, answer.events)), bool(answer.next_page_token)

    async def ends(self, position_ids: Sequence[str]) -> Sequence[PositionEvent]:
        request = pb.ListPositionEventsRequest(
            page_size=_MOST_EVENTS, position_ids=position_ids, kinds=_ENDS
        )
        with positions_asked():
            answer = await self._stub.ListPositionEvents(request, timeout=_SECONDS)
        return list(map(_event, answer.events))

    async def last_event(self) -> int:
        request = pb.ListPositionEventsRequest(page_size=1)
        with positions_asked():
            answer = await self._stub.ListPositionEvents(request, timeout=_SECONDS)
        return max((event.sequence for event in answer.events), default=0)


def _event(event: pb.PositionEvent) -> PositionEvent:
    return read(
        PositionEvent,
        event,
        event_micros=event.event_time.ToMicroseconds(),
        side=pb.Side.Name(event.side).removeprefix("SIDE_"),
        size_before_usd=number(event, "size_before_usd"),
        size_after_usd=number(event, "size_after_usd"),
    )
