"""What a Hyperliquid address is besides its first dex: its mode, the other dexes it uses, and the
parts of it that are not read here.

A formula holds in the standard mode alone. Nothing here may harm a fetch: what cannot be asked is
unread.
"""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from services.positions.domain.venue_answer import Unwatched
from services.positions.venues.hyperliquid_parser import ADDRESS
from services.positions.venues.hyperliquid_subaccounts import (
    ANY_SUBACCOUNT,
    Subaccount,
    ids_of,
    lacking,
    read_subaccounts,
    split,
    unwatched,
)
from services.positions.venues.hyperliquid_worth import SMALL_USD, read_worth, spot_usd
from services.positions.venues.rows import NotThat, at
from shared.clock import Clock
from shared.http import ProviderFailure, ProviderHttp, asking

T = TypeVar("T")

KNOWN_SECONDS = 300.0
# What was known stays so long when it cannot be asked again.
STALE_SECONDS = 900.0
ROLE_SECONDS = 86_400.0
# A fetch waits so long for what is beside it; the rest is looked at by the next one.
LOOK_SECONDS = 4.0
_DEX = re.compile(r"[A-Za-z0-9_-]{1,16}")
# A list that names no dex that was known looks as one of an outage, until it is so old.
DELISTED_SECONDS = 86_400.0
MOST_DEXES = 12  # are read of one address with every sync, those with most in them
ANY_DEX = "*"
_LIST = ("perpDexs", "", "")
# Stands for every dex of the list that cannot be asked; no dex is called so.
UNNAMED_DEX = "without a readable name"


class AccountMode(StrEnum):
    """How an account holds its collateral; the words are the venue's."""

    STANDARD = "disabled"
    DEX_ABSTRACTION = "dexAbstraction"
    UNIFIED = "unifiedAccount"
    PORTFOLIO = "portfolioMargin"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Account:
    """The mode of an address, the dexes beside the first that hold something of it, and what of it
    is not read. `unread_dexes`: of which nothing is known; ANY_DEX: not even which there are.
    `unlisted_dexes`: of stored positions, those that are delisted if they cannot be read.
    """

    mode: AccountMode
    unwatched: tuple[Unwatched, ...] = ()
    dexes: tuple[str, ...] = ()
    unread_dexes: tuple[str, ...] = ()
    unlisted_dexes: tuple[str, ...] = ()


STANDARD_ACCOUNT = Account(AccountMode.STANDARD)


@dataclass(frozen=True, slots=True)
class Subaccounts:
    """Subaccounts with their modes, as they were just stated; `unwatched`: what of them is not
    read; `unasked_ids`, `unread_ids`, `apart_ids`: patterns, within the owner's positions, of those
    that were not to be asked about, that could not be read, and that are read as wallets of their
    own.
    """

    read: tuple[tuple[Subaccount, AccountMode], ...] = ()
    unwatched: tuple[Unwatched, ...] = ()
    unasked_ids: tuple[str, ...] = ()
    unread_ids: tuple[str, ...] = ()
    apart_ids: tuple[str, ...] = ()


NO_SUBACCOUNTS = Subaccounts()


