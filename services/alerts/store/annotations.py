"""Texts of people about alerts, and the channels they chose for alerts and price rules."""

from __future__ import annotations

from collections.abc import Sequence

from services.alerts.alerts.domain.views import Annotations
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_READ = Statement(
    "select alert_id, notes, channels from annotations where alert_id = any(cast(:ids as text[]))"
)
_CHANNELS = Statement(
    "select alert_id, channels from annotations"
    " where channels <> '{}' and alert_id = any(cast(:ids as text[]))"
    " union all select 'rule-' || rule_key, channels from rule"
    " where channels <> '{}' and 'rule-' || rule_key = any(cast(:ids as text[]))"
)
_PUT = Statement(
    "insert into annotations (alert_id, notes, channels) values (:id, :notes, cast(:channels as"
    " text[]))"
    " on conflict (alert_id) do update set notes = excluded.notes, channels = excluded.channels"
)
# As many as a request may name, each as long as it may be.
_MOST_CHANNELS = 20
_NAME_LENGTH = 64
_DELETE_ALL = Statement("delete from annotations")
_DELETE = Statement("delete from annotations where alert_id = any(cast(:ids as text[]))")


def bounded(channels: Sequence[str]) -> tuple[str, ...]:
    """Channels as stored, without what an earlier release took and no channel can be named."""
    return tuple(name for name in channels[:_MOST_CHANNELS] if len(name) <= _NAME_LENGTH)


class AnnotationStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def read(self, alert_ids: Sequence[str]) -> dict[str, Annotations]:
        rows = await self._transaction.fetch(_READ, ids=list(alert_ids)) if alert_ids else ()
        return {
            row["alert_id"]: Annotations(row["notes"], bounded(row["channels"])) for row in rows
        }

    async def channels(self, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The own channels of those alerts and rules that have some."""
        rows = await self._transaction.fetch(_CHANNELS, ids=list(ids))
        return {row["alert_id"]: bounded(row["channels"]) for row in rows}

    async def put(self, alert_id: str, annotations: Annotations) -> None:
        await self._transaction.execute(
            _PUT, id=alert_id, notes=annotations.notes, channels=list(annotations.channels)
        )

    async def delete(self, alert_ids: Sequence[str]) -> None:
        if alert_ids:
            await self._transaction.execute(_DELETE, ids=list(alert_ids))

    async def delete_all(self) -> None:
        await self._transaction.execute(_DELETE_ALL)
