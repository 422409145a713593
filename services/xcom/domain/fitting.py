"""Texts made to fit: whole lines, then whole words, and how much was left out. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable

Size = Callable[[str], int]

_MORE = re.compile(r"\.\.\. and (\d+) more\Z")


def utf16_size(text: str) -> int:
    """Units of UTF-16, as many services count characters: most emoji are two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def utf8_size(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


def fitted(text: str, room: int, size: Size = len, unit: str = "") -> str:
    """The text, or as many of its lines as fit and `... and n more` with what they are counted in.

    A last line that says so already is counted on. A single line that is too long is cut between
    words.
    """
    if size(text) <= room:
        return text
    lines = text.split("\n")
    found = _MORE.match(lines[-1])
    beyond = int(found[1]) if found else 0
    lines = lines[:-1] if found else lines
    filled = [0]
    for line in lines:
        filled.append(filled[-1] + bool(line.strip()))

    def with_rest(count: int) -> str:
        more = filled[-1] - filled[count] + beyond
        kept = "\n".join(lines[:count]).rstrip()
        return f"{kept}\n... and {more} more{unit}" if more else kept

    count = bisect_right(range(len(lines)), room, key=lambda number: size(with_rest(number + 1)))
    if count and any(line.strip() for line in lines[:count]):
        return with_rest(count)
    return cut(next((line for line in lines if line.strip()), ""), room, size)


def cut(text: str, room: int, size: Size = len) -> str:
    """The text, or as many of its words as fit with three points behind."""
    if size(text) <= room:
        return text
    length = bisect_right(range(len(text)), room - 3, key=lambda number: size(text[: number + 1]))
    kept = text[:length]
    words, space, _ = kept.rpartition(" ")
    # A single word longer than half the room is cut within.
    kept = words if space and len(words) >= length // 2 else kept
    return f"{kept.rstrip(' ,;:.')}..."[: max(room, 0)]
