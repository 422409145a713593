"""Hyperliquid's perpetuals by its info endpoint, for wallets with a 0x address.

Decides whether an answer is usable and complete.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from services.positions.accounts.domain.stated_account import disbelieved
from services.positions.domain.scale import off_scale
from services.positions.domain.venue_answer import (
    Answer,
    Chain,
    Flag,
    ForcedTrade,
    Refusal,
    WalletRef,
)
from services.positions.venues.hyperliquid_account import (
    STANDARD_ACCOUNT,
    Account,
    AccountMode,
    Accounts,
)
from services.positions.venues.hyperliquid_dexes import (
    PartAnswer,
    is_whole,
    merged,
    of_dex,
    owned,
    with_parts,
)
from services.positions.venues.hyperliquid_fills import ask_fills, forced
from services.positions.venues.hyperliquid_margin import Tiers, accounts
from services.positions.venues.hyperliquid_parser import OLD_STATE, holdings, read_state
from services.positions.venues.hyperliquid_rates import NO_RATES, Rates
from services.positions.venues.hyperliquid_spot import PART as SPOT_PART
from services.positions.venues.hyperliquid_spot import spot_part
from services.positions.venues.hyperliquid_subaccounts import Subaccount, stored_subaccounts
from services.positions.venues.hyperliquid_unified import (
    POOLED,
    DexPools,
    Spot,
    estimates,
    read_spot,
)
from services.positions.venues.rows import NotThat, bad_body, masked
from services.positions.venues.venue import Built, VenueContext
from shared.http import ProviderFailure, ProviderHttp, asking

DEFAULT_BASE_URL = "https://api.hyperliquid.xyz"


class HyperliquidVenue:
    """Cross and isolated positions of every dex that holds something of the address, or where
    something is stored, and of its subaccounts; without funding rates their carry is absent.
    """

    name = "hyperliquid"
    asks_parts = True
    forces_parts = True
    chains = frozenset({Chain.ETHEREUM})

    def __init__(
        self,
        http: ProviderHttp,
        dexes: ProviderHttp,
        fills: ProviderHttp,
        rates: Rates,
        accounts: Accounts,
        *,
        spot_legs: bool = False,
    ) -> None:
        self._accounts = accounts
        self._spot_legs = spot_legs
        self._fills = fills
        self._http = http
        self._dexes = dexes
        self._rates = rates

    async def fetch(
        self, wallet: WalletRef, reference_prices: Mapping[str, float], now: datetime
    ) -> Answer:
        """Incomplete when a dex or a subaccount could not be read (DEX_UNREAD, SUBACCOUNT_UNREAD):
        what is held there must not count as closed, and all else is as it was read.
        """
        address = wallet.public_address
        answer = await self._http.post_json("/info", _state_of(address))
        held = _holds(answer.body)
        rates = await self._rates.read() if held else NO_RATES
        stored, dexes_held = stored_subaccounts(wallet.parts)
        account, subaccounts = await asyncio.gather(
            self._accounts.look(address, reference_prices, dexes_held, empty=not held),
            self._accounts.subaccounts(address, reference_prices, wallet.wallets, stored),
        )
        first = read_answer(
            answer.body,
            address,
            reference_prices,
            answer.received_time,
            rates.funding,
            account,
            rates.tiers,
        )
        dexes, spot = await asyncio.gather(
            asyncio.gather(
                *(self._read_dex(address, one, account, reference_prices) for one in account.dexes)
            ),
            self._read_spot(address, account),
        )
        dexes = [of_dex("", first, token=rates.token), *dexes]
        others = [
            await self._read_subaccount(address, one, mode, reference_prices, now)
            for one, mode in subaccounts.read
        ]
        if self._spot_legs:
            others.append(spot_part(spot, address, reference_prices, answer.received_time))
            # They are read now, and what of them is not is said of the part.
            left = tuple(one for one in first.unwatched if one.part != SPOT_PART)
            first = replace(first, unwatched=left)
        whole = with_parts(first, [*dexes[1:], *others], account, address, subaccounts)
        if account.unread_dexes or not all(map(is_whole, dexes)):
            return whole
        return _with_estimates(whole, account.mode, dexes, spot, reference_prices)

    async def forced_trades(
        self, wallet: WalletRef, position_ids: Sequence[str], since: datetime
    ) -> Sequence[ForcedTrade]:
        """Of all dexes, and of the subaccounts whose positions are asked for; a forced trade is the
        last one while no later fill is on its side.
        """
        address = wallet.public_address
        subaccounts = [
            one
            for one in self._accounts.known_subaccounts(address)
            if any(name.startswith(one.owned_id(address, "")) for name in position_ids)
        ]
        found = list(forced(await ask_fills(self._fills, address, since), address))
        for one in subaccounts:
            fills = await ask_fills(self._fills, one.address, since)
            found += [
                replace(trade, position_id=one.owned_id(address, trade.position_id))
                for trade in forced(fills, one.address)
            ]
        return found

    async def _read_dex(
        self, address: str, name: str, account: Account, prices: Mapping[str, float]
    ) -> PartAnswer:
        try:
            with asking(part=name):
                answer = await self._dexes.post_json("/info", _state_of(address, name))
            rates = await self._rates.read(name) if _holds(answer.body) else NO_RATES
            read = read_answer(
                answer.body,
                address,
                prices,
                answer.received_time,
                rates.funding,
                Account(account.mode),
                rates.tiers,
                name,
            )
        except ProviderFailure as failure:
            return of_dex(name, None, failure.message)
        with suppress(NotThat):
            self._accounts.saw(address, name, answer.body)
        return of_dex(name, read, token=rates.token)

    async def _read_spot(self, address: str, account: Account) -> Spot | None:
        """Asked with every look where it stands for positions or hedges them; None where it cannot
        be read.
        """
        if not (self._spot_legs or account.mode in POOLED):
            return None
        try:
            with asking(part="spot"):
                sent = {"type": "spotClearinghouseState", "user": address}
                return read_spot((await self._dexes.post_json("/info", sent)).body)
        except (ProviderFailure, NotThat):
            return None

    async def _read_subaccount(
        self,
        owner: str,
        one: Subaccount,
        mode: AccountMode,
        prices: Mapping[str, float],
        received_time: datetime,
    ) -> PartAnswer:
        """All of its dexes, as its owner's."""
        dexes = []
        try:
            for dex, body in one.states:
                rates = await self._rates.read(dex) if _holds(body) else NO_RATES
                read = read_answer(
                    body,
                    one.address,
                    prices,
                    received_time,
                    rates.funding,
                    Account(mode),
                    rates.tiers,
                    dex,
                )
                dexes.append(of_dex(dex, read, token=rates.token))
            answer = merged([at.answer for at in dexes if at.answer is not None], received_time)
            with suppress(NotThat):
                if answer.complete and not answer.refusals:
                    answer = _with_estimates(answer, mode, dexes, read_spot(one.spot), prices)
        except ProviderFailure as failure:
            return PartAnswer(one.part, one.ids, None, failure.message)
        return PartAnswer(one.part, one.ids, owned(answer, one, owner))


