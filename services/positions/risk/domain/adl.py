"""How early a venue would take a winning position against an account that was liquidated."""

from typing import Final

# Of a profit of a tenth with ten times the account in positions it is 11.
ADL_INDEX_LIMIT: Final = 10.0


def hyperliquid_adl_index(
    base: float,
    entry_price_usd: float,
    mark_price_usd: float,
    account_value_usd: float | None,
) -> float | None:
    """Index by which Hyperliquid orders the winning side when it auto-deleverages, > 0: the higher,
    the earlier. No rank: others' positions are not seen. `base`: signed; prices USD per unit, > 0;
    `account_value_usd`: of the account that stands for the position, None = not known.

    Source: Hyperliquid's documentation, Trading, Auto-deleveraging: `(mark price / entry price) *
    (notional position / account value)`, which it states of the winning side. Our reading: for a
    short the first ratio is turned round, entry over mark, since its profit grows as the mark
    falls; and the account value is that of the cross account of its dex, of an isolated position
    its own margin. None for a position that does not win, and where the account value is not
    above 0.
    """
    if account_value_usd is None or account_value_usd <= 0 or base == 0:
        return None
    gain = mark_price_usd / entry_price_usd
    gain = gain if base > 0 else 1.0 / gain
    return gain * abs(base) * mark_price_usd / account_value_usd if gain > 1 else None
