"""What the bodies of dYdX's indexer mean: markets, subaccounts, rows as holdings or refusals with a
reason.

The indexer states no liquidation price: it is computed here.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.positions.accounts.domain.margin_account import Leg, MarginAccount, flat
from services.positions.accounts.domain.stated_account import REFUSED, StatedAccount, unread
from services.positions.domain.scale import off_scale
from services.positions.domain.venue_answer import (
    UNKNOWN_ASSET,
    CarrySource,
    Flag,
    Holding,
    Refusal,
    Side,
    VenueTerms,
)
from services.positions.risk.domain.liquidation import dydx_liquidation_price
from services.positions.venues.rows import (
    FUTURE_TOLERANCE,
    NotThat,
    RowRefused,
    at,
    check_entry,
    finite,
    listed,
    made_id,
    masked,
    needed,
    positive,
    readable,
    side_of,
    stated,
    whole,
)

QUOTE = "USDC"
# Equity as stated and as added up may differ by prices of a moment, never by this much.
EQUITY_TOLERANCE_RATIO = 0.05
_ISOLATED_NUMBER = 128
_TICKER = re.compile(r"([A-Z0-9]{1,20})(?:,[^-]{0,200})?-USD")
_MARKET_WORD = re.compile(r"[A-Za-z0-9,._/-]{1,64}")
_SIDES = {"LONG": Side.LONG, "SHORT": Side.SHORT}
_OVER = frozenset({"CLOSED", "LIQUIDATED"})


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """`price_usd` is the oracle's, USD per unit; ratios are shares of the notional; None = not
    stated.

    `halted`: its status is said, and is not ACTIVE. `faulty_field` names the field that cannot be
    read: rows of this market are refused for it.
    """

    price_usd: float | None
    maintenance_ratio: float | None
    hourly_funding_ratio: float | None
    faulty_field: str = ""
    halted: bool = False


UNLISTED = MarketTerms(None, None, None)
_ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class _Row:
    """An open position; `base` is signed, in units of the asset."""

    ticker: str
    base: float
    entry_price_usd: float
    opened_time: datetime | None
    market: MarketTerms

    @property
    def mark_price_usd(self) -> float:
        """Oracle price; entry where the market is not listed, to add up what can be added up."""
        return self.entry_price_usd if self.market.price_usd is None else self.market.price_usd

    @property
    def weight(self) -> float:
        """Share of the subaccount's collateral: the margin asked for at entry."""
        return abs(self.base) * self.entry_price_usd * (self.market.maintenance_ratio or 1.0)


def read_markets(body: object) -> dict[str, MarketTerms]:
    """Markets by ticker. Raises NotThat when the body is no list of markets, or an empty one."""
    markets = at(body, "markets")
    if not isinstance(markets, dict):
        raise NotThat("an object without markets")
    if not markets:
        raise NotThat("a list of markets with none in it")
    return {ticker: _market(row) for ticker, row in markets.items() if isinstance(row, dict)}


def _market(row: Mapping[str, object]) -> MarketTerms:
    try:
        price = positive(row, "oraclePrice")
        maintenance = positive(row, "maintenanceMarginFraction")
        initial = stated(row, "initialMarginFraction")
    except RowRefused as refused:
        return MarketTerms(None, None, None, refused.field)
    # What must stay is a good part of what opening asks for, never more.
    if maintenance >= 1 or (initial and (maintenance > initial or off_scale(maintenance, initial))):
        return MarketTerms(None, None, None, "maintenanceMarginFraction")
    halted = str(row.get("status") or _ACTIVE) != _ACTIVE
    return MarketTerms(price, maintenance, readable(row, "nextFundingRate"), halted=halted)


def subaccount(body: object, address: str) -> Mapping[str, object]:
    """The subaccount of an answer, wrapped or bare. Raises NotThat, also for another's."""
    inner = body.get("subaccount", body) if isinstance(body, dict) else None
    if (
        not isinstance(inner, dict)
        or not {"openPerpetualPositions", "childSubaccounts"} & inner.keys()
    ):
        raise NotThat("an object without a subaccount")
    if str(inner.get("address", address)).lower() != address.lower():
        raise NotThat("another address's subaccount")
    return inner


def children(parent: Mapping[str, object], address: str) -> list[tuple[int, Mapping[str, object]]]:
    """The child subaccounts of a parent with their numbers. Raises NotThat."""
    found = listed(parent, "childSubaccounts", "a parent without childSubaccounts")
    return [(_number(child), subaccount(child, address)) for child in found]


def listed_subaccounts(body: object, address: str) -> list[tuple[int, Mapping[str, object]]]:
    """The subaccounts of an address with their numbers. Raises NotThat."""
    found = listed(body, "subaccounts", "an object without subaccounts")
    return [(_number(one), subaccount(one, address)) for one in found]