def _with_estimates(
    answer: Answer,
    mode: AccountMode,
    dexes: Sequence[PartAnswer],
    spot: Spot | None,
    prices: Mapping[str, float],
) -> Answer:
    """A whole answer with the accounts that its pools are parts of."""
    pools = [
        DexPools(one.dex, one.token, one.answer.accounts or ())
        for one in dexes
        if one.answer is not None
    ]
    found = estimates(mode, pools, spot, prices)
    return replace(answer, accounts=(*(answer.accounts or ()), *found))


def _state_of(address: str, dex: str = "") -> dict[str, str]:
    return {"type": "clearinghouseState", "user": address} | ({"dex": dex} if dex else {})


def _holds(body: object) -> bool:
    return isinstance(body, dict) and bool(body.get("assetPositions"))


def build(context: VenueContext) -> Built:
    """Settings: hyperliquid_url, hyperliquid_spot_legs. Other dexes, fills, rates, and questions
    about accounts have each a connection and waits of their own, and each dex and kind of question
    its circuit; the last weigh much at the venue and are spread.
    """
    address = context.settings.get("hyperliquid_url") or DEFAULT_BASE_URL
    http = ProviderHttp("hyperliquid", address, clock=context.clock, per_second=5.0)
    rates = ProviderHttp(
        "hyperliquid rates", address, clock=context.clock, timeout_seconds=3.0, retries=0
    )
    about = ProviderHttp(
        "hyperliquid accounts",
        address,
        clock=context.clock,
        timeout_seconds=3.0,
        retries=0,
        per_second=1.0,
        burst=40.0,
    )
    dexes = ProviderHttp(
        "hyperliquid dexes",
        address,
        clock=context.clock,
        timeout_seconds=4.0,
        retries=0,
        per_second=5.0,
    )
    fills = ProviderHttp(
        "hyperliquid fills", address, clock=context.clock, timeout_seconds=4.0, retries=0
    )
    venue = HyperliquidVenue(
        http,
        dexes,
        fills,
        Rates(rates, context.clock),
        Accounts(about, context.clock),
        spot_legs=bool(context.settings.get("hyperliquid_spot_legs")),
    )
    return Built(venue, (http, dexes, fills, rates, about))


