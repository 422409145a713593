"""Rows to domain values by the names they share; exceptions are handed in."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from operator import itemgetter
from typing import Any, Protocol, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Convert = Callable[[Any], Any]


class Row(Protocol):
    """By column name: the driver's records."""

    def __getitem__(self, name: str, /) -> Any: ...


_Plan = tuple[list[str], Callable[[Any], Any], list[tuple[str, Convert]]]
_plans: dict[tuple[type[Any], tuple[str, ...]], _Plan] = {}


def read(kind: type[T], row: Row, /, **values: object) -> T:
    """The dataclass `kind` by the columns of `row` of the same names, or `values`.

    An enum is made of what is stored, an array a tuple, JSON text what it says. Other columns do
    not matter; a field without a column and not handed in is a KeyError.
    """
    key = kind, tuple(values)
    names, take, converts = _plans.get(key) or _plans.setdefault(key, _plan(*key))
    made = dict(zip(names, take(row), strict=False))
    for name, convert in converts:
        if (value := made[name]) is not None:
            made[name] = convert(value)
    return kind(**made, **values)


def _plan(kind: type[Any], given: tuple[str, ...]) -> _Plan:
    hints = get_type_hints(kind)
    names = [name for name in parts(kind) if name not in given]
    converts = [(name, by_hint(hints[name])) for name in names]
    return names, taking(itemgetter, names), [(n, convert) for n, convert in converts if convert]


def taking(getter: Callable[..., Any], names: Sequence[str]) -> Callable[[Any], Any]:
    """`itemgetter` or `attrgetter` of these names, which gives a tuple also for one of them, or
    none.
    """
    if not names:
        return lambda _: ()
    # Of one name alone it would give no tuple.
    return cast("Callable[[Any], Any]", getter(*names, names[0]))


def parts(kind: type[Any]) -> list[str]:
    """The names that a dataclass or a NamedTuple is made of."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind) if field.init]
    return list(kind._fields)


def by_hint(hint: object) -> Convert | None:
    """How a plain value becomes one of the annotated type; None: it is one already."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    origin = get_origin(hint) or hint
    if isinstance(origin, type):
        if issubclass(origin, Enum):
            return origin
        if origin in (tuple, frozenset, list):
            inner = by_hint(get_args(hint)[0]) if get_args(hint) else None
            return partial(_gathered, origin, inner)
        if issubclass(origin, Mapping):
            return _mapping
    return None


def _gathered(origin: type[Any], inner: Convert | None, values: Any) -> Any:
    listed = json.loads(values) if isinstance(values, str) else values
    return origin(listed if inner is None else map(inner, listed))


def _mapping(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else dict(value)
