"""Thresholds as a JSON file, also of the older `alert_ranges`; all of it or nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from services.alerts.domain.kinds import JUDGED, AlertClass, AlertType, Condition
from services.alerts.service.commits import Commits
from services.alerts.service.known_names import Channels, check_scope_asset, known_scope
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache
from services.alerts.thresholds.domain import (
    CHANNELS,
    LIMITS,
    Scope,
    Threshold,
    check_limits,
    check_scope,
)
from services.alerts.thresholds.service.edits import KeptEdits, channel_names, entry
from shared.errors import InvalidArgument
from shared.names import choose
from shared.texts import cut

_FIELDS = {"type", "class", "condition", "asset", "enabled", *LIMITS, *CHANNELS}
_FORMS = "the list `thresholds` or the object `alert_ranges`"
_Parsed = Mapping[str, tuple[Scope, dict[str, Any]]]
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
TYPE_ALIASES: Mapping[str, str] = {
    "TravelPercentLiquid": "TRAVEL_PERCENT",
    "LiquidationDistancePercent": "LIQUIDATION_DISTANCE",
    "ProfitUsd": "PROFIT",
    "TotalValueUsd": "TOTAL_VALUE",
    "TotalSizeUsd": "TOTAL_SIZE",
    "TotalProfitUsd": "TOTAL_PROFIT",
    "AvgLeverageRatio": "AVG_LEVERAGE",
    "AvgHeatIndex": "TOTAL_HEAT",
    "PriceUsd": "PRICE_THRESHOLD",
    "Price": "PRICE_THRESHOLD",
    "AccountDistancePercent": "ACCOUNT_DISTANCE",
    "ExposureRatio": "WALLET_EXPOSURE",
}
# The dangerous side where a file does not say.
_BELOW = {
    AlertType.TRAVEL_PERCENT,
    AlertType.LIQUIDATION_DISTANCE,
    AlertType.AVG_TRAVEL_PERCENT,
    AlertType.VALUE_TO_COLLATERAL_RATIO,
    AlertType.ACCOUNT_DISTANCE,
}


@dataclass(frozen=True, slots=True)
class Imported:
    created_count: int
    changed_count: int
    unchanged_count: int


class ThresholdFiles:
    """Export and import of the thresholds."""

    def __init__(
        self, cache: SnapshotCache, commits: Commits, channels: Channels, kept: KeptEdits
    ) -> None:
        self._kept = kept
        self._cache = cache
        self._commits = commits
        self._channels = channels

    async def export(self) -> str:
        """Everything, by id."""
        async with self._cache.begin_reading() as store:
            rows = sorted(await store.thresholds.all(), key=lambda row: row.scope.id)
        return json.dumps({"thresholds": [_plain(row) for row in rows]}, indent=2)

    async def import_file(self, text: str, *, dry_run: bool) -> Imported:
        """Write what a file says; BAD_IMPORT names every problem, and then nothing is written.

        What a file does not mention stays. XCOM_UNAVAILABLE.
        """
        parsed = _read(text)
        now = self._cache.clock.now()
        await self._check_channels(parsed)
        async with self._commits.edit() as edit:
            known = {row.scope: row for row in await edit.store.thresholds.all()}
            parsed = _as_known(parsed, edit.snapshot)
            rows = _merged(parsed, known, now, partial(_check_asset, edit.snapshot))
            changed = [row for row in rows if row.revision]
            if changed and not dry_run:
                for row in changed:
                    await edit.store.thresholds.write(row)
                entries = [entry(known.get(row.scope), row, now) for row in changed]
                await self._kept.commit(edit, entries, "IMPORTED", now)
        created = sum(row.scope not in known for row in changed)
        return Imported(created, len(changed) - created, len(rows) - len(changed))

    async def _check_channels(self, parsed: _Parsed) -> None:
        """Outside a transaction: somebody else is asked."""
        async with self._cache.begin_reading() as store:
            known = {row.scope: row for row in await store.thresholds.all()}
            parsed = _as_known(parsed, await self._cache.read(store))
        problems = {}
        for place, (scope, values) in parsed.items():
            for name in CHANNELS:
                before = getattr(known[scope], name) if scope in known else ()
                try:
                    await self._channels.check(values.get(name, ()), before, name)
                except InvalidArgument as error:
                    problems[place] = error.message
        if problems:
            raise _bad(problems)


def _as_known(parsed: _Parsed, snapshot: Snapshot) -> _Parsed:
    return {
        place: (known_scope(scope, snapshot), values) for place, (scope, values) in parsed.items()
    }


def _check_asset(snapshot: Snapshot, scope: Scope) -> None:
    check_scope_asset(scope, snapshot, "asset")


def _plain(row: Threshold) -> dict[str, Any]:
    """All fields that a file may say: a limit or channels that are not there are said to be none,
    for what a file does not mention stays as it is where it is read.
    """
    scope = row.scope
    fields = {
        "type": scope.type.name,
        "class": scope.alert_class.name,
        "condition": scope.condition.name,
        "asset": scope.asset,
        **{name: getattr(row, name) for name in (*LIMITS, "enabled", *CHANNELS)},
    }
    return {name: value for name, value in fields.items() if value != ""}


def _read(text: str) -> _Parsed:
    """Scope and values by where they stand in the file."""
    try:
        content = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _bad({"json": f"no JSON: {cut(str(error), 100)}"}) from error
    problems: dict[str, str] = {}
    parsed = {}
    for place, fields in _items(content, problems):
        try:
            parsed[place] = _parse(fields)
        except InvalidArgument as error:
            problems[place] = error.message
    if not parsed and not problems:
        problems["json"] = f"an object with {_FORMS}"
    if problems:
        raise _bad(problems)
    return parsed


def _items(content: object, problems: dict[str, str]) -> Iterator[tuple[str, object]]:
    """What the file holds, by place; what is of no known form goes to the problems."""
    if not isinstance(content, dict):
        return
    for name in content:
        if name not in ("thresholds", "alert_ranges"):
            problems[cut(str(name), 60)] = f"not known; a file has {_FORMS}"
    thresholds, ranges = content.get("thresholds", []), content.get("alert_ranges", {})
    if isinstance(thresholds, list):
        yield from ((f"thresholds[{place}]", fields) for place, fields in enumerate(thresholds))
    else:
        problems["thresholds"] = "a list is needed"
    if not isinstance(ranges, dict):
        problems["alert_ranges"] = "an object is needed"
        return
    for metric, limits in ranges.items():
        place = f"alert_ranges.{cut(metric, 60)}"
        if not isinstance(limits, dict):
            yield place, limits
        elif "type" in limits:
            problems[place] = "not known: type; the name of the range is the type"
        else:
            yield place, {"type": _metric(metric), **limits}


def _metric(name: str) -> str:
    lowered = name.strip()
    for ending in ("_ranges", "_range", " ranges", "Ranges"):
        lowered = lowered.removesuffix(ending)
    return lowered


def _parse(fields: object) -> tuple[Scope, dict[str, Any]]:
    if not isinstance(fields, dict):
        raise InvalidArgument("BAD_IMPORT", "an object is needed")
    unknown = sorted(set(fields) - _FIELDS)
    if unknown:
        listed = cut(", ".join(map(str, unknown)), 200)
        raise InvalidArgument(
            "BAD_IMPORT", f"not known: {listed}; known are {', '.join(sorted(_FIELDS))}"
        )
    known = [kind.name for kind in JUDGED]
    alert_type = AlertType[choose(_text(fields, "type"), known, field="type", aliases=TYPE_ALIASES)]
    condition = Condition.BELOW if alert_type in _BELOW else Condition.ABOVE
    if "condition" in fields:
        condition = Condition[
            choose(_text(fields, "condition"), ("ABOVE", "BELOW"), field="condition")
        ]
    scope = Scope(alert_type, condition, _text(fields, "asset").strip())
    if "class" in fields:
        named = choose(_text(fields, "class"), [kind.name for kind in AlertClass], field="class")
        if named != scope.alert_class.name:
            raise InvalidArgument(
                "BAD_IMPORT", f"{alert_type.name} is of class {scope.alert_class.name}"
            )
    check_scope(scope)
    values: dict[str, Any] = {name: _limit(fields, name) for name in LIMITS if name in fields}
    if "enabled" in fields:
        if not isinstance(fields["enabled"], bool):
            raise InvalidArgument("BAD_IMPORT", "enabled is true or false")
        values["enabled"] = fields["enabled"]
    values |= {name: _names(fields[name], name) for name in CHANNELS if name in fields}
    return scope, values


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise InvalidArgument("BAD_IMPORT", f"{name} is a text")
    return value


def _limit(fields: Mapping[str, object], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidArgument("BAD_IMPORT", f"{name} is a finite number")
    return float(value) + 0.0


def _names(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidArgument("BAD_IMPORT", f"{name} is a list of texts")
    return channel_names(value)


def _merged(
    parsed: _Parsed,
    known: Mapping[Scope, Threshold],
    now: datetime,
    check_new: Callable[[Scope], None],
) -> list[Threshold]:
    """The thresholds a file leads to; revision 0 for those that stay as they are."""
    rows: dict[Scope, Threshold] = {}
    problems = {}
    for place, (scope, values) in parsed.items():
        before = known.get(scope) or Threshold(scope, None, None, None, True, (), (), (), 0, _NEVER)
        after = replace(before, **values)
        try:
            if scope in rows:
                raise InvalidArgument("BAD_IMPORT", f"{scope.id} is there twice")
            if scope not in known:
                check_new(scope)
            check_limits(after, known.get(scope))
        except InvalidArgument as error:
            problems[place] = error.message
        is_same = scope in known and after == before
        rows[scope] = replace(
            after, revision=0 if is_same else before.revision + 1, updated_time=now
        )
    if problems:
        raise _bad(problems)
    return list(rows.values())


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _bad(problems: Mapping[str, str]) -> InvalidArgument:
    listed = "; ".join(f"{place}: {problem}" for place, problem in problems.items())
    return InvalidArgument("BAD_IMPORT", cut(listed, 2000), fields=problems)