class Accounts:
    """Asks about addresses, and keeps the answers for five minutes."""

    def __init__(self, http: ProviderHttp, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._known: dict[tuple[str, ...], tuple[float, object]] = {}
        # By dex of stored positions, when the first list was read that does not name it; by dex,
        # when it answered itself.
        self._lacked: dict[str, float] = {}
        self._answered: dict[str, float] = {}
        # All that were ever named, by lists before the last one.
        self._named: frozenset[str] = frozenset()
        # By address, until when its subaccounts are asked for with every look.
        self._trades_until: dict[str, float] = {}

    async def look(
        self, address: str, prices: Mapping[str, float], stored: Sequence[str], *, empty: bool
    ) -> Account:
        """`stored`: dexes to be read whatever is known of them; `empty`: nothing is held on the
        first dex, so that the address may be an agent's.
        """
        try:
            # Also the wait for a turn, which many wallets share, holds up no fetch.
            async with asyncio.timeout(LOOK_SECONDS):
                mode = await self._ask("userAbstraction", address, read_mode)
        except (ProviderFailure, NotThat, TimeoutError):
            mode = AccountMode.UNKNOWN
        found: list[Unwatched] = []
        unread: list[str] = []
        parts: list[tuple[str, Callable[[], Awaitable[list[Unwatched]]]]] = []
        if mode is not AccountMode.STANDARD:
            parts.append(("spot balances", lambda: self._spot(address, prices)))
        if empty:
            parts.append(
                (
                    "role of the address",
                    lambda: self._ask("userRole", address, read_role, ROLE_SECONDS),
                )
            )
        # Last: one that hangs takes no time from what is asked of the account itself.
        parts.append(("", lambda: self._look_at_dexes(address)))
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                for name, ask in parts:
                    try:
                        found += await ask()
                    except (ProviderFailure, NotThat):
                        unread += [name] if name else []
        except TimeoutError:
            unread.append("what could not be looked at in time")
        used, unread_dexes, too_many = self._dexes(address, stored)
        found += too_many
        unread[:0] = ["other dexes" if one == ANY_DEX else f"dex {one}" for one in unread_dexes]
        unread[:0] = ["account mode"] if mode is AccountMode.UNKNOWN else []
        if unread:
            found.append(Unwatched(", ".join(unread), "UNREAD"))
        unread_dexes += tuple(one.part.removeprefix("dex ") for one in too_many)
        return Account(mode, tuple(found), used, unread_dexes, self._unlisted(stored))

    async def subaccounts(
        self,
        address: str,
        prices: Mapping[str, float],
        wallets: frozenset[str],
        stored: Sequence[str] = (),
    ) -> Subaccounts:
        """Asked for with every look while one holds a position, and for five minutes after; every
        five minutes else, when nothing of them counts as gone in between. `wallets`: addresses, in
        lower case, that are read for themselves; `stored`: keys of those with stored positions.
        """
        now_seconds = self._clock.monotonic()
        is_trading = (
            bool(stored)
            or now_seconds < self._trades_until.get(address, -math.inf)
            or any(one.position_count for one in self.known_subaccounts(address))
        )
        kept, stale = (0.0, 0.0) if is_trading else (KNOWN_SECONDS, STALE_SECONDS)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                found = await self._ask(
                    "subAccounts2", address, read_subaccounts, kept, stale_seconds=stale
                )
        except (ProviderFailure, NotThat, TimeoutError):
            said = (Unwatched("subaccounts", "UNREAD"),)
            return Subaccounts(unwatched=said, unread_ids=(ANY_SUBACCOUNT,))
        if any(one.position_count for one in found):
            is_trading, self._trades_until[address] = True, now_seconds + KNOWN_SECONDS
        read, left = split(found, wallets)
        apart = tuple(one.ids for one in found if one.address.lower() in wallets)
        asked_seconds, _ = self._known["subAccounts2", address, ""]
        if not is_trading:
            unasked = (ANY_SUBACCOUNT,) if asked_seconds < now_seconds else ()
            return Subaccounts((), tuple(unwatched(left)), unasked, apart_ids=apart)
        modes = await asyncio.gather(*map(self._mode_of, read))
        known = tuple(zip(read, modes, strict=True))
        lost = lacking(stored, found)
        left_out = [Unwatched(key.replace("-", " "), "UNREAD") for key in lost]
        return Subaccounts(
            known,
            (*left_out, *unwatched(left), *_not_read(known, prices)),
            tuple(one.ids for one in left),
            tuple(map(ids_of, lost)),
            apart,
        )

    def known_subaccounts(self, address: str) -> Sequence[Subaccount]:
        """Those that were stated last."""
        _, found = self._known.get(("subAccounts2", address, ""), (0.0, ()))
        return (
            [one for one in found if isinstance(one, Subaccount)] if isinstance(found, list) else []
        )

    async def _mode_of(self, one: Subaccount) -> AccountMode:
        """Of no matter where it holds nothing."""
        if not one.position_count:
            return AccountMode.STANDARD
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await self._ask("userAbstraction", one.address, read_mode)
        except (ProviderFailure, NotThat, TimeoutError):
            return AccountMode.UNKNOWN

    def saw(self, address: str, dex: str, state: object) -> None:
        """A state of a dex that was read meanwhile. One that holds nothing is not believed at once:
        the dex is read on until it is looked at anew.
        """
        self._answered[dex] = self._clock.monotonic()
        value, count = read_worth(state)
        if count or value >= SMALL_USD:
            key = ("clearinghouseState", address, dex)
            self._known[key] = (self._clock.monotonic(), (value, count))

    async def _look_at_dexes(self, address: str) -> list[Unwatched]:
        """Asks for what is not known of them; one that cannot be read keeps none from being."""

        async def look_at(name: str) -> None:
            with suppress(ProviderFailure, NotThat):
                await self._ask("clearinghouseState", address, read_worth, dex=name)

        _, before = self._known.get(_LIST, (-math.inf, None))
        names = await self._ask("perpDexs", "", read_dexes)
        if isinstance(before, list) and before is not names:
            self._named |= set(before) - {UNNAMED_DEX}
        await asyncio.gather(*(look_at(name) for name in names if name != UNNAMED_DEX))
        return []

    def _dexes(
        self, address: str, stored: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...], list[Unwatched]]:
        """Those to be read, first those of stored positions, for what this process believes of a
        dex is no answer of it; those of which nothing is known; those that are too many.
        """
        names = self._recall(_LIST)
        if not isinstance(names, list):
            return tuple(stored), (ANY_DEX,), []
        worths = {name: self._recall(("clearinghouseState", address, name)) for name in names}
        known = {name: worth for name, worth in worths.items() if isinstance(worth, tuple)}
        used = [
            name
            for name, (value, count) in known.items()
            if name not in stored and (count or value >= SMALL_USD)
        ]
        used.sort(key=lambda name: (-known[name][0], name))
        too_many = [
            Unwatched(f"dex {name}", "NOT_WATCHED", known[name][0]) for name in used[MOST_DEXES:]
        ]
        unread = tuple(one for one in names if one not in known and one not in stored)
        return (*stored, *used[:MOST_DEXES]), unread, too_many

    def _unlisted(self, stored: Sequence[str]) -> tuple[str, ...]:
        """One list may come back short: it takes a second one, which names a dex that was known
        before (else the venue may have lost all of them for a while) or comes a day after, and no
        answer of the dex itself meanwhile. Where one has a name that cannot be read, nothing is
        said of any.
        """
        read_seconds, names = self._known.get(_LIST, (math.inf, None))
        listed = names if isinstance(names, list) else [UNNAMED_DEX]
        for name in stored:
            if name in listed or UNNAMED_DEX in listed:
                self._lacked.pop(name, None)
                continue
            answered_seconds = self._answered.get(name, -math.inf)
            if self._lacked.get(name, math.inf) <= answered_seconds:
                del self._lacked[name]
            if read_seconds > answered_seconds:
                self._lacked.setdefault(name, read_seconds)
        needed_seconds = 0.0 if self._named.intersection(listed) else DELISTED_SECONDS
        apart = {name: read_seconds - self._lacked.get(name, math.inf) for name in stored}
        return tuple(one for one in stored if apart[one] > 0 and apart[one] >= needed_seconds)

    def _recall(self, key: tuple[str, ...]) -> object:
        """What is known and not too old; None when nothing is."""
        asked_seconds, known = self._known.get(key, (-math.inf, None))
        return known if self._clock.monotonic() - asked_seconds < STALE_SECONDS else None

    async def _spot(self, address: str, prices: Mapping[str, float]) -> list[Unwatched]:
        body = await self._ask("spotClearinghouseState", address, lambda body: body)
        value = spot_usd(body, prices)
        return [Unwatched("spot balances", "NOT_WATCHED", value)] if value >= SMALL_USD else []

    async def _ask(
        self,
        kind: str,
        address: str,
        read: Callable[[object], T],
        seconds: float = KNOWN_SECONDS,
        dex: str = "",
        stale_seconds: float = STALE_SECONDS,
    ) -> T:
        """The answer as it is kept or asked anew; a failure leaves what was known for a while."""
        key, now_seconds = (kind, address, dex), self._clock.monotonic()
        asked_seconds, known = self._known.get(key, (-math.inf, None))
        if now_seconds - asked_seconds < seconds:
            return known  # type: ignore[return-value]  # what this key's own reader made of it
        sent = (
            {"type": kind} | ({"user": address} if address else {}) | ({"dex": dex} if dex else {})
        )
        try:
            with asking(part=f"dex {dex}" if dex else kind):
                found = read((await self._http.post_json("/info", sent)).body)
        except (ProviderFailure, NotThat):
            if now_seconds - asked_seconds < max(seconds, stale_seconds):
                return known  # type: ignore[return-value]  # as above
            raise
        self._known[key] = (now_seconds, found)
        return found


