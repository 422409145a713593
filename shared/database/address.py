"""Database URLs: the forms people write, and the same server as another role or database.

Pure text; opens nothing.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from shared.errors import InvalidArgument

_SCHEMES = (
    "postgresql",
    "postgres",
    "postgresql+asyncpg",
    "postgresql+psycopg",
    "postgresql+psycopg2",
)
# One of several servers, with its port.
_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d{1,5})?")
# Providers of hosted servers put this libpq word into the URL; asyncpg would send it on as a
# setting.
_IGNORED = frozenset({"channel_binding"})


def plain(url: str) -> str:
    """The URL as asyncpg reads it; postgresql://, postgres:// and postgresql+driver:// are the
    same.
    """
    words = "a database URL looks like postgresql://user:password@host:5432/database"
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        # Its words repeat the password.
        raise InvalidArgument("BAD_DATABASE_URL", words) from None
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if (
        parts.scheme not in _SCHEMES
        or not parts.path.strip("/")
        or not all(map(_HOST.fullmatch, hosts))
    ):
        raise InvalidArgument("BAD_DATABASE_URL", words)
    query = urlencode(
        [(name, value) for name, value in parse_qsl(parts.query) if name not in _IGNORED]
    )
    return urlunsplit(("postgresql", parts.netloc, parts.path, query, ""))


def as_role(url: str, role: str, password: str) -> str:
    """The same database, entered by another role."""
    parts = urlsplit(plain(url))
    host = parts.netloc.rpartition("@")[2]
    entered = f"{quote(role, safe='')}:{quote(password, safe='')}@{host}"
    return urlunsplit((parts.scheme, entered, parts.path, parts.query, ""))


def with_database(url: str, database: str) -> str:
    """Another database on the same server."""
    parts = urlsplit(plain(url))
    return urlunsplit((parts.scheme, parts.netloc, "/" + quote(database, safe=""), parts.query, ""))


def database_name(url: str) -> str:
    """The name of the database in the URL."""
    return unquote(urlsplit(plain(url)).path.lstrip("/"))
