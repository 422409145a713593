"""Rows of wallets and of their feeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Select, Text, any_, bindparam, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.positions.domain.venue_answer import Chain, WalletSyncState, WalletType
from services.positions.tables import demo_price, feed, wallet
from services.positions.wallets.domain.wallet import REAL_CHAINS, Wallet
from shared.database.engine import raw
from shared.database.keyset import Direction, Ordering, apply
from shared.paging import PageRequest


@dataclass(frozen=True, slots=True)
class WalletFilter:
    """Which wallets; empty = any."""

    chain: Chain | None = None
    type: WalletType | None = None
    active_only: bool = False
    tag: str = ""


# Built once: building a statement costs more than running it.
_NAMES = bindparam("names", type_=ARRAY(Text))
_NAMED = select(wallet).where(wallet.c.name == any_(_NAMES)).order_by(wallet.c.name)
_ACTIVE = select(wallet).where(wallet.c.active).order_by(wallet.c.name)
_ASKED = f"select * from wallet where active and chain <> {int(Chain.MANUAL)} order by name"
_REAL = (
    select(wallet.c.name)
    .where(wallet.c.active, wallet.c.chain.in_([int(chain) for chain in REAL_CHAINS]))
    .order_by(wallet.c.name)
    .limit(1)
)
# A sync holds the rows of its wallets until it commits: no two of them change the same positions.
_FEEDS = (
    "select w.name, w.wallet_key, f.venue, f.feed_key from wallet w left join feed f using"
    " (wallet_key)"
    " where w.name = any($1::text[]) order by w.name for update of w"
)
_NEW_FEEDS = (
    "insert into feed (wallet_key, venue) select * from unnest($1::int[], $2::text[]) on"
    " conflict do nothing"
)
_STAMP = text(
    "update wallet set last_sync_state = :state, last_sync_reason = :reason,"
    " last_sync_time = coalesce(cast(:completed_time as timestamptz), last_sync_time) where name ="
    " :name"
)


_UNWATCHED = (
    "select name, unwatched from wallet where active and unwatched <> '{}' and ($1 = '' or name ="
    " $1)"
    " order by name"
)
_ANY = WalletFilter()
# Asked by every cycle.
_FIRST = "select * from wallet order by name limit $1"


class WalletStore:
    """Wallets of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def create(self, fresh: Wallet) -> bool:
        """One new wallet; False when the name is taken."""
        statement = (
            insert(wallet).values(_columns(fresh)).on_conflict_do_nothing(index_elements=["name"])
        )
        return (await self._connection.execute(statement)).rowcount == 1

    async def find(self, name: str, *, lock: bool = False) -> Wallet | None:
        """One wallet by name; locked until commit when asked."""
        query = select(wallet).where(wallet.c.name == name)
        row = (
            (await self._connection.execute(query.with_for_update() if lock else query))
            .mappings()
            .one_or_none()
        )
        return None if row is None else _wallet(dict(row))

    async def page(
        self, page: PageRequest, wanted: WalletFilter, order: str, *, descending: bool
    ) -> list[Wallet]:
        """Wallets by name or created_time, one more than the page holds."""
        if wanted == _ANY and order == "name" and not descending and page.after is None:
            rows = await (await raw(self._connection)).fetch(_FIRST, page.size + 1)
            return [_wallet(dict(row)) for row in rows]
        query: Select[Any] = select(wallet)
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
        query = apply(query, ordering, page.after, page.size)
        return [_wallet(dict(row)) for row in (await self._connection.execute(query)).mappings()]

    async def everyone(self) -> list[Wallet]:
        """Every wallet by name."""
        query = select(wallet).order_by(wallet.c.name)
        return [_wallet(dict(row)) for row in (await self._connection.execute(query)).mappings()]

    async def active(self, names: Sequence[str] = ()) -> list[Wallet]:
        """Active wallets, or those of these names, by name."""
        run = self._connection.execute
        rows = await (run(_NAMED, {"names": list(names)}) if names else run(_ACTIVE))
        return [_wallet(dict(row)) for row in rows.mappings()]

    async def asked(self, names: Sequence[str] = ()) -> list[Wallet]:
        """The same without those of positions entered by hand, which no venue is asked about."""
        if names:
            return await self.active(names)
        return [_wallet(dict(row)) for row in await (await raw(self._connection)).fetch(_ASKED)]

    async def real_name(self) -> str | None:
        """The name of an active wallet on a real chain, if there is one."""
        name = (await self._connection.execute(_REAL)).scalar()
        return None if name is None else str(name)

    async def change(self, name: str, values: Mapping[str, object]) -> None:
        """Set columns of one wallet."""
        await self._connection.execute(update(wallet).where(wallet.c.name == name).values(**values))

    async def delete(self, name: str) -> None:
        """Remove a wallet and its feeds; its positions go before."""
        keys = select(wallet.c.wallet_key).where(wallet.c.name == name).scalar_subquery()
        await self._connection.execute(delete(feed).where(feed.c.wallet_key == keys))
        await self._connection.execute(delete(wallet).where(wallet.c.name == name))

    async def deactivate_demo(self) -> int:
        """Set the simulation's wallets inactive; how many were active."""
        statement = (
            update(wallet)
            .where(wallet.c.chain == int(Chain.DEMO), wallet.c.active)
            .values(active=False)
        )
        return (await self._connection.execute(statement)).rowcount

    async def feed_keys(self, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Keys of (wallet, venue) pairs, made where new; a wallet that does not exist is left out.
        The wallets are locked until commit.
        """
        driver, names = await raw(self._connection), sorted({name for name, _ in wanted})
        rows = await driver.fetch(_FEEDS, names)
        wallets = {row["name"]: row["wallet_key"] for row in rows}
        known = {(row["name"], row["venue"]): row["feed_key"] for row in rows}
        missing = [pair for pair in wanted if pair not in known and pair[0] in wallets]
        if missing:
            keys, venues = [wallets[name] for name, _ in missing], [venue for _, venue in missing]
            await driver.execute(_NEW_FEEDS, keys, venues)
            known = {
                (row["name"], row["venue"]): row["feed_key"]
                for row in await driver.fetch(_FEEDS, names)
            }
        return {pair: known[pair] for pair in wanted if pair in known}

    async def unwatched(self, name: str = "") -> list[tuple[str, Sequence[str]]]:
        """Active wallets with parts that are not read, and these in words;
        or the one of this name."""
        driver = await raw(self._connection)
        return [(row["name"], row["unwatched"]) for row in await driver.fetch(_UNWATCHED, name)]

    async def existing(self, names: Sequence[str]) -> set[str]:
        """Which of these names are wallets."""
        query = select(wallet.c.name).where(wallet.c.name.in_(sorted(set(names))))
        return {row.name for row in await self._connection.execute(query)}

    async def stamp(
        self, name: str, state: WalletSyncState, reason: str, *, completed_time: datetime | None
    ) -> None:
        """Remember the outcome of a fetch; the time only when the answer was complete."""
        values = {
            "name": name,
            "state": int(state),
            "reason": reason,
            "completed_time": completed_time,
        }
        await self._connection.execute(_STAMP, values)

    async def keep_demo_prices(self, prices: Mapping[str, float]) -> dict[str, float]:
        """The simulation's first prices by asset, after keeping those of `prices` that had none."""
        known = await self._demo_prices()
        missing = [
            {"asset": name, "price_usd": price}
            for name, price in prices.items()
            if name not in known
        ]
        if missing:
            await self._connection.execute(
                insert(demo_price).values(missing).on_conflict_do_nothing()
            )
            known = await self._demo_prices()
        return known

    async def _demo_prices(self) -> dict[str, float]:
        return {
            row.asset: row.price_usd for row in await self._connection.execute(select(demo_price))
        }


def _columns(fresh: Wallet) -> dict[str, object]:
    values = asdict(fresh)
    return values | {
        "chain": int(fresh.chain),
        "type": int(fresh.type),
        "tags": list(fresh.tags),
        "unwatched": list(fresh.unwatched),
        "last_sync_state": int(fresh.last_sync_state or 0),
    }


def _wallet(row: Mapping[str, Any]) -> Wallet:
    values = {name: value for name, value in row.items() if name != "wallet_key"}
    state = values["last_sync_state"]
    return Wallet(
        **values
        | {
            "chain": Chain(values["chain"]),
            "type": WalletType(values["type"]),
            "tags": tuple(values["tags"]),
            "unwatched": tuple(values["unwatched"]),
            "last_sync_state": WalletSyncState(state) if state else None,
        }
    )
