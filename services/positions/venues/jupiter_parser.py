"""The two wire forms of Jupiter's perpetuals and how a row becomes a holding, or a refusal with its
reason.

v1 states dollars as decimal strings, v2 micro-dollars as integer strings under other names.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import UNKNOWN_ASSET, Flag, Refusal, Side
from services.positions.enrichment.domain.enrichment import side_sign
from services.positions.enrichment.domain.metrics import bit
from services.positions.risk.domain.liquidation import (
    jupiter_impact_scalar,
    jupiter_liquidation_price,
)
from services.positions.sync.domain.holding_columns import HoldingColumns, filled, numbered
from services.positions.sync.domain.leaps import entry_faults
from services.positions.venues.row_columns import (
    Faults,
    Numbers,
    Rows,
    column_of,
    each_once,
    stated_column,
)
from services.positions.venues.rows import DECIMAL, FUTURE_TOLERANCE, INTEGER, RowRefused, masked

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
FEES = ("open_fee_usd", "close_fee_usd", "borrow_fee_usd")
_LATEST_SECOND = 2**62 - 1  # any later one is as far in the future
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


def read_rows(
    rows: Sequence[object], keys: Sequence[str | None], shape: Shape, observed_time: datetime
) -> tuple[HoldingColumns, Faults]:
    """The holdings that rows state, and what keeps a row from being one. `keys`: see
    `position_key`.
    """
    faults = Faults(len(rows))
    faults.add(np.array([not isinstance(row, dict) for row in rows], np.bool_), "NOT_AN_OBJECT", "")
    objects: Rows = [row if isinstance(row, dict) else {} for row in rows]
    named = np.array([bool(value) for value in column_of(objects, "positionPubkey")], np.bool_)
    faults.add(~named, "MISSING_FIELD", "positionPubkey")
    faults.add(np.array([key is None for key in keys], np.bool_), "BAD_ID", "positionPubkey")
    asset_names, asset = numbered(_assets(objects, shape))
    side = np.array(each_once(column_of(objects, "side"), _side), np.int16)
    figures, seconds = _figures(_Reader(objects, shape, faults), observed_time)
    scalars = np.array([jupiter_impact_scalar(name) for name in asset_names])[asset]
    own = jupiter_liquidation_price(
        side_sign(side).astype(np.float64),
        figures["entry_price_usd"],
        figures["size_usd"],
        figures["collateral_usd"],
        figures["borrow_fee_usd"],
        scalars,
    )
    unknown = np.array([name == UNKNOWN_ASSET for name in asset_names])[asset]
    return (
        HoldingColumns(
            [key or "" for key in keys],
            asset_names,
            filled(
                len(keys),
                asset=asset,
                side=side,
                flag_bits=np.where(
                    unknown | (side == Side.UNKNOWN), bit(Flag.CANNOT_JUDGE), np.int64(0)
                ),
                opened_second=seconds,
                **figures,
                own_liquidation_price_usd=np.where(np.isfinite(own), own, np.nan),
            ),
        ),
        faults,
    )


def _figures(
    reader: "_Reader", observed_time: datetime
) -> tuple[dict[str, Numbers], NDArray[np.int64]]:
    """Figures by name, and when each was opened. What is read first tells its fault first."""
    shape = reader.shape
    figures = {
        "entry_price_usd": reader.positive(shape.entry),
        "size_usd": reader.positive(shape.size),
        "collateral_usd": reader.positive(shape.collateral),
        "borrow_fee_usd": reader.not_negative(shape.borrow_fee),
    }
    reader.seconds("updatedTime", observed_time)  # Old is normal (no trade); of the future is not.
    figures |= {
        "liquidation_price_usd": reader.liquidation(),
        "mark_price_usd": reader.positive(shape.mark),
        "pnl_after_fees_usd": reader.signed(shape.pnl_after_fees),
        "venue_value_usd": reader.signed(shape.value),
        "open_fee_usd": reader.not_negative(shape.open_fee),
        "close_fee_usd": reader.not_negative(shape.close_fee),
    }
    return figures, reader.seconds("createdTime", observed_time)


def check_holdings(held: HoldingColumns, shape: Shape, faults: Faults) -> None:
    """Whether the figures of each row agree with each other."""
    of = held.columns
    size, collateral, after = of["size_usd"], of["collateral_usd"], of["pnl_after_fees_usd"]
    with np.errstate(all="ignore"):
        faults.add(size > HIGHEST_LEVERAGE_RATIO * collateral, "LEVERAGE_SCALE", shape.collateral)
        fees = sum(np.nan_to_num(of[name]) for name in FEES)
        sign = side_sign(of["side"])
        far, disagrees = entry_faults(
            sign, size, of["entry_price_usd"], of["mark_price_usd"], after + fees
        )
        faults.add(far & (sign != 0), "ENTRY_SCALE", shape.entry)
        faults.add(disagrees & (sign != 0), "PROFIT_DISAGREES", shape.pnl_after_fees)
        # value = collateral + pnl, none below 0; with less than a 500th of the size it is
        # liquidated.
        value = np.maximum(of["venue_value_usd"], 0.0)
        expected = np.maximum(collateral + after, 0.0)
        most = VALUE_TOLERANCE_RATIO * np.maximum(value, expected) + size / 500 + 1.0
        faults.add(np.abs(value - expected) > most, "VALUE_DISAGREES", shape.value)


def refusal(row: object, reason: str, field: str, wallet_address: str) -> Refusal:
    """The record of a row (or a whole answer) that was not taken."""
    return Refusal(reason, field, masked(row, wallet_address), position_key(row))


def position_key(row: object) -> str | None:
    """The position's public key, None when the row states none that could be one."""
    key = row.get("positionPubkey") if isinstance(row, dict) else None
    return key if isinstance(key, str) and _POSITION_KEY.fullmatch(key) else None


