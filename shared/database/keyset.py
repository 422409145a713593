"""Keyset pages: the next rows after a key, at the same cost on every page.

The meaning of a page token is the business of shared.paging.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar, cast

from sqlalchemy import BigInteger, ColumnElement, Select, SmallInteger, and_, bindparam, or_, tuple_
from sqlalchemy.types import TypeEngine

from shared.errors import InvalidArgument

Direction = Literal["asc", "desc"]
Ordering = Sequence[tuple[ColumnElement[Any], Direction]]
SelectT = TypeVar("SelectT", bound=Select[Any])


def apply(
    select: SelectT, columns_with_direction: Ordering, after: Sequence[object] | None, size: int
) -> SelectT:
    """Order the select, start it after the key `after` and limit it to `size` rows and one more.

    The columns are NOT NULL and the last makes the order unique. The row too many tells
    paging.cut() whether there is another page. InvalidArgument BAD_PAGE_TOKEN when the key does not
    fit.
    """
    ordered = _in_order(select, columns_with_direction).limit(size + 1)
    if after is None:
        return ordered
    checked = _checked(columns_with_direction, after)
    bounds: list[ColumnElement[Any]] = [
        bindparam(None, value, type_=column.type, unique=True)
        for (column, _), value in zip(columns_with_direction, checked, strict=True)
    ]
    return ordered.where(_follows(columns_with_direction, bounds))


def prepared(select: SelectT, columns_with_direction: Ordering, *, is_first: bool) -> SelectT:
    """The same for any key and size, which come by `page_values`: for a statement made once."""
    ordered = _in_order(select, columns_with_direction)
    ordered = ordered.limit(bindparam("row_count", type_=BigInteger(), required=False))
    if is_first:
        return ordered
    bounds: list[ColumnElement[Any]] = [
        bindparam(f"after_{place}", type_=column.type, required=False)
        for place, (column, _) in enumerate(columns_with_direction)
    ]
    return ordered.where(_follows(columns_with_direction, bounds))


def page_values(
    columns_with_direction: Ordering, after: Sequence[object] | None, size: int
) -> dict[str, object]:
    """What a prepared page wants; InvalidArgument BAD_PAGE_TOKEN when the key does not fit."""
    checked = () if after is None else _checked(columns_with_direction, after)
    bounds = {f"after_{place}": value for place, value in enumerate(checked)}
    return {"row_count": size + 1, **bounds}


def _in_order(select: SelectT, ordering: Ordering) -> SelectT:
    return select.order_by(
        *(column.desc() if direction == "desc" else column.asc() for column, direction in ordering)
    )


def _follows(ordering: Ordering, values: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
    columns = [column for column, _ in ordering]
    if len({direction for _, direction in ordering}) == 1:
        # One comparison of rows, which an index answers.
        left, right = tuple_(*columns), tuple_(*values)
        return left < right if ordering[0][1] == "desc" else left > right
    return or_(
        *(
            and_(
                *(columns[before] == values[before] for before in range(place)),
                columns[place] < values[place]
                if direction == "desc"
                else columns[place] > values[place],
            )
            for place, (_, direction) in enumerate(ordering)
        )
    )


def _checked(ordering: Ordering, after: Sequence[object]) -> Sequence[object]:
    """A key made for other columns is refused here, not by the database."""
    if len(after) != len(ordering):
        raise _bad_token()
    for (column, _), value in zip(ordering, after, strict=True):
        wanted = column.type.python_type
        allowed = (int, float) if wanted is float else wanted
        if not isinstance(value, allowed) or isinstance(value, bool) != (wanted is bool):
            raise _bad_token()
        if wanted is int and not _fits(column.type, cast("int", value)):
            raise _bad_token()
    return after


def _fits(kind: TypeEngine[Any], value: int) -> bool:
    bits = 63 if isinstance(kind, BigInteger) else 15 if isinstance(kind, SmallInteger) else 31
    return -(1 << bits) <= value < 1 << bits


def _bad_token() -> InvalidArgument:
    message = "page_token does not belong to this list"
    return InvalidArgument("BAD_PAGE_TOKEN", message, fields={"page_token": message})