def read_answer(
    body: object,
    wallet_address: str,
    reference_prices: Mapping[str, float],
    received_time: datetime,
    funding: Mapping[str, float],
    account: Account = STANDARD_ACCOUNT,
    tiers: Tiers = MappingProxyType({}),
    dex: str = "",
) -> Answer:
    """The answer a body states of one dex. Raises ProviderFailure BAD_BODY when it is no
    clearinghouse state of it.

    Incomplete with refused rows, or (ANSWER_OLD) when the venue says the state is over five minutes
    old.
    """
    try:
        state = read_state(body, wallet_address, received_time, dex)
    except NotThat as problem:
        raise bad_body("hyperliquid", str(problem)) from problem
    observed_time = state.state_time or received_time
    held = holdings(state, funding, wallet_address, standard=account.mode is AccountMode.STANDARD)
    if account.mode is AccountMode.UNKNOWN:
        flags = frozenset({Flag.ACCOUNT_MODE_UNKNOWN})
        held = [replace(one, flags=one.flags | flags) for one in held]
    if any(off_scale(mark, reference_prices.get(coin)) for coin, mark in state.marks_usd.items()):
        whole = Refusal("PRICE_SCALE", "positionValue", masked(body, wallet_address))
        left, pools = account.unwatched, disbelieved(accounts(state, account.mode, tiers, dex))
        return Answer(
            (), (whole,), False, "PRICE_SCALE", state.row_count, observed_time, "", left, pools
        )
    reason, message = "", ""
    if received_time - observed_time > OLD_STATE:
        reason, message = "ANSWER_OLD", "hyperliquid's answer is over five minutes old"
    elif state.refusals:
        reason = "ROWS_REFUSED"
    elif state.hollow:
        reason = "POSITIONS_MISSING"
        message = "hyperliquid lists no position and does not state their total"
    elif state.short:
        reason, message = "POSITIONS_MISSING", "hyperliquid states more positions than it lists"
    elif held and not funding:
        message = "hyperliquid's funding rates cannot be read: what positions cost is not known"
    rows, count, unwatched = state.refusals, state.row_count, account.unwatched
    pools = accounts(state, account.mode, tiers, dex)
    return Answer(
        tuple(held), rows, not reason, reason, count, observed_time, message, unwatched, pools
    )
