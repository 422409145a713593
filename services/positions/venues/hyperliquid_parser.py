"""What Hyperliquid's bodies mean: clearinghouse states as holdings or refusals, contexts as funding
rates.

Numbers are strings but leverage, maxLeverage and time.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.positions.domain.scale import off_scale
from services.positions.domain.venue_answer import (
    CarrySource,
    Flag,
    Holding,
    Refusal,
    VenueTerms,
)
from services.positions.risk.domain.adl import ADL_INDEX_LIMIT, hyperliquid_adl_index
from services.positions.risk.domain.liquidation import (
    hyperliquid_liquidation_price,
    hyperliquid_maintenance_ratio,
)
from services.positions.venues.rows import (
    FUTURE_TOLERANCE,
    NotThat,
    RowRefused,
    at,
    check_entry,
    finite,
    listed,
    made_id,
    masked,
    needed,
    positive,
    readable,
    side_of,
    stated,
    whole,
    within,
)

# An account's value, and an isolated margin, is its raw USD and its positions at the mark, of one
# moment: what is further off than this share of them is in another unit, and moves a liquidation
# price.
ACCOUNT_TOLERANCE_RATIO = 0.01
# A state older than this shows what was: it may update, but nothing is gone for not being in it.
OLD_STATE = timedelta(minutes=5)
# Of what is listed: beyond it the account holds more than prices of another moment explain.
MISSING_RATIO = 1.25
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_COIN = re.compile(r"[A-Za-z0-9:@/._-]{1,32}")


@dataclass(frozen=True, slots=True)
class Row:
    """A position as it is stated. `base` is signed, in units of the coin; USD else."""

    coin: str
    base: float
    entry_price_usd: float
    notional_usd: float  # |base| at the mark the venue judges by
    margin_usd: float
    profit_usd: float
    liquidation_price_usd: float | None
    max_leverage_ratio: float
    isolated: bool

    @property
    def mark_price_usd(self) -> float:
        """To twelve digits: the quotient is off in its last bits, by another one for each size, and
        the mark is one for all.
        """
        return float(f"{self.notional_usd / abs(self.base):.12g}")


@dataclass(frozen=True, slots=True)
class State:
    """A clearinghouse state: the cross account's value, what it must keep, both USD, its rows."""

    rows: tuple[Row, ...]
    refusals: tuple[Refusal, ...]
    row_count: int
    cross_value_usd: float | None
    cross_maintenance_usd: float | None
    state_time: datetime | None
    notional_usd: float | None = None  # of all positions, as the account states it
    marks_usd: Mapping[str, float] = field(
        default_factory=dict
    )  # by coin, also of rows that were refused

    @property
    def hollow(self) -> bool:
        """Whether it lists nothing and does not state that it holds nothing either: a body cut down
        to an empty list is no account without positions.
        """
        return not self.row_count and self.notional_usd is None

    @property
    def short(self) -> bool:
        """Whether the account states more positions than it lists."""
        listed = sum(row.notional_usd for row in self.rows)
        return self.notional_usd is not None and self.notional_usd > listed * MISSING_RATIO + 1.0


def position_id(address: str, coin: str) -> str:
    """Hyperliquid names no position: the coin of the account does."""
    return made_id("hyperliquid", address, coin)


def dex_of(coin: str) -> str:
    """The dex a coin is traded on; empty for the first one, whose coins have no prefix."""
    return coin.rpartition(":")[0]


def read_state(body: object, address: str, received_time: datetime, dex: str = "") -> State:
    """Raises NotThat when the body is no clearinghouse state of this dex, or one from the
    future.
    """
    if not isinstance(body, dict):
        raise NotThat("not a JSON object")
    entries = listed(body, "assetPositions", "an object without assetPositions")
    coins = [at(entry, "position", "coin") for entry in entries]
    if any(isinstance(coin, str) and dex_of(coin) != dex for coin in coins):
        raise NotThat("the state of another dex")
    rows, marks, refusals = _read_rows(entries, address)
    try:
        value, maintenance = _cross_account(body, rows, whole=not refusals)
    except RowRefused as refused:
        # Cross positions share the account: what it is cannot be told for any of them.
        refusals += [
            _refusal(refused, entry, address)
            for entry in _once_each(entries)
            if (row := rows.get(str(at(entry, "position", "coin")))) and not row.isolated
        ]
        value = maintenance = None
    doubted = {refusal.position_id for refusal in refusals}
    return State(
        tuple(row for row in rows.values() if position_id(address, row.coin) not in doubted),
        tuple(refusals),
        len(entries),
        value,
        maintenance,
        _state_time(body, received_time),
        readable(at(body, "marginSummary"), "totalNtlPos"),
        marks,
    )


