"""Assets and wallets listed and edited."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from services.withdrawals.assets.domain.settings import Asset, AssetSettings, Wallet, checked
from services.withdrawals.assets.domain.tokens import Token, read_registry
from services.withdrawals.assets.store import AssetStore
from shared import paging
from shared.errors import AlreadyExists, Conflict, NotFound, invalid
from shared.paging import Page
from shared.texts import holds_control

Assets = list[Asset]
Wallets = list[Wallet]
Tokens = list[Token]
Begin = Callable[[], AbstractAsyncContextManager[AssetStore]]


class AssetsService:
    """What is watched, and how. `demo`: what is shown while nothing is configured."""

    def __init__(self, begin: Begin, read: Begin, demo: Sequence[Asset] = ()) -> None:
        self._begin = begin
        self._read = read
        self.simulated = tuple(demo)

    async def watched(self) -> Assets:
        """Every asset, else those of the demo."""
        async with self._read() as store:
            return await store.all() or [*self.simulated]

    async def named(self, name: str) -> Asset:
        """NotFound ASSET_NOT_FOUND names the known ones."""
        watched = await self.watched()
        return _found(name, watched)

    async def every_wallet(self) -> Wallets:
        """By name."""
        async with self._read() as store:
            return await store.wallets()

    async def tokens(self) -> Tokens:
        """By asset."""
        async with self._read() as store:
            return await store.tokens()

    async def list(self, page_size: int, page_token: str) -> Page[Asset]:
        """By name."""
        context = paging.context("assets")
        page = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            found = await store.page(page)
        if not found and not page_token:
            found = [*self.simulated]
        return paging.cut(found, page, context, lambda row: (row.settings.name,))

    async def create(self, settings: AssetSettings) -> Asset:
        """AlreadyExists ALREADY_THERE, InvalidArgument INVALID_FIELD."""
        made = Asset(checked(settings), 1)
        async with self._begin() as store:
            await store.lock()
            if await store.get(settings.name) is not None:
                raise AlreadyExists("ALREADY_THERE", f"there is an asset {settings.name}")
            await _check_wallets(store, settings)
            await store.write(made)
        return made

    async def update(self, name: str, change: Callable[[Any], Any], etag: str) -> Asset:
        """`change` makes new settings of the present ones. ASSET_NOT_FOUND, ETAG_MISMATCH,
        INVALID_FIELD.
        """
        async with self._begin() as store:
            await store.lock()
            present = _found(name, await store.all())
            _check_etag(present, etag)
            after = Asset(checked(change(present.settings)), present.revision + 1)
            await _check_wallets(store, after.settings)
            await store.write(after)
        return after

    async def delete(self, name: str, etag: str) -> None:
        """ASSET_NOT_FOUND, ETAG_MISMATCH."""
        async with self._begin() as store:
            await store.lock()
            _check_etag(_found(name, await store.all()), etag)
            await store.delete(name)

    async def wallets(self, page_size: int, page_token: str) -> Page[Wallet]:
        """By name."""
        context = paging.context("wallets")
        page = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            found = await store.wallet_page(page)
        return paging.cut(found, page, context, lambda row: (row.name,))

    async def set_wallet(self, wallet: Wallet) -> Wallet:
        """Make or replace one. InvalidArgument INVALID_FIELD."""
        addresses = tuple(dict.fromkeys(address.strip() for address in wallet.addresses))
        if not all(addresses) or any(map(holds_control, addresses)):
            raise invalid("wallet.addresses", "addresses without spaces or control characters")
        kept = replace(wallet, name=wallet.name.strip(), addresses=addresses)
        if not kept.name or holds_control(kept.name):
            raise invalid("wallet.name", "a name without control characters")
        async with self._begin() as store:
            await store.lock()
            await store.set_wallet(kept)
        return kept

    async def delete_wallet(self, name: str) -> None:
        """NotFound ROW_NOT_FOUND."""
        async with self._begin() as store:
            await store.lock()
            if not await store.delete_wallet(name):
                raise NotFound("ROW_NOT_FOUND", f"no wallet is named {name[:80]!r}")

    async def import_tokens(self, content: str) -> int:
        """Tokens known afterwards. InvalidArgument BAD_IMPORT."""
        tokens = read_registry(content)
        async with self._begin() as store:
            await store.lock()
            await store.set_tokens(tokens)
            return len(await store.tokens())


async def _check_wallets(store: AssetStore, settings: AssetSettings) -> None:
    known = {wallet.name for wallet in await store.wallets()}
    if unknown := [name for name in settings.wallets if name not in known]:
        raise invalid("asset.wallets", f"no wallet is named {', '.join(unknown)[:80]}")


def _found(name: str, assets: Sequence[Asset]) -> Asset:
    by_name: Mapping[str, Asset] = {asset.settings.name: asset for asset in assets}
    if name not in by_name:
        listed = ", ".join(by_name) or "none"
        raise NotFound("ASSET_NOT_FOUND", f"no asset {name[:32]!r}; known are {listed}"[:500])
    return by_name[name]


def _check_etag(present: Asset, etag: str) -> None:
    """An empty one asks for no check."""
    if etag and etag != present.etag:
        raise Conflict(
            "ETAG_MISMATCH",
            "the asset changed since it was read; read it again",
            metadata={"etag": present.etag},
        )