def _number(child: object) -> int:
    number = whole(at(child, "subaccountNumber"), 0, 1_000_000)
    if number is None:
        raise NotThat("a child without subaccountNumber")
    return number


def read_subaccount(
    account: Mapping[str, object],
    number: int,
    markets: Mapping[str, MarketTerms],
    address: str,
    observed_time: datetime,
) -> tuple[list[Holding], list[Refusal], int, StatedAccount | None]:
    """Holdings, refusals, the count of rows, and the pool of margin where anything is held. Raises
    NotThat when it holds no map of positions.

    Collateral (domain page, C) is the subaccount's equity less unrealised profit, divided among its
    positions by the maintenance margin they ask for at entry: their values add up to the equity.
    """
    rows = account.get("openPerpetualPositions")
    if rows is None:
        rows = {}
    if not isinstance(rows, dict):
        raise NotThat("positions that are no map")
    taken: list[_Row] = []
    refusals: list[Refusal] = []
    for ticker, row in rows.items():
        try:
            read = _row(ticker, row, markets, observed_time)
        except RowRefused as refused:
            refusals.append(_refusal(refused, ticker, row, number, address))
            continue
        if read is not None:
            taken.append(read)
    refused_pool = unread(pool_name(number), REFUSED, isolated=_is_isolated(number))
    if not taken:
        return [], refusals, len(rows), refused_pool if refusals else None
    try:
        quote = _quote(account, taken, refusals)
    except RowRefused as refused:
        refusals += [
            _refusal(refused, row.ticker, rows[row.ticker], number, address) for row in taken
        ]
        return [], refusals, len(rows), refused_pool
    held = list(_holdings(taken, quote, number, address))
    return held, refusals, len(rows), _pool(account, taken, quote, number)


def _is_isolated(number: int) -> bool:
    """Isolated positions live in subaccounts of their own."""
    return number >= _ISOLATED_NUMBER


def pool_name(number: int) -> str:
    """Of a subaccount, as people see it."""
    return f"subaccount {number}"


def _pool(
    account: Mapping[str, object], rows: Sequence[_Row], quote_usd: float, number: int
) -> StatedAccount:
    legs = [
        Leg(_leg_name(row), row.base, row.market.price_usd, flat(row.market.maintenance_ratio))
        for row in rows
    ]
    margin = MarginAccount(quote_usd, tuple(legs))
    equity = readable(account, "equity")
    return StatedAccount(
        pool_name(number), margin, equity_usd=equity, isolated=_is_isolated(number)
    )


def position_id(address: str, number: int, ticker: str) -> str:
    """dYdX names no position: the market of the subaccount does."""
    return made_id("dydx", address, number, ticker)


def asset_of(ticker: str) -> str:
    """The asset of a market, UNKNOWN when its name is not understood."""
    found = _TICKER.fullmatch(ticker)
    return found[1] if found else UNKNOWN_ASSET


def _refusal(refused: RowRefused, ticker: str, row: object, number: int, address: str) -> Refusal:
    known = position_id(address, number, ticker) if _MARKET_WORD.fullmatch(ticker) else None
    return Refusal(refused.reason, refused.field, masked(row, address), known)


def _row(
    ticker: str, row: object, markets: Mapping[str, MarketTerms], observed_time: datetime
) -> _Row | None:
    """None for a position that is over."""
    if not isinstance(row, dict):
        raise RowRefused("NOT_AN_OBJECT", "")
    if not _MARKET_WORD.fullmatch(ticker) or row.get("market", ticker) != ticker:
        raise RowRefused("BAD_ID", "market")
    if str(row.get("status", "OPEN")) in _OVER:
        return None
    base = needed(row, "size")
    if base == 0:
        raise RowRefused("NOT_POSITIVE", "size")
    side = row.get("side")
    if side is not None and _SIDES.get(str(side).upper()) is not side_of(base):
        raise RowRefused("CONTRADICTS_SIZE", "side")
    market = markets.get(ticker, UNLISTED)
    if market.faulty_field:
        raise RowRefused("NOT_A_NUMBER", market.faulty_field)
    read = _Row(ticker, base, positive(row, "entryPrice"), _moment(row, observed_time), market)
    size_usd, sign = abs(base) * read.entry_price_usd, math.copysign(1.0, base)
    profit = stated(row, "unrealizedPnl")
    names = ("entryPrice", "unrealizedPnl")
    check_entry(sign, size_usd, read.entry_price_usd, market.price_usd, profit, names)
    return read


def _moment(row: Mapping[str, object], observed_time: datetime) -> datetime | None:
    text = row.get("createdAt")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise RowRefused("NOT_A_TIME", "createdAt") from None
    if moment.tzinfo is None:
        raise RowRefused("NOT_A_TIME", "createdAt")
    if moment > observed_time + FUTURE_TOLERANCE:
        raise RowRefused("FROM_FUTURE", "createdAt")
    return moment


