"""What a version of the price rules holds, and the way back to one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from services.alerts.domain.kinds import Level
from services.alerts.price_rules.domain.edits import changed, rule_key_of
from services.alerts.price_rules.domain.rules import (
    SETTINGS,
    Rule,
    RuleDirection,
    RuleMetric,
    RuleRecurrence,
)
from shared.errors import FailedPrecondition
from shared.versions.domain import Content, Kind

KIND: Final = Kind("rule", "price rules", SETTINGS)
# Kept too, and never compared: nobody changes it.
_CREATED = "created_micros"
_NAMED: Final[Mapping[str, type[IntEnum]]] = {
    "metric": RuleMetric,
    "direction": RuleDirection,
    "recurrence": RuleRecurrence,
    "level": Level,
}


@dataclass(frozen=True, slots=True)
class RuleEnd:
    """Where a deleted rule stood: its incidents, and how often it was armed by hand. One that is
    made again goes on from there, so that no incident has the name of another.
    """

    rule_key: int
    incident_count: int
    revision: int


@dataclass(frozen=True, slots=True)
class RuleRestoration:
    """What leads to a version: rules to be written, each with the one before, and deleted."""

    written: Sequence[tuple[Rule | None, Rule]]
    deleted: Sequence[Rule]


def rules_content(rules: Iterable[Rule]) -> Content:
    """What a version keeps of them: what people set, not where they stand."""
    return {
        rule.id: {name: _plain(getattr(rule, name)) for name in (*SETTINGS, _CREATED)}
        for rule in sorted(rules, key=lambda rule: rule.rule_key)
    }


def rules_restored(
    present: Sequence[Rule], wanted: Content, ends: Mapping[int, RuleEnd], now_micros: int
) -> RuleRestoration:
    """From the present rules to those of a version. One that is as it was stands as it stands; one
    that measures something else, or was deleted, begins anew. FailedPrecondition
    VERSION_UNREADABLE.
    """
    known = {rule.id: rule for rule in present}
    written: list[tuple[Rule | None, Rule]] = []
    for id, fields in wanted.items():
        before, values = known.get(id), _values(id, fields)
        if before is None:
            written.append((None, _again(id, values, fields[_CREATED], ends)))
            continue
        other = {name: value for name, value in values.items() if value != getattr(before, name)}
        if other:
            written.append((before, changed(before, other, now_micros)))
    return RuleRestoration(written, [rule for rule in present if rule.id not in wanted])


def after_rules_restored(present: Sequence[Rule], done: RuleRestoration) -> Content:
    """The content there is then."""
    gone = {rule.id for rule in done.deleted}
    rules = {rule.id: rule for rule in present if rule.id not in gone}
    return rules_content((rules | {rule.id: rule for _, rule in done.written}).values())


def _again(
    id: str, values: Mapping[str, Any], created_micros: int, ends: Mapping[int, RuleEnd]
) -> Rule:
    key = rule_key_of(id)
    if key is None or key not in ends:
        raise _unreadable(id)
    end = ends[key]
    return Rule(
        rule_key=key,
        created_micros=created_micros,
        incident_count=end.incident_count,
        revision=end.revision,
        **values,
    )


def _values(id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    if not {*SETTINGS, _CREATED} <= set(fields):
        raise _unreadable(id)
    try:
        named = {name: kind[fields[name]] for name, kind in _NAMED.items()}
    except KeyError as error:
        raise _unreadable(id) from error
    values = {name: fields[name] for name in SETTINGS}
    return {**values, "channels": tuple(fields["channels"]), **named}


def _unreadable(id: str) -> FailedPrecondition:
    return FailedPrecondition(
        "VERSION_UNREADABLE",
        f"the price rule {id[:80]!r} of that version cannot be made again: set what you want of "
        "it by hand",
    )


def _plain(value: object) -> object:
    if isinstance(value, IntEnum):
        return value.name
    return list(value) if isinstance(value, tuple) else value
