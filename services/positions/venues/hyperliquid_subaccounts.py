"""Subaccounts of a Hyperliquid address: each an account of its own, whose positions live in the
wallet of its owner.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

from services.positions.domain.venue_answer import Unwatched
from services.positions.venues.hyperliquid_parser import ADDRESS, position_id
from services.positions.venues.hyperliquid_worth import SMALL_USD, read_worth, spot_usd
from services.positions.venues.rows import NotThat, at, listed

MOST_SUBACCOUNTS: Final = 20  # are read of one address, those with most in them
_NAME_LENGTH: Final = 40
_PREFIX: Final = "subaccount-"
# Positions of whichever subaccount.
ANY_SUBACCOUNT: Final = f"{_PREFIX}*"


@dataclass(frozen=True, slots=True)
class Subaccount:
    """`states`: dex and clearinghouse state, `spot`: balances, as the venue states them; worth in
    USD; `position_count`: of all dexes. The address never shows in a repr or a log.
    """

    name: str
    address: str = field(repr=False)
    states: tuple[tuple[str, object], ...] = field(repr=False)
    spot: object = field(repr=False)
    value_usd: float
    position_count: int

    @property
    def is_used(self) -> bool:
        """Whether it holds more than dust."""
        return self.value_usd >= SMALL_USD or self.position_count > 0

    @property
    def part(self) -> str:
        """For people."""
        return f"subaccount {self.name}".strip()

    @property
    def key(self) -> str:
        """Its place in the ids of its positions: the address shows by hash only."""
        return _PREFIX + sha256(self.address.lower().encode()).hexdigest()[:8]

    @property
    def ids(self) -> str:
        """See `ids_of`."""
        return ids_of(self.key)

    def owned_id(self, owner: str, own_id: str) -> str:
        """The id of a position among those of its owner."""
        coin = own_id.removeprefix(position_id(self.address, ""))
        return position_id(owner, f"{self.key}-{coin}")


def ids_of(key: str) -> str:
    """The pattern of the positions of a subaccount, within those of its owner."""
    return f"{key}-*"


def stored_subaccounts(parts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Of the parts in which positions are stored the keys of subaccounts, and the dexes."""
    keys = [one for one in parts if one.startswith(_PREFIX)]
    return keys, [one for one in parts if not one.startswith(_PREFIX)]


def lacking(stored: Sequence[str], found: Sequence[Subaccount]) -> list[str]:
    """Those of the stored keys that are not in the list. A subaccount stays when it is emptied: a
    list without it says nothing about what it holds.
    """
    listed_keys = {one.key for one in found}
    return [key for key in stored if key not in listed_keys]


def read_subaccounts(body: object) -> list[Subaccount]:
    """All of them, those with most in them first; null when there are none. Raises NotThat."""
    if body is None:
        return []
    if not isinstance(body, list):
        raise NotThat("no list of subaccounts")
    found = []
    for one in body:
        states = listed(one, "dexToClearinghouseState", "a subaccount without its states")
        pairs = [pair for pair in states if isinstance(pair, list) and len(pair) == 2]
        if len(pairs) < len(states):
            raise NotThat("a subaccount with a state of no dex")
        worths = [read_worth(state) for _, state in pairs]
        value = sum(worth for worth, _ in worths) + spot_usd(at(one, "spotState"), {})
        count = sum(count for _, count in worths)
        address, name = str(at(one, "subAccountUser") or ""), _plain(at(one, "name"))
        named = tuple((str(dex), state) for dex, state in pairs)
        found.append(Subaccount(name, address, named, at(one, "spotState"), value, count))
    return _named_apart(sorted(found, key=lambda one: (-one.position_count, -one.value_usd)))


def split(
    found: Sequence[Subaccount], wallets: frozenset[str]
) -> tuple[list[Subaccount], list[Subaccount]]:
    """Those to be read here, and those that are not: too many, or without an address. One that
    holds nothing, or is a wallet of its own (by address, lower case) and read there, is in neither.
    """
    others = [one for one in found if one.is_used and one.address.lower() not in wallets]
    known = [one for one in others if ADDRESS.fullmatch(one.address)]
    unknown = [one for one in others if not ADDRESS.fullmatch(one.address)]
    return known[:MOST_SUBACCOUNTS], [*unknown, *known[MOST_SUBACCOUNTS:]]


def unwatched(found: Sequence[Subaccount]) -> list[Unwatched]:
    """As parts that are not read, each with its worth."""
    return [Unwatched(one.part, "NOT_WATCHED", one.value_usd, one.address) for one in found]


def _named_apart(found: Sequence[Subaccount]) -> list[Subaccount]:
    """With names that differ also where only letters and digits of them are left."""
    letters = Counter("".join(filter(str.isalnum, one.name)) for one in found if one.is_used)
    return [
        one
        if letters["".join(filter(str.isalnum, one.name))] <= 1
        else replace(one, name=f"{one.name} {one.key.removeprefix(_PREFIX)}".strip())
        for one in found
    ]


def _plain(name: object) -> str:
    text = name if isinstance(name, str) else ""
    return "".join(sign for sign in text if sign.isprintable())[:_NAME_LENGTH]
