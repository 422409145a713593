"""What a Hyperliquid account is worth: clearinghouse states and spot balances in USD."""

from collections.abc import Mapping

from services.positions.venues.rows import NotThat, RowRefused, at, listed, needed, readable

SMALL_USD = 1.0  # less is dust, and no part that somebody misses


def read_worth(state: object) -> tuple[float, int]:
    """The value of a clearinghouse state, USD, and how many positions it lists; one that lists none
    and states their total has one at least; what holds nothing must state it. Raises NotThat.
    """
    summary = at(state, "marginSummary")
    if not isinstance(summary, dict):
        raise NotThat("no clearinghouse state")
    rows = listed(state, "assetPositions", "no clearinghouse state")
    value, total_usd = _number(summary, "accountValue"), readable(summary, "totalNtlPos")
    if not rows and total_usd is None and value < SMALL_USD:
        raise NotThat("nothing, and no total of it")
    return value, max(len(rows), int((total_usd or 0.0) > 0))


def spot_usd(body: object, prices: Mapping[str, float]) -> float:
    """Spot balances in USD: dollars, coins at their price, else what was paid. Raises NotThat."""
    total = 0.0
    for one in listed(body, "balances", "no spot balances"):
        if not isinstance(one, dict):
            raise NotThat("a balance that is none")
        coin, amount = str(one.get("coin")), _number(one, "total")
        price = 1.0 if coin.startswith("USD") else prices.get(coin)
        total += _number(one, "entryNtl") if price is None else amount * price
    return total


def _number(row: Mapping[str, object], field: str) -> float:
    try:
        return needed(row, field)
    except RowRefused as refused:
        raise NotThat(f"a {field} that is no number") from refused
