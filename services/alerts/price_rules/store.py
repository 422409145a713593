"""Price rules and the prices that windows need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Row, delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.domain.kinds import Level
from services.alerts.price_rules.domain.rules import (
    Rule,
    RuleDirection,
    RuleMetric,
    RuleRecurrence,
    RuleState,
)
from services.alerts.store.annotations import bounded
from services.alerts.tables import rule
from shared.database.keyset import apply
from shared.paging import PageRequest

_NAMES = [field.name for field in fields(Rule)]
_KEPT_MICROS = 25 * 3600 * 1_000_000
_SPACING_MICROS = 60 * 1_000_000
_SAMPLE = text(
    "insert into rule_sample (asset, observed_micros, price_usd)"
    " select :asset, :micros, :price where not exists (select from rule_sample"
    "  where asset = :asset and observed_micros > :since) on conflict do nothing"
)
_FORGET = text("delete from rule_sample where asset = :asset and observed_micros < :before")
_REFERENCE = text(
    "select price_usd from rule_sample where asset = :asset and observed_micros >= :since"
    " order by observed_micros limit 1"
)


class RuleStore:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self) -> list[Rule]:
        rows = await self._connection.execute(select(rule).order_by(rule.c.rule_key))
        return [_rule(row) for row in rows]

    async def get(self, rule_key: int) -> Rule | None:
        query = select(rule).where(rule.c.rule_key == rule_key)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _rule(row)

    async def page(self, page: PageRequest) -> list[Rule]:
        """By key, one more than the page holds."""
        query = apply(select(rule), [(rule.c.rule_key, "asc")], page.after, page.size)
        return [_rule(row) for row in await self._connection.execute(query)]

    async def write(self, rules: Sequence[Rule]) -> None:
        """Insert or replace."""
        if rules:
            statement = insert(rule)
            statement = statement.on_conflict_do_update(
                index_elements=["rule_key"],
                set_={name: statement.excluded[name] for name in _NAMES},
            )
            await self._connection.execute(
                statement, [{**asdict(one), "channels": list(one.channels)} for one in rules]
            )

    async def delete(self, rule_key: int) -> None:
        await self._connection.execute(delete(rule).where(rule.c.rule_key == rule_key))

    async def sample(self, asset: str, price_usd: float, micros: int) -> None:
        """Keep a price, one a minute, for a day."""
        values = {
            "asset": asset,
            "micros": micros,
            "price": price_usd,
            "since": micros - _SPACING_MICROS,
        }
        await self._connection.execute(_SAMPLE, values)
        await self._connection.execute(_FORGET, {"asset": asset, "before": micros - _KEPT_MICROS})

    async def reference(self, asset: str, since_micros: int) -> float | None:
        """The oldest price kept since then."""
        answer = await self._connection.execute(_REFERENCE, {"asset": asset, "since": since_micros})
        return answer.scalar_one_or_none()


def _rule(row: Row[Any]) -> Rule:
    values = row._asdict()
    return Rule(
        **{
            **values,
            "metric": RuleMetric(row.metric),
            "direction": RuleDirection(row.direction),
            "recurrence": RuleRecurrence(row.recurrence),
            "level": Level(row.level),
            "state": RuleState(row.state),
            "falling": RuleState(row.falling),
            "channels": bounded(row.channels),
        }
    )
