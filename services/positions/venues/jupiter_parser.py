"""The two wire forms of Jupiter's perpetuals and how a row becomes a holding, or a refusal with its
reason.

v1 states dollars as decimal strings, v2 micro-dollars as integer strings under other names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from services.positions.domain.venue_answer import UNKNOWN_ASSET, Flag, Holding, Refusal, Side
from services.positions.risk.domain.liquidation import (
    jupiter_impact_scalar,
    jupiter_liquidation_price,
)
from services.positions.venues.rows import (
    DECIMAL,
    FUTURE_TOLERANCE,
    INTEGER,
    RowRefused,
    check_entry,
    finite,
    masked,
    stated,
)

ASSETS_BY_MINT: Mapping[str, str] = {
    "3NZ9JMVBmGAqocybic2c7LQCJScmgsAZ6vQqTDzcqmJh": "BTC",
    "7vfCXTUXx5WJV5JADk17DUJ4ksgau7utNKj4b963voxs": "ETH",
    "So11111111111111111111111111111111111111112": "SOL",
}
MICRO_DOLLARS_PER_DOLLAR = 1_000_000
# The venue opens no position above 500; what it charges later is no part of the collateral.
HIGHEST_LEVERAGE_RATIO = 1_000.0
# Value, collateral and profit are of one moment; further off, one of them is in another unit.
VALUE_TOLERANCE_RATIO = 0.5
_SIDES = {"long": Side.LONG, "short": Side.SHORT}
_POSITION_KEY = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}")


@dataclass(frozen=True, slots=True)
class Shape:
    """Names and unit of one version of the endpoint."""

    version: str
    micro_dollars: bool
    market: str
    entry: str
    mark: str
    liquidation: str
    size: str
    collateral: str
    value: str
    pnl_after_fees: str = "pnlAfterFeesUsd"
    open_fee: str = "openFeesUsd"
    close_fee: str = "closeFeesUsd"
    borrow_fee: str = "borrowFeesUsd"


V1 = Shape(
    version="v1",
    micro_dollars=False,
    market="marketMint",
    entry="entryPrice",
    mark="markPrice",
    liquidation="liquidationPrice",
    size="size",
    collateral="collateral",
    value="value",
)
V2 = Shape(
    version="v2",
    micro_dollars=True,
    market="assetMint",
    entry="entryPriceUsd",
    mark="markPriceUsd",
    liquidation="liquidationPriceUsd",
    size="sizeUsd",
    collateral="collateralUsd",
    value="valueUsd",
)


def read_row(row: object, shape: Shape, observed_time: datetime) -> Holding:
    """The holding that a row states. Raises RowRefused."""
    if not isinstance(row, dict):
        raise RowRefused("NOT_AN_OBJECT", "")
    position_id = position_key(row)
    if position_id is None:
        raise RowRefused(
            "MISSING_FIELD" if not row.get("positionPubkey") else "BAD_ID", "positionPubkey"
        )
    asset, side = _asset(row, shape), _side(row)
    entry = _positive(row, shape.entry, shape)
    size = _positive(row, shape.size, shape)
    collateral = _positive(row, shape.collateral, shape)
    borrow_fee = _optional(row, shape.borrow_fee, shape)
    _moment(row, "updatedTime", observed_time)  # Old is normal (no trade); from the future is not.
    return Holding(
        position_id=position_id,
        asset=asset,
        side=side,
        entry_price_usd=entry,
        liquidation_price_usd=_liquidation(row, shape),
        own_liquidation_price_usd=_own_liquidation(
            asset, side, entry, size, collateral, borrow_fee
        ),
        mark_price_usd=_positive(row, shape.mark, shape),
        size_usd=size,
        collateral_usd=collateral,
        pnl_after_fees_usd=_signed(row, shape.pnl_after_fees, shape),
        venue_value_usd=_signed(row, shape.value, shape),
        open_fee_usd=_optional(row, shape.open_fee, shape),
        close_fee_usd=_optional(row, shape.close_fee, shape),
        borrow_fee_usd=borrow_fee,
        opened_time=_moment(row, "createdTime", observed_time),
        flags=frozenset(
            {Flag.CANNOT_JUDGE} if asset == UNKNOWN_ASSET or side is Side.UNKNOWN else ()
        ),
    )


def check_holding(held: Holding, shape: Shape) -> None:
    """Whether the figures of a row agree with each other. Raises RowRefused."""
    size, collateral, after = (
        held.size_usd or 0.0,
        held.collateral_usd or 0.0,
        held.pnl_after_fees_usd,
    )
    if size > HIGHEST_LEVERAGE_RATIO * collateral:
        raise RowRefused("LEVERAGE_SCALE", shape.collateral)
    fees = [held.open_fee_usd, held.close_fee_usd, held.borrow_fee_usd]
    profit = None if after is None else after + sum(fee or 0.0 for fee in fees)
    sign = {Side.LONG: 1.0, Side.SHORT: -1.0}.get(held.side)
    if sign is not None:
        names = (shape.entry, shape.pnl_after_fees)
        entry = held.entry_price_usd or 0.0
        check_entry(sign, size, entry, held.mark_price_usd, profit, names)
    if held.venue_value_usd is None or after is None:
        return
    # value = collateral + pnl, none below 0; with less than a 500th of the size it is liquidated.
    value, expected = max(held.venue_value_usd, 0.0), max(collateral + after, 0.0)
    if abs(value - expected) > VALUE_TOLERANCE_RATIO * max(value, expected) + size / 500 + 1.0:
        raise RowRefused("VALUE_DISAGREES", shape.value)


def refusal(row: object, reason: str, field: str, wallet_address: str) -> Refusal:
    """The record of a row (or a whole answer) that was not taken."""
    return Refusal(reason, field, masked(row, wallet_address), position_key(row))


def position_key(row: object) -> str | None:
    """The position's public key, None when the row states none that could be one."""
    key = row.get("positionPubkey") if isinstance(row, dict) else None
    return key if isinstance(key, str) and _POSITION_KEY.fullmatch(key) else None


