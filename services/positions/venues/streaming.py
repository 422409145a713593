"""What a venue's stream is: what to ask of it, and what its messages tell. An event carries no
figure: whoever hears of it looks, by the same way as ever.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from services.positions.domain.venue_answer import Chain
from shared.streams import Unreadable

FILL: Final = "fill"
LIQUIDATION: Final = "liquidation"
CHANGE: Final = "change"
MARK: Final = "mark"
# Whether the mark of an asset has moved enough since it was last looked at.
Moved = Callable[[str, float], bool]


@dataclass(frozen=True, slots=True)
class VenueStream:
    """`subscribe` makes the texts that ask for these addresses and assets, `read` the word for what
    a message tells ("" for nothing; raises Unreadable). `most_addresses`: others are not followed.
    `keepalive`: a text that the venue answers; "": a ping of the protocol. `greetings` are ignored.
    """

    name: str
    chain: Chain
    subscribe: Callable[[Sequence[str], Sequence[str]], tuple[str, ...]]
    read: Callable[[object, Moved], str]
    most_addresses: int
    keepalive: str = ""
    greetings: frozenset[str] = frozenset()


def mark_of(value: object) -> float:
    """A price as venues write it. Raises Unreadable."""
    try:
        number = float(value) if isinstance(value, str | int | float) else 0.0
    except ValueError:
        number = 0.0
    if isinstance(value, bool) or not isfinite(number) or number <= 0:
        raise Unreadable("BAD_NUMBER")
    return number
