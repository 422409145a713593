"""What maintenance windows held. Every time is an argument."""

from __future__ import annotations

from datetime import datetime

from services.xcom.domain.messages import URGENT, Level
from services.xcom.domain.settings import MaintenanceWindow
from services.xcom.store.listener import NOTIFY_CHANNEL
from services.xcom.store.settings import SettingStore
from services.xcom.windows.domain import HeldMessages
from shared.database.statement import Statement

# By the exact end of windows that follow on each other it is known what they held.
_RELEASE = Statement(f"""
    with released as (
        update delivery set due_time = :until where state = 1 and tries = 0
            and due_time = :held and (urgency >= {URGENT}) = :urgent returning message_id),
    sooner as (
        update message
        set escalation_due_time = escalation_due_time - (cast(:held as timestamptz) - :until)
        where escalation_due_time >= :held and id in (select message_id from released))
    select case when exists (select from released) then pg_notify('{NOTIFY_CHANNEL}', '') end
""")
# What was over meanwhile was called back; what is known needs nobody.
_STANDING = Statement(f"""
    with held as (
        select message.subject, message.urgency, message.id from message
        where message.created_time >= :start_time and message.created_time < :end_time
            and message.level between {Level.LOW.value} and {Level.HIGH.value}
            and not message.ends_incident and message.acknowledged_time is null
            and exists (select from delivery where delivery.message_id = message.id
                and delivery.due_time >= :end_time and delivery.state in (1, 2, 3, 4, 6))
            and not exists (select from incident where key = message.incident_key
                and message.incident_key <> '' and ended_time is not null))
    select (select count(*) from held) as count, coalesce((select array_agg(subject) from
        (select subject from held order by urgency desc, id limit 20) as first), '{{}}') as subjects
""")


class WindowStore(SettingStore):
    """Windows of one transaction."""

    async def release(self, held: datetime, until: datetime, *, urgent: bool) -> None:
        """What was held until `held`, urgent or not, is told sooner."""
        values = {"held": held, "until": until, "urgent": urgent}
        await self._transaction.execute(_RELEASE, **values)

    async def standing(self, window: MaintenanceWindow) -> HeldMessages:
        """What it held and still stands."""
        values = {"start_time": window.start_time, "end_time": window.end_time}
        (row,) = await self._transaction.fetch(_STANDING, **values)
        return HeldMessages(row["count"], list(row["subjects"]))
