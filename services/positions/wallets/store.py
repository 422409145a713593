"""Rows of wallets and of their feeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import any_, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from services.positions.domain.venue_answer import Chain, WalletSyncState
from services.positions.tables import feed, wallet
from services.positions.wallets.domain.wallet import REAL_CHAINS, Wallet, WalletFilter
from shared import rows
from shared.database.keyset import Direction, Ordering, apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

# Asked by every cycle, and built once: building a statement costs more than running it.
_NAMED = Statement("select * from wallet where name = any(cast(:names as text[])) order by name")
_ACTIVE = Statement("select * from wallet where active order by name")
_ASKED = Statement(
    f"select * from wallet where active and chain <> {int(Chain.MANUAL)} order by name"
)
_FIRST = Statement("select * from wallet order by name limit :row_count")
_REAL = Statement(
    "select name from wallet where active and chain in"
    f" ({', '.join(str(int(chain)) for chain in REAL_CHAINS)}) order by name limit 1"
)
# A sync holds the rows of its wallets until it commits: no two of them change the same positions.
_FEEDS = Statement(
    "select w.name, w.wallet_key, f.venue, f.feed_key from wallet w left join feed f using"
    " (wallet_key) where w.name = any(:names) order by w.name for update of w"
)
_NEW_FEEDS = Statement(
    "insert into feed (wallet_key, venue) select * from"
    " unnest(cast(:wallet_keys as int[]), cast(:venues as text[])) on conflict do nothing"
)
_STAMP = Statement(
    "update wallet set last_sync_state = :state, last_sync_reason = :reason,"
    " last_sync_time = coalesce(cast(:completed_time as timestamptz), last_sync_time)"
    " where name = :name"
)
_UNWATCHED = Statement(
    "select name, unwatched from wallet where active and unwatched <> '{}'"
    " and (cast(:name as text) = '' or name = :name) order by name"
)
_EXISTING = Statement("select name from wallet where name = any(:names)")
_DEACTIVATE_DEMO = Statement(
    f"update wallet set active = false where chain = {int(Chain.DEMO)} and active"
)
_KEEP_DEMO_PRICES = Statement(
    "insert into demo_price (asset, price_usd) select * from"
    " unnest(cast(:assets as text[]), cast(:prices as float8[])) on conflict do nothing"
)
_DEMO_PRICES = Statement("select asset, price_usd from demo_price")
_ANY = WalletFilter()


class WalletStore:
    """Wallets of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def create(self, fresh: Wallet) -> bool:
        """One new wallet; False when the name is taken."""
        values = asdict(fresh) | {"last_sync_state": int(fresh.last_sync_state or 0)}
        statement = insert(wallet).on_conflict_do_nothing(index_elements=["name"])
        return await self._transaction.execute(statement, **values) == 1

    async def find(self, name: str, *, lock: bool = False) -> Wallet | None:
        """One wallet by name; locked until commit when asked."""
        query = select(wallet).where(wallet.c.name == name)
        row = await self._transaction.first(query.with_for_update() if lock else query)
        return None if row is None else _wallet(row)

    async def page(
        self, page: PageRequest, wanted: WalletFilter, order: str, *, descending: bool
    ) -> list[Wallet]:
        """Wallets by name or created_time, one more than the page holds."""
        if wanted == _ANY and order == "name" and not descending and page.after is None:
            return _wallets(await self._transaction.fetch(_FIRST, row_count=page.size + 1))
        query = select(wallet)
        if wanted.chain is not None:
            query = query.where(wallet.c.chain == int(wanted.chain))
        if wanted.type is not None:
            query = query.where(wallet.c.type == int(wanted.type))
        if wanted.active_only:
            query = query.where(wallet.c.active)
        if wanted.tag:
            query = query.where(any_(wallet.c.tags) == wanted.tag)
        way: Direction = "desc" if descending else "asc"
        ordering: Ordering = [(wallet.c.name, way)]
        if order != "name":
            ordering = [(wallet.c.created_time, way), *ordering]
        return _wallets(
            await self._transaction.fetch(apply(query, ordering, page.after, page.size))
        )

    async def everyone(self) -> list[Wallet]:
        """Every wallet by name."""
        return _wallets(await self._transaction.fetch(select(wallet).order_by(wallet.c.name)))

    async def active(self, names: Sequence[str] = ()) -> list[Wallet]:
        """Active wallets, or those of these names, by name."""
        fetch = self._transaction.fetch
        return _wallets(await (fetch(_NAMED, names=names) if names else fetch(_ACTIVE)))

    async def asked(self, names: Sequence[str] = ()) -> list[Wallet]:
        """The same without those of positions entered by hand, which no venue is asked about."""
        return (
            await self.active(names) if names else _wallets(await self._transaction.fetch(_ASKED))
        )

    async def real_name(self) -> str | None:
        """The name of an active wallet on a real chain, if there is one."""
        name: str | None = await self._transaction.scalar(_REAL)
        return name

    async def change(self, name: str, values: Mapping[str, object]) -> None:
        """Set columns of one wallet."""
        statement = update(wallet).where(wallet.c.name == name).values(**values)
        await self._transaction.execute(statement)

    async def delete(self, name: str) -> None:
        """Remove a wallet and its feeds; its positions go before."""
        keys = select(wallet.c.wallet_key).where(wallet.c.name == name).scalar_subquery()
        await self._transaction.execute(delete(feed).where(feed.c.wallet_key == keys))
        await self._transaction.execute(delete(wallet).where(wallet.c.name == name))

    async def deactivate_demo(self) -> int:
        """Set the simulation's wallets inactive; how many were active."""
        return await self._transaction.execute(_DEACTIVATE_DEMO)

    async def feed_keys(self, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Keys of (wallet, venue) pairs, made where new; a wallet that does not exist is left out.
        The wallets are locked until commit.
        """
        names = sorted({name for name, _ in wanted})
        wallets, known = await self._feeds(names)
        missing = [pair for pair in wanted if pair not in known and pair[0] in wallets]
        if missing:
            await self._transaction.execute(
                _NEW_FEEDS,
                wallet_keys=[wallets[name] for name, _ in missing],
                venues=[venue for _, venue in missing],
            )
            _, known = await self._feeds(names)
        return {pair: known[pair] for pair in wanted if pair in known}

    async def _feeds(
        self, names: Sequence[str]
    ) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
        found = await self._transaction.fetch(_FEEDS, names=names)
        return {row["name"]: row["wallet_key"] for row in found}, {
            (row["name"], row["venue"]): row["feed_key"] for row in found
        }

    async def unwatched(self, name: str = "") -> list[tuple[str, Sequence[str]]]:
        """Active wallets with parts that are not read, in words; or the one of this name."""
        found = await self._transaction.fetch(_UNWATCHED, name=name)
        return [(row["name"], row["unwatched"]) for row in found]

    async def existing(self, names: Sequence[str]) -> set[str]:
        """Which of these names are wallets."""
        return {row["name"] for row in await self._transaction.fetch(_EXISTING, names=list(names))}

    async def stamp(
        self, name: str, state: WalletSyncState, reason: str, *, completed_time: datetime | None
    ) -> None:
        """Remember the outcome of a fetch; the time only when the answer was complete."""
        await self._transaction.execute(
            _STAMP, name=name, state=int(state), reason=reason, completed_time=completed_time
        )

    async def keep_demo_prices(self, prices: Mapping[str, float]) -> dict[str, float]:
        """The simulation's first prices by asset, after keeping those of `prices` that had none."""
        known = await self._demo_prices()
        if not prices.keys() <= known.keys():
            await self._transaction.execute(
                _KEEP_DEMO_PRICES, assets=list(prices), prices=list(prices.values())
            )
            known = await self._demo_prices()
        return known

    async def _demo_prices(self) -> dict[str, float]:
        found = await self._transaction.fetch(_DEMO_PRICES)
        return {row["asset"]: row["price_usd"] for row in found}


def _wallet(row: Row) -> Wallet:
    state = row["last_sync_state"]
    return rows.read(Wallet, row, last_sync_state=WalletSyncState(state) if state else None)


def _wallets(found: Sequence[Row]) -> list[Wallet]:
    return [_wallet(row) for row in found]
