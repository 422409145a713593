"""Wallets: public addresses under short names. A private key is refused everywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan

import numpy as np
from numpy.typing import NDArray

from services.positions.enrichment.domain.enriched_frame import EnrichedFrame
from services.positions.enrichment.service import EnrichmentService
from services.positions.service.ports import Begin
from services.positions.service.sorting import ordered
from services.positions.wallets.domain.addresses import check_address, refuse_secret, said
from services.positions.wallets.domain.wallet import Wallet, WalletFilter
from shared import paging
from shared.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, invalid
from shared.paging import Page

CHANGEABLE = (
    "public_address",
    "image_path",
    "balance_native",
    "balance_usd",
    "tags",
    "active",
    "type",
)
_MAX_NAME_LENGTH = 64


class WalletsService:
    """Use cases of wallets."""

    def __init__(self, begin: Begin, read: Begin, enrichment: EnrichmentService) -> None:
        self._begin = begin
        self._read = read
        self._enrichment = enrichment

    async def create(self, fresh: Wallet) -> Wallet:
        """Raises WALLET_EXISTS, BAD_ADDRESS, PRIVATE_KEY_REFUSED, INVALID_FIELD."""
        fresh = checked(fresh)
        async with self._begin() as store:
            if not await store.wallets.create(fresh):
                raise AlreadyExists("WALLET_EXISTS", f"a wallet named {fresh.name!r} exists")
        return await self.get(fresh.name)

    async def get(self, name: str) -> Wallet:
        """Raises NotFound WALLET_NOT_FOUND."""
        async with self._read() as store:
            found = _there(await store.wallets.find(name), name)
        return (await self.valued([found]))[0]

    async def list(
        self, wanted: WalletFilter, order_by: str, page_size: int, page_token: str
    ) -> Page[Wallet]:
        """By default by name. Raises UNKNOWN_NAME, BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH."""
        order, descending = ordered(order_by or "name", ("name", "created_time"))
        context = paging.context("wallets", wanted, order, descending)
        request = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            rows = await store.wallets.page(request, wanted, order, descending=descending)
        page = paging.cut(rows, request, context, lambda wallet: _key(wallet, order))
        return Page(await self.valued(page.rows), page.next_page_token)

    async def update(self, name: str, values: Mapping[str, object]) -> Wallet:
        """`values` by CHANGEABLE. Raises WALLET_NOT_FOUND and what `create` raises."""
        async with self._begin() as store:
            found = _there(await store.wallets.find(name), name)
            changed = checked(replace(found, **values))  # type: ignore[arg-type]  # names and kinds are checked
            columns = dict(values)
            if "public_address" in values:
                columns["public_address"] = changed.public_address
            if columns:
                await store.wallets.change(name, columns)
            if "active" in columns:
                # Accounts are those of active wallets.
                await store.enrichment.bump_membership()
        return await self.get(name)

    async def delete(self, name: str, *, force: bool) -> int:
        """How many positions went with it. Raises WALLET_NOT_FOUND, WALLET_IN_USE."""
        async with self._enrichment.changing() as store:
            # First the wallet, then its positions: the order in which a sync takes them.
            _there(await store.wallets.find(name, lock=True), name)
            live_count = await store.positions.live_count(name)
            if live_count and not force:
                raise FailedPrecondition(
                    "WALLET_IN_USE",
                    f"the wallet holds {live_count} positions; delete with force to lose them",
                )
            deleted_count = await store.positions.delete_wallet(name)
            await store.wallets.delete(name)
            # Its accounts went with it, also where it held no position.
            await store.enrichment.bump_membership()
        return deleted_count

    async def unwatched(self, name: str = "") -> Sequence[str]:
        """Parts of active wallets' accounts, or of one's, that no total counts, in words."""
        async with self._read() as store:
            listed = await store.wallets.unwatched(name)
        return [f"{wallet}: {words}" for wallet, parts in listed for words in parts]

    async def valued(self, wallets: Sequence[Wallet]) -> Sequence[Wallet]:
        """Wallets with the value of their positions where no balance was entered, if known."""
        frame = await self._enrichment.frame()
        sums = {
            frame.wallet_names[place]: float(value)
            for place, value in enumerate(_values(frame))
            if not isnan(value)
        }
        return [
            replace(wallet, balance_usd=sums[wallet.name])
            if wallet.balance_usd is None and wallet.name in sums
            else wallet
            for wallet in wallets
        ]


def _values(frame: EnrichedFrame) -> NDArray[np.float64]:
    """Sum of the known values of each wallet of a frame, NaN where none is known."""
    values, count = frame.columns["value_usd"], len(frame.wallet_names)
    known = ~np.isnan(values)
    places = frame.columns["wallet_index"][known]
    sums = np.bincount(places, values[known], count)
    return np.where(np.bincount(places, minlength=count) > 0, sums, np.nan)


def _there(found: Wallet | None, name: str) -> Wallet:
    if found is None:
        raise NotFound("WALLET_NOT_FOUND", f"no wallet is named {said(name)}")
    return found


def _key(wallet: Wallet, order: str) -> tuple[object, ...]:
    return (wallet.name,) if order == "name" else (wallet.created_time, wallet.name)


def checked(wallet: Wallet) -> Wallet:
    """The wallet with its address in its one written form. Raises as `create` does."""
    _check_texts(wallet)
    _check_balances(wallet)
    return replace(wallet, public_address=check_address(wallet.chain, wallet.public_address))


def _check_texts(wallet: Wallet) -> None:
    for field in ("name", "image_path"):
        refuse_secret(getattr(wallet, field), f"wallet.{field}")
    for tag in wallet.tags:
        refuse_secret(tag, "wallet.tags")
    if not 1 <= len(wallet.name) <= _MAX_NAME_LENGTH:
        problem = f"1 to {_MAX_NAME_LENGTH} characters"
        raise invalid("wallet.name", problem, f"a name has {problem}")


def _check_balances(wallet: Wallet) -> None:
    fields = {
        f"wallet.{name}": "0 or more"
        for name in ("balance_native", "balance_usd")
        if (getattr(wallet, name) or 0) < 0
    }
    if fields:
        raise InvalidArgument("INVALID_FIELD", "a balance is 0 or more", fields=fields)
