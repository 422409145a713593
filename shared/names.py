"""Names: fresh identifiers, and words that people write in many ways; knows no word itself."""

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


def normalise(text: str) -> str:
    """Upper snake: "Travel Percent", "travelPercent" and "travel-percent" are TRAVEL_PERCENT."""
    return _GAP.sub("_", _HUMP.sub("_", text.strip())).strip("_").upper()


def choose(text: str, known: Iterable[str], *, field: str, aliases: Mapping[str, str] = _NO_ALIASES) -> str:
    """The known name that `text` means, as it is written in `known`; raises InvalidArgument UNKNOWN_NAME."""
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
