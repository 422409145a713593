"""Hyperliquid's unified and portfolio accounts, estimated: the cross pools of every dex and the
spot balances as one, by the rules the venue publishes. Such an account is shown, never judged.

Sources: the venue's pages "Account abstraction modes" (computeUnifiedAccountRatio) and "Portfolio
margin". That a unified account ends at the same ratio as a portfolio one is our reading.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.positions.accounts.domain.margin_account import (
    Leg,
    MarginAccount,
    MarginTier,
    SpotBalance,
)
from services.positions.accounts.domain.stated_account import StatedAccount, unread
from services.positions.venues.hyperliquid_account import AccountMode
from services.positions.venues.hyperliquid_margin import pool_name
from services.positions.venues.rows import NotThat, RowRefused, at, listed, needed, readable, stated

# Maintenance over collateral at which such an account is liquidated.
ENDS_AT_RATIO: Final = 0.95
# What the venue adds to the maintenance of a portfolio, USD.
BORROW_OFFSET_USD: Final = 20.0
# Of the ratio that the venue states of a portfolio; further off, a rule of it is not known here.
PORTFOLIO_TOLERANCE: Final = 0.02
DOLLARS: Final = 0  # the token's number
SPOT_UNREAD: Final = "SPOT_UNREAD"
COLLATERAL_UNREAD: Final = "COLLATERAL_UNREAD"
RATIO_DISAGREES: Final = "PORTFOLIO_RATIO_DISAGREES"
# Modes whose collateral may stand in spot.
POOLED: Final = frozenset({AccountMode.UNIFIED, AccountMode.PORTFOLIO, AccountMode.UNKNOWN})
# Why the pool of a dex says nothing by itself, which is no doubt about what is in it.
_NOT_ALONE: Final = frozenset(f"ACCOUNT_MODE_{mode.name}" for mode in POOLED)
# Spot tokens that stand for another chain's coin; perps have its own name.
_COINS: Final = {"UBTC": "BTC", "UETH": "ETH", "USOL": "SOL"}


@dataclass(frozen=True, slots=True)
class SpotRow:
    """A spot balance in units of its token. `borrowed`: of it, >= 0; `paid_usd`: for what is held,
    0 where nothing was; `ltv_ratio`: how much of its
    value may be borrowed, 0 to 1, None of what is no collateral.
    """

    coin: str
    token: int | None
    total: float
    borrowed: float = 0.0
    paid_usd: float = 0.0
    ltv_ratio: float | None = None

    @property
    def asset(self) -> str:
        """The coin by the name that perps have it."""
        return _COINS.get(self.coin, self.coin)

    @property
    def is_dollar(self) -> bool:
        """Whether it counts as dollars at par."""
        return self.coin.startswith("USD")


@dataclass(frozen=True, slots=True)
class Spot:
    """Spot balances. `portfolio_ratio`: as the venue states it of a portfolio, >= 0."""

    rows: tuple[SpotRow, ...]
    portfolio_ratio: float | None = None

    def of(self, token: int) -> SpotRow | None:
        """The balance of a token."""
        return next((one for one in self.rows if one.token == token), None)


@dataclass(frozen=True, slots=True)
class DexPools:
    """The pools of one dex. `token`: the number of what it counts in; None = not known."""

    dex: str
    token: int | None
    pools: Sequence[StatedAccount]

    @property
    def cross(self) -> StatedAccount | None:
        """The pool of its cross positions, if it has any."""
        name = pool_name(self.dex)
        return next((one for one in self.pools if one.name == name), None)

    @property
    def isolated_usd(self) -> float:
        """What its isolated positions hold of the account's balance."""
        return sum(one.equity_usd or 0.0 for one in self.pools if one.isolated)


def read_spot(body: object) -> Spot:
    """Raises NotThat when a balance cannot be read: less collateral would be another account."""
    rows = []
    for row in listed(body, "balances", "no spot balances"):
        coin, token = at(row, "coin"), at(row, "token")
        if not isinstance(row, dict) or not isinstance(coin, str):
            raise NotThat("a balance that is none")
        number = token if isinstance(token, int) and not isinstance(token, bool) else None
        try:
            rows.append(
                SpotRow(
                    coin,
                    number,
                    needed(row, "total"),
                    max(stated(row, "borrowed") or 0.0, 0.0),
                    max(stated(row, "entryNtl") or 0.0, 0.0),
                    stated(row, "ltv"),
                )
            )
        except RowRefused as refused:
            raise NotThat(f"a balance whose {refused.field} is no number") from refused
    return Spot(tuple(rows), readable(body, "portfolioMarginRatio"))


def read_collateral(body: object, dex: str) -> int | None:
    """The number of the token a dex counts in, of its metaAndAssetCtxs; the first one counts in
    dollars.
    """
    token = at(body[0], "collateralToken") if isinstance(body, list) and body else None
    if isinstance(token, int) and not isinstance(token, bool):
        return token
    return None if dex else DOLLARS


def estimates(
    mode: AccountMode, dexes: Sequence[DexPools], spot: Spot | None, prices: Mapping[str, float]
) -> tuple[StatedAccount, ...]:
    """The accounts that these pools are parts of, each an estimate by which nothing is judged; of
    every dex that holds something. None in a mode whose pools stand for themselves. `prices`: USD
    by asset, for collateral that no position has a mark of.
    """
    held = [one for one in dexes if one.cross is not None and one.cross.margin.legs]
    if mode not in POOLED or not held:
        return ()
    if spot is None:
        return (_unread(mode, SPOT_UNREAD),)
    if any(one.token is None for one in dexes if one.pools):
        return (_unread(mode, COLLATERAL_UNREAD),)
    if mode is AccountMode.PORTFOLIO:
        return (_portfolio(dexes, spot, prices),)
    return tuple(_unified(mode, dexes, spot))


