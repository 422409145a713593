"""Keyset pages: sizes, opaque tokens and their checks."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from shared.errors import InvalidArgument

Key = tuple[object, ...]
Row = TypeVar("Row")

_CHECK_BYTES = 6
_INT64 = 1 << 63
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How many rows, and the key of the last row already seen (None: from the start)."""

    size: int
    after: Key | None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    rows: Sequence[Row]
    next_page_token: str


def context(*parts: object) -> str:
    """A short hash of what was asked (filter, order): pages of one question do not continue
    another.
    """
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def parse(
    page_size: int, page_token: str, *, default: int = 50, cap: int = 500, context: str
) -> PageRequest:
    """Raises InvalidArgument BAD_PAGE_SIZE, BAD_PAGE_TOKEN or PAGE_TOKEN_MISMATCH."""
    if page_size < 0:
        raise InvalidArgument(
            "BAD_PAGE_SIZE", "page_size is negative", fields={"page_size": "0 or more"}
        )
    size = min(page_size or default, cap)
    return PageRequest(size, _after(page_token, context) if page_token else None)


def next_token(context: str, key: Key) -> str:
    body = json.dumps([context, [_plain(value) for value in key]], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(body) + body).decode().rstrip("=")


def cut(
    rows: Sequence[Row], request: PageRequest, context: str, key: Callable[[Row], Key]
) -> Page[Row]:
    """The page of `rows`, of which one more than `request.size` was fetched to learn whether more
    follow.
    """
    if len(rows) <= request.size:
        return Page(rows, "")
    kept = rows[: request.size]
    return Page(kept, next_token(context, key(kept[-1])))


def _after(token: str, context: str) -> Key:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
        if check != _check(body):
            raise ValueError("altered")
        asked, values = json.loads(body)
        key = tuple(_value(value) for value in values)
        if not key:
            raise ValueError("no key")
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _refused("BAD_PAGE_TOKEN", "page_token is not one of ours") from error
    if asked != context:
        raise _refused("PAGE_TOKEN_MISMATCH", "page_token belongs to another filter or order")
    return key


def _refused(reason: str, message: str) -> InvalidArgument:
    return InvalidArgument(reason, message, fields={"page_token": message})


def _check(body: bytes) -> bytes:
    # Catches a token that was cut or edited before its values reach a query; it is no signature.
    return hashlib.sha256(b"page" + body).digest()[:_CHECK_BYTES]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return {"t": value.astimezone(UTC).isoformat()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} cannot be part of a page key")


def _value(plain: object) -> object:
    """A value that a query can take; the check above is no signature,
    so anybody can make a token."""
    if isinstance(plain, dict):
        moment = datetime.fromisoformat(plain["t"])
        if not _EARLIEST <= moment < _LATEST:  # TypeError without a time zone
            raise ValueError("no time of ours")
        return moment
    if isinstance(plain, str):
        if "\0" in plain:
            raise ValueError("no text of ours")
        plain.encode()  # a lone surrogate raises here, not in the database
    elif isinstance(plain, int) and not -_INT64 <= plain < _INT64:
        raise ValueError("no number of ours")
    elif isinstance(plain, list):
        raise TypeError("no value of ours")
    return plain
