"""Other services as withdrawals sees them: price, one source among others; alerts, which tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC

from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from services.withdrawals.decisions.domain.history import News
from services.withdrawals.decisions.ports import PricedAsset
from services.withdrawals.prices.domain import PriceQuote
from shared.errors import NotFound
from shared.rpc.client import Channel, idempotent
from shared.service_tokens import Identity
from shared.texts import cut

_SECONDS = 2.0
_TEXT_LENGTH = 300
NAME = "price"
# Others are kept for show; sources that contradict each other vouch for no peg.
_USABLE = (pb.QUALITY_GOOD, pb.QUALITY_SINGLE)


def price_channel(address: str, identity: Identity | None = None) -> Channel:
    """A channel to price on which reads are tried again while it restarts."""
    return Channel(address, retry=idempotent(pb.DESCRIPTOR), identity=identity, peer="price")


def alerts_channel(address: str, identity: Identity | None = None) -> Channel:
    """A channel to alerts: the relay itself comes back, so nothing is tried again."""
    return Channel(address, identity=identity, peer="alerts")


class AlertsClient:
    """See services.withdrawals.decisions.ports.AlertsPort."""

    def __init__(self, channel: Channel) -> None:
        self._stub: alerts_pb2_grpc.ReportsServiceStub = channel.stub(
            alerts_pb2_grpc.ReportsServiceStub
        )

    async def report(self, news: News) -> None:
        """The decision as it stands: what may be withdrawn, and whether the peg holds."""
        record = news.record
        price = "unknown" if record.price_usd is None else f"{record.price_usd:.4f} USD"
        held = "has no price" if record.price_usd is None else "holds its peg"
        peg = "is off its peg" if record.is_off_peg else held
        peg_summary = f"{record.asset} {peg}: price {price}"
        if record.over_reason:
            peg_summary = f"{record.asset}: {record.over_reason}"
        await self._stub.ReportDecision(
            alerts_pb2.ReportDecisionRequest(
                request_id=news.request_id,
                asset=record.asset,
                may_withdraw=record.value == 1,
                depegged=record.is_off_peg,
                summary=cut(record.summary, _TEXT_LENGTH),
                peg_summary=cut(peg_summary, _TEXT_LENGTH),
                demo=record.demo,
                decision_epoch=record.revision,
            )
        )


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
    if price.quality == pb.QUALITY_DISAGREE:
        return PriceQuote(NAME, None, None, "says that its sources disagree")
    if not price.HasField("price_usd") or price.quality not in _USABLE:
        return PriceQuote(NAME, None, None, "gave no price")
    return PriceQuote(NAME, price.price_usd, price.price_time.ToDatetime(UTC))