def _unified(mode: AccountMode, dexes: Sequence[DexPools], spot: Spot) -> Iterator[StatedAccount]:
    """One for each token that something is counted in."""
    for token in sorted({one.token for one in dexes if one.token is not None}):
        of_token = [one for one in dexes if one.token == token]
        legs = _legs(of_token)
        row = spot.of(token)
        name = f"unified {row.coin if row else f'token {token}'}"
        if not legs:
            continue
        equity = None
        if row is not None:
            equity = row.total - sum(one.isolated_usd for one in of_token)
        if mode is AccountMode.UNKNOWN:
            equity = _either(equity, of_token, legs)
        yield _estimate(name, mode, _account(equity, legs), of_token)


def _either(
    unified_usd: float | None, dexes: Sequence[DexPools], legs: tuple[Leg, ...]
) -> float | None:
    """The equity by whichever mode the account would still stand in, the smaller of two. Of several
    dexes nothing is said: apart each would have a line of its own.
    """
    held = [one.cross.margin.equity_usd for one in dexes if one.cross and one.cross.margin.legs]
    apart_usd = held[0] if len(held) == 1 else None
    asked = MarginAccount(0.0, legs).maintenance_usd
    if unified_usd is None or apart_usd is None or asked is None:
        return None
    return min((one for one in (unified_usd, apart_usd) if one > asked), default=None)


def _portfolio(dexes: Sequence[DexPools], spot: Spot, prices: Mapping[str, float]) -> StatedAccount:
    """Dollars, and other collateral as far as it counts in a liquidation, are one; every dex is in
    it. The venue's caps are not known: where one cuts the collateral its ratio is another one than
    ours, and nothing is said. What would first be borrowed on the way counts at par.
    """
    legs = _legs(dexes)
    marks = {leg.asset: leg.price_usd for leg in legs}
    dollars = sum(one.total - one.borrowed for one in spot.rows if one.is_dollar)
    dollars -= sum(one.isolated_usd for one in dexes)
    others = tuple(
        SpotBalance(
            one.asset,
            one.total - one.borrowed,
            marks.get(one.asset) or prices.get(one.asset),
            0.5 + 0.5 * one.ltv_ratio,
        )
        for one in spot.rows
        if one.ltv_ratio is not None and one.total and not one.is_dollar
    )
    owed = max(-dollars, 0.0)
    equity = max(dollars, 0.0) - (owed + BORROW_OFFSET_USD) / ENDS_AT_RATIO
    found = _estimate("portfolio", AccountMode.PORTFOLIO, _account(equity, legs, others), dexes)
    worth, asked = found.margin.equity_usd, _maintenance(dexes)
    if found.missing or worth is None:
        return found
    worth += (owed + BORROW_OFFSET_USD) / ENDS_AT_RATIO
    # NaN, where one of them is not stated, is no agreement.
    owed += BORROW_OFFSET_USD + (math.nan if asked is None else asked)
    ratio = owed / worth if worth > 0 else math.inf
    said = math.nan if spot.portfolio_ratio is None else spot.portfolio_ratio
    is_ours = abs(ratio - said) <= PORTFOLIO_TOLERANCE
    return found if is_ours else replace(found, reason=RATIO_DISAGREES)


def _estimate(
    name: str, mode: AccountMode, margin: MarginAccount, dexes: Sequence[DexPools]
) -> StatedAccount:
    """`margin` as one account, unless something of its parts could not be read."""
    asked = _maintenance(dexes)
    doubts = [one.cross.reason for one in dexes if one.cross and one.cross.reason not in _NOT_ALONE]
    return StatedAccount(
        name,
        margin,
        mode.name,
        maintenance_usd=None if asked is None else asked / ENDS_AT_RATIO,
        reason=doubts[0] if doubts else "",
        estimate_only=True,
    )


def _account(
    equity_usd: float | None, legs: tuple[Leg, ...], spot: tuple[SpotBalance, ...] = ()
) -> MarginAccount:
    """`equity_usd`: without what `spot` counts; what must stay is raised to where the venue ends
    the account.
    """
    cash = None
    if equity_usd is not None:
        cash = equity_usd - sum(leg.base * (leg.price_usd or 0.0) for leg in legs)
    return MarginAccount(cash, tuple(map(_ending, legs)), spot)


def _ending(leg: Leg) -> Leg:
    tiers = tuple(
        MarginTier(one.from_notional_usd, one.maintenance_ratio / ENDS_AT_RATIO)
        for one in leg.tiers
    )
    return replace(leg, tiers=tiers)


def _legs(dexes: Sequence[DexPools]) -> tuple[Leg, ...]:
    return tuple(leg for one in dexes if one.cross for leg in one.cross.margin.legs)


def _maintenance(dexes: Sequence[DexPools]) -> float | None:
    """As the venue states it of the dexes; None where it does not of one."""
    stated_usd = [one.cross.maintenance_usd for one in dexes if one.cross]
    known = [one for one in stated_usd if one is not None]
    return sum(known) if len(known) == len(stated_usd) else None


def _unread(mode: AccountMode, reason: str) -> StatedAccount:
    return replace(unread(mode.name.lower(), reason, mode.name), estimate_only=True)
