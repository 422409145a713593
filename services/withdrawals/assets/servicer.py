"""AssetsService on the wire."""

from __future__ import annotations

from typing import Any

import grpc
from sonic.withdrawals.v1 import withdrawals_pb2 as pb
from sonic.withdrawals.v1 import withdrawals_pb2_grpc as rpc

from services.withdrawals.assets.mapping import (
    asset_message,
    change_of,
    new_settings,
    wallet_message,
    wallet_of,
)
from services.withdrawals.assets.service.assets import AssetsService
from services.withdrawals.assets.service.config import ConfigService

Context = grpc.aio.ServicerContext[Any, Any]


class AssetsServicer(rpc.AssetsServiceServicer):
    """See protos/sonic/withdrawals/v1."""

    def __init__(self, assets: AssetsService, config: ConfigService) -> None:
        self._assets = assets
        self._config = config

    async def ListAssets(
        self, request: pb.ListAssetsRequest, context: Context
    ) -> pb.ListAssetsResponse:
        page = await self._assets.list(request.page_size, request.page_token)
        return pb.ListAssetsResponse(
            assets=map(asset_message, page.rows), next_page_token=page.next_page_token
        )

    async def CreateAsset(self, request: pb.CreateAssetRequest, context: Context) -> pb.Asset:
        return asset_message(await self._assets.create(new_settings(request.asset)))

    async def UpdateAsset(self, request: pb.UpdateAssetRequest, context: Context) -> pb.Asset:
        asset = request.asset
        return asset_message(await self._assets.update(asset.name, change_of(request), asset.etag))

    async def DeleteAsset(
        self, request: pb.DeleteAssetRequest, context: Context
    ) -> pb.DeleteAssetResponse:
        await self._assets.delete(request.name, request.etag)
        return pb.DeleteAssetResponse()

    async def ListWallets(
        self, request: pb.ListWalletsRequest, context: Context
    ) -> pb.ListWalletsResponse:
        page = await self._assets.wallets(request.page_size, request.page_token)
        return pb.ListWalletsResponse(
            wallets=map(wallet_message, page.rows), next_page_token=page.next_page_token
        )

    async def SetWallet(self, request: pb.SetWalletRequest, context: Context) -> pb.Wallet:
        return wallet_message(await self._assets.set_wallet(wallet_of(request.wallet)))

    async def DeleteWallet(
        self, request: pb.DeleteWalletRequest, context: Context
    ) -> pb.DeleteWalletResponse:
        await self._assets.delete_wallet(request.name)
        return pb.DeleteWalletResponse()

    async def ImportTokenRegistry(
        self, request: pb.ImportTokenRegistryRequest, context: Context
    ) -> pb.ImportTokenRegistryResponse:
        count = await self._assets.import_tokens(request.content)
        return pb.ImportTokenRegistryResponse(token_count=count)

    async def ValidateConfig(
        self, request: pb.ValidateConfigRequest, context: Context
    ) -> pb.ValidateConfigResponse:
        config_json, problems = await self._config.validate(request.content)
        return pb.ValidateConfigResponse(config_json=config_json, problems=problems)

    async def ImportConfig(
        self, request: pb.ImportConfigRequest, context: Context
    ) -> pb.ImportConfigResponse:
        taken = await self._config.take(request.content, dry_run=request.dry_run)
        return pb.ImportConfigResponse(
            asset_count=len(taken.assets),
            wallet_count=len(taken.wallets),
            token_count=len(taken.tokens),
            left_out=taken.left_out,
        )
