"""What the tables of all services take, as the catalog of the database knows it; reads no row."""

from __future__ import annotations

from collections.abc import Mapping

from shared.database.pool import Database
from shared.database.statement import Statement

# A service's schema is that of its owner's name; whatever else is in the database is not ours.
_BY_SERVICE = Statement(
    "select nspname as service, cast(sum(pg_total_relation_size(c.oid)) as int8) as byte_count"
    " from pg_namespace n join pg_roles o on o.oid = n.nspowner and o.rolname = nspname || '_owner'"
    " join pg_class c on c.relnamespace = n.oid and c.relkind = 'r' group by 1 order by 1"
)


class StorageSizes:
    """Each reading is one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_service(self) -> Mapping[str, int]:
        """Bytes on the disk by service: tables, indexes and long texts."""
        found = await self._database.fetch(_BY_SERVICE)
        return {row["service"]: row["byte_count"] for row in found}
