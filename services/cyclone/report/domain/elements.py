"""HTML out of values: what is written into it is escaped here and nowhere else. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

# What no page may hold, and what turns the reading order, or hides.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff]"
)
_VOID = frozenset({"meta", "rect", "line"})


class Markup(str):
    """Text that is HTML already; only `element` and `text` make it."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as it stands on a page, whatever it holds."""
    seen = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))
    return Markup(html.escape(seen, quote=True))


def element(tag: str, *inside: object, **attributes: object) -> Markup:
    """An element; what is no Markup is escaped, so are attributes. `class_` is class, an underscore
    a dash, None leaves an attribute out.
    """
    words = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{text(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{words}>")
    return Markup(f"<{tag}{words}>{joined(inside)}</{tag}>")


def joined(parts: Iterable[object]) -> Markup:
    """One after the other."""
    return Markup("".join(part if isinstance(part, Markup) else text(part) for part in parts))
