"""What a version of settings holds, and what differs between two. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

# However old, so many of the newest stay.
LEAST_KEPT: Final = 20
# The fields of every setting, by id.
Content = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """Settings that have versions together; `noun`: one of them, by whose name a change says that
    the whole of it was added or deleted; `plural`: all; `fields`: compared, in order.
    """

    noun: str
    plural: str
    fields: Sequence[str]


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A field of a setting, in words; empty is none. The noun as a field is the whole of one that
    was added or deleted: "absent" or "present".
    """

    setting_id: str
    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Version:
    """All settings of a kind after a change. `changes`: against the version before."""

    number: int
    saved_time: datetime
    actor: str
    reason: str
    content: Content
    changes: Sequence[SettingChange] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, and the newest version there is (0: none)."""

    changes: Sequence[SettingChange]
    last_number: int


def differences(kind: Kind, before: Content, after: Content) -> list[SettingChange]:
    """Field by field, by id."""
    found = []
    for id in sorted({*before, *after}):
        old, new = before.get(id), after.get(id)
        if old == new:
            continue
        if old is None or new is None:
            states = ["absent" if one is None else "present" for one in (old, new)]
            found.append(SettingChange(id, kind.noun, *states))
        for name in kind.fields:
            words = [_words((one or {}).get(name)) for one in (old, new)]
            if words[0] != words[1]:
                found.append(SettingChange(id, name, *words))
    return found


def oldest_kept(now: datetime, kept: timedelta | None) -> datetime | None:
    """Before this versions are forgotten, but the newest LEAST_KEPT; None: never."""
    return None if kept is None else now - kept


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return format(Decimal(repr(value + 0.0)), "f").removesuffix(".0")
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
