"""Where a position is liquidated, by the formula of its venue, and what moves that price.

Pure: arrays in, arrays out (the scalar is the vector of length one); NaN is absent.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Reading = Numbers | float

# Price impact scalars of Jupiter's custody accounts, in 1e-10 USD per basis point. Only SOL's is
# published where it can be read without the chain; others are taken with the same one: a close fee
# of 7 bps up to 375,000 USD, rising with size beyond.
JUPITER_IMPACT_SCALARS: Mapping[str, float] = {"SOL": 3.75e15}
JUPITER_DEFAULT_IMPACT_SCALAR = 3.75e15
JUPITER_BASE_FEE_BPS = 6.0
JUPITER_MAX_LEVERAGE_RATIO = 500.0


def jupiter_impact_scalar(asset: str) -> float:
    """The scalar of an asset's custody; the documented default for an asset that has none."""
    return JUPITER_IMPACT_SCALARS.get(asset, JUPITER_DEFAULT_IMPACT_SCALAR)


def jupiter_close_fee_bps(size_usd: Reading, impact_scalar: Reading) -> Numbers:
    """Base fee plus price impact, in whole basis points of the size."""
    impact_bps = np.ceil(np.asarray(size_usd, dtype=np.float64) * 1e6 * 1e4 / impact_scalar)
    return np.asarray(JUPITER_BASE_FEE_BPS + impact_bps, dtype=np.float64)


def jupiter_liquidation_price(
    side_sign: Reading,
    entry_price_usd: Reading,
    size_usd: Reading,
    collateral_usd: Reading,
    borrow_fee_usd: Reading,
    impact_scalar: Reading = JUPITER_DEFAULT_IMPACT_SCALAR,
) -> Numbers:
    """USD per unit; beyond entry when fees have eaten the collateral (liquidatable now).

    Absent (NaN) where an input is absent, the side is unknown (0), entry or size is not > 0, or the
    price would not be > 0: a long that holds more collateral than it can lose has none.
    """
    side = np.asarray(side_sign, dtype=np.float64)
    entry = np.asarray(entry_price_usd, dtype=np.float64)
    size = np.asarray(size_usd, dtype=np.float64)
    known = (side != 0) & (entry > 0) & (size > 0)
    with np.errstate(all="ignore"):
        close_fee = size * jupiter_close_fee_bps(size, impact_scalar) / 1e4
        max_loss = size / JUPITER_MAX_LEVERAGE_RATIO + close_fee + borrow_fee_usd
        price = entry - side * (collateral_usd - max_loss) * entry / size
        return _present(price, known)


def dydx_liquidation_price(
    equity_usd: Reading,
    base: Reading,
    price_usd: Reading,
    maintenance_ratio: Reading,
    other_maintenance_usd: Reading = 0.0,
) -> Numbers:
    """USD per unit. `base` is the signed size in base units; `equity_usd` is that of the
    subaccount; isolated positions have no other maintenance requirement. Absent without a position
    or when not > 0.
    """
    units = np.asarray(base, dtype=np.float64)
    with np.errstate(all="ignore"):
        owed = np.asarray(equity_usd, dtype=np.float64) - units * price_usd - other_maintenance_usd
        return _present(owed / (np.abs(units) * maintenance_ratio - units), units != 0)


def hyperliquid_liquidation_price(
    price_usd: Reading, base: Reading, margin_available_usd: Reading, max_leverage_ratio: Reading
) -> Numbers:
    """USD per unit. Isolated: margin available = margin used - position value * l; cross: account
    value - maintenance required; l = 1 / (2 * max leverage). Absent without a position or when not
    > 0.
    """
    units = np.asarray(base, dtype=np.float64)
    side = np.sign(units)
    with np.errstate(all="ignore"):
        maintenance = hyperliquid_maintenance_ratio(max_leverage_ratio)
        distance = side * margin_available_usd / np.abs(units) / (1.0 - maintenance * side)
        return _present(np.asarray(price_usd, dtype=np.float64) - distance, units != 0)


def hyperliquid_maintenance_ratio(max_leverage_ratio: Reading) -> Numbers:
    """Maintenance margin as a share of the notional."""
    return np.asarray(
        1.0 / (2.0 * np.asarray(max_leverage_ratio, dtype=np.float64)), dtype=np.float64
    )


def _present(price: npt.NDArray[np.float64], known: npt.NDArray[np.bool_]) -> Numbers:
    return np.asarray(
        np.where(known & np.isfinite(price) & (price > 0), price, np.nan), dtype=np.float64
    )
