"""The numbers people set for hedges, and their JSON form {group: {key: number}}.

A group that lacks a key, has an unknown one, or holds a number out of its range is refused as a
whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256

from shared.errors import InvalidArgument

GROUP = "hedge_modifiers"


@dataclass(frozen=True, slots=True)
class Modifiers:
    """`fee_percentage` and `target_margin` in percent; each in its range of RANGES."""

    fee_percentage: float = 0.234
    target_margin: float = 60.0
    adjustment_factor: float = 1.0

    @property
    def etag(self) -> str:
        """Changes with every edit."""
        return sha256(repr(asdict(self)).encode()).hexdigest()[:16]

    def fee_usd(self, size_change_usd: float) -> float:
        """Fee of a change of size, USD, >= 0."""
        return abs(size_change_usd) * self.fee_percentage / 100.0


NAMES = tuple(field.name for field in fields(Modifiers))


@dataclass(frozen=True, slots=True)
class Range:
    """From `least` (`above`: not itself) to `most`."""

    most: float
    least: float = 0.0
    above: bool = False

    def __str__(self) -> str:
        return f"{'above' if self.above else 'at least'} {self.least:g} and at most {self.most:g}"

    def holds(self, number: float) -> bool:
        return self.least < number <= self.most or (number == self.least and not self.above)


# A trade may be free; a margin of nothing or a factor of zero would leave no position to speak of.
RANGES = {
    "fee_percentage": Range(10.0),
    "target_margin": Range(100.0, above=True),
    "adjustment_factor": Range(100.0, above=True),
}


def checked(values: Mapping[str, object]) -> Modifiers:
    """Modifiers of these values by name. InvalidArgument MODIFIER_*, NOT_FINITE."""
    if missing := [name for name in NAMES if name not in values]:
        listed = ", ".join(missing)
        raise InvalidArgument(
            "MODIFIER_MISSING",
            f"{GROUP} lacks {listed}",
            fields={_path(name): "needed" for name in missing},
        )
    if unknown := [name for name in values if name not in NAMES]:
        listed = ", ".join(NAMES)
        raise InvalidArgument(
            "MODIFIER_UNKNOWN",
            f"{GROUP} has {unknown[0][:60]!r}; known are {listed}",
            fields={GROUP: f"only {listed}"},
        )
    return Modifiers(**{name: _number(name, values[name]) for name in NAMES})


def exported(modifiers: Modifiers) -> str:
    """The JSON text."""
    return json.dumps({GROUP: asdict(modifiers)}, indent=2)


def imported(content: str) -> tuple[Modifiers, list[str]]:
    """Modifiers of a JSON text, and the names of the other groups in it.

    InvalidArgument MODIFIERS_NOT_JSON, MODIFIER_GROUP_MISSING and those of `checked`.
    """
    try:
        groups = json.loads(content, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as problem:
        raise _no_json("the content is no JSON, or names a key twice") from problem
    if not isinstance(groups, dict):
        raise _no_json("the content is no JSON object of groups")
    if GROUP not in groups:
        raise InvalidArgument(
            "MODIFIER_GROUP_MISSING", f"the content has no group {GROUP}", fields={"content": GROUP}
        )
    if not isinstance(groups[GROUP], dict):
        raise _no_json(f"{GROUP} is no object of numbers")
    return checked(groups[GROUP]), sorted(name for name in groups if name != GROUP)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(
            "MODIFIER_NOT_A_NUMBER", f"{name} is no number", fields={_path(name): "a number"}
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    wanted = RANGES[name]
    if not math.isfinite(number):
        raise InvalidArgument("NOT_FINITE", f"{name} is not finite", fields={_path(name): "finite"})
    if number < 0:
        raise InvalidArgument(
            "MODIFIER_NEGATIVE",
            f"{name} is negative, needs {wanted}",
            fields={_path(name): str(wanted)},
        )
    if not wanted.holds(number):
        raise InvalidArgument(
            "MODIFIER_OUT_OF_RANGE",
            f"{name} is {number:g}, needs {wanted}",
            fields={_path(name): str(wanted)},
        )
    return number + 0.0


def _path(name: str) -> str:
    return f"{GROUP}.{name}"


def _no_json(problem: str) -> InvalidArgument:
    return InvalidArgument("MODIFIERS_NOT_JSON", problem, fields={"content": problem})


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)
