"""BrokersService over gRPC; decides nothing."""

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.servicer.mapping import Context
from services.positions.sessions.domain import Broker
from services.positions.sessions.service.brokers import CHANGEABLE, BrokersService
from shared.codec import apply_mask, check_mask, fill, masked, number


class BrokersServicer(rpc.BrokersServiceServicer):
    """Messages of brokers."""

    def __init__(self, service: BrokersService) -> None:
        self._service = service

    async def CreateBroker(self, request: pb.CreateBrokerRequest, context: Context) -> pb.Broker:
        broker = request.broker
        held = number(broker, "total_holding_usd")
        return _message(
            await self._service.create(broker.name, broker.image_path, broker.web_address, held)
        )

    async def GetBroker(self, request: pb.GetBrokerRequest, context: Context) -> pb.Broker:
        return _message(await self._service.get(request.name))

    async def ListBrokers(
        self, request: pb.ListBrokersRequest, context: Context
    ) -> pb.ListBrokersResponse:
        check_mask(pb.Broker, request.read_mask)
        page = await self._service.list(request.order_by, request.page_size, request.page_token)
        return pb.ListBrokersResponse(
            brokers=masked(map(_message, page.rows), request.read_mask),
            next_page_token=page.next_page_token,
        )

    async def UpdateBroker(self, request: pb.UpdateBrokerRequest, context: Context) -> pb.Broker:
        broker = pb.Broker()
        broker.CopyFrom(request.broker)
        broker.ClearField("name")
        values = {
            path: number(broker, path) if path == "total_holding_usd" else getattr(broker, path)
            for path in apply_mask(broker, request.update_mask, CHANGEABLE)
        }
        return _message(await self._service.update(request.broker.name, values))

    async def DeleteBroker(
        self, request: pb.DeleteBrokerRequest, context: Context
    ) -> pb.DeleteBrokerResponse:
        await self._service.delete(request.name)
        return pb.DeleteBrokerResponse()


def _message(broker: Broker) -> pb.Broker:
    return fill(pb.Broker, broker)