def _assets(rows: Rows, shape: Shape) -> Sequence[str]:
    found = each_once(column_of(rows, shape.market), _asset)
    # v2 states the symbol too: when the two disagree neither is believed.
    return [
        asset if row.get("asset", asset) == asset else UNKNOWN_ASSET
        for row, asset in zip(rows, found, strict=True)
    ]


def _asset(mint: object) -> str:
    return ASSETS_BY_MINT.get(mint, UNKNOWN_ASSET) if isinstance(mint, str) else UNKNOWN_ASSET


def _side(side: object) -> Side:
    return _SIDES.get(side.lower(), Side.UNKNOWN) if isinstance(side, str) else Side.UNKNOWN


class _Reader:
    """Columns of rows; what is wrong with a row is added to its faults."""

    def __init__(self, rows: Rows, shape: Shape, faults: Faults) -> None:
        self.shape = shape
        self._rows = rows
        self._faults = faults

    def signed(self, field: str) -> Numbers:
        micro = self.shape.micro_dollars
        numbers = stated_column(self._rows, field, self._faults, INTEGER if micro else DECIMAL)
        return numbers / MICRO_DOLLARS_PER_DOLLAR if micro else numbers

    def not_negative(self, field: str) -> Numbers:
        numbers = self.signed(field)
        self._faults.add(numbers < 0, "NEGATIVE", field)
        return numbers

    def positive(self, field: str) -> Numbers:
        numbers = self.not_negative(field)
        self._faults.add(np.isnan(numbers), "MISSING_FIELD", field)
        self._faults.add(numbers == 0, "NOT_POSITIVE", field)
        return numbers

    def liquidation(self) -> Numbers:
        """null and 0 mean "not known"; without the field the shape has changed."""
        field = self.shape.liquidation
        missing = np.array([field not in row for row in self._rows], np.bool_)
        self._faults.add(missing, "MISSING_FIELD", field)
        numbers = self.not_negative(field)
        return np.where(numbers == 0, np.nan, numbers)

    def seconds(self, field: str, observed_time: datetime) -> NDArray[np.int64]:
        """Unix seconds, stated as a number or its digits; -1 where nothing is."""
        values = column_of(self._rows, field)
        seconds = np.full(len(values), -1, np.int64)
        if set(map(type, values)) == {int} and 0 <= min(values) <= max(values) <= _LATEST_SECOND:
            seconds[:], values = values, []
        for place, second in enumerate(values):
            if isinstance(second, str) and INTEGER.fullmatch(second) and len(second) < 20:
                second = int(second)
            if second is None:
                continue
            if isinstance(second, bool) or not isinstance(second, int):
                self._faults.note(place, RowRefused("NOT_A_NUMBER", field))
            elif second < 0:
                self._faults.note(place, RowRefused("NEGATIVE", field))
            else:
                seconds[place] = min(second, _LATEST_SECOND)
        limit = (observed_time + FUTURE_TOLERANCE).timestamp()
        self._faults.add(seconds > limit, "FROM_FUTURE", field)
        return seconds
