"""What the metrics show of messages that wait: read in one statement when somebody asks."""

from __future__ import annotations

from datetime import datetime

from services.xcom.domain.messages import DeliveryState, Level
from shared.clock import Clock
from shared.database.pool import Database
from shared.database.statement import Statement
from shared.metrics import Figure, Values

_LEVEL = ("level",)
FIGURES = (
    Figure(
        "sonic_deliveries_waiting", "Deliveries that are queued, tries to come among them", _LEVEL
    ),
    Figure(
        "sonic_messages_untold",
        "Messages with a delivery on its way that none has reached anybody by",
        _LEVEL,
    ),
    Figure(
        "sonic_message_oldest_untold_seconds",
        "Age of the oldest of these messages; 0: there is none",
        _LEVEL,
    ),
)
# Of what waits, which the index of the queue holds alone.
_READ = Statement(f"""
    with waiting as (select message_id, level, created_time from delivery
        where state = {DeliveryState.QUEUED.value}),
    way as (select message_id from waiting union
        select message_id from delivery where state = {DeliveryState.HANDED_OVER.value}),
    untold as (select message.level, message.created_time from way
        join message on message.id = way.message_id
        where not exists (select from delivery as told where told.message_id = way.message_id
            and told.state in ({DeliveryState.SENT.value}, {DeliveryState.GROUPED.value})))
    select own.level, (select count(*) from waiting where level = own.level) as waiting_count,
        (select count(*) from untold where level = own.level) as untold_count,
        (select min(created_time) from untold where level = own.level) as oldest_time
    from unnest(cast(:levels as int2[])) as own (level)
""")


class FigureStore:
    """Each reading is one statement."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def read(self) -> Values:
        """FIGURES of every level."""
        found = await self._database.fetch(_READ, levels=[level.value for level in Level])
        by_level = {(Level(row["level"]).name,): row for row in found}
        now = self._clock.now()
        return {
            "sonic_deliveries_waiting": {
                key: row["waiting_count"] for key, row in by_level.items()
            },
            "sonic_messages_untold": {key: row["untold_count"] for key, row in by_level.items()},
            "sonic_message_oldest_untold_seconds": {
                key: _age_seconds(now, row["oldest_time"]) for key, row in by_level.items()
            },
        }


def _age_seconds(now: datetime, moment: datetime | None) -> float:
    return 0.0 if moment is None else max((now - moment).total_seconds(), 0.0)
