"""WalletsService over gRPC; decides nothing."""

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.domain.venue_answer import Chain, WalletType
from services.positions.servicer.mapping import Context, member
from services.positions.wallets.domain.wallet import Wallet, WalletFilter
from services.positions.wallets.service.wallets import CHANGEABLE, WalletsService
from shared.clock import Clock
from shared.codec import apply_mask, check_mask, fill, masked, number


class WalletsServicer(rpc.WalletsServiceServicer):
    """Messages of wallets."""

    def __init__(self, service: WalletsService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    async def CreateWallet(self, request: pb.CreateWalletRequest, context: Context) -> pb.Wallet:
        wallet = request.wallet
        fresh = Wallet(
            name=wallet.name.strip(),
            chain=member(Chain, wallet.chain, "wallet.chain"),
            public_address=wallet.public_address,
            image_path=wallet.image_path,
            balance_native=number(wallet, "balance_native"),
            balance_usd=number(wallet, "balance_usd"),
            tags=tuple(wallet.tags),
            active=True,
            type=_type(wallet.type),
            created_time=self._clock.now(),
        )
        return _message(await self._service.create(fresh))

    async def GetWallet(self, request: pb.GetWalletRequest, context: Context) -> pb.Wallet:
        return _message(await self._service.get(request.name))

    async def ListWallets(
        self, request: pb.ListWalletsRequest, context: Context
    ) -> pb.ListWalletsResponse:
        check_mask(pb.Wallet, request.read_mask)
        wanted = WalletFilter(
            member(Chain, request.chain, "chain") if request.chain else None,
            member(WalletType, request.type, "type") if request.type else None,
            request.active_only,
            request.tag,
        )
        page = await self._service.list(
            wanted, request.order_by, request.page_size, request.page_token
        )
        return pb.ListWalletsResponse(
            wallets=masked(map(_message, page.rows), request.read_mask),
            next_page_token=page.next_page_token,
        )

    async def UpdateWallet(self, request: pb.UpdateWalletRequest, context: Context) -> pb.Wallet:
        wallet = pb.Wallet()
        wallet.CopyFrom(request.wallet)
        wallet.ClearField("name")
        paths = apply_mask(wallet, request.update_mask, CHANGEABLE)
        return _message(
            await self._service.update(request.wallet.name, {p: _changed(wallet, p) for p in paths})
        )

    async def DeleteWallet(
        self, request: pb.DeleteWalletRequest, context: Context
    ) -> pb.DeleteWalletResponse:
        return pb.DeleteWalletResponse(
            deleted_position_count=await self._service.delete(request.name, force=request.force)
        )


def _changed(wallet: pb.Wallet, path: str) -> object:
    if path.startswith("balance"):
        return number(wallet, path)
    if path == "tags":
        return tuple(wallet.tags)
    return _type(wallet.type) if path == "type" else getattr(wallet, path)


def _type(value: int) -> WalletType:
    if value == pb.WALLET_TYPE_UNSPECIFIED:
        return WalletType.PERSONAL
    return member(WalletType, value, "wallet.type")


def _message(wallet: Wallet) -> pb.Wallet:
    return fill(pb.Wallet, wallet)
