"""Whether a value has moved enough since somebody last looked. Pure; one number is kept for each
name, however many come.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Reference:
    """What was last looked at, the move from it, in percent, that is news, and which observation
    it was: one that is looked at again and again tells nothing new.
    """

    value: float
    limit_percent: float
    observed: object


class Moves:
    """Knows the references of one look until those of the next."""

    def __init__(self) -> None:
        self._references: dict[str, Reference] = {}

    def renew(self, references: Mapping[str, Reference]) -> None:
        """The references of a look. Where it saw what the one before saw, the value stays where it
        was last told: else a mark that stands still would make news of each that follows.
        """
        before = self._references
        self._references = {
            name: replace(new, value=old.value)
            if (old := before.get(name)) and old.observed == new.observed
            else new
            for name, new in references.items()
        }

    def moved(self, name: str, value: float) -> bool:
        """Whether it has moved by its limit; if so it is measured from here until the next look.
        A name that nobody looked at has not.
        """
        known = self._references.get(name)
        if known is None:
            return False
        if abs(value - known.value) * 100 < known.limit_percent * abs(known.value):
            return False
        self._references[name] = replace(known, value=value)
        return True
