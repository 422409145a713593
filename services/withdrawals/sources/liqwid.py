"""Liqwid, a lending venue on Cardano, by its GraphQL API: a Venue of supply.

It tells markets, loans and transactions, and no balance: what a wallet supplies is its receipt
tokens, counted from its whole history of transactions, at the market's rate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from services.withdrawals.gains.domain.exact import EXACT, decimal_of
from services.withdrawals.gains.domain.flows import FlowKind
from services.withdrawals.sources.graphql import GraphQl, Input, written_input
from services.withdrawals.sources.liqwid_rows import (
    LOAN_FIELDS,
    MARKET_FIELDS,
    TRANSACTION_FIELDS,
    locked_receipts,
    read_caps,
    read_market,
    read_page,
    read_yields,
)
from services.withdrawals.sources.reading import MOST, RowRefused, at, bad_body, listed, written
from services.withdrawals.supply.domain.addresses import payment_key_hash
from services.withdrawals.supply.domain.venue import (
    KINDS,
    LEAST_WINDOW,
    Held,
    Market,
    TransactionPage,
    VenueTransaction,
    market_id_of,
)
from shared.clock import Clock
from shared.errors import Unavailable
from shared.http import ProviderFailure, ProviderHttp

DEFAULT_URL = "https://v2.api.liqwid.finance/graphql"
NAME = "liqwid"
# Before the venue's first market.
FIRST_TIME = datetime(2022, 1, 1, tzinfo=UTC)
_PER_PAGE = 100
_MOST_PAGES = 50
# Markets of one evaluation, so that amounts and rates of it fit together.
_MARKETS_SECONDS = 30.0
# A transaction may be told late.
_OVERLAP = timedelta(days=1)
_KEPT_WALLETS = 1_000
_UNKNOWN_LOANS = "loans cannot be asked for by an address without a payment key"


@dataclass(slots=True)
class _History:
    """Transactions of a wallet by identity, whole up to `until`."""

    until: datetime = FIRST_TIME
    known: dict[tuple[str, str, str], VenueTransaction] = field(default_factory=dict)


class Liqwid:
    """See services.withdrawals.supply.ports.Venue. Raises Unavailable VENUE_UNAVAILABLE."""

    def __init__(self, http: ProviderHttp, extras: ProviderHttp, clock: Clock) -> None:
        self._api = GraphQl(http)
        self._extras = GraphQl(extras)
        self._clock = clock
        self._markets: list[Market] = []
        self._markets_seconds = float("-inf")
        self._reading = asyncio.Lock()
        self._histories: dict[tuple[str, ...], _History] = {}

    async def markets(self) -> Sequence[Market]:
        """Every market now, from page 0 on; one that cannot be read is left out."""
        with _said():
            async with self._reading:
                return await self._read_markets()

    async def held(self, addresses: Sequence[str]) -> Sequence[Held]:
        """Receipt tokens by the whole history, at the present rate; what loans hold of them is not
        free. Yields are the venue's own word.
        """
        with _said():
            markets = await self._recent_markets()
            history, loans, yields = await asyncio.gather(
                self._history(tuple(addresses)), self._loans(addresses), self._yields(addresses)
            )
            found = _held(history, markets, loans, yields)
            if any(one.units for one in found) and None in map(payment_key_hash, addresses):
                raise Unavailable("VENUE_UNAVAILABLE", _UNKNOWN_LOANS)
            return found

    async def transactions(
        self, addresses: Sequence[str], start: datetime, end: datetime
    ) -> TransactionPage:
        """One answer, the first hundred of the window: the venue takes no page."""
        with _said():
            return await self._page(addresses, start, end)

    async def _page(
        self, addresses: Sequence[str], start: datetime, end: datetime
    ) -> TransactionPage:
        dates = {"startTime": written(start), "endTime": written(end)}
        asked = written_input({"addresses": list(addresses), "date": dates})
        data = await self._api.ask(
            f"query {{ historical {{ transactions(input: {asked}) {TRANSACTION_FIELDS} }} }}"
        )
        return read_page(at(data, "historical", "transactions"))

    async def _recent_markets(self) -> list[Market]:
        async with self._reading:
            if self._clock.monotonic() - self._markets_seconds > _MARKETS_SECONDS:
                await self._read_markets()
            return self._markets

    async def _read_markets(self) -> list[Market]:
        rows = await self._pages("markets", {}, MARKET_FIELDS)
        found: dict[str, Market] = {}
        for row in rows:
            try:
                market = read_market(row)
            except RowRefused:
                continue
            found.setdefault(market.id, market)
        if not found:
            raise bad_body(NAME, "no market that can be read")
        caps = await self._caps(list(found.values()))
        self._markets = [
            replace(market, withdraw_cap_units=caps.get(id)) for id, market in found.items()
        ]
        self._markets_seconds = self._clock.monotonic()
        return self._markets

    async def _pages(self, noun: str, asked: Input, fields: str) -> list[object]:
        """Every row of a paged list. A page that ends too early is a failure, not an end."""
        rows: list[object] = []
        for page in range(_MOST_PAGES):
            written_in = written_input({"page": page, "perPage": _PER_PAGE, **asked})
            data = await self._api.ask(
                f"query {{ liqwid {{ data {{ {noun}(input: {written_in})"
                f" {{ totalCount results {fields} }} }} }} }}"
            )
            found = at(data, "liqwid", "data", noun)
            results, total = listed(found, NAME, "results"), at(found, "totalCount")
            if not isinstance(total, int) or isinstance(total, bool):
                raise bad_body(NAME, f"no count of {noun}")
            rows += results
            if len(rows) >= total:
                return rows
            if not results:
                break
        raise bad_body(NAME, f"fewer {noun} than it counts")

    async def _caps(self, markets: Sequence[Market]) -> dict[str, Decimal]:
        """What may be withdrawn at once by market, as far as the venue tells; nothing rests on it
        alone.
        """
        asked = " ".join(
            f"m{row}: withdraw(input: {written_input({'marketId': market.id, 'amount': 1})})"
            " { withdrawCap }"
            for row, market in enumerate(markets)
        )
        try:
            data = await self._extras.ask(f"query {{ liqwid {{ calculations {{ {asked} }} }} }}")
        except ProviderFailure:
            return {}
        return read_caps(at(data, "liqwid", "calculations"), markets)

    async def _loans(self, addresses: Sequence[str]) -> dict[str, Decimal] | None:
        """Receipt tokens that loans hold, by market; None: there is no loan."""
        keys = sorted({key for one in addresses if (key := payment_key_hash(one)) is not None})
        if not keys:
            return None
        loans = await self._pages("loans", {"paymentKeys": keys}, LOAN_FIELDS)
        try:
            return locked_receipts(loans)
        except RowRefused as refused:
            raise bad_body(NAME, f"a loan that cannot be read ({refused})") from refused

    async def _yields(self, addresses: Sequence[str]) -> dict[str, Decimal]:
        asked = written_input({"addresses": list(addresses)})
        try:
            data = await self._extras.ask(
                f"query {{ historical {{ yieldEarned(input: {asked})"
                " { markets { id amount } } } }"
            )
        except ProviderFailure:
            return {}
        return read_yields(at(data, "historical", "yieldEarned", "markets"))

    async def _history(self, addresses: tuple[str, ...]) -> _History:
        """Kept and completed: only what is new is asked for."""
        history = self._histories.pop(addresses, None) or _History()
        now = self._clock.now()
        waiting = [(max(FIRST_TIME, history.until - _OVERLAP), now)]
        known = dict(history.known)
        while waiting:
            start, end = waiting.pop()
            page = await self._page(addresses, start, end)
            if page.refused:
                raise bad_body(NAME, f"a transaction that cannot be read ({page.refused[0]})")
            if page.is_whole:
                known |= {
                    (one.tx_id, one.market_id or one.market_name, one.type): one
                    for one in page.transactions
                }
            elif end - start <= LEAST_WINDOW:
                raise bad_body(NAME, "fewer transactions of a second than it counts")
            else:
                middle = start + (end - start) / 2
                waiting += [(middle, end), (start, middle)]
        history = _History(now, known)
        self._histories[addresses] = history
        while len(self._histories) > _KEPT_WALLETS:
            self._histories.pop(next(iter(self._histories)))
        return history


def _held(
    history: _History,
    markets: Sequence[Market],
    locked: dict[str, Decimal] | None,
    yields: dict[str, Decimal],
) -> list[Held]:
    """A row a market in which the wallet ever was."""
    receipts = _receipts(history, markets)
    found = []
    for market in markets:
        units = receipts.get(market.id)
        if units is None or market.exchange_rate is None:
            continue
        rate = decimal_of(market.exchange_rate)
        tokens = EXACT.multiply(units, rate)
        if max(units, tokens) > MOST:
            raise bad_body(NAME, "more of a market than there can be")
        free = None
        if locked and market.id in locked:
            free = EXACT.multiply(max(units - locked[market.id], Decimal(0)), rate)
        found.append(Held(market.id, tokens, units, yields.get(market.id), free))
    return found


def _receipts(history: _History, markets: Sequence[Market]) -> dict[str, Decimal]:
    """Receipt tokens by market. Raises ProviderFailure where they are not told, or not of which of
    two markets.
    """
    receipts: dict[str, Decimal] = {}
    names = {market.display_name for market in markets}
    for one in history.known.values():
        kind = KINDS.get(one.type)
        market_id = market_id_of(one, markets)
        if not market_id and one.market_name in names:
            raise bad_body(NAME, "a transaction of one of two markets of a name")
        # A market that is not listed any more is no asset's.
        if kind is None or not market_id:
            continue
        if one.receipt_units is None:
            raise bad_body(NAME, "a transaction without its receipt tokens")
        sign = 1 if kind is FlowKind.DEPOSIT else -1
        receipts[market_id] = receipts.get(market_id, Decimal(0)) + sign * one.receipt_units
    # Rounding of many amounts may leave less than nothing.
    return {market_id: max(units, Decimal(0)) for market_id, units in receipts.items()}


@contextmanager
def _said() -> Iterator[None]:
    """A provider's failure as the service says it."""
    try:
        yield
    except ProviderFailure as failure:
        raise Unavailable(
            "VENUE_UNAVAILABLE", failure.message, retry_after=failure.retry_after
        ) from failure


def build_liqwid(url: str, clock: Clock) -> tuple[Liqwid, tuple[ProviderHttp, ...]]:
    """The venue and the connections that must run for it; `url` empty: the public one. What nothing
    rests on has a connection and a circuit of its own: when it hangs, the rest goes on.
    """
    url = url or DEFAULT_URL
    http = ProviderHttp(NAME, url, clock=clock, per_second=20.0, burst=40.0)
    extras = ProviderHttp(
        "liqwid extras", url, clock=clock, timeout_seconds=3.0, retries=0, per_second=20.0
    )
    return Liqwid(http, extras, clock), (http, extras)
