"""dYdX v4 by its indexer: the cross subaccount and the isolated ones below it, marked at oracle
prices.

Decides whether an answer is usable and complete.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from services.positions.accounts.domain.stated_account import (
    StatedAccount,
    disbelieved,
    unread,
)
from services.positions.domain.scale import off_scale
from services.positions.domain.venue_answer import (
    Answer,
    Chain,
    ForcedTrade,
    Holding,
    Refusal,
    Unwatched,
    WalletRef,
)
from services.positions.venues.dydx_fills import PARENT_COUNT, ask_fills, forced, parents
from services.positions.venues.dydx_parser import (
    MarketTerms,
    asset_of,
    children,
    listed_subaccounts,
    missing_positions,
    pool_name,
    position_id,
    read_markets,
    read_subaccount,
    subaccount,
)
from services.positions.venues.rows import NotThat, at, bad_body, masked_text, worded
from services.positions.venues.venue import Built, VenueContext
from shared.clock import Clock
from shared.http import FailureKind, ProviderFailure, ProviderHttp, asking

DEFAULT_BASE_URL = "https://indexer.dydx.trade"
CROSS_NUMBER = (
    0  # The subaccount the venue's own page trades with; isolated positions live below it.
)
MARKETS_SECONDS = 5.0  # Wallets of one sync share the markets.
_UNREAD = {
    "ISOLATED_UNREAD": "the isolated subaccounts could not be read",
    "SUBACCOUNTS_UNREAD": "the other subaccounts could not be read",
}
_NEVER_TRADED = re.compile(r"no subaccounts? found", re.IGNORECASE)
_WORDS_LENGTH = 200

Account = tuple[int, Mapping[str, object]]  # A subaccount's number and its body.


class DydxVenue:
    """Positions of every subaccount of an address: 0 and its isolated ones (128 and up), and all
    others.
    """

    name = "dydx"
    asks_parts = True
    forces_parts = True
    chains = frozenset({Chain.DYDX})

    def __init__(self, http: ProviderHttp, fills: ProviderHttp, clock: Clock) -> None:
        self._http = http
        self._fills = fills
        self._clock = clock
        self._reading = asyncio.Lock()
        self._markets: Mapping[str, MarketTerms] = {}
        self._markets_until_seconds = float("-inf")

    async def fetch(
        self, wallet: WalletRef, reference_prices: Mapping[str, float], now: datetime
    ) -> Answer:
        """Incomplete when subaccounts could not be read: ISOLATED_UNREAD, SUBACCOUNTS_UNREAD. What
        was held there must not count as closed.
        """
        address = wallet.public_address
        markets = await self._read_markets()
        accounts, reason = await self._cross(address), ""
        try:
            accounts += await self._isolated(address)
        except ProviderFailure:
            reason = "ISOLATED_UNREAD"
        unwatched: tuple[Unwatched, ...] = ()
        try:
            accounts += await self._others(address, {number for number, _ in accounts})
        except ProviderFailure:
            unwatched = (Unwatched("other subaccounts", "UNREAD"),)
            reason = reason or "SUBACCOUNTS_UNREAD"
        answer = read_accounts(
            accounts, markets, address, reference_prices, self._clock.now(), reason
        )
        if not accounts and wallet.parts:
            raise bad_body("dydx", "that it knows no subaccount of an address that held positions")
        lost = lost_numbers(wallet.parts, {number for number, _ in accounts})
        if lost and answer.complete:
            unwatched = tuple(Unwatched(pool_name(number), "UNREAD") for number in lost)
            answer = replace(
                answer,
                complete=False,
                incomplete_reason="SUBACCOUNTS_UNREAD",
                message=_UNREAD["SUBACCOUNTS_UNREAD"],
                unread_ids=tuple(position_id(address, number, "*") for number in lost),
            )
        return replace(answer, unwatched=unwatched)

    async def forced_trades(
        self, wallet: WalletRef, position_ids: Sequence[str], since: datetime
    ) -> Sequence[ForcedTrade]:
        """Of the subaccounts these positions are in; a forced trade is the last one while no later
        fill is of its market.
        """
        address, found = wallet.public_address, list[ForcedTrade]()
        for parent in parents(position_ids):
            found += forced(await ask_fills(self._fills, address, parent, since), address)
        return found

    async def _read_markets(self) -> Mapping[str, MarketTerms]:
        async with self._reading:
            if self._clock.monotonic() >= self._markets_until_seconds:
                with asking(subject=""):  # Everybody's: a refusal of them is no wallet's.
                    answer = await self._http.get_json("/v4/perpetualMarkets")
                with _of_shape(answer.body):
                    self._markets = read_markets(answer.body)
                self._markets_until_seconds = self._clock.monotonic() + MARKETS_SECONDS
            return self._markets

    async def _cross(self, address: str) -> list[Account]:
        accounts: list[Account] = []
        for body in await self._ask(f"subaccountNumber/{CROSS_NUMBER}", address):
            with _of_shape(body):
                accounts.append((CROSS_NUMBER, subaccount(body, address)))
        return accounts

    async def _isolated(self, address: str) -> list[Account]:
        accounts: list[Account] = []
        for body in await self._ask(f"parentSubaccountNumber/{CROSS_NUMBER}", address):
            with _of_shape(body):
                accounts += children(subaccount(body, address), address)
        return [account for account in accounts if account[0] != CROSS_NUMBER]

    async def _others(self, address: str, known: Set[int]) -> list[Account]:
        """Every other subaccount of the address, with the children of other parents."""
        accounts: list[Account] = []
        for body in await self._ask("", address):
            with _of_shape(body):
                accounts += listed_subaccounts(body, address)
        if known and not known <= {number for number, _ in accounts} | {CROSS_NUMBER}:
            raise bad_body("dydx", "a list of subaccounts that lacks one")
        return [account for account in accounts if account[0] not in known]

    async def _ask(self, place: str, address: str) -> list[object]:
        """The body; none when the address never traded there, which is an answer too."""
        try:
            return [
                (await self._http.get_json(f"/v4/addresses/{address}/{place}".rstrip("/"))).body
            ]
        except ProviderFailure as failure:
            words = _words(failure.body)
            if failure.kind is FailureKind.NOT_FOUND and _NEVER_TRADED.search(words):
                return []
            ending = f": {masked_text(words, address)[:_WORDS_LENGTH]}" if words else ""
            raise worded(failure, ending) from failure


def lost_numbers(parts: Sequence[str], found: Set[int]) -> list[int]:
    """Of the subaccounts in which positions are stored those that an indexer lost with their
    parent. Subaccounts stay when they are emptied: one that is not there says nothing.
    """
    stored = sorted(int(one) for one in parts if one.isdecimal())
    return [number for number in stored if not found & {number, number % PARENT_COUNT}]


def build(context: VenueContext) -> Built:
    """Settings: dydx_indexer_url. Fills have a circuit of their own: what fails there keeps nobody
    from asking for positions.
    """
    http = ProviderHttp(
        "dydx",
        context.settings.get("dydx_indexer_url") or DEFAULT_BASE_URL,
        clock=context.clock,
        per_second=8.0,
        retry_after="milliseconds",
    )
    fills = ProviderHttp(
        "dydx fills",
        context.settings.get("dydx_indexer_url") or DEFAULT_BASE_URL,
        clock=context.clock,
        timeout_seconds=4.0,
        retries=0,
        retry_after="milliseconds",
    )
    return Built(DydxVenue(http, fills, context.clock), (http, fills))


def read_accounts(
    accounts: Sequence[Account],
    markets: Mapping[str, MarketTerms],
    address: str,
    reference_prices: Mapping[str, float],
    observed_time: datetime,
    incomplete_reason: str = "",
) -> Answer:
    """The answer that subaccounts state together. Raises ProviderFailure BAD_BODY."""
    holdings: list[Holding] = []
    refusals: list[Refusal] = []
    pools: list[StatedAccount] = []
    row_count, hollow = 0, ""
    for number, account in accounts:
        with _of_shape(account):
            held, refused, count, pool = read_subaccount(
                account, number, markets, address, observed_time
            )
            if not count and missing_positions(account):
                hollow = f"{pool_name(number)} lists no position and is not known to be without one"
                pool = unread(pool_name(number), "POSITIONS_MISSING")
        holdings, refusals, row_count = holdings + held, refusals + refused, row_count + count
        pools += [pool] if pool else []
    unmarked = sorted({held.asset for held in holdings if held.mark_price_usd is None})
    if _off_scale(accounts, markets, reference_prices):
        whole = Refusal("PRICE_SCALE", "oraclePrice", "")
        return Answer(
            *((), (whole,), False, "PRICE_SCALE", row_count, observed_time),
            accounts=disbelieved(pools),
        )
    found = [
        (incomplete_reason, _UNREAD.get(incomplete_reason, "")),
        ("POSITIONS_MISSING" if hollow else "", f"dydx's {hollow}"),
        ("ROWS_REFUSED" if refusals else "", ""),
        ("MARKETS_MISSING" if unmarked else "", f"dydx lists no market of {', '.join(unmarked)}"),
    ]
    reason, message = next((one for one in found if one[0]), ("", ""))
    if incomplete_reason == "ISOLATED_UNREAD":
        pools.append(unread("isolated subaccounts", incomplete_reason, isolated=True))
    return Answer(
        tuple(holdings),
        tuple(refusals),
        not reason,
        reason,
        row_count,
        observed_time,
        message,
        accounts=tuple(pools),
    )


def _off_scale(
    accounts: Sequence[Account],
    markets: Mapping[str, MarketTerms],
    reference_prices: Mapping[str, float],
) -> bool:
    """Whether the oracle price of a market that is held is in another unit than the market's."""
    rows = [account.get("openPerpetualPositions") for _, account in accounts]
    tickers = {ticker for held in rows if isinstance(held, dict) for ticker in held}
    return any(
        off_scale(markets[ticker].price_usd, reference_prices.get(asset_of(ticker)))
        for ticker in tickers & markets.keys()
    )


@contextmanager
def _of_shape(body: object) -> Iterator[None]:
    """Turns a body that is something else into a failure; an error body first of all."""
    if isinstance(body, dict) and (body.get("errors") or body.get("error")):
        raise bad_body("dydx", "an error body")
    try:
        yield
    except NotThat as problem:
        raise bad_body("dydx", str(problem)) from problem


def _words(body: object) -> str:
    """What an error body says: `{"errors": [{"msg": ...}]}`."""
    errors = at(body, "errors")
    said = [at(error, "msg") for error in (errors if isinstance(errors, list) else [])]
    return "; ".join(words for words in said if isinstance(words, str))
