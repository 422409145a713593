"""A pass that finds the groups it left: one statement committed by itself.

It rests on what this process knows, and does nothing when that is old: the long way is the store's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.hedges.domain.grouping import Group, Linking
from services.hedges.store.hedges import FIGURES, LOCK_WORD
from shared.database import fence
from shared.database.engine import Database
from shared.database.fence import Step


def _list(pattern: str) -> str:
    return ", ".join(pattern.format(name) for name in FIGURES)


_ARRAYS = ", ".join(f"${number}::float8[]" for number in range(10, 10 + len(FIGURES)))
# The lock comes before the revisions, which ascend in the order of commits; nobody waits for it
# here.
_KEEP = fence.single_statement(
    f"new as materialized (select * from unnest($8::text[], $9::int8[], {_ARRAYS})"
    f" as new (id, member_signature, {_list('{}')})),"
    " done as (select set_config('synchronous_commit', 'off', true) from allowed"
    f" where pg_try_advisory_xact_lock(hashtext('{LOCK_WORD}')) and not exists ("
    " select from hedge full join new using (id, member_signature)"
    " where hedge.id is null or new.id is null)),"
    " moved as (update hedge as old set updated_time = $7, revision = nextval('hedge_revision'),"
    f" {_list('{0} = new.{0}')} from new, done"
    " where old.id = new.id and old.member_signature = new.member_signature"
    f" and ({_list('old.{}')}) is distinct from ({_list('new.{}')}))"
)


class SingleStatement:
    """One round trip; the answer given, or the one recorded before, or None: not so."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(
        self, step: Step, answer: Linking, groups: Sequence[tuple[str, Group]], now: datetime
    ) -> Linking | None:
        """Exactly these groups are stored, with these members: write the figures that changed."""
        ids = [id for id, _ in groups]
        signatures = [group.member_signature for _, group in groups]
        figures = ([getattr(group, name) for _, group in groups] for name in FIGURES)
        return await fence.run_statement(
            self._database, _KEEP, step, answer, now, ids, signatures, *figures
        )