def _asset(row: Mapping[str, object], shape: Shape) -> str:
    mint = row.get(shape.market)
    asset = ASSETS_BY_MINT.get(mint) if isinstance(mint, str) else None
    # v2 states the symbol too: when the two disagree neither is believed.
    if asset is None or row.get("asset", asset) != asset:
        return UNKNOWN_ASSET
    return asset


def _side(row: Mapping[str, object]) -> Side:
    side = row.get("side")
    return _SIDES.get(side.lower(), Side.UNKNOWN) if isinstance(side, str) else Side.UNKNOWN


def _own_liquidation(
    asset: str, side: Side, entry: float, size: float, collateral: float, borrow_fee: float | None
) -> float | None:
    if borrow_fee is None or side is Side.UNKNOWN:
        return None
    sign = 1.0 if side is Side.LONG else -1.0
    scalar = jupiter_impact_scalar(asset)
    price = jupiter_liquidation_price(sign, entry, size, collateral, borrow_fee, scalar)
    return finite(float(price))


def _liquidation(row: Mapping[str, object], shape: Shape) -> float | None:
    # null and 0 mean "not known"; without the field the shape has changed.
    if shape.liquidation not in row:
        raise RowRefused("MISSING_FIELD", shape.liquidation)
    return _optional(row, shape.liquidation, shape) or None


def _positive(row: Mapping[str, object], field: str, shape: Shape) -> float:
    number = _needed(row, field, shape)
    if number == 0:
        raise RowRefused("NOT_POSITIVE", field)
    return number


def _needed(row: Mapping[str, object], field: str, shape: Shape) -> float:
    number = _optional(row, field, shape)
    if number is None:
        raise RowRefused("MISSING_FIELD", field)
    return number


def _optional(row: Mapping[str, object], field: str, shape: Shape) -> float | None:
    number = _signed(row, field, shape)
    if number is not None and number < 0:
        raise RowRefused("NEGATIVE", field)
    return number


def _signed(row: Mapping[str, object], field: str, shape: Shape) -> float | None:
    number = stated(row, field, INTEGER if shape.micro_dollars else DECIMAL)
    return (
        number / MICRO_DOLLARS_PER_DOLLAR if number is not None and shape.micro_dollars else number
    )


def _moment(row: Mapping[str, object], field: str, observed_time: datetime) -> datetime | None:
    """Unix seconds, as a number or its digits."""
    second = row.get(field)
    if second is None:
        return None
    if isinstance(second, str) and INTEGER.fullmatch(second) and len(second) < 20:
        second = int(second)
    if isinstance(second, bool) or not isinstance(second, int):
        raise RowRefused("NOT_A_NUMBER", field)
    if second < 0:
        raise RowRefused("NEGATIVE", field)
    if second > (observed_time + FUTURE_TOLERANCE).timestamp():
        raise RowRefused("FROM_FUTURE", field)
    return datetime.fromtimestamp(second, UTC)