def _read_rows(
    entries: Sequence[object], address: str
) -> tuple[dict[str, Row], dict[str, float], list[Refusal]]:
    """Rows by coin, marks by coin (also of rows that are not believed), refusals."""
    rows: dict[str, Row] = {}
    marks: dict[str, float] = {}
    refusals: list[Refusal] = []
    for entry in _once_each(entries):
        try:
            row = _row(entry)
            marks[row.coin] = row.mark_price_usd
            if row.coin in rows:
                raise RowRefused("DUPLICATE_DIFFERS", "coin")
            _check(row, within(entry, "position", "leverage"))
        except RowRefused as refused:
            refusals.append(_refusal(refused, entry, address))
            continue
        rows[row.coin] = row
    return rows, marks, refusals


def _cross_account(
    body: Mapping[str, object], rows: Mapping[str, Row], *, whole: bool
) -> tuple[float | None, float | None]:
    """The cross account's value and the maintenance it must keep, USD; None where they are not
    stated: then cross positions have no liquidation price of our own. Raises RowRefused when they
    cannot be believed.

    `whole`: no row was refused, so that what the rows add up to can be held against the account.
    """
    summary = body.get("crossMarginSummary")
    maintenance = stated(body, "crossMaintenanceMarginUsed")
    if not isinstance(summary, dict):
        return None, maintenance
    value, raw = stated(summary, "accountValue"), stated(summary, "totalRawUsd")
    if maintenance is not None and maintenance < 0:
        raise RowRefused("NEGATIVE", "crossMaintenanceMarginUsed")
    cross = [row for row in rows.values() if not row.isolated]
    notional = sum(row.notional_usd for row in cross)
    if whole and value is not None and raw is not None:
        expected = raw + sum(math.copysign(row.notional_usd, row.base) for row in cross)
        if not _agree(value, expected, notional + abs(raw)):
            raise RowRefused("ACCOUNT_DISAGREES", "accountValue")
    # To open takes at least as much as to stay.
    most = sum(row.margin_usd for row in cross) * 1.05 + 1.0
    if whole and cross and maintenance is not None and maintenance > most:
        raise RowRefused("MAINTENANCE_SCALE", "crossMaintenanceMarginUsed")
    return value, maintenance


def _agree(value: float, expected: float, gross: float) -> bool:
    return abs(value - expected) <= ACCOUNT_TOLERANCE_RATIO * gross + 1.0


def _once_each(entries: Sequence[object]) -> list[object]:
    kept: list[object] = []
    for entry in entries:
        if entry not in kept:
            kept.append(entry)
    return kept


def _refusal(refused: RowRefused, entry: object, address: str) -> Refusal:
    coin = at(entry, "position", "coin")
    known = position_id(address, coin) if isinstance(coin, str) and _COIN.fullmatch(coin) else None
    return Refusal(refused.reason, refused.field, masked(entry, address), known)


def _row(entry: object) -> Row:
    row = within(entry, "position")
    if not row:
        raise RowRefused("NOT_AN_OBJECT", "position")
    coin = row.get("coin")
    if not isinstance(coin, str) or not _COIN.fullmatch(coin):
        raise RowRefused("BAD_ID", "coin")
    base = needed(row, "szi")
    if base == 0:
        raise RowRefused("NOT_POSITIVE", "szi")
    liquidation = stated(row, "liquidationPx")
    if liquidation is not None and liquidation < 0:
        raise RowRefused("NEGATIVE", "liquidationPx")
    margin = positive(row, "marginUsed")
    kind = at(row, "leverage", "type")
    if kind not in ("cross", "isolated"):
        raise RowRefused("MISSING_FIELD", "leverage")
    return Row(
        coin=coin,
        base=base,
        entry_price_usd=positive(row, "entryPx"),
        notional_usd=positive(row, "positionValue"),
        margin_usd=margin,
        profit_usd=needed(row, "unrealizedPnl"),
        liquidation_price_usd=liquidation or None,  # 0 is "not known", never "no risk".
        max_leverage_ratio=_max_leverage(row),
        isolated=kind == "isolated",
    )


def _check(row: Row, leverage: Mapping[str, object]) -> None:
    """Whether the figures of a row agree with each other. Raises RowRefused."""
    size_usd = abs(row.base) * row.entry_price_usd
    sign = math.copysign(1.0, row.base)
    names = ("entryPx", "unrealizedPnl")
    check_entry(sign, size_usd, row.entry_price_usd, row.mark_price_usd, row.profit_usd, names)
    raw = stated(leverage, "rawUsd") if row.isolated else None
    if raw is not None and not _agree(
        row.margin_usd, raw + sign * row.notional_usd, row.notional_usd
    ):
        raise RowRefused("MARGIN_DISAGREES", "marginUsed")
    ratio = leverage.get("value")
    if row.isolated or isinstance(ratio, bool) or not isinstance(ratio, int | float) or ratio <= 0:
        return
    # A cross position locks its value over the chosen leverage.
    if off_scale(row.margin_usd, row.notional_usd / ratio):
        raise RowRefused("MARGIN_SCALE", "marginUsed")


