"""What a venue states about a wallet: positions, refused rows, whether the answer is complete."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final

from services.positions.accounts.domain.stated_account import StatedAccount


class Side(IntEnum):
    """Direction; the numbers are those of the proto."""

    LONG = 1
    SHORT = 2
    UNKNOWN = 3


class Status(IntEnum):
    """Life of a position."""

    ACTIVE = 1
    STALE = 2
    CLOSED = 3
    LIQUIDATED = 4
    INACTIVE = 5


class Flag(IntEnum):
    """A remark about a position's figures; bit n of flag_bits is flag n."""

    LIQUIDATION_ON_WRONG_SIDE = 1
    LIQUIDATION_PRICE_DISAGREES = 2
    MARK_PRICE_DISAGREES = 3
    CANNOT_JUDGE = 4
    MARK_STALE = 5
    MARK_MISSING = 6
    DEMO = 7
    ROW_REFUSED = 8
    ACCOUNT_MODE_UNKNOWN = 9
    ADL_INDEX_HIGH = 10
    TRADING_HALTED = 11
    MARK_FROZEN = 12
    SPOT = 13


class Chain(IntEnum):
    """Network of a wallet."""

    SOLANA = 1
    DYDX = 2
    ETHEREUM = 3
    MANUAL = 4
    DEMO = 5


class WalletType(IntEnum):
    """Whose wallet it is."""

    PERSONAL = 1
    BOT = 2
    EXCHANGE = 3
    TEST = 4


class WalletSyncState(IntEnum):
    """Outcome of fetching one wallet."""

    COMPLETE = 1
    PARTIAL = 2
    FAILED = 3


class CarrySource(StrEnum):
    """What a carry cost was read from."""

    JUPITER_BORROW = "JUPITER_BORROW"
    DYDX_FUNDING = "DYDX_FUNDING"
    HYPERLIQUID_FUNDING = "HYPERLIQUID_FUNDING"


class ForcedKind(IntEnum):
    """How a venue itself closed a position, or a part of it."""

    LIQUIDATED = 1
    AUTO_DELEVERAGED = 2


UNKNOWN_ASSET = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class WalletRef:
    """What an adapter needs to ask for a wallet; the address never shows in a repr or a log.

    `parts`: those of the venue in which positions are stored that are not over, dexes by name and
    subaccounts as ids name them; whatever is believed of these they are asked, for nothing is gone
    from where nobody looked. `wallets`:
    addresses of all active wallets, lower case: a part that is one of them is read there.
    """

    name: str
    chain: Chain
    public_address: str = field(repr=False)
    parts: tuple[str, ...] = ()
    wallets: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class VenueTerms:
    """What a venue asks of a position besides its figures; None = not known, or not a term of this
    venue.

    `maintenance_ratio`: margin that must stay, as a share of the notional, 0 to 1.
    `hourly_carry_usd`: borrow or funding at the present rate, USD an hour; > 0 costs the holder, <
    0 pays.
    """

    maintenance_ratio: float | None = None
    hourly_carry_usd: float | None = None
    carry_source: CarrySource | None = None


NO_TERMS = VenueTerms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is stated of a position: prices in USD per unit, > 0, amounts in USD; None = not said.

    `size_usd`: notional at entry, > 0; `own_liquidation_price_usd`: by the venue's formula here;
    `adl_index`: how early a winning position would be taken, > 0, see risk.domain.adl.
    """

    entry_price_usd: float | None = None
    liquidation_price_usd: float | None = None
    own_liquidation_price_usd: float | None = None
    mark_price_usd: float | None = None
    size_usd: float | None = None
    collateral_usd: float | None = None
    pnl_after_fees_usd: float | None = None
    venue_value_usd: float | None = None
    open_fee_usd: float | None = None
    close_fee_usd: float | None = None
    borrow_fee_usd: float | None = None
    adl_index: float | None = None


NUMBERS: Final = tuple(field.name for field in fields(Figures))


@dataclass(frozen=True, slots=True)
class Holding(Figures):
    """One position as its venue states it.

    `terms` move every hour and are kept apart: a change of them alone is no news of the position.
    `one_way`: the venue holds one position a market, so that one on the other side is another
    position. `shares_collateral`: its collateral is its part of one that stands for several
    positions.
    """

    position_id: str
    asset: str
    side: Side
    opened_time: datetime | None = None
    flags: frozenset[Flag] = frozenset()
    terms: VenueTerms = field(default=NO_TERMS, compare=False)
    one_way: bool = False
    shares_collateral: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not taken: the reason word, the field that broke it, the row masked."""

    reason: str
    field: str
    masked_body: str
    position_id: str | None = None


@dataclass(frozen=True, slots=True)
class ForcedTrade:
    """A trade that a venue made of a position by itself. `side`: of the position, UNKNOWN where its
    id says it; `is_last`: no later trade of that position is known, so that one which is gone ended
    by it. `units`: of its asset that it took, where the venue does not say whether it left
    anything; None where it does.
    """

    position_id: str
    trade_time: datetime
    kind: ForcedKind
    side: Side = Side.UNKNOWN
    is_last: bool = True
    units: float | None = None


DELISTED = "DELISTED"


@dataclass(frozen=True, slots=True)
class Unwatched:
    """A part of an account that is not read here: what it is, why, its worth in USD if known.

    `reason`: NOT_WATCHED, API_WALLET, UNREAD when it could not be looked at, or DELISTED when its
    venue lists it no more, for good; `address`: of a part that could be a wallet of its own.
    """

    part: str
    reason: str
    value_usd: float | None = None
    address: str = field(default="", repr=False)

    @property
    def words(self) -> str:
        """The part for people, without addresses."""
        if self.reason == DELISTED:
            return f"not watched: {self.part} is listed no more, its positions are STALE"
        verb = "not looked at" if self.reason == "UNREAD" else "not watched"
        return f"{verb}: {self.part}" + (
            "" if self.value_usd is None else f", {self.value_usd:,.0f} USD"
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """One fetch of one wallet. Only a complete answer may age the wallet's positions (domain page,
    4).

    `message`: a sentence to be told with the outcome, without addresses; empty when there is
    nothing to say. `unwatched`: parts of the account that the answer says nothing about.
    `accounts`: the pools of margin; None where the answer says nothing of them, or is not believed.
    `unread_ids`: patterns (`*` = anything) of the ids of positions of parts that were not read;
    where there are any, the answer is whole but for those, and all other positions age by it.
    `delisted_ids`: those of them, of parts that the venue lists no more and does not show: they are
    STALE from then on, and never closed for that.
    `apart_ids`: patterns of those that are read as a wallet of their own: they end here without
    being news.
    """

    holdings: Sequence[Holding]
    refusals: tuple[Refusal, ...]
    complete: bool
    incomplete_reason: str
    row_count: int
    observed_time: datetime
    message: str = ""
    unwatched: tuple[Unwatched, ...] = ()
    accounts: tuple[StatedAccount, ...] | None = None
    unread_ids: tuple[str, ...] = ()
    delisted_ids: tuple[str, ...] = ()
    apart_ids: tuple[str, ...] = ()
