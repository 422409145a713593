"""Settings that people change, one document a name, each with its revision."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import bindparam, text
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

_CHANNEL: Final = "channel:"
_LEVELS = TypeAdapter(LevelSetting)
_CHAIN = TypeAdapter(Chain)
_SETTING = TypeAdapter(ChannelSetting)

# Everything stored, as one text.
STORED: Final = "(select json_agg(json_build_array(name, value, revision))::text from setting)"
_ALL = text(f"select {STORED}")
_PUT = text(
    "insert into setting (name, value, revision, updated_time) select :name, :value, 1, :now"
    " where cast(:etag as text) in ('', '0') or exists (select from setting where name = :name)"
    " on conflict (name) do update set value = excluded.value, revision = setting.revision + 1,"
    " updated_time = excluded.updated_time"
    " where cast(:etag as text) = '' or cast(:etag as text) = cast(setting.revision as text)"
    " returning revision"
).bindparams(bindparam("value", type_=JSONB))


@lru_cache(maxsize=4)
def parsed(stored: str | None) -> Settings:
    """What STORED answers; the same text is read once."""
    documents = {name: value for name, value, _ in json.loads(stored or "[]")}
    return Settings(
        levels=_LEVELS.validate_python(documents.get(LEVELS, {})),
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


class SettingStore:
    """Settings of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def settings(self) -> Settings:
        """Everything stored."""
        return parsed(await self._connection.scalar(_ALL))

    async def put_levels(self, value: LevelSetting, etag: str, now: datetime) -> bool:
        """False when the etag is not the present one; an empty one is always right."""
        return await self._put(LEVELS, _LEVELS.dump_python(value, mode="json"), etag, now)

    async def put_chain(self, value: Chain, etag: str, now: datetime) -> bool:
        """As put_levels."""
        return await self._put(CHAIN, _CHAIN.dump_python(value, mode="json"), etag, now)

    async def put_channel(
        self, channel: str, value: ChannelSetting, etag: str, now: datetime
    ) -> bool:
        """As put_levels."""
        dumped = _SETTING.dump_python(value, mode="json")
        return await self._put(channel_document(channel), dumped, etag, now)

    async def _put(self, name: str, value: Any, etag: str, now: datetime) -> bool:
        words = {"name": name, "value": value, "etag": etag, "now": now}
        return (await self._connection.execute(_PUT, words)).first() is not None
