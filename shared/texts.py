"""Texts cut to a length between two words, the characters that no name holds, names in any case."""

import re
from collections.abc import Collection

# C0, DEL and C1: they move a terminal's cursor, and two names that differ in them alone look the
# same.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MARK = "..."


def holds_control(text: str) -> bool:
    """Whether a control character is in it, which no name or id that a caller makes up may hold."""
    return _CONTROL.search(text) is not None


def spelled(text: str, known: Collection[str]) -> list[str]:
    """The known names that `text` means: itself, else all that differ from it by case alone."""
    return [text] if text in known else [one for one in known if one.upper() == text.upper()]


def cut(text: str, length: int) -> str:
    """At most `length` characters, `length` > 3; one word that is longer than half of it is cut
    within.
    """
    if len(text) <= length:
        return text
    room = length - len(_MARK)
    head = text[:room]
    if not text[room].isspace():
        place = max(head.rfind(" "), head.rfind("\n"))
        head = head[:place] if place > room // 2 else head
    return head.rstrip(" \n,;:") + _MARK
