"""What the ledger says about metrics and rules, counted in the database."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from shared import rows
from shared.database.statement import Statement
from shared.database.transaction import Transaction

# An incident begins with a rise from NORMAL (1) and ends at NORMAL or with its alert (0).
_COUNT = Statement(
    "with story as (select sequence, alert_id, type, reason, level_before, level_after, entry_time,"
    "  case when alert_id like 'rule-%' then alert_id else '' end as rule_id,"
    "  reason = 'RAISED' and level_before = 1 as begins,"
    "  level_before > 1 and level_after < 2 as ends"
    "  from ledger where entry_time >= :since and alert_id <> ''"
    "  and (cast(:alert_id as text) = '' or alert_id = :alert_id)),"
    " edges as (select type, rule_id, begins, entry_time,"
    "  lead(entry_time) over incident as next_time, lead(ends) over incident as next_ends"
    "  from story where begins or ends window incident as (partition by alert_id order by"
    " sequence)),"
    " spans as (select type, rule_id,"
    "  percentile_cont(0.5) within group (order by extract(epoch from next_time - entry_time)) as"
    " median"
    "  from edges where begins and next_ends group by type, rule_id)"
    " select type, rule_id, count(*) filter (where begins) as fired_count,"
    "  count(*) filter (where level_after > 1 and (reason = 'TOLD' or reason = 'EXPIRED'"
    "   or (reason = 'RAISED' and not begins))) as repeated_count,"
    "  count(*) filter (where reason = 'ACKNOWLEDGED') as acknowledged_count,"
    "  count(*) filter (where reason = 'SILENCED') as silenced_count,"
    "  count(*) filter (where ends) as ended_count,"
    "  make_interval(secs => max(median)) as median_duration,"
    "  max(entry_time) filter (where begins) as last_fired_time"
    " from story left join spans using (type, rule_id) group by type, rule_id order by type,"
    " rule_id"
)


class Statistics(NamedTuple):
    """Of one metric, or of one price rule; see the schema."""

    type: int
    rule_id: str
    fired_count: int
    repeated_count: int
    acknowledged_count: int
    silenced_count: int
    ended_count: int
    median_duration: timedelta | None
    last_fired_time: datetime | None


class StatisticStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def count(self, since: datetime, alert_id: str) -> list[Statistics]:
        found = await self._transaction.fetch(_COUNT, since=since, alert_id=alert_id)
        return [rows.read(Statistics, row) for row in found]
