"""The worst of several in words, as a fact of a message: of digests made here, and of those that
their source made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import TypeAdapter, ValidationError

from services.xcom.domain.worst import Worst

_TYPE = TypeAdapter(Worst)
FACT: Final = "worst"


def fact_of(worst: Worst) -> str:
    """As JSON."""
    return _TYPE.dump_json(worst).decode()


def worst_of(facts: Mapping[str, str]) -> Worst | None:
    """None when the facts have none, or what does not fit: then the message speaks for itself."""
    try:
        found = _TYPE.validate_json(facts.get(FACT, ""))
    except ValidationError:
        return None
    count = len(found.phrases)
    is_whole = 0 < count == len(found.short_phrases) == len(found.covered_counts)
    return found if is_whole else None
