"""Rows that have had their time: gone in bounded bites."""

from datetime import datetime

from shared.database.statement import Statement
from shared.database.transaction import Transaction

BITE_ROWS = 5000


def _older(table: str, condition: str) -> Statement:
    """Deletes the rows of one bite."""
    bite = f"select id from {table} where {condition} limit {BITE_ROWS}"
    return Statement(f"delete from {table} where id in ({bite})")


_FORGET = {
    "closed": Statement(
        "with old as (select position_key from position where status in (3, 4)"
        f" and updated_time < :before limit {BITE_ROWS}),"
        " forgotten as (delete from absence where position_key in (select position_key from old))"
        " delete from position where position_key in (select position_key from old)"
    ),
    "requests": Statement(
        "delete from request where request_id in (select request_id from request"
        f" where request_time < :before limit {BITE_ROWS})"
    ),
    "refused_rows": _older("refused_row", "refused_time < :before"),
    # Those of an open session stay: its drawdown is found in them.
    "snapshots": _older(
        "snapshot",
        "snapshot_time < least(:before, (select min(started_time) from session where status = 1))"
        " and not manual",
    ),
    # Entered by hand, or of a session that nobody ends.
    "old_snapshots": _older("snapshot", "snapshot_time < :before"),
    "events": Statement(
        "delete from position_event where sequence in (select sequence from position_event"
        f" where event_time < :before limit {BITE_ROWS})"
    ),
    "touch_statements": Statement(
        "delete from touch_statement where (market, asset, hour) in (select market, asset, hour"
        f" from touch_statement where stated_time < :before limit {BITE_ROWS})"
    ),
    "touch_history": Statement(
        "delete from touch_history where (market, asset, hour) in (select market, asset, hour"
        f" from touch_history where stated_time < :before limit {BITE_ROWS})"
    ),
    "sessions": _older("session", "ended_time < :before and status <> 1"),
}
KINDS = tuple(_FORGET)


class RetentionStore:
    """Deletes by age in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def forget(self, kind: str, before: datetime) -> int:
        """Delete at most BITE_ROWS rows of one of KINDS; how many."""
        return await self._transaction.execute(_FORGET[kind], before=before)
