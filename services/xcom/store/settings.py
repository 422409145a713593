"""Settings that people change, one document a name, each with its revision."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from services.xcom.domain.settings import (
    CHAIN,
    LEVELS,
    Chain,
    ChannelSetting,
    LevelSetting,
    Settings,
)
from services.xcom.tables import setting

_CHANNEL: Final = "channel:"
_LEVELS = TypeAdapter(LevelSetting)
_CHAIN = TypeAdapter(Chain)
_SETTING = TypeAdapter(ChannelSetting)

_ALL = select(setting.c.name, setting.c.value, setting.c.revision)
_PUT = text(
    "insert into setting (name, value, revision, updated_time) select :name, :value, 1, :now"
    " where cast(:etag as text) in ('', '0') or exists (select from setting where name = :name)"
    " on conflict (name) do update set value = excluded.value, revision = setting.revision + 1,"
    " updated_time = excluded.updated_time"
    " where cast(:etag as text) = '' or cast(:etag as text) = cast(setting.revision as text)"
    " returning revision"
).bindparams(bindparam("value", type_=JSONB))


def channel_document(channel: str) -> str:
    """Name of a channel's document."""
    return f"{_CHANNEL}{channel}"


class SettingStore:
    """Settings of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def settings(self) -> Settings:
        """Everything stored."""
        rows = {row.name: row for row in await self._connection.execute(_ALL)}
        return Settings(
            levels=_LEVELS.validate_python(rows[LEVELS].value) if LEVELS in rows else LevelSetting(),
            chain=_CHAIN.validate_python(rows[CHAIN].value) if CHAIN in rows else Chain(),
            channels={
                name.removeprefix(_CHANNEL): _SETTING.validate_python(row.value)
                for name, row in rows.items()
                if name.startswith(_CHANNEL)
            },
            revisions={name: row.revision for name, row in rows.items()},
        )

    async def put_levels(self, value: LevelSetting, etag: str, now: datetime) -> bool:
        """False when the etag is not the present one; an empty one is always right."""
        return await self._put(LEVELS, _LEVELS.dump_python(value, mode="json"), etag, now)

    async def put_chain(self, value: Chain, etag: str, now: datetime) -> bool:
        """As put_levels."""
        return await self._put(CHAIN, _CHAIN.dump_python(value, mode="json"), etag, now)

    async def put_channel(self, channel: str, value: ChannelSetting, etag: str, now: datetime) -> bool:
        """As put_levels."""
        dumped = _SETTING.dump_python(value, mode="json")
        return await self._put(channel_document(channel), dumped, etag, now)

    async def _put(self, name: str, value: Any, etag: str, now: datetime) -> bool:
        words = {"name": name, "value": value, "etag": etag, "now": now}
        return (await self._connection.execute(_PUT, words)).first() is not None
