"""What venues state of accounts, a row a feed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter

from services.positions.accounts.domain.stated_account import StatedAccount
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction

_ADAPTER: Final = TypeAdapter(tuple[StatedAccount, ...])
_FEEDS = Statement(
    "select feed_key, w.name as wallet, venue, observed_time, failed, accounts, unwatched"
    " from feed f join wallet w using (wallet_key) where w.active"
    " and (cast(:wallet as text) = '' or w.name = :wallet)"
    " and (cast(:venue as text) = '' or venue = :venue) order by w.name, venue"
)


@dataclass(frozen=True, slots=True)
class FeedAccounts:
    """The accounts of one wallet at one venue. `accounts`: None when it never stated any;
    `failed`: the last fetch did; `unwatched`: parts of the wallet that are not read, in words.
    """

    feed_key: int
    wallet: str
    venue: str
    observed_time: datetime | None
    failed: bool
    unwatched: tuple[str, ...]
    accounts: tuple[StatedAccount, ...] | None


class AccountStore:
    """Accounts of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def feeds(self, wallet: str = "", venue: str = "") -> list[FeedAccounts]:
        """Of active wallets, by wallet and venue; empty texts: of any."""
        found = await self._transaction.fetch(_FEEDS, wallet=wallet, venue=venue)
        return [_feed(row) for row in found]


def _feed(row: Row) -> FeedAccounts:
    stated = row["accounts"]
    return FeedAccounts(
        row["feed_key"],
        row["wallet"],
        row["venue"],
        row["observed_time"],
        row["failed"],
        tuple(row["unwatched"]),
        None if stated is None else stated_accounts(stated),
    )


def stated_accounts(text: str) -> tuple[StatedAccount, ...]:
    """Accounts by what `accounts_json` made of them."""
    return _ADAPTER.validate_json(text)
