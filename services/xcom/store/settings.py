"""Settings that people change, one document a name, each with its revision."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol

import asyncpg
from pydantic import TypeAdapter

from services.xcom.domain.settings import (
    CHAIN,
    LEVELS,
    WINDOWS,
    Chain,
    ChannelSetting,
    LevelSetting,
    Settings,
    Windows,
)
from services.xcom.tables import setting_set
from shared.database.statement import Statement
from shared.database.transaction import Transaction
from shared.versions.store import VersionStore, VersionTable

_CHANNEL: Final = "channel:"
_LEVELS = TypeAdapter(LevelSetting)
_CHAIN = TypeAdapter(Chain)
_WINDOWS = TypeAdapter(Windows)
_SETTING = TypeAdapter(ChannelSetting)

# Everything stored, as one text.
STORED: Final = "(select json_agg(json_build_array(name, value, revision))::text from setting)"
_ALL = Statement(f"select {STORED}")
# Who reads is not kept waiting.
_HOLD = Statement("lock table setting in share row exclusive mode")
_VERSIONS = VersionTable(setting_set)
_PUT = Statement(
    "insert into setting (name, value, revision, updated_time)"
    " select :name, cast(:value as jsonb), 1, :now"
    " where cast(:etag as text) in ('', '0') or exists (select from setting where name = :name)"
    " on conflict (name) do update set value = excluded.value, revision = setting.revision + 1,"
    " updated_time = excluded.updated_time"
    " where cast(:etag as text) = '' or cast(:etag as text) = cast(setting.revision as text)"
    " returning revision"
)


@lru_cache(maxsize=4)
def parsed(stored: str | None) -> Settings:
    """What STORED answers; the same text is read once."""
    documents = {name: value for name, value, _ in json.loads(stored or "[]")}
    return Settings(
        levels=_LEVELS.validate_python(documents.get(LEVELS, {})),
        windows=_WINDOWS.validate_python(documents.get(WINDOWS, {})),
        chain=_CHAIN.validate_python(documents.get(CHAIN, {})),
        channels={
            name.removeprefix(_CHANNEL): _SETTING.validate_python(value)
            for name, value in documents.items()
            if name.startswith(_CHANNEL)
        },
        revisions={name: revision for name, _, revision in json.loads(stored or "[]")},
    )


def channel_document(channel: str) -> str:
    """Name of a channel's document."""
    return f"{_CHANNEL}{channel}"


class Fetches(Protocol):
    """A Database, where each statement is committed by itself, or a Transaction."""

    async def fetch(self, query: Statement, /, **values: object) -> list[asyncpg.Record]: ...


class SettingStore:
    """Settings of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.versions = VersionStore(transaction, _VERSIONS)

    async def hold_settings(self) -> None:
        """Nobody else changes them until the end of the transaction."""
        await self._transaction.execute(_HOLD)

    async def stored_settings(self) -> str | None:
        """What `parsed` reads."""
        found: str | None = await self._transaction.scalar(_ALL)
        return found

    async def settings(self) -> Settings:
        """Everything stored."""
        return parsed(await self.stored_settings())

    async def put_levels(self, value: LevelSetting, etag: str, now: datetime) -> bool:
        """False when the etag is not the present one; an empty one is always right."""
        return await self._put(LEVELS, _LEVELS.dump_json(value), etag, now)

    async def put_chain(self, value: Chain, etag: str, now: datetime) -> bool:
        """As put_levels."""
        return await self._put(CHAIN, _CHAIN.dump_json(value), etag, now)

    async def put_windows(self, value: Windows, etag: str, now: datetime) -> bool:
        """As put_levels."""
        return await self._put(WINDOWS, _WINDOWS.dump_json(value), etag, now)

    async def put_channel(
        self, channel: str, value: ChannelSetting, etag: str, now: datetime
    ) -> bool:
        """As put_levels."""
        return await self._put(channel_document(channel), _SETTING.dump_json(value), etag, now)

    async def _put(self, name: str, value: bytes, etag: str, now: datetime) -> bool:
        values = {"name": name, "value": value.decode(), "etag": etag, "now": now}
        return await self._transaction.first(_PUT, **values) is not None
