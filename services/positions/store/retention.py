"""Rows that have had their time: gone in bounded bites."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

BITE_ROWS = 5000

# Snapshots of an open session stay: its drawdown is found in them.
_FORGET = {
    "closed": (
        "with gone as (delete from position where position_key in (select position_key from"
        " position"
        " where status in (3, 4) and updated_time < :before limit :bite) returning position_key),"
        " forgotten as (delete from absence where position_key in (select position_key from gone))"
        " select count(*) from gone"
    ),
    "requests": (
        "with gone as (delete from request where request_id in (select request_id from request"
        " where request_time < :before limit :bite) returning 1) select count(*) from gone"
    ),
    "refused_rows": (
        "with gone as (delete from refused_row where id in (select id from refused_row"
        " where refused_time < :before limit :bite) returning 1) select count(*) from gone"
    ),
    "snapshots": (
        "with gone as (delete from snapshot where id in (select id from snapshot"
        " where snapshot_time < least(:before, (select min(started_time) from session where status"
        " = 1))"
        " and not manual limit :bite) returning 1) select count(*) from gone"
    ),
}


class RetentionStore:
    """Deletes by age in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def forget(self, kind: str, before: datetime) -> int:
        """Delete at most BITE_ROWS rows of closed, requests, refused_rows or snapshots; how many
        went.
        """
        values = {"before": before, "bite": BITE_ROWS}
        return int((await self._connection.execute(text(_FORGET[kind]), values)).scalar_one())
