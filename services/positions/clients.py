"""The price service as positions sees it: consensus prices, or none when it cannot be read now."""

from collections.abc import Mapping
from datetime import UTC
from math import isfinite

from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from services.positions.enrichment.domain.enrichment import MarketPrice
from shared.errors import SonicError
from shared.log import get_logger
from shared.rpc.client import Channel, idempotent

_SECONDS = 2.0
_PAGE_SIZE = 500
# Others are kept for show: the last known price, or the last close of an index.
_USABLE = (pb.QUALITY_GOOD, pb.QUALITY_SINGLE, pb.QUALITY_DISAGREE)


def price_channel(address: str) -> Channel:
    """A channel to price on which reads are tried again while it restarts."""
    return Channel(address, retry=idempotent(pb.DESCRIPTOR))


class PriceClient:
    """Market prices over gRPC."""

    def __init__(self, channel: Channel) -> None:
        self._stub: rpc.PriceServiceStub = channel.stub(rpc.PriceServiceStub)
        self._reachable = True

    async def read(self) -> Mapping[str, MarketPrice]:
        """See services.positions.service.ports.Market."""
        try:
            answer = await self._stub.ListPrices(
                pb.ListPricesRequest(page_size=_PAGE_SIZE), timeout=_SECONDS
            )
        except SonicError as error:
            if self._reachable:
                get_logger().warning("market prices cannot be read", reason=error.reason)
            self._reachable = False
            return {}
        self._reachable = True
        return {
            price.asset: _market_price(price)
            for price in answer.prices
            if price.HasField("price_usd") and isfinite(price.price_usd)
        }


def _market_price(price: pb.Price) -> MarketPrice:
    known = price.HasField("hourly_volatility_ratio") and isfinite(price.hourly_volatility_ratio)
    return MarketPrice(
        price.price_usd,
        price.price_time.ToDatetime(UTC),
        price.quality in _USABLE,
        price.hourly_volatility_ratio if known else None,
    )