def _not_read(
    found: Iterable[tuple[Subaccount, AccountMode]], prices: Mapping[str, float]
) -> Iterator[Unwatched]:
    """Of subaccounts: a mode that is not known, and spot that stands for positions."""
    for one, mode in found:
        if mode is AccountMode.UNKNOWN:
            yield Unwatched(f"account mode of {one.part}", "UNREAD")
        value = 0.0 if mode is AccountMode.STANDARD else spot_usd(one.spot, prices)
        if value >= SMALL_USD:
            yield Unwatched(f"spot balances of {one.part}", "NOT_WATCHED", value)


def read_mode(body: object) -> AccountMode:
    """`default`, `disabled` keep perp and spot apart; other words: UNKNOWN. Raises NotThat."""
    if not isinstance(body, str):
        raise NotThat("no word for an account mode")
    if body == "default":
        return AccountMode.STANDARD
    return (
        AccountMode(body) if body in {mode.value for mode in AccountMode} else AccountMode.UNKNOWN
    )


def read_dexes(body: object) -> list[str]:
    """Names of the dexes beside the first, which stands there as null; one that is odd keeps none
    of the others from being read. Raises NotThat.
    """
    if not isinstance(body, list):
        raise NotThat("no list of dexes")
    if None not in body:
        raise NotThat("a list without the first dex")
    names = []
    for one in body:
        if one is None:
            continue
        name = at(one, "name")
        is_name = isinstance(name, str) and _DEX.fullmatch(name)
        names.append(str(name) if is_name else UNNAMED_DEX)
    return list(dict.fromkeys(names))


def read_role(body: object) -> list[Unwatched]:
    """An API wallet holds nothing itself: its master does. Raises NotThat."""
    role = at(body, "role")
    if not isinstance(role, str):
        raise NotThat("no role")
    if role != "agent":
        return []
    masters = [at(body, "data", name) for name in ("user", "master")]
    master = next((one for one in masters if isinstance(one, str) and ADDRESS.fullmatch(one)), "")
    named = f" {master[:6]}...{master[-4:]}" if master else ""
    return [Unwatched(f"master account{named} of this API wallet", "API_WALLET", None, master)]
