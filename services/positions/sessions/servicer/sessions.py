"""SessionsService over gRPC; decides nothing."""

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.servicer.mapping import Context, member
from services.positions.sessions.domain import Session, SessionStatus, Strategy
from services.positions.sessions.service.sessions import STRATEGY_CHANGEABLE, SessionsService
from shared.codec import apply_mask, check_mask, fill, masked, number


class SessionsServicer(rpc.SessionsServiceServicer):
    """Messages of sessions and the strategy."""

    def __init__(self, service: SessionsService) -> None:
        self._service = service

    async def GetStrategy(self, request: pb.GetStrategyRequest, context: Context) -> pb.Strategy:
        return _strategy(await self._service.strategy())

    async def UpdateStrategy(
        self, request: pb.UpdateStrategyRequest, context: Context
    ) -> pb.Strategy:
        paths = apply_mask(request.strategy, request.update_mask, STRATEGY_CHANGEABLE)
        values: dict[str, object] = {}
        if "start_value_usd" in paths:
            values["start_value_usd"] = number(request.strategy, "start_value_usd")
        if "description" in paths:
            values["description"] = request.strategy.description
        return _strategy(await self._service.update_strategy(values))

    async def StartSession(self, request: pb.StartSessionRequest, context: Context) -> pb.Session:
        return _session(await self._service.start(request.name, request.note))

    async def EndSession(self, request: pb.EndSessionRequest, context: Context) -> pb.Session:
        return _session(await self._service.end(request.id))

    async def GetSession(self, request: pb.GetSessionRequest, context: Context) -> pb.Session:
        return _session(await self._service.get(request.id))

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        check_mask(pb.Session, request.read_mask)
        status = member(SessionStatus, request.status, "status") if request.status else None
        page = await self._service.list(
            status, request.order_by, request.page_size, request.page_token
        )
        return pb.ListSessionsResponse(
            sessions=masked(map(_session, page.rows), request.read_mask),
            next_page_token=page.next_page_token,
        )


def _strategy(strategy: Strategy) -> pb.Strategy:
    return fill(pb.Strategy, strategy)


def _session(session: Session) -> pb.Session:
    return fill(pb.Session, session)
