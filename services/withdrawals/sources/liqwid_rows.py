"""Rows of Liqwid's answers: what is asked of each, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from services.withdrawals.sources.reading import (
    RowRefused,
    above_zero,
    at,
    bad_body,
    moment,
    needed,
    positive,
    readable,
    shown,
    text,
)
from services.withdrawals.supply.domain.venue import Market, TransactionPage, VenueTransaction

MARKET_FIELDS = (
    "{ id displayName symbol liquidity exchangeRate batching batchExpired frozen private delisting"
    " parameters { minValue } asset { symbol price(input: {currency: USD}) } }"
)
TRANSACTION_FIELDS = (
    "{ page perPage pagesCount totalCount"
    " results { id type displayName time amount exchangeRate qAmount } }"
)
LOAN_FIELDS = "{ id collaterals { id qTokenAmount market { id } } }"
# What closes a market to withdrawals, by the venue's field.
_BARRIERS = {
    "frozen": "frozen",
    "delisting": "delisting",
    "private": "private",
    "batchExpired": "batch expired",
}


def read_market(row: object) -> Market:
    """Raises RowRefused for one without an id. What is null is not known."""
    id = text(row, "id")
    return Market(
        id,
        shown(row, "displayName") or id,
        shown(row, "symbol") or shown(at(row, "asset"), "symbol") or id,
        price_usd=above_zero(at(row, "asset"), "price"),
        liquidity_units=readable(row, "liquidity"),
        exchange_rate=above_zero(row, "exchangeRate"),
        closed=", ".join(word for name, word in _BARRIERS.items() if at(row, name) is True),
        minimum_units=readable(at(row, "parameters"), "minValue"),
    )


def read_caps(answers: object, markets: Sequence[Market]) -> dict[str, Decimal]:
    """Caps by market id of answers m0, m1, ..."""
    caps = {
        market.id: readable(at(answers, f"m{row}"), "withdrawCap")
        for row, market in enumerate(markets)
    }
    return {id: cap for id, cap in caps.items() if cap is not None}


def read_page(found: object) -> TransactionPage:
    """Transactions of a window and their count; rows that cannot be read by what is wrong. Raises
    ProviderFailure BAD_BODY.
    """
    results, total = at(found, "results"), at(found, "totalCount")
    if not isinstance(results, list) or not isinstance(total, int) or isinstance(total, bool):
        raise bad_body("liqwid", "no page of transactions")
    read, refused = [], []
    for row in results:
        try:
            read.append(_transaction(row))
        except RowRefused as problem:
            refused.append(f"transaction {shown(row, 'id')[:64] or 'without id'}: {problem}")
    return TransactionPage(tuple(read), total, tuple(refused))


def _transaction(row: object) -> VenueTransaction:
    return VenueTransaction(
        text(row, "id"),
        text(row, "type"),
        shown(row, "marketId") or shown(at(row, "market"), "id"),
        shown(row, "displayName"),
        moment(at(row, "time")),
        positive(row, "amount"),
        receipt_units=readable(row, "qAmount") or None,
        exchange_rate=above_zero(row, "exchangeRate"),
    )


def locked_receipts(loans: Sequence[object]) -> dict[str, Decimal] | None:
    """Receipt tokens that serve loans as collateral, by market; None without a loan. Raises
    RowRefused.
    """
    locked: dict[str, Decimal] = {}
    for loan in loans:
        collaterals = at(loan, "collaterals")
        if collaterals is None:
            continue
        if not isinstance(collaterals, list):
            raise RowRefused("collaterals: not a list")
        for one in collaterals:
            # Without a market it is no receipt token.
            market = shown(at(one, "market"), "id")
            if market:
                locked[market] = locked.get(market, Decimal(0)) + needed(one, "qTokenAmount")
    return locked or None


def read_yields(markets: object) -> dict[str, Decimal]:
    """Tokens earned by market id, as far as they can be read."""
    rows = markets if isinstance(markets, list) else []
    yields = {shown(row, "id"): readable(row, "amount") for row in rows if isinstance(row, Mapping)}
    return {id: units for id, units in yields.items() if id and units is not None}
