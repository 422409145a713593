"""Model and weights of heat as a group of settings: checked, and as JSON."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Final

from services.positions.enrichment.domain.metrics import DEFAULT_WEIGHTS, HeatModel, HeatWeights
from shared.errors import InvalidArgument

GROUP: Final = "heat_modifiers"
MAX_WEIGHT: Final = 100.0
WEIGHT_NAMES: Final = tuple(field.name for field in fields(HeatWeights))
_LETTERS = re.compile(r"[^a-z]")


@dataclass(frozen=True, slots=True)
class HeatModifiers:
    """How heat is computed; `version` rises with every change."""

    model: HeatModel = HeatModel.LIQUIDATION
    weights: HeatWeights = DEFAULT_WEIGHTS
    version: int = 1

    @property
    def etag(self) -> str:
        """The version as clients send it back."""
        return f"h{self.version}"


DEFAULT_HEAT: Final = HeatModifiers()


def model_of(value: int) -> HeatModel:
    """The model of a number: 1 LIQUIDATION, 2 CLASSIC. Raises BAD_MODIFIERS for any other."""
    try:
        return HeatModel(value)
    except ValueError:
        raise _bad("model", "1 (LIQUIDATION) or 2 (CLASSIC)") from None


def weights_of(values: Mapping[str, float | None]) -> HeatWeights:
    """Weights by names of WEIGHT_NAMES, all needed, 0 to 100. Raises BAD_MODIFIERS."""
    found = []
    for name in WEIGHT_NAMES:
        value = values.get(name)
        if value is None:
            raise _bad(name, "needed: a group holds every weight")
        if not isfinite(value) or not 0 <= value <= MAX_WEIGHT:
            raise _bad(name, f"0 to {MAX_WEIGHT:g}")
        found.append(value + 0.0)
    return HeatWeights(*found)


def exported(heat: HeatModifiers) -> str:
    """JSON text {group: {key: number}}."""
    return json.dumps({GROUP: {"model": heat.model, **asdict(heat.weights)}}, indent=2)


def imported(text: str, present: HeatModel) -> tuple[HeatModel, HeatWeights, tuple[str, ...]]:
    """Model, weights and the names of foreign groups out of JSON text; keys in any case, with or
    without the word "weight"; without a model `present` stays. Raises BAD_FILE, BAD_MODIFIERS.
    """
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        raise _bad_file("is not JSON") from None
    if not isinstance(document, dict):
        raise _bad_file(f'is no object {{"{GROUP}": {{key: number}}}}')
    groups = {_folded(name): name for name in document}
    if _folded(GROUP) not in groups:
        raise _bad_file(f"holds no group {GROUP}")
    own = groups.pop(_folded(GROUP))
    model, weights = _group(document[own], present)
    return model, weights, tuple(name[:64] for name in groups.values())


def _group(group: object, present: HeatModel) -> tuple[HeatModel, HeatWeights]:
    if not isinstance(group, dict):
        raise _bad(GROUP, "an object {key: number}")
    known = {_folded(name): name for name in (*WEIGHT_NAMES, "model")}
    known |= {_folded(name).removesuffix("weight"): name for name in WEIGHT_NAMES}
    values: dict[str, float | None] = {}
    for key, value in group.items():
        name = known.get(_folded(key))
        if name is None or name in values:
            raise _bad(
                key[:64], f"not known or given twice; keys are model, {', '.join(WEIGHT_NAMES)}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9:
            raise _bad(name, "a number")
        values[name] = float(value)
    number = values.pop("model", None)
    return present if number is None else model_of(_whole(number)), weights_of(values)


def _whole(number: float) -> int:
    return int(number) if isfinite(number) and number == int(number) else 0


def _folded(name: str) -> str:
    return _LETTERS.sub("", name.lower())


def _bad(field: str, problem: str) -> InvalidArgument:
    return InvalidArgument(
        "BAD_MODIFIERS", f"{GROUP}: {field}: {problem}", fields={f"modifiers.{field}": problem}
    )


def _bad_file(problem: str) -> InvalidArgument:
    return InvalidArgument("BAD_FILE", f"The text {problem}.", fields={"content": problem})
