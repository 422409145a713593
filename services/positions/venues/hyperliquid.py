"""Hyperliquid's perpetuals by its info endpoint, for wallets with a 0x address.

Decides whether an answer is usable and complete.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from services.positions.accounts.domain.stated_account import disbelieved
from services.positions.domain.scale import off_scale
from services.positions.domain.venue_answer import Answer, Chain, Flag, Refusal, WalletRef
from services.positions.venues.hyperliquid_account import (
    STANDARD_ACCOUNT,
    Account,
    AccountMode,
    Accounts,
)
from services.positions.venues.hyperliquid_margin import Tiers, accounts, read_tiers
from services.positions.venues.hyperliquid_parser import (
    OLD_STATE,
    holdings,
    read_funding,
    read_state,
)
from services.positions.venues.rows import NotThat, bad_body, masked
from services.positions.venues.venue import Built, VenueContext
from shared.clock import Clock
from shared.http import ProviderFailure, ProviderHttp, asking

DEFAULT_BASE_URL = "https://api.hyperliquid.xyz"
FUNDING_SECONDS = (
    300.0  # The rate changes by the hour; a failure is not asked again before this either.
)


class HyperliquidVenue:
    """The first dex's cross and isolated positions; without funding rates their carry is absent."""

    name = "hyperliquid"
    chains = frozenset({Chain.ETHEREUM})

    def __init__(
        self, http: ProviderHttp, rates: ProviderHttp, accounts: Accounts, clock: Clock
    ) -> None:
        self._accounts = accounts
        self._http = http
        self._rates = rates
        self._clock = clock
        self._reading = asyncio.Lock()
        self._funding: Mapping[str, float] = {}
        # What was known of them stays when they cannot be read: they hardly ever change.
        self._tiers: Tiers = {}
        self._funding_until_seconds = float("-inf")

    async def fetch(
        self, wallet: WalletRef, reference_prices: Mapping[str, float], now: datetime
    ) -> Answer:
        asked = {"type": "clearinghouseState", "user": wallet.public_address}
        answer = await self._http.post_json("/info", asked)
        held = isinstance(answer.body, dict) and bool(answer.body.get("assetPositions"))
        funding = await self._read_funding() if held else {}
        account = await self._accounts.look(wallet.public_address, reference_prices, empty=not held)
        return read_answer(
            answer.body,
            wallet.public_address,
            reference_prices,
            answer.received_time,
            funding,
            account,
            self._tiers,
        )

    async def _read_funding(self) -> Mapping[str, float]:
        async with self._reading:
            if self._clock.monotonic() >= self._funding_until_seconds:
                try:
                    with asking(subject=""):
                        answer = await self._rates.post_json("/info", {"type": "metaAndAssetCtxs"})
                    self._funding = read_funding(answer.body)
                    self._tiers = read_tiers(answer.body)
                except (ProviderFailure, NotThat):
                    self._funding = {}
                self._funding_until_seconds = self._clock.monotonic() + FUNDING_SECONDS
            return self._funding


def build(context: VenueContext) -> Built:
    """Settings: hyperliquid_url. Rates, and questions about accounts, have a connection, waits
    and circuit of their own; the latter weigh much at the venue and are spread.
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
    accounts = Accounts(about, context.clock)
    return Built(HyperliquidVenue(http, rates, accounts, context.clock), (http, rates, about))


def read_answer(
    body: object,
    wallet_address: str,
    reference_prices: Mapping[str, float],
    received_time: datetime,
    funding: Mapping[str, float],
    account: Account = STANDARD_ACCOUNT,
    tiers: Tiers = MappingProxyType({}),
) -> Answer:
    """The answer a body states. Raises ProviderFailure BAD_BODY when it is no clearinghouse state.

    Incomplete with refused rows, or (ANSWER_OLD) when the venue says the state is over five minutes
    old.
    """
    try:
        state = read_state(body, wallet_address, received_time)
    except NotThat as problem:
        raise bad_body("hyperliquid", str(problem)) from problem
    observed_time = state.state_time or received_time
    held = holdings(state, funding, wallet_address, standard=account.mode is AccountMode.STANDARD)
    if account.mode is AccountMode.UNKNOWN:
        flags = frozenset({Flag.ACCOUNT_MODE_UNKNOWN})
        held = [replace(one, flags=one.flags | flags) for one in held]
    if any(off_scale(mark, reference_prices.get(coin)) for coin, mark in state.marks_usd.items()):
        whole = Refusal("PRICE_SCALE", "positionValue", masked(body, wallet_address))
        left, pools = account.unwatched, disbelieved(accounts(state, account.mode, tiers))
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
    pools = accounts(state, account.mode, tiers)
    return Answer(
        tuple(held), rows, not reason, reason, count, observed_time, message, unwatched, pools
    )
