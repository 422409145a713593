"""The check of scale: a figure a factor over 20 from where it should be is in another unit."""

# Further from an independent price than any market moves within a position's life.
SCALE_FACTOR_LIMIT = 20.0


def off_scale(price_usd: float | None, reference_usd: float | None) -> bool:
    """Whether a price lies a factor over 20 from an independent one; unknown prices do not."""
    if price_usd is None or reference_usd is None:
        return False
    return not 1 / SCALE_FACTOR_LIMIT <= price_usd / reference_usd <= SCALE_FACTOR_LIMIT
