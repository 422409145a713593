"""The price service as withdrawals sees it: one source of prices among others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC

from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from services.withdrawals.decisions.ports import PricedAsset
from services.withdrawals.prices.domain import PriceQuote
from shared.errors import NotFound
from shared.rpc.client import Channel, idempotent

_SECONDS = 2.0
NAME = "price"
# Others are kept for show.
_USABLE = (pb.QUALITY_GOOD, pb.QUALITY_SINGLE, pb.QUALITY_DISAGREE)


def price_channel(address: str) -> Channel:
    """A channel to price on which reads are tried again while it restarts."""
    return Channel(address, retry=idempotent(pb.DESCRIPTOR))


class PriceServiceSource:
    """See services.withdrawals.decisions.ports.PriceSource."""

    name = NAME

    def __init__(self, channel: Channel) -> None:
        self._stub: rpc.PriceServiceStub = channel.stub(rpc.PriceServiceStub)

    async def quotes(self, assets: Sequence[PricedAsset]) -> Mapping[str, PriceQuote]:
        """Of the assets that the price service tracks, by name or by symbol."""
        found = {}
        for asset in assets:
            price = await self._price(asset)
            if price is not None:
                found[asset.name] = _quote(price)
        return found

    async def _price(self, asset: PricedAsset) -> pb.Price | None:
        for symbol in dict.fromkeys((asset.name.upper(), asset.symbol.upper())):
            try:
                return await self._stub.GetPrice(pb.GetPriceRequest(asset=symbol), timeout=_SECONDS)
            except NotFound:
                continue
        return None


def _quote(price: pb.Price) -> PriceQuote:
    if not price.HasField("price_usd") or price.quality not in _USABLE:
        return PriceQuote(NAME, None, None, "gave no price")
    return PriceQuote(NAME, price.price_usd, price.price_time.ToDatetime(UTC))
