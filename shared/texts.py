"""Texts cut to a length between two words, with a mark that something was left out."""

_MARK = "..."


def cut(text: str, length: int) -> str:
    """At most `length` characters, `length` > 3; one word that is longer than half of it is cut within."""
    if len(text) <= length:
        return text
    room = length - len(_MARK)
    head = text[:room]
    if not text[room].isspace():
        place = max(head.rfind(" "), head.rfind("\n"))
        head = head[:place] if place > room // 2 else head
    return head.rstrip(" \n,;:") + _MARK
