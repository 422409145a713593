"""Names: fresh identifiers, words people write in many ways, words cut to length."""

import os
import re
import threading
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from shared.errors import InvalidArgument

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_RANDOM_BITS = 80
_NO_ALIASES: Mapping[str, str] = MappingProxyType({})

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_GAP = re.compile(r"[^A-Za-z0-9]+")

_lock = threading.Lock()
_last = [0]  # the one handed out last: two in one millisecond must differ and keep their order


def new_id(prefix: str) -> str:
    """`prefix-` and 26 characters: 48 bits of milliseconds, 80 of chance; they sort by age."""
    fresh = (time.time_ns() // 1_000_000) << _RANDOM_BITS | int.from_bytes(os.urandom(10), "big")
    with _lock:
        value = _last[0] = max(fresh, _last[0] + 1)
    return f"{prefix}-{_text(value)}"


def _text(value: int) -> str:
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])


def shortened(text: str, length: int) -> str:
    """At most `length` (>= 2) characters: cut between words where there are any,
    with an ellipsis."""
    if len(text) <= length:
        return text
    head = text[: length - 1]
    if head[-1].isalnum() and text[length - 1].isalnum():
        words = head.rsplit(maxsplit=1)
        head = words[0] if len(words) > 1 and len(words[0]) >= length // 2 else head
    return head.rstrip(" ,;:(-\n") + "\u2026"


def normalise(text: str) -> str:
    """Upper snake: "Travel Percent", "travelPercent" and "travel-percent" are TRAVEL_PERCENT."""
    return _GAP.sub("_", _HUMP.sub("_", text.strip())).strip("_").upper()


def choose(
    text: str, known: Iterable[str], *, field: str, aliases: Mapping[str, str] = _NO_ALIASES
) -> str:
    """The known name that `text` means, as it is written in `known`; raises InvalidArgument
    UNKNOWN_NAME.
    """
    known = tuple(known)
    if text in known:
        return text
    names = {normalise(name): name for name in known}
    wanted = normalise(text)
    also = {normalise(alias): normalise(name) for alias, name in aliases.items()}
    wanted = wanted if wanted in names else also.get(wanted, wanted)
    if wanted in names:
        return names[wanted]
    listed = ", ".join(names.values())
    raise InvalidArgument(
        "UNKNOWN_NAME",
        f"{field} {text[:60]!r} is not known; known are {listed}",
        fields={field: f"one of {listed}"},
    )
