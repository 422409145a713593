"""How long a position lasts when nothing moves but its borrow or funding cost.

Pure: arrays in, arrays out (the scalar is the vector of length one); NaN is absent.
"""

import numpy as np

from services.positions.risk.domain.advice import margin_available
from services.positions.risk.domain.liquidation import Numbers, Reading


def hours_until_liquidation(
    side_sign: Reading,
    price_usd: Reading,
    base_units: Reading,
    liquidation_price_usd: Reading,
    hourly_carry_usd: Reading,
    maintenance_ratio: Reading = 0.0,
) -> Numbers:
    """Hours, >= 0, until carry alone liquidates at an unmoved price and rate; 0 at or past
    liquidation.

    Infinite when carry costs nothing or pays. `base_units` = size / entry; the ratio is 0 for
    Jupiter, where liquidation drifts by `hourly_carry_usd / base_units` an hour. Absent where an
    input is.
    """
    with np.errstate(all="ignore"):
        carry = np.asarray(hourly_carry_usd, np.float64)
        available = margin_available(
            side_sign, price_usd, base_units, liquidation_price_usd, maintenance_ratio
        )
        hours = np.where(carry > 0, np.maximum(available, 0.0) / carry, np.inf)
        known = np.isfinite(carry) & np.isfinite(available) & (np.asarray(side_sign) != 0)
        return np.asarray(np.where(known, np.where(available <= 0, 0.0, hours), np.nan), np.float64)
