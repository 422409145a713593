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
    ordered = select.order_by(
        *(
            column.desc() if direction == "desc" else column.asc()
            for column, direction in columns_with_direction
        )
    ).limit(size + 1)
    return ordered if after is None else ordered.where(_follows(columns_with_direction, after))


def _follows(ordering: Ordering, after: Sequence[object]) -> ColumnElement[bool]:
    if len(after) != len(ordering):
        raise _bad_token()
    columns = [column for column, _ in ordering]
    values = [_bound(column, value) for column, value in zip(columns, after, strict=True)]
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


def _bound(column: ColumnElement[Any], value: object) -> ColumnElement[Any]:
    """The value as the column's type; a key made for other columns is refused here, not by the
    database.
    """
    wanted = column.type.python_type
    allowed = (int, float) if wanted is float else wanted
    if not isinstance(value, allowed) or isinstance(value, bool) != (wanted is bool):
        raise _bad_token()
    if wanted is int and not _fits(column.type, cast("int", value)):
        raise _bad_token()
    return bindparam(None, value, type_=column.type, unique=True)


def _fits(kind: TypeEngine[Any], value: int) -> bool:
    bits = 63 if isinstance(kind, BigInteger) else 15 if isinstance(kind, SmallInteger) else 31
    return -(1 << bits) <= value < 1 << bits


def _bad_token() -> InvalidArgument:
    message = "page_token does not belong to this list"
    return InvalidArgument("BAD_PAGE_TOKEN", message, fields={"page_token": message})