def _max_leverage(row: Mapping[str, object]) -> float:
    value = row.get("maxLeverage")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 1000:
        raise RowRefused("NOT_A_NUMBER" if value is not None else "MISSING_FIELD", "maxLeverage")
    return float(value)


def _state_time(body: Mapping[str, object], received_time: datetime) -> datetime | None:
    if body.get("time") is None:
        return None
    milliseconds = whole(body["time"], 1, 10**14)
    if milliseconds is None:
        raise NotThat("a state whose time is no time")
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    if moment > received_time + FUTURE_TOLERANCE:
        raise NotThat("a state from the future")
    return min(moment, received_time)


def holdings(
    state: State, funding: Mapping[str, float], address: str, *, standard: bool = True
) -> list[Holding]:
    """The rows of a state as holdings. `funding`: hourly rate by coin, longs pay when > 0;
    `standard`: whether the account keeps its perps apart. In any other mode this state is not the
    account: no cross price of our own is computed, and each cross row counts with the margin it
    locks.

    Collateral (domain page, C): isolated: margin less unrealised profit; cross: the account's value
    less unrealised profit, divided among the cross positions by size at entry over their highest
    leverage.
    """
    cross = [row for row in state.rows if not row.isolated]
    weights = sum(_weight(row) for row in cross)
    deposit = None
    # A refused row has an unknown share: then each counts with the margin it locks.
    if standard and state.cross_value_usd is not None and not state.refusals:
        deposit = state.cross_value_usd - sum(row.profit_usd for row in cross)
    found = []
    for row in state.rows:
        if row.isolated:
            collateral: float = max(row.margin_usd - row.profit_usd, 0.0)
        elif deposit is None:
            collateral = row.margin_usd
        else:
            collateral = max(deposit * _weight(row) / weights, 0.0)
        own = _own_liquidation(row, state) if standard or row.isolated else None
        worth = row.margin_usd if row.isolated else state.cross_value_usd if standard else None
        index = hyperliquid_adl_index(row.base, row.entry_price_usd, row.mark_price_usd, worth)
        found.append(_holding(row, collateral, own, index, funding.get(row.coin), address))
    return found


def _weight(row: Row) -> float:
    return abs(row.base) * row.entry_price_usd / row.max_leverage_ratio


def _own_liquidation(row: Row, state: State) -> float | None:
    asked = row.notional_usd * float(hyperliquid_maintenance_ratio(row.max_leverage_ratio))
    if row.isolated:
        available: float = row.margin_usd - asked
    elif state.cross_value_usd is None or state.cross_maintenance_usd is None:
        return None
    else:
        available = state.cross_value_usd - state.cross_maintenance_usd
    price = hyperliquid_liquidation_price(
        row.mark_price_usd, row.base, available, row.max_leverage_ratio
    )
    return finite(float(price))


def _holding(
    row: Row,
    collateral_usd: float,
    own_liquidation_usd: float | None,
    adl_index: float | None,
    funding: float | None,
    address: str,
) -> Holding:
    carry = None if funding is None else math.copysign(row.notional_usd, row.base) * funding + 0.0
    return Holding(
        position_id=position_id(address, row.coin),
        asset=row.coin,
        side=side_of(row.base),
        entry_price_usd=row.entry_price_usd,
        liquidation_price_usd=row.liquidation_price_usd,
        own_liquidation_price_usd=own_liquidation_usd,
        mark_price_usd=row.mark_price_usd,
        size_usd=abs(row.base) * row.entry_price_usd,
        collateral_usd=collateral_usd,
        # The venue's figure is before fees.
        pnl_after_fees_usd=None,
        venue_value_usd=row.margin_usd if row.isolated else None,
        adl_index=adl_index,
        flags=frozenset({Flag.ADL_INDEX_HIGH} if (adl_index or 0.0) > ADL_INDEX_LIMIT else ()),
        terms=VenueTerms(
            float(hyperliquid_maintenance_ratio(row.max_leverage_ratio)),
            carry,
            None if carry is None else CarrySource.HYPERLIQUID_FUNDING,
        ),
        one_way=True,
        shares_collateral=not row.isolated,
    )


def read_funding(body: object) -> dict[str, float]:
    """Hourly funding rate by coin, those that can be read. Raises NotThat."""
    if not isinstance(body, list) or len(body) != 2:
        raise NotThat("no pair of universe and contexts")
    meta, contexts = body
    universe = at(meta, "universe")
    if (
        not isinstance(universe, list)
        or not isinstance(contexts, list)
        or len(universe) != len(contexts)
    ):
        raise NotThat("a universe and contexts that do not match")
    if not universe:
        raise NotThat("a universe with nothing in it")
    rates = {
        name: readable(context, "funding")
        for coin, context in zip(universe, contexts, strict=True)
        if isinstance(name := at(coin, "name"), str)
    }
    return {name: rate for name, rate in rates.items() if rate is not None}
