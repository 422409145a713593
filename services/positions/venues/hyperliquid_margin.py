"""What Hyperliquid states of margin: tiers by coin, and the pools of a clearinghouse state."""

import math
from collections.abc import Mapping
from dataclasses import replace

from services.positions.accounts.domain.margin_account import (
    Leg,
    MarginAccount,
    MarginTier,
    flat,
)
from services.positions.accounts.domain.stated_account import StatedAccount, unread
from services.positions.risk.domain.liquidation import hyperliquid_maintenance_ratio
from services.positions.venues.hyperliquid_account import AccountMode
from services.positions.venues.hyperliquid_parser import Row, State
from services.positions.venues.rows import at, readable

Tiers = Mapping[str, tuple[MarginTier, ...]]

CROSS = "cross"


def read_tiers(body: object) -> dict[str, tuple[MarginTier, ...]]:
    """Margin tiers by coin of metaAndAssetCtxs, those that can be read. A coin without a table of
    its own has one tier, by the highest leverage its position states.
    """
    meta = body[0] if isinstance(body, list) and body else None
    tables = dict(filter(None, map(_table, _rows(at(meta, "marginTables")))))
    found = {}
    for coin in _rows(at(meta, "universe")):
        name, table = at(coin, "name"), at(coin, "marginTableId")
        if isinstance(name, str) and isinstance(table, int) and tables.get(table):
            found[name] = tables[table]
    return found


def pool_name(dex: str) -> str:
    """Of the cross positions of a dex; the first one has no name."""
    return f"{CROSS} {dex}".rstrip()


def accounts(
    state: State, mode: AccountMode, tiers: Tiers, dex: str = ""
) -> tuple[StatedAccount, ...]:
    """The cross pool of a dex, and each isolated position as a pool of its own. In any mode but the
    standard one this state is not the account: nothing is computed of its cross pool, which keeps
    what it is a part with.
    """
    name = pool_name(dex)
    isolated = [_isolated(row, mode, tiers) for row in state.rows if row.isolated]
    cross = [row for row in state.rows if not row.isolated]
    if (state.short or state.hollow) and not state.refusals:
        return (unread(name, "POSITIONS_MISSING", mode.name), *isolated)
    if not cross and not state.refusals and not state.cross_value_usd:
        return tuple(isolated)
    pool = _cross(name, state, cross, tiers)
    if mode is AccountMode.STANDARD:
        return (pool, *isolated)
    part = replace(pool, mode=mode.name, equity_usd=None, reason=f"ACCOUNT_MODE_{mode.name}")
    return (part, *isolated)


def _cross(name: str, state: State, rows: list[Row], tiers: Tiers) -> StatedAccount:
    value, cash = state.cross_value_usd, None
    if value is not None and not state.refusals:
        cash = value - sum(_signed(row) for row in rows)
    return StatedAccount(
        name,
        MarginAccount(cash, tuple(_leg(row, tiers) for row in rows)),
        AccountMode.STANDARD.name,
        value,
        state.cross_maintenance_usd,
        "ROWS_REFUSED" if state.refusals else "",
    )


def _isolated(row: Row, mode: AccountMode, tiers: Tiers) -> StatedAccount:
    margin = MarginAccount(row.margin_usd - _signed(row), (_leg(row, tiers),))
    return StatedAccount(f"isolated {row.coin}", margin, mode.name, row.margin_usd, isolated=True)


def _leg(row: Row, tiers: Tiers) -> Leg:
    plain = flat(float(hyperliquid_maintenance_ratio(row.max_leverage_ratio)))
    return Leg(row.coin, row.base, row.mark_price_usd, tiers.get(row.coin, plain))


def _signed(row: Row) -> float:
    return math.copysign(row.notional_usd, row.base)


def _rows(found: object) -> list[object]:
    return found if isinstance(found, list) else []


def _table(pair: object) -> tuple[int, tuple[MarginTier, ...]] | None:
    """A table's number and its tiers; None for one that cannot be read whole."""
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], int):
        return None
    tiers = []
    for row in _rows(at(pair[1], "marginTiers")):
        bound, most = readable(row, "lowerBound"), at(row, "maxLeverage")
        if bound is None or isinstance(most, bool) or not isinstance(most, int | float):
            return None
        if not 1 <= most <= 1000:
            return None
        tiers.append(MarginTier(bound, float(hyperliquid_maintenance_ratio(float(most)))))
    bounds = [tier.from_notional_usd for tier in tiers]
    is_whole = bounds[:1] == [0.0] and bounds == sorted(set(bounds))
    return (pair[0], tuple(tiers)) if is_whole else None
