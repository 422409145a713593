"""The texts of what alerts are about: position ids, wallet names, incidents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.alerts.alerts.domain.alert_columns import Column
from services.alerts.alerts.domain.subjects import Subject
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_INSERT = Statement(
    "insert into subject as known (subject_key, name, wallet, side_sign, summary) select * from"
    " unnest(cast(:subject_key as int8[]), cast(:name as text[]), cast(:wallet as text[]),"
    " cast(:side_sign as int2[]), cast(:summary as text[])) on conflict (subject_key) do update"
    " set name = excluded.name, wallet = excluded.wallet, side_sign = excluded.side_sign,"
    " summary = excluded.summary"
    " where (known.name, known.wallet, known.side_sign, known.summary) is distinct from"
    " (excluded.name, excluded.wallet, excluded.side_sign, excluded.summary)"
)
# One row of arrays: a crash asks for a hundred thousand.
_READ = Statement(
    "select array_agg(subject_key), array_agg(name), array_agg(wallet), array_agg(side_sign),"
    " array_agg(summary) from subject where subject_key = any(cast(:keys as int8[]))"
)
_NAMES = Statement(
    "select subject_key, name from subject where subject_key = any(cast(:keys as int8[]))"
)
_FIND = Statement("select subject_key from subject where name = any(cast(:names as text[]))")
_DESCRIBE = Statement("update subject set summary = :summary where subject_key = :subject_key")
_DELETE = Statement(
    "delete from subject where subject_key <> 0 and subject_key = any(cast(:subject_keys as"
    " int8[]))"
    " and not exists (select from alert where alert.subject_key = subject.subject_key)"
)


class SubjectStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def write(self, subjects: Sequence[Subject]) -> None:
        if subjects:
            columns = zip(*subjects, strict=True)
            await self._transaction.execute(
                _INSERT, **dict(zip(Subject._fields, map(list, columns), strict=True))
            )

    async def read(self, subject_keys: Column) -> dict[int, Subject]:
        ((found, *columns),) = await self._transaction.fetch(_READ, keys=subject_keys.tolist())
        return dict(zip(found, map(Subject, found, *columns), strict=True)) if found else {}

    async def names(self, subject_keys: Iterable[int]) -> dict[int, str]:
        """What the subjects of these keys are called."""
        rows = await self._transaction.fetch(_NAMES, keys=list(subject_keys))
        return {row["subject_key"]: row["name"] for row in rows}

    async def find(self, names: Sequence[str]) -> list[int]:
        """Keys of the subjects of these names."""
        found = await self._transaction.fetch(_FIND, names=list(names))
        return [row["subject_key"] for row in found]

    async def describe(self, subject_key: int, summary: str) -> None:
        """Other words about one of them."""
        await self._transaction.execute(_DESCRIBE, subject_key=subject_key, summary=summary)

    async def delete_unused(self, subject_keys: Iterable[int]) -> None:
        """Remove those of these that no alert is about any more."""
        await self._transaction.execute(_DELETE, subject_keys=list(subject_keys))
