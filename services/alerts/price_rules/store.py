"""Price rules and the prices that windows need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from services.alerts.price_rules.domain.rules import Rule, Sample, Window
from services.alerts.price_rules.domain.versions import RuleEnd
from services.alerts.store.annotations import bounded
from services.alerts.tables import rule
from shared import rows
from shared.database.keyset import apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

_NAMES = [field.name for field in fields(Rule)]
_KEPT_MICROS = 25 * 3600 * 1_000_000
_ALL = Statement(select(rule).order_by(rule.c.rule_key))
_ONE = Statement(select(rule).where(rule.c.rule_key == bindparam("rule_key")))
_DELETE = Statement(delete(rule).where(rule.c.rule_key == bindparam("rule_key")))
# Of one that was made again and is deleted again, the last.
_END = Statement(
    "insert into deleted_rule (rule_key, incident_count, revision, deleted_time)"
    " select rule_key, incident_count, revision, :now from rule where rule_key = :rule_key"
    " on conflict (rule_key) do update set incident_count = excluded.incident_count,"
    " revision = excluded.revision, deleted_time = excluded.deleted_time"
)
_ENDS = Statement("select rule_key, incident_count, revision from deleted_rule")
# What no version holds any more is never made again.
_FORGET_ENDS = Statement(
    "delete from deleted_rule where deleted_time < (select min(saved_time) from rule_set)"
)
_INSERT = insert(rule)
_WRITE = Statement(
    _INSERT.on_conflict_do_update(
        index_elements=["rule_key"], set_={name: _INSERT.excluded[name] for name in _NAMES}
    ),
    _NAMES,
)
_SAMPLE = Statement(
    "insert into rule_sample (asset, observed_micros, price_usd)"
    " values (:asset, :observed_micros, :price_usd) on conflict do nothing"
)
_FORGET = Statement("delete from rule_sample where asset = :asset and observed_micros < :before")
_FORGET_ALL = Statement("delete from rule_sample")
_WINDOWS = Statement(
    "select place, exists (select from rule_sample one"
    "  where one.asset = wanted.asset and one.observed_micros > wanted.recent"
    "  and one.observed_micros <= wanted.until) as is_sampled,"
    # None of the future, left by a clock that was ahead.
    " (select price_usd from rule_sample one"
    "  where one.asset = wanted.asset and one.observed_micros >= wanted.since"
    "  and one.observed_micros <= wanted.until order by one.observed_micros limit 1) as oldest_usd"
    " from unnest(cast(:assets as text[]), cast(:since as int8[]), cast(:recent as int8[]),"
    " cast(:until as int8[]))"
    " with ordinality as wanted(asset, since, recent, until, place) order by place"
)


class RuleStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def all(self) -> list[Rule]:
        return [_rule(row) for row in await self._transaction.fetch(_ALL)]

    async def get(self, rule_key: int) -> Rule | None:
        row = await self._transaction.first(_ONE, rule_key=rule_key)
        return None if row is None else _rule(row)

    async def page(self, page: PageRequest) -> list[Rule]:
        """By key, one more than the page holds."""
        query = apply(select(rule), [(rule.c.rule_key, "asc")], page.after, page.size)
        return [_rule(row) for row in await self._transaction.fetch(query)]

    async def write(self, rules: Sequence[Rule]) -> None:
        """Insert or replace."""
        await self._transaction.many(
            _WRITE, [{**asdict(one), "channels": list(one.channels)} for one in rules]
        )

    async def delete(self, rule_key: int, now: datetime) -> None:
        """And keep where it stood."""
        await self._transaction.execute(_END, rule_key=rule_key, now=now)
        await self._transaction.execute(_DELETE, rule_key=rule_key)

    async def ends(self) -> dict[int, RuleEnd]:
        """Where deleted rules stood, by key."""
        found = [rows.read(RuleEnd, row) for row in await self._transaction.fetch(_ENDS)]
        return {end.rule_key: end for end in found}

    async def forget_ends(self) -> None:
        """Of rules that no version holds."""
        await self._transaction.execute(_FORGET_ENDS)

    async def keep_samples(self, samples: Sequence[Sample]) -> None:
        """Prices for the windows of rules; a day of them stays."""
        for sample in samples:
            await self._transaction.execute(_SAMPLE, **asdict(sample))
            await self._transaction.execute(
                _FORGET, asset=sample.asset, before=sample.observed_micros - _KEPT_MICROS
            )

    async def forget_samples(self) -> None:
        await self._transaction.execute(_FORGET_ALL)

    async def prices_in(
        self, windows: Mapping[int, Window]
    ) -> dict[int, tuple[bool, float | None]]:
        """By rule: whether a price was kept of late, and the oldest one kept within the window."""
        if not windows:
            return {}
        found = await self._transaction.fetch(
            _WINDOWS,
            assets=[window.asset for window in windows.values()],
            since=[window.since_micros for window in windows.values()],
            recent=[window.recent_micros for window in windows.values()],
            until=[window.until_micros for window in windows.values()],
        )
        return {
            key: (row["is_sampled"], row["oldest_usd"])
            for key, row in zip(windows, found, strict=True)
        }


def _rule(row: Row) -> Rule:
    return rows.read(Rule, row, channels=bounded(row["channels"]))
