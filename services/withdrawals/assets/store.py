"""Assets, wallets and tokens in and out."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter
from sqlalchemy import select

from services.withdrawals.assets.domain.settings import Asset, AssetSettings, Wallet
from services.withdrawals.assets.domain.tokens import Token
from services.withdrawals.tables import asset, token, wallet
from shared import rows
from shared.database.keyset import apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

_SETTINGS: TypeAdapter[AssetSettings] = TypeAdapter(AssetSettings)
_LOCK = Statement("select pg_advisory_xact_lock(hashtext('withdrawals assets'))")
_ALL = Statement("select name, settings, revision from asset order by name")
_ONE = Statement("select name, settings, revision from asset where name = :name")
_WRITE = Statement(
    "insert into asset (name, settings, revision) values (:name, :settings, :revision)"
    " on conflict (name) do update set settings = excluded.settings, revision = excluded.revision"
)
_DELETE = Statement("delete from asset where name = :name")
_WALLETS = Statement("select name, addresses from wallet order by name")
_SET_WALLET = Statement(
    "insert into wallet (name, addresses) values (:name, :addresses)"
    " on conflict (name) do update set addresses = excluded.addresses"
)
_READ_ANEW = Statement("delete from sync_cursor")
_READ_OTHERS = Statement(
    "delete from sync_cursor where wallet = :name and not exists"
    " (select from wallet where name = :name and addresses = :addresses)"
)
_DELETE_WALLET = Statement("delete from wallet where name = :name")
_TOKENS = Statement("select asset, policy_id, token_name_hex from token order by asset")
_SET_TOKEN = Statement(
    "insert into token (asset, policy_id, token_name_hex)"
    " values (:asset, :policy_id, :token_name_hex) on conflict (asset)"
    " do update set policy_id = excluded.policy_id, token_name_hex = excluded.token_name_hex"
)


class AssetStore:
    """Of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def lock(self) -> None:
        """Edits of assets go one after another."""
        await self._transaction.execute(_LOCK)

    async def all(self) -> list[Asset]:
        """By name."""
        return [_asset(row) for row in await self._transaction.fetch(_ALL)]

    async def get(self, name: str) -> Asset | None:
        row = await self._transaction.first(_ONE, name=name)
        return None if row is None else _asset(row)

    async def page(self, page: PageRequest) -> list[Asset]:
        """By name, one more than the page holds."""
        query = apply(select(asset), [(asset.c.name, "asc")], page.after, page.size)
        return [_asset(row) for row in await self._transaction.fetch(query)]

    async def write(self, row: Asset) -> None:
        """Insert or replace. What the venue tells of one that is new, or is called otherwise there,
        was passed over: transactions are read from the first again.
        """
        present = await self.get(row.settings.name)
        if present is None or present.settings.symbol != row.settings.symbol:
            await self._transaction.execute(_READ_ANEW)
        settings = _SETTINGS.dump_json(row.settings).decode()
        await self._transaction.execute(
            _WRITE, name=row.settings.name, settings=settings, revision=row.revision
        )

    async def delete(self, name: str) -> None:
        await self._transaction.execute(_DELETE, name=name)

    async def wallets(self) -> list[Wallet]:
        """By name."""
        return [rows.read(Wallet, row) for row in await self._transaction.fetch(_WALLETS)]

    async def wallet_page(self, page: PageRequest) -> list[Wallet]:
        """By name, one more than the page holds."""
        query = apply(select(wallet), [(wallet.c.name, "asc")], page.after, page.size)
        return [rows.read(Wallet, row) for row in await self._transaction.fetch(query)]

    async def set_wallet(self, row: Wallet) -> None:
        """Insert or replace; transactions of other addresses are read from the first."""
        values = {"name": row.name, "addresses": list(row.addresses)}
        await self._transaction.execute(_READ_OTHERS, **values)
        await self._transaction.execute(_SET_WALLET, **values)

    async def delete_wallet(self, name: str) -> bool:
        """Whether it was there."""
        await self._transaction.execute(_READ_OTHERS, name=name, addresses=[])
        return bool(await self._transaction.execute(_DELETE_WALLET, name=name))

    async def tokens(self) -> list[Token]:
        """By asset."""
        return [rows.read(Token, row) for row in await self._transaction.fetch(_TOKENS)]

    async def set_tokens(self, tokens: Sequence[Token]) -> None:
        """Those of other assets stay."""
        names = [column.key for column in token.c]
        await self._transaction.many(
            _SET_TOKEN, [{name: getattr(one, name) for name in names} for one in tokens]
        )


def _asset(row: Row) -> Asset:
    return Asset(_SETTINGS.validate_json(row["settings"]), row["revision"])