def _quote(
    account: Mapping[str, object], rows: Sequence[_Row], refusals: Sequence[Refusal]
) -> float:
    """The signed USDC balance: stated, else what the equity leaves. Raises RowRefused."""
    if refusals:
        # They share one collateral: without the terms of one, nobody's liquidation price is known,
        # and the last good ones are better than none.
        raise RowRefused("SHARES_REFUSED", "")
    equity, quote = stated(account, "equity"), _stated_quote(account)
    notional = sum(row.base * row.mark_price_usd for row in rows)
    if quote is None:
        if equity is None:
            raise RowRefused("MISSING_FIELD", "assetPositions")
        return equity - notional
    if equity is not None and all(row.market is not UNLISTED for row in rows):
        gross = sum(abs(row.base) * row.mark_price_usd for row in rows)
        if abs(quote + notional - equity) > EQUITY_TOLERANCE_RATIO * (gross + abs(equity)):
            raise RowRefused("EQUITY_DISAGREES", "equity")
    return quote


def _leg_name(row: _Row) -> str:
    """Markets whose asset is not understood are not one."""
    asset = asset_of(row.ticker)
    return row.ticker if asset == UNKNOWN_ASSET else asset


def missing_positions(account: Mapping[str, object]) -> bool:
    """Whether a subaccount that lists no open position cannot be known to be without one: its
    equity is then stated, its USDC and all of it free, and nothing is owed.
    """
    try:
        equity, free = stated(account, "equity"), stated(account, "freeCollateral")
        quote = _stated_quote(account)
    except RowRefused:
        return True
    if equity is None or (quote is not None and quote < 0):
        return True
    others = account.get("assetPositions")
    only_quote = isinstance(others, dict) and set(others) <= {QUOTE}
    others_usd = (quote if only_quote else None, free)
    return any(
        other is not None
        and abs(equity - other) > EQUITY_TOLERANCE_RATIO * (abs(equity) + abs(other)) + 1.0
        for other in others_usd
    )


def _stated_quote(account: Mapping[str, object]) -> float | None:
    assets = account.get("assetPositions")
    coin = at(assets, QUOTE)
    if coin is None:
        return None
    if not isinstance(coin, dict) or str(coin.get("side")) not in _SIDES:
        raise RowRefused("MISSING_FIELD", "assetPositions")
    amount = abs(needed(coin, "size"))
    return amount if coin["side"] == "LONG" else -amount


def _holdings(
    rows: Sequence[_Row], quote_usd: float, number: int, address: str
) -> Iterator[Holding]:
    weights = sum(row.weight for row in rows)
    deposit = quote_usd + sum(row.base * row.entry_price_usd for row in rows)
    # A liquidation price needs the terms of every position that shares the collateral.
    judged = all(row.market is not UNLISTED for row in rows)
    equity = quote_usd + sum(row.base * row.mark_price_usd for row in rows)
    asked = [
        abs(row.base) * row.mark_price_usd * (row.market.maintenance_ratio or 0.0) for row in rows
    ]
    for row, own_asked in zip(rows, asked, strict=True):
        liquidation = _liquidation(row, equity, sum(asked) - own_asked) if judged else None
        collateral = max(deposit * row.weight / weights, 0.0)
        yield _holding(row, collateral, liquidation, position_id(address, number, row.ticker))


def _liquidation(row: _Row, equity_usd: float, other_maintenance_usd: float) -> float | None:
    price = dydx_liquidation_price(
        equity_usd,
        row.base,
        row.mark_price_usd,
        row.market.maintenance_ratio or math.nan,
        other_maintenance_usd,
    )
    return finite(float(price))


def _flags(asset: str, market: MarketTerms) -> frozenset[Flag]:
    found = {Flag.CANNOT_JUDGE: asset == UNKNOWN_ASSET, Flag.TRADING_HALTED: market.halted}
    return frozenset(flag for flag, holds in found.items() if holds)


def _holding(
    row: _Row, collateral_usd: float, liquidation_price_usd: float | None, key: str
) -> Holding:
    asset, market = asset_of(row.ticker), row.market
    price, funding = market.price_usd, market.hourly_funding_ratio
    # Longs pay shorts when the rate is > 0.
    carry = None if price is None or funding is None else row.base * price * funding + 0.0
    return Holding(
        position_id=key,
        asset=asset,
        side=side_of(row.base),
        entry_price_usd=row.entry_price_usd,
        own_liquidation_price_usd=liquidation_price_usd,
        mark_price_usd=price,
        size_usd=abs(row.base) * row.entry_price_usd,
        collateral_usd=collateral_usd,
        # The indexer's figure is before fees.
        pnl_after_fees_usd=None,
        opened_time=row.opened_time,
        flags=_flags(asset, market),
        terms=VenueTerms(
            market.maintenance_ratio, carry, None if carry is None else CarrySource.DYDX_FUNDING
        ),
        one_way=True,
        shares_collateral=True,
    )
